"""Builds on a Dask cluster: the bytes of a local one, whatever becomes of its workers."""

import contextlib
import importlib.util
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from distributed import LocalCluster

from ser.build_shards import main
from ser.errors import SerError
from ser.shards import cluster as module
from ser.shards.cluster import cluster
from ser.shards.write import write_shards
from tests.test_write import contents, corpus

ROOT = Path(__file__).resolve().parent.parent


def of_threads(workers):
    """A cluster that lives in this process."""
    return LocalCluster(n_workers=workers, threads_per_worker=1, processes=False, protocol='tcp', memory_limit=0,
                        dashboard_address='127.0.0.1:0')


@pytest.fixture(scope='module')
def threads():
    """The address of a cluster of two."""
    with of_threads(2) as local:
        yield local.scheduler_address


def slow_first(number):
    time.sleep(0.3 if number == 0 else 0.0)
    return number


def fail_at_three(number):
    if number == 3:
        raise ValueError('three')
    return number


def test_results_come_in_order_and_items_are_taken_only_a_little_ahead(threads):
    taken = []
    with cluster(scheduler=threads) as spread:
        results = spread(slow_first, (taken.append(number) or number for number in range(150)))
        assert next(results) == 0 and len(taken) < 50
        assert list(results) == list(range(1, 150))
        with pytest.raises(ValueError, match='three'):
            list(spread(fail_at_three, range(9)))


def test_the_bytes_are_those_of_a_local_build_and_bad_files_are_the_same(threads, tmp_path, monkeypatch, capsys):
    source = corpus(tmp_path / 'source', clips=9)
    (source / 'clip4.wav').write_bytes(b'nothing')
    local = write_shards('csv', source, tmp_path / 'local', shard_size=3, jobs=1)
    monkeypatch.chdir(tmp_path)
    assert main(['csv', 'source', 'out', '--shard-size', '3', '--engine', 'dask', '--scheduler', threads]) == 1
    assert contents(tmp_path / 'out') == contents(tmp_path / 'local')
    assert 'clip4.wav: cannot be decoded' in capsys.readouterr().out and len(local.bad) == 1


@pytest.mark.parametrize(('words', 'said'), [
    (('--workers', '2'), '--workers goes with --engine dask'),
    (('--scheduler', 'tcp://a:1'), '--scheduler goes with --engine dask'),
    (('--engine', 'dask', '--jobs', '2'), '--jobs goes with --engine local'),
    (('--engine', 'dask', '--workers', '0'), '--workers must be at least 1, not 0'),
    (('--engine', 'dask', '--workers', '1', '--scheduler', 'tcp://a:1'), 'give one of the two'),
    (('--engine', 'dask', '--scheduler', 'gopher://a:1'), 'An address looks like tcp://host:8786')])
