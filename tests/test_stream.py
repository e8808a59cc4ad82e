"""The stream: coverage over ranks and workers, resume, errors across processes, nothing left behind."""

import gc
import io
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import warnings

import numpy as np
import pytest
import soundfile
import torch
import webdataset as wds

from ser.config.data import DataConfig
from ser.errors import SerError
from ser.shards import stream as stream_module
from ser.shards.index import build_index
from ser.shards.plan import EvaluationPlan, TrainPlan
from ser.shards.stream import EvaluationStream, TrainStream, reader_death, resolve_workers
from tests.shard_factory import EMOTIONS, make_shards, read_with_webdataset, sample, write_tar
from tests.test_reader import broken


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp('shards'), n_speakers=5, seconds=0.1, rate=8000)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def config(*paths, **options):
    return DataConfig(shards=tuple(map(str, paths)), **{'sample_rate': 8000, 'prefetch': 2, **options})


def setup(*paths, window='all', batch_size=12, epochs=2, **options):
    data = config(*paths, **options)
    index = build_index(data)
    plan = TrainPlan(range(len(index.rows)), [row.shard for row in index.rows], window, 0, batch_size, epochs)
    return index, plan, data


def ids_of(stream):
    with stream:
        return [batch.ids.numpy() for batch in stream]


@pytest.mark.parametrize('window', ['all', 2])
@pytest.mark.parametrize('workers', [0, 1, 2, 3])
@pytest.mark.parametrize('world', [1, 2, *(pytest.param(world, marks=pytest.mark.slow) for world in (3, 4))])
def test_coverage(shards, world, workers, window):
    index, plan, data = setup(*shards, window=window)
    ranks = [ids_of(TrainStream(index, plan, data, EMOTIONS, rank=rank, world=world, workers=workers))
             for rank in range(world)]
    assert {len(steps) for steps in ranks} == {plan.epochs * plan.steps_per_epoch}
    for number, parts in enumerate(zip(*ranks, strict=True)):
        batch = np.empty(12, np.int64)
        for rank, part in enumerate(parts):
            batch[rank::world] = part
        np.testing.assert_array_equal(batch, plan.batch(*divmod(number, plan.steps_per_epoch)))
    evaluation = EvaluationPlan(range(1, len(index.rows)), 7)
    seen = []
    for rank in range(world):
        with EvaluationStream(index, evaluation, data, EMOTIONS, rank=rank, world=world, workers=workers) as stream:
            for batch in stream:
                assert torch.equal(batch.weights > 0, batch.ids >= 0)
                seen += batch.ids[batch.weights > 0].tolist()
    assert sorted(seen) == list(range(1, len(index.rows)))


