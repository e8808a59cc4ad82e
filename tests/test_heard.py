"""What a run has heard of other shards."""

import json
from pathlib import Path

import pytest

from ser.config.schema import Config
from ser.heard import Heard, heard_by, overlap_notes, speakers_disjoint
from ser.shards.index import Row, build_index
from ser.training.run import open_run
from tests.shard_factory import make_shards
from tests.tiny_run import tiny_run  # noqa: F401


def row(key, speaker='s1', corpus='test', audio=None):
    return Row(key, 0, 0, 1, '.flac', 'happy', 'happy', speaker, None, None, None, audio,
               {} if corpus is None else {'corpus': corpus})


def heard(*speakers, keys=(), audio=None):
    return Heard(frozenset(keys), audio, frozenset(speakers))


def test_a_speaker_is_the_same_only_within_a_corpus():
    assert speakers_disjoint([row('a', 's1')], heard(('test', 's2'), ('other', 's1'))) is True
    assert speakers_disjoint([row('a', 's1'), row('b', 's9')], heard(('test', 's9'))) is False


def test_what_nobody_can_tell_is_unknown():
    assert speakers_disjoint([row('a', None)], heard(('test', 's2'))) is None
    assert speakers_disjoint([row('a')], heard(('test', 's2'), None)) is None
    assert speakers_disjoint([row('a', corpus=None)], heard(('test', 's2'))) is None
    assert speakers_disjoint([row('a')], heard(('', 's2'))) is None
    assert speakers_disjoint([row('a', corpus=None)], heard(('', 's2'))) is True
    # One shared speaker settles it, whatever else is unknown.
    assert speakers_disjoint([row('a'), row('b', None)], heard(('test', 's1'), None)) is False


def test_clips_are_recognised_by_audio_and_by_key():
    rows = [row('a', audio='1'), row('b', audio='2'), row('c', audio='3')]
    note, = overlap_notes(rows, heard(keys=('b', 'a'), audio=frozenset('1')))
    assert note.startswith('LEAK: 2 of 3 clips') and '(1 by audio, 1 by key)' in note
    assert overlap_notes(rows, heard(keys=('z',), audio=frozenset('9'))) == ()
    note, doubt = overlap_notes(rows, heard(keys=('c',)))
    assert '(1 by key)' in note and 'by key only' in doubt


def test_a_run_with_its_shards_at_hand(tiny_run):  # noqa: F811
    config, names = open_run(tiny_run.path)
    found = heard_by(tiny_run.path, config, names, ())
    assert found.keys == set(tiny_run.clips) - {line['key'] for line in tiny_run.predictions()}
    assert len(found.audio) == len(found.keys)
    rows = build_index(config.data).rows
    test_rows = [line for line in rows if line.key not in found.keys]
    assert speakers_disjoint(test_rows, found) is True and overlap_notes(test_rows, found) == ()
    assert speakers_disjoint(rows, found) is False
    assert f'LEAK: {len(found.keys)} of {len(rows)} clips' in overlap_notes(rows, found)[0]


@pytest.mark.parametrize('reason', ['gone', 'changed'])
def test_a_run_without_its_shards_is_known_by_keys(tiny_run, tmp_path, reason):  # noqa: F811
    config, names = open_run(tiny_run.path)
    run = tiny_run.path
    if reason == 'gone':
        data = Config().data.model_copy(update={'shards': (str(tmp_path / 'gone'),)})
        config = config.model_copy(update={'data': data})
    else:
        run = tmp_path
        for name in ('split.csv', 'data.json'):
            (run / name).write_bytes((tiny_run.path / name).read_bytes())
        facts = json.loads((run / 'data.json').read_text())
        (run / 'data.json').write_text(json.dumps(facts | {'digest': 'another'}))
    found = heard_by(run, config, names, {'test'})
    assert found.audio is None and len(found.keys) > 8
    assert {corpus for corpus, _ in found.speakers} == {'test'}
    assert {corpus for corpus, _ in heard_by(run, config, names, ()).speakers} == {''}


def test_other_speakers_of_the_same_corpus_are_new(tiny_run, tmp_path):  # noqa: F811
    make_shards(tmp_path, n_speakers=2, clips_per=1, first_speaker=40)
    config, names = open_run(tiny_run.path)
    rows = build_index(Config().data.model_copy(update={'shards': (str(Path(tmp_path)),)})).rows
    found = heard_by(tiny_run.path, config, names, {'test'})
    assert speakers_disjoint(rows, found) is True and overlap_notes(rows, found) == ()