def test_options_that_do_not_go_together_are_refused_in_one_line(tmp_path, capsys, words, said):
    assert main(['demo', '-', str(tmp_path / 'out'), *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and said in error and error.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_without_the_extra_it_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    assert main(['demo', '-', str(tmp_path / 'out'), '--engine', 'dask']) == 2
    assert capsys.readouterr().err == ("error: --engine dask needs dask.distributed, which is not installed: pip "
                                       "install -e '.[cluster]' in the checkout\n")


@contextlib.contextmanager
def listening():
    """An address where a connection is taken and nothing is ever said."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        yield f'tcp://127.0.0.1:{server.getsockname()[1]}'


def test_a_scheduler_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(module, 'CONNECT_SECONDS', 1)
    with listening() as silent:
        for address in (silent, 'tcp://127.0.0.1:9'):
            started = time.monotonic()
            with pytest.raises(SerError, match=f'{address}: no scheduler with a worker answers there within 1 s'), \
                    cluster(scheduler=address):
                pass
            assert time.monotonic() - started < 20


def test_a_cluster_without_a_worker_is_given_up(monkeypatch):
    monkeypatch.setattr(module, 'CONNECT_SECONDS', 1)
    with (of_threads(0) as empty, pytest.raises(SerError, match='no scheduler with a worker'),
          cluster(scheduler=empty.scheduler_address)):
        pass


def test_when_the_last_worker_leaves_the_build_ends(monkeypatch):
    monkeypatch.setattr(module, 'ALONE_SECONDS', 0.5)
    monkeypatch.setattr(module, '_LOOK_SECONDS', 0.2)
    with of_threads(1) as local, cluster(scheduler=local.scheduler_address) as spread:
        results = spread(waited_for, range(99))
        local.scale(0)
        with pytest.raises(SerError, match=r'the cluster has had no worker for 0\.5 s'):
            next(results)


def waited_for(number):
    time.sleep(0.05)
    return number


def test_a_worker_with_other_software_is_refused():
    other = {**module.versions(), 'libsndfile': '0.0.1'}
    with pytest.raises(SerError, match=r'has libsndfile .*, the builder 0\.0\.1: the bytes might differ'):
        module._checked(abs, other, [-1])
    assert module._checked(abs, module.versions(), [-1, 2]) == [1, 2]


COMMAND = [sys.executable, ROOT / 'tools' / 'build_shards.py']


def addressed(command, *words):
    """(process, address) of a scheduler, or of a worker, which has none."""
    process = subprocess.Popen([sys.executable, '-m', 'distributed.cli.' + command, *map(str, words)], cwd=ROOT,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        found = re.search(r'(?:Scheduler at|Registered to):\s+(tcp://\S+)', line)
        if found:
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, found[1]
    raise AssertionError(f'{command} did not start')


@contextlib.contextmanager
def running(workers):
    """(scheduler process, its address, worker processes, which no nanny restarts)."""
    scheduler, address = addressed('dask_scheduler', '--host', '127.0.0.1', '--port', 0, '--no-dashboard')
    hands = [addressed('dask_worker', address, '--no-nanny', '--nthreads', 1, '--no-dashboard')[0]
             for _ in range(workers)]
    try:
        yield scheduler, address, hands
    finally:
        for process in (*hands, scheduler):
            process.kill()
            process.wait()
            process.stderr.close()


@pytest.fixture(scope='module')
def big(tmp_path_factory):
    """(a source that takes seconds, the files of its local build)."""
    folder = tmp_path_factory.mktemp('big')
    corpus(folder / 'source', clips=120, rate=48000, frames=48000)
    write_shards('csv', folder / 'source', folder / 'out', shard_size=10)
    return folder / 'source', contents(folder / 'out')


def started(source, out, *words):
    """A build of `big` that has written its first shard."""
    process = subprocess.Popen([*COMMAND, 'csv', source, out, '--shard-size', '10', '--engine', 'dask',
                                *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(out.glob('.partial-build/*.tar')) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


def heard(build):
    """(stdout, stderr) of a build at its end, without the lines that say how far it has come."""
    said, told = build.communicate(timeout=300)
    return said, ''.join(line for line in told.splitlines(keepends=True) if not line.endswith(' clips\n'))


@pytest.mark.slow
@pytest.mark.parametrize('workers', [1, 3])
def test_the_real_command_gives_the_same_bytes_whatever_the_number_of_workers(big, tmp_path, workers):
    source, whole = big
    said, told = heard(started(source, tmp_path / 'out', '--workers', workers))
    assert told == '' and '120 utterances in 12 shards' in said
    assert contents(tmp_path / 'out') == whole


@pytest.mark.slow
def test_a_worker_that_is_killed_in_the_middle_changes_nothing(big, tmp_path):
    source, whole = big
    with running(2) as (_, address, hands):
        build = started(source, tmp_path / 'out', '--scheduler', address)
        hands[0].kill()
        said, told = heard(build)
    assert (build.returncode, told) == (0, '') and '120 utterances in 12 shards' in said
    assert contents(tmp_path / 'out') == whole


@pytest.mark.slow
def test_a_scheduler_that_is_killed_ends_the_build_with_one_line(big, tmp_path):
    with running(1) as (scheduler, address, _):
        build = started(big[0], tmp_path / 'out', '--scheduler', address)
        scheduler.kill()
        said, told = heard(build)
    assert (build.returncode, said, told.count('\n')) == (2, '', 1), told
    assert told.startswith('error: --engine dask: the scheduler is gone') and not (tmp_path / 'out').exists()


def below(pid):
    """Process ids of all descendants."""
    # Any thread may have started one.
    found = [int(child) for task in Path(f'/proc/{pid}/task').glob('*/children') for child in task.read_text().split()]
    return found + [further for child in found for further in below(child)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_a_killed_builder_takes_its_cluster_with_it_and_a_rerun_is_the_same(big, tmp_path):
    source, whole = big
    build = started(source, tmp_path / 'out', '--workers', 2)
    hands = below(build.pid)
    build.kill()
    build.communicate(timeout=60)
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['.partial-build']
    deadline = time.monotonic() + 60
    while any(os.path.exists(f'/proc/{hand}') for hand in hands) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(hands) >= 2 and not any(os.path.exists(f'/proc/{hand}') for hand in hands)
    write_shards('csv', source, tmp_path / 'out', shard_size=10)
    assert contents(tmp_path / 'out') == whole


def die(number):
    os._exit(1)


@pytest.mark.slow
def test_a_recording_that_kills_its_workers_is_an_error_not_a_hang():
    with cluster(workers=1) as spread, pytest.raises(SerError, match='has killed . workers one after the other'):
        list(spread(die, range(3)))
