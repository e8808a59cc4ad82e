"""The cases of reading, beside a plain webdataset stream that must give the same clips."""

import multiprocessing
import os
from contextlib import ExitStack, closing
from dataclasses import replace

import numpy as np
import pytest

from ser.benchmarks import data_cases as module
from ser.benchmarks import timing
from ser.benchmarks.data_cases import STAGES, Source, data_cases, empty_cache
from ser.benchmarks.timing import Took, measure
from ser.benchmarks.webdataset_path import WebDatasetReader
from ser.config.data import DataConfig
from ser.shards.index import build_index
from tests.shard_factory import audio_bytes, make_shards, read_with_webdataset, sample, write_tar
from tests.test_reader import broken
from tests.tiny_benchmark import tiny_options

pytestmark = pytest.mark.filterwarnings('ignore::ResourceWarning')


@pytest.fixture(autouse=True)
def briefly(monkeypatch):
    monkeypatch.setattr(timing, 'WARM_UP', {'cpu': (1, 0.0)})


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    """48 clips in four tars, two classes."""
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, emotions=('sad', 'happy'), clips_per=4, shard_sizes=(13, 11, 12), seconds=0.2)
    return (str(folder),)


def options_of(shards, stages=STAGES, workers=1, **given):
    return tiny_options(stages, assignments=[f'data.workers={workers}'], shards=shards, **given)


def rows_of(options):
    return {(row.stage, row.implementation, row.batch): row
            for row in measure(data_cases(options), 1, options.device, lambda line: None)}


@pytest.mark.slow
def test_every_case_runs_and_says_what_it_worked_through(shards):
    rows = rows_of(options_of(shards, workers=2, against=['webdataset']))
    assert {row.error for row in rows.values()} == {None}
    assert list(rows) == [('index', 'ser', 4), ('read', 'ser', 4), ('decode', 'ser', 4), ('batch', 'ser', 4),
                          ('read_decode', 'ser', 4), ('read_decode', 'webdataset', 4), ('first_batch', 'ser', 4),
                          ('first_batch', 'webdataset', 4)]
    assert rows['read_decode', 'ser', 4].extra == {'workers': 2}
    first = rows['first_batch', 'ser', 4]
    assert 0 < first.extra['first_batch_seconds'] < 2 and 0 < first.extra['first_batch_seconds_unindexed'] < 4
    assert rows['index', 'ser', 4].extra['cached_ms_per_clip'] > 0
    assert not multiprocessing.active_children()


def test_how_many_clips_a_call_works_through(shards):
    clips = {(case.stage, case.implementation, case.batch): case.clips or case.batch
             for case in data_cases(options_of(shards, workers=2, batches=(4, 20), against=['webdataset']))}
    assert len(clips) == 1 + 2 * (3 + 2 * 2)
    # The index is one for all batches.
    assert clips['index', 'ser', 4] == 48 and clips['decode', 'ser', 20] == 20
    # Eight batches for each of two readers at least; of 48 clips training leaves out 8 that fill no batch of 20.
    assert clips['read_decode', 'ser', 4] == clips['read_decode', 'webdataset', 4] == 2 * 48
    assert clips['read_decode', 'ser', 20] == 8 * 40 and clips['read_decode', 'webdataset', 20] == 8 * 48


def test_only_what_is_asked_for(shards, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, 'build_index', lambda data: 1 / 0)
        assert data_cases(tiny_options(['front_end'])) == []
        with pytest.raises(ZeroDivisionError):
            data_cases(options_of(shards))
    cases = data_cases(options_of(shards, ['read', 'read_decode']))
    assert [(case.stage, case.implementation) for case in cases] == [('read', 'ser'), ('read_decode', 'ser')]


@pytest.mark.parametrize('workers', [0, 2])
def test_webdataset_gives_the_same_clips(shards, workers):
    source = Source.of(options_of(shards))
    ours, theirs = {}, {}
    with closing(source.stream(6, 1, workers)) as stream:
        for batch in stream:
            for i, key in enumerate(batch.keys):
                ours[key] = batch.waveforms[i, :batch.lengths[i]].numpy().copy(), int(batch.targets['emotion'][i])
    with closing(source.webdataset(7, 2, workers)) as stream:
        for _ in range(2):
            keys = []
            for waveforms, lengths, targets, members in stream:
                assert len(members) <= 7 and waveforms.shape[1] >= lengths.max() and not waveforms[0, lengths[0]:].any()
                keys += members
                for i, key in enumerate(members):
                    theirs[key] = waveforms[i, :lengths[i]].numpy().copy(), int(targets[i])
            assert sorted(keys) == sorted([row.key for row in source.index.rows] * 2)
    assert sorted(ours) == sorted(theirs)
    for key, (samples, target) in ours.items():
        np.testing.assert_array_equal(samples, theirs[key][0])
        assert target == theirs[key][1]


