"""kill -9 at every moment of a training: what is resumed ends as what was never killed, bit for bit."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from ser.errors import SerError
from ser.files import sha256_of
from ser.training.checkpoint import load_newest, save_checkpoint
from ser.training.run import RunDirectory
from tests.driven import ROOT, Driver
from tests.shard_factory import make_shards
from tests.test_parent import alive
from tests.test_train import arguments, rows

EPOCHS, STEPS = 12, 60
LONG = [f'training.epochs={EPOCHS}', 'training.patience=null', 'evaluation.bootstrap=100', 'data.audit=quick']
MOMENTS = ('gradient', 'update', 'unsaved', 'saved')
# What a row says of the training; the rest is of the clock.
LEARNT = ('epoch', 'steps', 'train_loss', 'valid_loss', 'valid_ua', 'lr', 'best')


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=8, clips_per=2, seconds=0.3)
    return folder


@pytest.fixture(scope='module')
def driver(tmp_path_factory):
    log = tmp_path_factory.mktemp('driver') / 'log'
    with Driver(log) as driver:
        yield driver


def curve(path):
    """{step: losses said of it}, hexadecimal: a step that was done again must say the same."""
    found = {}
    for line in path.read_text().splitlines():
        step, loss = line.split()
        found.setdefault(int(step), set()).add(loss)
    return found


def learnt(out):
    return [[row[name] if name in ('epoch', 'steps', 'best') else float(row[name]).hex() for name in LEARNT]
            for row in rows(out / 'metrics.csv')]


def same(out, whole, losses):
    assert curve(losses) == curve(whole.with_suffix('.losses'))
    assert all(len(said) == 1 for said in curve(losses).values())
    assert learnt(out) == learnt(whole)
    for name in ('best.safetensors', 'predictions.csv', 'calibration.json'):
        assert sha256_of(out / name) == sha256_of(whole / name), name
    assert not list(out.rglob('*.partial'))


def undisturbed(driver, shards, folder, ranks=1):
    out = folder / 'whole'
    codes = driver(argv=arguments(shards, out, *LONG), ranks=ranks, losses=str(out.with_suffix('.losses')))
    assert codes == [0] * ranks, driver.log.read_text()[-3000:]
    assert sorted(curve(out.with_suffix('.losses'))) == list(range(1, STEPS + 1))
    return out


@pytest.fixture(scope='module')
def whole(driver, shards, tmp_path_factory):
    return undisturbed(driver, shards, tmp_path_factory.mktemp('one'))


@pytest.fixture(scope='module')
def whole_of_two(driver, shards, tmp_path_factory):
    return undisturbed(driver, shards, tmp_path_factory.mktemp('two'), ranks=2)


def command(shards, out, workers, saved_each):
    """The arguments that begin or carry on a run."""
    options = [f'data.workers={workers}', f'training.checkpoint_steps={saved_each}']
    if (out / 'config.yaml').is_file():
        return ['--resume', str(out), '--set', *options]
    return arguments(shards, out, *LONG, *options)


@pytest.mark.slow
def test_killed_at_every_step(driver, shards, whole, tmp_path):
    out, losses = tmp_path / 'run', tmp_path / 'losses'
    for step in range(1, STEPS + 1):
        codes = driver(argv=command(shards, out, step % 3, 1), losses=str(losses),
                       kill=[step, MOMENTS[step % len(MOMENTS)]])
        assert codes == [-signal.SIGKILL], driver.log.read_text()[-3000:]
    assert driver(argv=command(shards, out, 0, 1), losses=str(losses)) == [0]
    same(out, whole, losses)


@pytest.mark.slow
def test_killed_at_random_steps_of_two_ranks_with_changing_workers(driver, shards, whole_of_two, tmp_path):
    out, losses, draw = tmp_path / 'run', tmp_path / 'losses', random.Random(1)
    for number, step in enumerate(sorted(draw.sample(range(1, STEPS + 1), 10))):
        codes = driver(argv=command(shards, out, number % 3, 3), losses=str(losses), ranks=2, rank=number % 2,
                       kill=[step, 'gradient' if number % 2 else draw.choice(MOMENTS[:2])])
        assert -signal.SIGKILL in codes and 0 not in codes, driver.log.read_text()[-3000:]
    assert driver(argv=command(shards, out, 1, 3), losses=str(losses), ranks=2) == [0, 0]
    same(out, whole_of_two, losses)


@pytest.mark.slow
@pytest.mark.parametrize('ranks', [1, 2])
def test_a_storm_of_kills_until_the_job_is_done(driver, shards, request, tmp_path, ranks):
    reference = request.getfixturevalue('whole' if ranks == 1 else 'whole_of_two')
    out, losses, draw = tmp_path / 'run', tmp_path / 'losses', random.Random(ranks)
    started = time.monotonic()
    driver(argv=arguments(shards, tmp_path / 'timed', *LONG), ranks=ranks)
    seconds = time.monotonic() - started
    kills = 0
    for _ in itertools.count():
        codes = driver(argv=command(shards, out, draw.randrange(3), 1), losses=str(losses), ranks=ranks,
                       seconds=draw.uniform(0.1, 0.6) * seconds)
        if codes == [0] * ranks:
            break
        # One rank may be done when the other is killed.
        assert set(codes) <= {0, -signal.SIGKILL}, (codes, driver.log.read_text()[-3000:])
        kills += 1
        assert kills < 300
    print(f'{kills} kills of the whole job on {ranks} ranks')
    assert kills
    same(out, reference, losses)


def save_for_ever(folder, step):
    """Write one checkpoint after another."""
    for number in itertools.count(step + 1):
        save_checkpoint(folder, {'identity': {'batch size': 8}, 'step': number,
                                 'weights': torch.full((500_000,), float(number))}, number)


def whole_checkpoint(folder):
    """The step of the newest checkpoint; whatever a kill left, it is a whole one."""
    state, path = load_newest(folder, {'batch size': 8})
    if state is None:
        return 0
    assert path.name == f'step-{state["step"]:09d}.pt' and (state['weights'] == state['step']).all()
    return state['step']


@pytest.mark.slow
def test_fifty_kills_during_a_save_lose_no_checkpoint(tmp_path):
    folder, draw, last = tmp_path / 'checkpoints', random.Random(0), 0
    for _ in range(50):
        pid = os.fork()
        if not pid:
            save_for_ever(folder, last)
        time.sleep(draw.uniform(0.01, 0.3))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        now = whole_checkpoint(folder)
        assert now >= last
        last = now
    assert last > 10
    save_checkpoint(folder, {'identity': {'batch size': 8}, 'step': last + 1, 'weights': torch.ones(1) * (last + 1)},
                    last + 1)
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        f'step-{step:09d}.pt{suffix}' for step in (last, last + 1) for suffix in ('', '.sha256'))


@pytest.mark.parametrize('call', range(14))
def test_killed_before_any_call_of_a_save_leaves_the_checkpoint_before(tmp_path, call):
    """A child ends before its n-th call that changes what a folder shows or makes it last."""
    def state(step):
        return {'identity': {'batch size': 8}, 'step': step, 'weights': torch.full((9,), float(step))}

    for step in (1, 2):
        save_checkpoint(tmp_path, state(step), step)
    pid = os.fork()
    if not pid:
        left = itertools.count(call, -1)
        for name in ('fsync', 'replace', 'unlink', 'open'):
            real = getattr(os, name)
            setattr(os, name, lambda *a, real=real, **k: real(*a, **k) if next(left) else os._exit(9))
        save_checkpoint(tmp_path, state(3), 3)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    newest = whole_checkpoint(tmp_path)
    assert newest in (2, 3) and (code == 9 or newest == 3)
    save_checkpoint(tmp_path, state(4), 4)
    assert whole_checkpoint(tmp_path) == 4 and not list(tmp_path.glob('.*'))


def torchrun(*words):
    return subprocess.Popen([sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2', '--rdzv-backend',
                             'c10d', '--rdzv-endpoint', 'localhost:0', '-m', 'ser.train', *words], cwd=ROOT,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
                            env=os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})


def descendants(pid):
    """Every process below one, of /proc."""
    parents = {}
    for name in os.listdir('/proc'):
        if name.isdecimal():
            try:
                with open(f'/proc/{name}/stat') as file:
                    parents[int(name)] = int(file.read().rsplit(')', 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in found} | found
        if more == found:
            return found - {pid}
        found = more


@pytest.mark.slow
def test_when_the_launcher_alone_is_killed_its_ranks_end_and_the_lock_holds_till_then(driver, shards, whole_of_two,
                                                                                       tmp_path):
    out = tmp_path / 'run'
    with torchrun(*arguments(shards, out, *LONG, 'data.workers=1', 'training.checkpoint_steps=1',
                             'run.log_seconds=0.001')) as launcher:
        for line in launcher.stderr:
            if ' step 3/' in line:
                break
        ranks = descendants(launcher.pid)
        assert len(ranks) >= 4
        # Ranks that stand still cannot end: the run is theirs until they do.
        for pid in ranks:
            os.kill(pid, signal.SIGSTOP)
        launcher.kill()
        with pytest.raises(SerError, match='another process is writing there'), RunDirectory(out):
            pass
        for pid in ranks:
            os.kill(pid, signal.SIGCONT)
        started = time.monotonic()
        while any(map(alive, ranks)):
            assert time.monotonic() - started < 5, [pid for pid in ranks if alive(pid)]
            time.sleep(0.05)
        print(f'{len(ranks)} processes ended {time.monotonic() - started:.1f} s after the launcher')
        launcher.stderr.read()
    # Two ranks it began with, two it ends with.
    assert driver(argv=['--resume', str(out)], ranks=2) == [0, 0]
    assert sha256_of(out / 'best.safetensors') == sha256_of(whole_of_two / 'best.safetensors')