@pytest.mark.parametrize('workers', [0, 2])
def test_micro_batches_are_the_steps_in_turn(shards, workers):
    index, plan, data = setup(*shards)
    parts = ids_of(TrainStream(index, plan, data, EMOTIONS, accumulate=3, rank=1, world=2, workers=workers))
    for number in range(0, len(parts), 3):
        mine = plan.batch(*divmod(number // 3, plan.steps_per_epoch))[1::2]
        for micro in range(3):
            np.testing.assert_array_equal(parts[number + micro], mine[micro::3])


def test_the_audio_is_what_plain_readers_find(shards):
    index, _, data = setup(*shards)
    theirs = {key: found['flac'] for key, found in read_with_webdataset(shards).items()}
    plain = {}
    for path in shards:
        with tarfile.open(path) as tar:
            plain |= {m.name[:-5]: tar.extractfile(m).read() for m in tar if m.name.endswith('.flac')}
    assert theirs == plain
    found = {}
    with EvaluationStream(index, EvaluationPlan(range(len(index.rows)), 6), data, EMOTIONS, workers=2) as stream:
        for batch in stream:
            for i, key in enumerate(batch.keys):
                if key:
                    found[key] = batch.waveforms[i, :batch.lengths[i]].numpy()
                    assert EMOTIONS[batch.targets['emotion'][i]] == index.rows[batch.ids[i]].emotion
                    assert index.rows[batch.ids[i]].key == key
    assert set(found) == set(plain)
    for key, waveform in found.items():
        np.testing.assert_array_equal(waveform, soundfile.read(io.BytesIO(plain[key]), dtype='int16')[0])


@pytest.mark.parametrize('workers', [0, 1, 3])
def test_resuming_gives_the_same_tail(shards, workers):
    index, plan, data = setup(*shards, epochs=3)
    whole = ids_of(TrainStream(index, plan, data, EMOTIONS, accumulate=2))
    for epoch, step in ((0, 0), (0, 2), (1, 0), (2, 1), (1, plan.steps_per_epoch), (3, 0)):
        tail = ids_of(TrainStream(index, plan, data, EMOTIONS, accumulate=2, start=(epoch, step), workers=workers))
        expected = whole[2 * (epoch * plan.steps_per_epoch + step):]
        assert [ids.tolist() for ids in tail] == [ids.tolist() for ids in expected]


def copies_of(stream, epoch_steps, first=0):
    """(epoch, id, copy): what it is drawn by and the samples that were read, of every row of a TrainStream."""
    found = {}
    with stream:
        for number, batch in enumerate(stream, first):
            for place in zip(batch.ids.tolist(), batch.copies.tolist(), batch.draw_ids.tolist(), batch.waveforms,
                             strict=True):
                *which, drawn, samples = place
                assert (number // epoch_steps, *which) not in found
                found[number // epoch_steps, *which] = drawn, samples.numpy().tobytes()
    return found


def test_copies_are_the_same_whatever_the_workers_the_ranks_and_the_start(shards):
    index, _, data = setup(*shards, max_seconds=0.08)
    rows = range(len(index.rows))
    # Three clips are a group of their own: each comes 5 to 7 times an epoch.
    plan = TrainPlan(rows, [row.shard for row in index.rows], 2, 0, 12, 2, groups=[row < 3 for row in rows])

    def read(workers, **place):
        return copies_of(TrainStream(index, plan, data, EMOTIONS, workers=workers, **place), plan.steps_per_epoch,
                         place.get('start', (0, 0))[1])

    whole = read(0)
    assert read(2) == whole
    assert read(0, rank=0, world=2) | read(2, rank=1, world=2) == whole
    tail = read(2, start=(0, 1))
    assert len(tail) == len(whole) - 12 and tail.items() <= whole.items()
    assert len({(epoch, drawn) for (epoch, *_), (drawn, _) in whole.items()}) == len(whole)
    assert max(copy for *_, copy in whole) >= 4
    assert all((drawn == number) == (copy == 0) for (_, number, copy), (drawn, _) in whole.items())


def test_evaluation_can_be_iterated_again_and_left_early(shards):
    index, _, data = setup(*shards)
    with EvaluationStream(index, EvaluationPlan(range(len(index.rows)), 4), data, EMOTIONS, workers=2) as stream:
        stream.start()
        first = [batch.ids.tolist() for batch in stream]
        pids = {process.pid for process in multiprocessing.active_children()}
        assert next(iter(stream)).ids.tolist() == first[0]
        assert [batch.ids.tolist() for batch in stream] == first
        assert {process.pid for process in multiprocessing.active_children()} == pids and len(pids) == 2
    assert not multiprocessing.active_children()
    assert [batch.ids.tolist() for batch in stream] == first
    stream.close()


def test_nothing_is_left_behind_and_torchs_generator_is_not_touched(shards):
    index, plan, data = setup(*shards)
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for workers in (0, 2):
            stream = TrainStream(index, plan, data, EMOTIONS, workers=workers)
            next(iter(stream))
            stream.close()
        gc.collect()
    assert not multiprocessing.active_children()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize('workers', [0, 2])
def test_a_bad_sample_is_one_line_in_the_main_process(tmp_path, workers):
    members = [m for i in range(5) for m in sample(f'k{i}', i)] + broken('bad')
    index, plan, data = setup(write_tar(tmp_path / 'x.tar', members), batch_size=2)
    with pytest.raises(SerError) as error:
        ids_of(TrainStream(index, plan, data, EMOTIONS, workers=workers))
    assert 'x.tar: bad.flac cannot be decoded as flac' in str(error.value) and '\n' not in str(error.value)
    with pytest.raises(SerError, match='bad.flac cannot be decoded'):
        ids_of(EvaluationStream(index, EvaluationPlan(range(6), 2), data, EMOTIONS, workers=workers))
    assert not multiprocessing.active_children()


@pytest.mark.parametrize('workers', [0, 2])
def test_skipped_samples_are_counted_logged_once_and_bounded(tmp_path, workers, caplog):
    members = [m for i in range(5) for m in sample(f'k{i}', i)] + broken('bad')
    path = write_tar(tmp_path / 'x.tar', members)
    index, plan, data = setup(path, batch_size=2, on_error='skip', max_bad=0.2, epochs=3)
    with caplog.at_level(logging.WARNING), TrainStream(index, plan, data, EMOTIONS, workers=workers) as stream:
        batches = list(stream)
    assert len(batches) == 9 and sum(batch.counters.get('bad', 0) for batch in batches) == 3
    assert sum(float(batch.weights.sum()) for batch in batches) == 15
    assert sum('bad.flac' in record.message for record in caplog.records) == 1
    index, plan, data = setup(path, batch_size=2, on_error='skip', max_bad=0.1)
    with pytest.raises(SerError, match='1 of about 6 training clips cannot be used, more than data.max_bad 0.1 allows'):
        ids_of(TrainStream(index, plan, data, EMOTIONS, workers=workers))


@pytest.mark.parametrize('workers', [0, 1])
def test_a_defect_is_one_line_with_its_trace_behind_it(shards, workers):
    index, plan, data = setup(*shards)
    with pytest.raises(SerError, match=r"reading a batch failed: KeyError: 'sad'") as error:
        ids_of(TrainStream(index, plan, data, ('neutral', 'happy', 'angry'), workers=workers))
    assert 'reader.py' in str(error.value.__cause__)


def test_a_killed_worker_is_loud(shards):
    index, plan, data = setup(*shards, epochs=500)
    stream = TrainStream(index, plan, data, EMOTIONS, workers=2)
    batches = iter(stream)
    next(batches)
    try:
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        with pytest.raises((SerError, RuntimeError)) as error:
            for _ in batches:
                pass
    finally:
        stream.close()
    said = error.value if isinstance(error.value, SerError) else reader_death(error.value)
    assert 'a reader process died' in str(said) and '--set data.workers=0' in str(said)
    assert reader_death(RuntimeError('other')) is None
    assert not multiprocessing.active_children()


def script(tmp_path, text, shard):
    """Run a script that has this module's names, with `index, plan, data` of one shard; the finished process."""
    (tmp_path / 'script.py').write_text('import types\nfrom tests.test_stream import *\n'
                                        f'if __name__ == "__main__":\n    index, plan, data = setup({str(shard)!r})\n'
                                        + textwrap.indent(textwrap.dedent(text), '    '))
    return subprocess.run([sys.executable, str(tmp_path / 'script.py')], capture_output=True, text=True, timeout=60,
                          env={**os.environ, 'PYTHONPATH': os.getcwd(), 'XDG_CACHE_HOME': str(tmp_path)})


def test_a_stream_that_nobody_closes_does_not_hold_up_the_exit(shards, tmp_path):
    done = script(tmp_path, '''
        stream = TrainStream(index, plan, data, EMOTIONS, workers=2)
        batches = iter(stream)
        next(batches)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        for _ in range(10 ** 6):
            next(batches, None)
        ''', shards[2])
    said = 'DataLoader worker' in done.stderr or 'a reader process died' in done.stderr
    assert done.returncode == 1 and said, done.stderr


def test_workers_ignore_the_signals_of_the_group(shards):
    index, plan, data = setup(*shards, epochs=50)
    with TrainStream(index, plan, data, EMOTIONS, workers=2) as stream:
        batches = iter(stream)
        # One batch of each worker, so that both are beyond their start.
        assert next(batches) and next(batches)
        for process in multiprocessing.active_children():
            os.kill(process.pid, signal.SIGINT)
            os.kill(process.pid, signal.SIGTERM)
        assert 2 + sum(1 for _ in batches) == 50 * plan.steps_per_epoch


def test_long_clips(tmp_path):
    path = write_tar(tmp_path / 'x.tar', sample('a', 1) + sample('b', 2, seconds=1.2))
    plan = EvaluationPlan(range(2), 2)
    index, _, data = setup(path, batch_size=2, max_seconds=0.5)
    with pytest.raises(SerError, match=r'b.flac lasts 1.2 s, over data.max_seconds 0.5'):
        EvaluationStream(index, plan, data, EMOTIONS)
    for workers in (0, 1):
        data = config(path, max_seconds=0.5, long='window')
        assert [ids.tolist() for ids in ids_of(EvaluationStream(index, plan, data, EMOTIONS, workers=workers))] == [
            [0, 1], [1, 1]]


def test_workers_are_resolved(caplog):
    assert [resolve_workers('auto', 100, cores) for cores in (1, 2, 5, 64)] == [0, 1, 4, 8]
    assert [resolve_workers('auto', 100, cores, on_cpu=True) for cores in (1, 2, 3, 64)] == [0, 0, 2, 8]
    assert resolve_workers(1, 100, 2, on_cpu=True) == 1
    assert resolve_workers(3, 100, 2) == 3 and resolve_workers('auto', 2, 64) == 2 and not caplog.records
    assert resolve_workers(5, 2, 64) == 2
    assert 'data.workers 5 is more than the 2 batches: using 2' in caplog.text


@pytest.mark.parametrize(('ranks', 'expected'), [(None, 8), ('1', 8), ('4', 3), ('8', 1), ('16', 0), ('99', 0),
                                                 ('0', 8), ('many', 8)])
def test_ranks_share_the_cores_of_their_machine(monkeypatch, ranks, expected):
    monkeypatch.setattr(stream_module, 'cores', lambda: 16)
    monkeypatch.delenv('LOCAL_WORLD_SIZE', raising=False)
    if ranks is not None:
        monkeypatch.setenv('LOCAL_WORLD_SIZE', ranks)
    assert resolve_workers('auto', 100) == expected


def test_remote_code_paths_of_webdataset_are_locked(shards):
    index, plan, data = setup(*shards)
    wds.utils.enforce_security = False
    ids_of(TrainStream(index, plan, data, EMOTIONS))
    assert wds.utils.enforce_security is True


@pytest.mark.slow
def test_readers_can_be_spawned(shards, tmp_path):
    done = script(tmp_path, '''
        stream_module.sys = types.SimpleNamespace(platform='darwin')
        multiprocessing.set_start_method('spawn')
        print(sum(len(ids) for ids in ids_of(TrainStream(index, plan, data, EMOTIONS, workers=1))))
        ''', shards[2])
    assert done.stdout.strip() == '24', done.stderr