def test_webdataset_takes_one_channel_at_our_rate(tmp_path):
    path = write_tar(tmp_path / 'x.tar', sample('a', rate=8000, seconds=0.5))
    reader = WebDatasetReader([path], 1, 16000, {'a': 3}, 0)
    (waveforms, lengths, targets, keys), = reader
    assert (waveforms.shape[1], lengths.tolist(), targets.tolist(), keys) == (8000, [8000], [3], ['a'])
    stereo = audio_bytes(np.array([[100, 300]] * 50, np.int16), 16000, 'wav')
    mono, target, _ = reader.decoded({'__key__': 'a', 'wav': stereo})
    assert mono.tolist() == [200] * 50 and target == 3


def test_the_index_is_made_from_nothing_and_the_cache_left_alone(shards, monkeypatch):
    from ser.shards import index_cache

    scanned = []
    real = index_cache.scan_shard
    monkeypatch.setattr(index_cache, 'scan_shard', lambda path, wanted: scanned.append(path) or real(path, wanted))
    case, = data_cases(options_of(shards, ['index']))
    before = len(scanned)
    with ExitStack() as stack:
        call = case.start(stack)
        call()
        call()
        assert len(scanned) - before == 8
        case.facts(call)
        assert len(scanned) - before == 8


@pytest.mark.parametrize('value', [None, '/somewhere'])
def test_an_empty_cache_is_for_a_while(monkeypatch, value):
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    if value:
        monkeypatch.setenv('XDG_CACHE_HOME', value)
    with pytest.raises(KeyError), empty_cache():
        folder = os.environ['XDG_CACHE_HOME']
        assert os.listdir(folder) == []
        raise KeyError
    assert os.environ.get('XDG_CACHE_HOME') == value and not os.path.exists(folder)


@pytest.mark.slow
def test_damage_stops_its_own_stage_alone(tmp_path):
    write_tar(tmp_path / 'x.tar', sample('a') + sample('b') + broken('c'))
    rows = rows_of(options_of((str(tmp_path),), ['index', 'read', 'decode', 'read_decode'], workers=0, batches=(3,)))
    errors = {stage: row.error for (stage, _, _), row in rows.items()}
    assert errors['index'] is errors['read'] is None
    assert 'cannot be decoded as flac' in errors['decode'] and 'x.tar: c.flac cannot' in errors['read_decode']


@pytest.mark.slow
def test_fewer_clips_than_a_batch(tmp_path):
    write_tar(tmp_path / 'x.tar', sample('a') + sample('b'))
    rows = rows_of(options_of((str(tmp_path),), ['read', 'batch', 'read_decode'], workers=0, batches=(4,),
                              against=['webdataset']))
    assert '2 training clips are fewer than' in rows['read_decode', 'ser', 4].error
    assert rows['read_decode', 'webdataset', 4].clips == 16
    # Rows come round again.
    assert rows['read', 'ser', 4].error is rows['batch', 'ser', 4].error is None


def test_read_and_first_batch_do_what_they_say(shards):
    cases = {case.stage: case for case in data_cases(options_of(shards, ['read', 'first_batch']))}
    source = Source.of(options_of(shards))
    plain = read_with_webdataset([shard.path for shard in source.index.shards])
    for row, content in source.members(60):
        assert plain[row.key]['flac'] == content
    assert {row.key for row in source.some(48)} == set(plain)
    with ExitStack() as stack:
        took = cases['first_batch'].start(stack)()
        assert isinstance(took, Took) and 0 < took.seconds < 2
    assert not multiprocessing.active_children()


def test_the_streams_are_of_the_given_shards_alone(shards):
    options = options_of(shards)
    data = DataConfig(shards=('elsewhere',), valid_shards=('nowhere',), sample_rate=16000)
    source = Source.of(replace(options, config=options.config.model_copy(update={'data': data})))
    assert source.index.digest == build_index(DataConfig(shards=shards)).digest
    assert set(source.names) == {'happy', 'sad'} and source.clips == 48
