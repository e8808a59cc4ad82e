"""What shards say about test clips, and what is said when they are gone."""

import numpy as np
import pytest

from ser.config.evaluation import EvaluationConfig
from ser.errors import SerError
from ser.evaluation.predictions import Predictions
from ser.reports import clip_facts
from ser.reports.clip_facts import level_db
from ser.reports.contents import Contents
from tests.shard_factory import make_shards, sample, spoiled, tone, write_tar


def contents(tmp_path, keys):
    said = Predictions.from_probabilities(keys, ['s'] * len(keys), [0] * len(keys), [[0.5, 0.5]] * len(keys),
                                          ('happy', 'sad'))
    return Contents(tmp_path, 'other shards', {}, said.names, EvaluationConfig(), said)


def test_facts_are_those_of_the_shards(tmp_path):
    make_shards(tmp_path / 'shards', n_speakers=2)
    keys = ['test-s01-happy-0', 'test-s02-sad-1']
    found = clip_facts.clip_facts(contents(tmp_path, keys), [str(tmp_path / 'shards')])
    assert found.found == 2 and found.problem is None and {row.key for row in found.rows} == set(keys)
    assert found.words['gender'] == dict(zip(keys, ('female', 'male'), strict=True))
    assert found.words['corpus'] == dict.fromkeys(keys, 'test') and found.words['language'] == {}
    assert all(0.39 < seconds < 0.61 for seconds in found.seconds.values())
    assert all(-12 < level < -10 for level in found.level_db.values()), 'a sine of 0.4 is -11 dB'


def test_levels_are_rms_below_full_scale():
    assert level_db(np.full(100, -16384, dtype=np.int16)) == pytest.approx(20 * np.log10(0.5))
    assert level_db(np.zeros(100, dtype=np.int16)) == -100
    assert level_db(tone(1)) - level_db((tone(1) // 2).astype(np.int16)) == pytest.approx(6.02, abs=0.01)


def test_clips_that_are_not_there_or_cannot_be_decoded(tmp_path, monkeypatch):
    write_tar(tmp_path / 'x.tar', [*sample('good'), *spoiled(sample('bad'), b'fLaC' + bytes(90))])
    shards = [str(tmp_path / 'x.tar')]
    found = clip_facts.clip_facts(contents(tmp_path, ['good', 'bad', 'gone']), shards)
    assert found.found == 2 and list(found.level_db) == ['good']
    assert found.problem == '1 of 3 test clips are not in these shards and left out here'
    assert clip_facts.clip_facts(contents(tmp_path, ['good', 'bad']), shards).problem == '1 clips cannot be decoded'
    monkeypatch.setattr(clip_facts, 'MOST_MEASURED', 1)
    found = clip_facts.clip_facts(contents(tmp_path, ['good', 'bad']), shards)
    assert found.level_db == {} and found.problem == 'levels are not measured of more than 1 clips'


def test_shards_that_are_gone_or_others(tmp_path):
    make_shards(tmp_path / 'shards', n_speakers=1)
    unknown = clip_facts.clip_facts(contents(tmp_path, ['a']))
    assert unknown.found == 0 and 'no config.yaml here says which shards' in unknown.problem
    with pytest.raises(SerError, match='hold none of the 1 test clips'):
        clip_facts.clip_facts(contents(tmp_path, ['a']), [str(tmp_path / 'shards')])
    with pytest.raises(SerError, match='no such shards'):
        clip_facts.clip_facts(contents(tmp_path, ['a']), [str(tmp_path / 'none')])
