from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from ser.errors import SerError
from ser.files import sha256_of
from ser.training.best import check_best
from ser.training.checkpoint import save_checkpoint, save_weights
from ser.training.state import Progress


@pytest.fixture
def run(tmp_path):
    """A run directory whose checkpoint of step 5 is of the best epoch."""
    save_checkpoint(tmp_path / 'checkpoints', {'network': {'x': torch.ones(2)}, 'ema': None}, 5)
    return SimpleNamespace(path=tmp_path, checkpoints=tmp_path / 'checkpoints')


def best_of(run, value):
    """(path, sha256) of best.safetensors with this value."""
    path = run.path / 'best.safetensors'
    return path, save_weights(path, {'network.x': torch.full((2,), float(value))})


def progress(sha256):
    return Progress(best_epoch=1, best_sha256=sha256, top=[[0.5, -1.0, 5]])


def test_good_weights_stay(run):
    path, sha256 = best_of(run, 1)
    before = path.stat().st_mtime_ns
    check_best(run, progress(sha256))
    assert path.stat().st_mtime_ns == before
    (run.path / 'best.safetensors').unlink()
    check_best(run, Progress())
    assert not path.exists()


@pytest.mark.parametrize('kind', ['lost', 'damaged', 'of another epoch'])
def test_others_are_written_again_from_the_checkpoint(run, kind):
    path, sha256 = best_of(run, 1)
    if kind == 'lost':
        path.unlink()
    elif kind == 'damaged':
        path.write_bytes(b'x')
    else:
        best_of(run, 2)
    check_best(run, progress(sha256))
    assert load_file(path)['network.x'].tolist() == [1.0, 1.0] and sha256_of(path) == sha256


def test_without_a_checkpoint_of_that_epoch_the_run_is_lost(run):
    _, sha256 = best_of(run, 1)
    best_of(run, 2)
    for top in ([], [[0.5, -1.0, 7]]):
        with pytest.raises(SerError, match=r'best.safetensors: lost or damaged, and no checkpoint of epoch 1 is left'):
            check_best(run, Progress(best_epoch=1, best_sha256=sha256, top=top))
