"""Two machines: agents of torchrun in network namespaces, or on loopback, whose working folders share nothing."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from ser.files import sha256_of
from tests.driven import ORDER, ROOT, Driver
from tests.shard_factory import make_shards
from tests.tiny import ASSIGNMENTS

pytestmark = pytest.mark.slow
TRAIN = ['-m', 'ser.train', '--shards', 'data', '--out', 'run', '--set', *ASSIGNMENTS, 'training.checkpoint_steps=1',
         'data.workers=1']


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=8, clips_per=2)
    return folder


@pytest.fixture(scope='module')
def one_machine(shards, tmp_path_factory):
    """What two ranks of one machine learn."""
    folder = tmp_path_factory.mktemp('one')
    with Driver(folder / 'log') as driver:
        codes = driver(argv=['--shards', str(shards), '--out', str(folder / 'run'), '--set', *ASSIGNMENTS], ranks=2)
    assert codes == [0, 0], (folder / 'log').read_text()[-3000:]
    return folder / 'run'


@pytest.fixture
def homes(shards, tmp_path):
    """The working folders of two machines, each with its own copy of the shards."""
    for name in ('a', 'b'):
        shutil.copytree(shards, tmp_path / name / 'data')
    return tmp_path / 'a', tmp_path / 'b'


def ip(*words):
    return subprocess.run(['ip', *words], capture_output=True, text=True)


@contextlib.contextmanager
def namespaces():
    """[(prefix of a command, environment)] of two hosts joined by a cable, and the first one's address."""
    name = f'ser{os.getpid()}'
    hosts = [f'{name}a', f'{name}b']
    if any(ip('netns', 'add', host).returncode for host in hosts):
        for host in hosts:
            ip('netns', 'del', host)
        pytest.skip('network namespaces are not permitted here')
    try:
        made = [ip('link', 'add', 'va', 'netns', hosts[0], 'type', 'veth', 'peer', 'name', 'vb', 'netns', hosts[1])]
        for host, link, address in zip(hosts, ('va', 'vb'), ('10.213.7.1', '10.213.7.2'), strict=True):
            made += [ip('-n', host, 'addr', 'add', f'{address}/24', 'dev', link),
                     ip('-n', host, 'link', 'set', link, 'up'), ip('-n', host, 'link', 'set', 'lo', 'up')]
        if any(done.returncode for done in made):
            pytest.skip(f'virtual cables are not permitted here: {made[0].stderr}')
        yield [(['ip', 'netns', 'exec', host], {'GLOO_SOCKET_IFNAME': link})
               for host, link in zip(hosts, ('va', 'vb'), strict=True)], '10.213.7.1'
    finally:
        for host in hosts:
            ip('netns', 'del', host)


@contextlib.contextmanager
def loopback():
    """The same of one host that plays both."""
    yield 2 * [([], {'GLOO_SOCKET_IFNAME': 'lo'})], '127.0.0.1'


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def launch(network, homes, command, order=None):
    """(exit code, stderr) of each machine's agent."""
    with network() as (hosts, address):
        port, agents = free_port(), []
        for number, ((prefix, environment), home) in enumerate(zip(hosts, homes, strict=True)):
            environment = os.environ | environment | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
            if order is not None:
                environment[ORDER] = json.dumps(order)
            agents.append(subprocess.Popen(
                [*prefix, sys.executable, '-m', 'torch.distributed.run', '--nnodes', '2', '--node-rank', str(number),
                 '--nproc-per-node', '1', '--master-addr', address, '--master-port', str(port), *command],
                cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
        try:
            said = [agent.communicate(timeout=200)[1] for agent in agents]
        finally:
            for agent in agents:
                agent.kill()
                agent.wait()
    return [(agent.returncode, text) for agent, text in zip(agents, said, strict=True)]


@pytest.mark.parametrize('network', [namespaces, loopback])
def test_two_machines_learn_what_two_ranks_of_one_learn_and_the_first_alone_writes(homes, one_machine, network):
    done = launch(network, homes, TRAIN)
    assert [code for code, _ in done] == [0, 0], done
    for name in ('best.safetensors', 'predictions.csv'):
        assert sha256_of(homes[0] / 'run' / name) == sha256_of(one_machine / name), name
    assert sorted(path.name for path in homes[1].iterdir()) == ['data']


def test_a_killed_machine_is_resumed_although_the_other_holds_no_checkpoint(homes, one_machine):
    order = {'argv': TRAIN[2:], 'kill': [5, 'gradient'], 'rank': 1}
    codes = [code for code, _ in launch(loopback, homes, [str(ROOT / 'tests' / 'driven.py')], order)]
    assert 0 not in codes
    # The second machine needs to know what is trained, not how far it came.
    (homes[1] / 'run').mkdir()
    for name in ('config.yaml', 'labels.json'):
        shutil.copy(homes[0] / 'run' / name, homes[1] / 'run')
    done = launch(loopback, homes, ['-m', 'ser.train', '--resume', 'run'])
    assert [code for code, _ in done] == [0, 0], done
    assert sha256_of(homes[0] / 'run' / 'best.safetensors') == sha256_of(one_machine / 'best.safetensors')
    assert sorted(path.name for path in (homes[1] / 'run').iterdir()) == ['config.yaml', 'labels.json']


def test_machines_with_other_shards_refuse_both(homes):
    make_shards(homes[1] / 'data', n_speakers=8, clips_per=2, seconds=0.3)
    done = launch(loopback, homes, TRAIN)
    for code, said in done:
        assert code != 0 and 'error: the ranks disagree on the samples and their labels (digest): rank 0 has' in said
    assert not (homes[0] / 'run').exists()


@pytest.mark.parametrize('restarts', [0, 2])
def test_a_rank_that_dies_ends_the_job_or_restarts_it_and_never_hangs(shards, one_machine, tmp_path, restarts):
    out = tmp_path / 'run'
    order = {'argv': ['--shards', str(shards), '--out', str(out), '--set', *ASSIGNMENTS, 'training.checkpoint_steps=1'],
             'kill': [5, 'gradient'], 'rank': 1, 'once': True}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2', '--max-restarts', str(restarts),
         '--rdzv-backend', 'c10d', '--rdzv-endpoint', 'localhost:0', str(ROOT / 'tests' / 'driven.py')],
        capture_output=True, text=True, timeout=300,
        env=os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', ORDER: json.dumps(order)})
    print(f'--max-restarts={restarts}: {time.monotonic() - started:.0f} s, exit code {done.returncode}')
    if restarts:
        assert done.returncode == 0, done.stderr[-3000:]
        assert 'resuming from step-000000004.pt' in done.stderr
        assert sha256_of(out / 'best.safetensors') == sha256_of(one_machine / 'best.safetensors')
    else:
        assert done.returncode != 0 and not (out / 'test_metrics.json').exists()
