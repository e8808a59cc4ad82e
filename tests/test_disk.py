"""Disks that are full or read-only while a run saves, and checkpoints that changed on them."""

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess

import pytest
import torch

from ser.errors import SerError
from ser.files import verifies, write_with_digest
from ser.train import main
from ser.training.checkpoint import load_newest, save_checkpoint, save_weights
from tests.shard_factory import make_shards
from tests.test_train import arguments, weights

IDENTITY = {'index digest': 'abc', 'batch size': 16}


def state(value, size=20_000):
    return {'identity': IDENTITY, 'weights': torch.full((size,), float(value))}


def saved(folder, *steps):
    for step in steps:
        path = save_checkpoint(folder, state(step), step)
    return path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- what cannot be written ------------------------------------------------------------------------------------------

@contextlib.contextmanager
def small_files(size):
    """Files of this process may not grow beyond `size` bytes: a write past it fails as on a full disk."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@contextlib.contextmanager
def mounted(folder, options='size=1m'):
    """A disk of one megabyte; skips where this user may mount none."""
    folder.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', folder], capture_output=True).returncode:
        pytest.skip('mounting a small disk is not permitted here')
    try:
        yield folder
    finally:
        subprocess.run(['umount', folder], check=True)


@pytest.mark.parametrize('size', [0, 10, 4096, 79_000])
@pytest.mark.parametrize('save', [
    lambda folder: save_checkpoint(folder, state(3), 3),
    lambda folder: save_weights(folder / 'best.safetensors', {'w': torch.ones(20_000)})])
def test_a_write_that_the_system_cuts_off_leaves_what_was_there(tmp_path, size, save):
    saved(tmp_path, 1, 2)
    save_weights(tmp_path / 'best.safetensors', {'w': torch.zeros(9)})
    before = contents(tmp_path)
    with small_files(size), pytest.raises(SerError, match='cannot be written: File too large'):
        save(tmp_path)
    after = contents(tmp_path)
    # The digest goes first: alone it makes the file beside it old, never wrong.
    assert {name for name, data in before.items() if after[name] != data} <= {'best.safetensors.sha256'}
    assert not any(name.endswith('.partial') for name in after)
    assert load_newest(tmp_path, IDENTITY)[1].name == 'step-000000002.pt'


def test_a_full_disk_leaves_what_was_there_and_is_used_again_when_there_is_room(tmp_path):
    with mounted(tmp_path / 'disk') as disk:
        saved(disk, 1, 2)
        filler = disk / 'filler'
        with open(filler, 'wb', buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        before = contents(disk)
        with pytest.raises(SerError, match='cannot be written: No space left on device'):
            save_checkpoint(disk, state(3), 3)
        assert {name: data for name, data in contents(disk).items() if not name.startswith('step-000000003')} == before
        assert load_newest(disk, IDENTITY)[1].name == 'step-000000002.pt'
        filler.unlink()
        saved(disk, 3)
        assert load_newest(disk, IDENTITY)[1].name == 'step-000000003.pt'


def test_a_disk_that_became_read_only_leaves_what_was_there(tmp_path):
    with mounted(tmp_path / 'disk') as disk:
        saved(disk, 1, 2)
        before = contents(disk)
        subprocess.run(['mount', '-o', 'remount,ro', disk], check=True)
        with pytest.raises(SerError, match='Read-only file system'):
            save_checkpoint(disk, state(3), 3)
        assert contents(disk) == before and load_newest(disk, IDENTITY)[1].name == 'step-000000002.pt'


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_without_permission_is_one_line(tmp_path):
    saved(tmp_path, 1)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(SerError, match='Permission denied'):
            save_checkpoint(tmp_path, state(2), 2)
    finally:
        tmp_path.chmod(0o700)


# --- a whole run -----------------------------------------------------------------------------------------------------

@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=8, clips_per=2)
    return folder


@pytest.mark.slow
def test_a_run_on_a_full_disk_stops_with_one_line_and_is_resumed_to_the_same_weights(shards, tmp_path, capfd):
    assert main(arguments(shards, tmp_path / 'whole')) == 0
    size = sum(path.stat().st_size for path in (tmp_path / 'whole' / 'checkpoints').iterdir())
    with mounted(tmp_path / 'disk', f'size={size * 3 // 2}') as disk:
        out = disk / 'run'
        (disk / 'filler').write_bytes(bytes(size * 3 // 4))
        capfd.readouterr()
        assert main(arguments(shards, out, 'training.checkpoint_steps=1')) == 2
        said = [line for line in capfd.readouterr().err.splitlines() if line.startswith('error:')]
        assert len(said) == 1 and 'No space left on device' in said[0]
        assert not list(out.rglob('*.partial'))
        (disk / 'filler').unlink()
        subprocess.run(['mount', '-o', 'remount,size=50m', disk], check=True)
        assert main(['--resume', str(out)]) == 0
        assert weights(out) == weights(tmp_path / 'whole')


@pytest.mark.slow
@pytest.mark.parametrize('hurt', ['flipped', 'cut', 'no digest'])
def test_a_run_whose_newest_checkpoint_is_damaged_goes_on_from_the_one_before(shards, tmp_path, capfd, hurt):
    assert main(arguments(shards, tmp_path / 'whole')) == 0
    out = tmp_path / 'run'
    shutil.copytree(tmp_path / 'whole', out)
    for name in ('predictions.csv', 'test_metrics.json'):
        (out / name).unlink()
    newest = sorted((out / 'checkpoints').glob('*.pt'))[-1]
    damage(newest, hurt)
    capfd.readouterr()
    assert main(['--resume', str(out)]) == 0
    assert f'{newest.name} is damaged' in capfd.readouterr().err
    assert weights(out) == weights(tmp_path / 'whole')


def damage(path, how, place=None):
    data = path.read_bytes()
    place = len(data) // 2 if place is None else place
    if how == 'flipped':
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1:])
    elif how == 'cut':
        path.write_bytes(data[:place])
    else:
        path.with_name(path.name + '.sha256').unlink()


# --- what changed on the disk ----------------------------------------------------------------------------------------

@pytest.fixture
def two(tmp_path):
    """(folder with checkpoints 1 and 2, the newer one, its bytes)."""
    path = saved(tmp_path, 1, 2)
    return tmp_path, path, path.read_bytes()


def falls_back(folder, caplog):
    caplog.clear()
    found, path = load_newest(folder, IDENTITY)
    assert path.name == 'step-000000001.pt' and (found['weights'] == 1).all()
    assert 'step-000000002.pt is damaged' in caplog.text


def test_two_hundred_flipped_bits_and_fifty_cuts_are_all_noticed(two, caplog):
    folder, path, data = two
    draw = random.Random(0)
    for _ in range(200):
        place = draw.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1:])
        falls_back(folder, caplog)
    for length in (0, 1, len(data) - 1, *(draw.randrange(len(data)) for _ in range(47))):
        path.write_bytes(data[:length])
        falls_back(folder, caplog)
    path.write_bytes(data)
    assert load_newest(folder, IDENTITY)[1] == path


@pytest.mark.parametrize('text', [None, '', 'x', '\xff', 64 * '0', '0' * 64 + '  step-000000002.pt\n'])
def test_a_digest_that_is_missing_broken_or_of_another_file_is_noticed(two, caplog, text):
    folder, path, _ = two
    digest = path.with_name(path.name + '.sha256')
    if text is None:
        digest.unlink()
    else:
        digest.write_bytes(text.encode('latin-1'))
    falls_back(folder, caplog)
    digest.write_text((folder / 'step-000000001.pt.sha256').read_text())
    falls_back(folder, caplog)


def test_a_checkpoint_of_other_data_is_refused_although_it_is_whole(two):
    folder, _, _ = two
    write_with_digest(folder / 'step-000000003.pt', (folder / 'step-000000002.pt').read_bytes())
    assert verifies(folder / 'step-000000003.pt')
    with pytest.raises(SerError, match='was made with another index digest: abc, now xyz'):
        load_newest(folder, IDENTITY | {'index digest': 'xyz'})
