"""A model from its run directory alone."""

import shutil

import pytest
import safetensors.torch
import torch

from ser.errors import SerError
from ser.files import write_with_digest
from ser.training.rebuild import load_run
from tests.tiny_run import tiny_run  # noqa: F401


@pytest.fixture
def copy(tiny_run, tmp_path):  # noqa: F811
    shutil.copytree(tiny_run.path, tmp_path / 'run')
    return tmp_path / 'run'


def test_a_run_is_rebuilt_from_three_files(tiny_run, tmp_path):  # noqa: F811
    for name in ('config.yaml', 'labels.json', 'best.safetensors', 'best.safetensors.sha256'):
        shutil.copy(tiny_run.path / name, tmp_path)
    before = torch.random.get_rng_state()
    config, names, model = load_run(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())
    assert names == ('neutral', 'happy', 'sad', 'angry')
    assert config.features.image.size == 32
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())
    saved = safetensors.torch.load_file(tmp_path / 'best.safetensors')
    assert saved.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in model.state_dict().items())


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(SerError, match='not a run directory'):
        load_run(tmp_path)


def test_missing_damaged_and_foreign_weights_are_refused(copy):
    path = copy / 'best.safetensors'
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(SerError, match='damaged: its sha256'):
        load_run(copy)
    for change in ('remove', 'add', 'reshape'):
        tensors = safetensors.torch.load(good)
        name = next(name for name in tensors if name.endswith('weight'))
        if change == 'remove':
            del tensors[name]
        elif change == 'add':
            tensors['another'] = torch.zeros(1)
        else:
            tensors[name] = tensors[name].flatten()[:1]
        write_with_digest(path, safetensors.torch.save(tensors))
        with pytest.raises(SerError, match='weights of another model'):
            load_run(copy)
    write_with_digest(path, b'no weights at all')
    with pytest.raises(SerError, match='weights of another model'):
        load_run(copy)
    path.unlink()
    with pytest.raises(SerError, match='no such weights'):
        load_run(copy)


def test_a_changed_config_does_not_fit_the_weights(copy):
    text = (copy / 'config.yaml').read_text()
    (copy / 'config.yaml').write_text(text.replace('hidden: 16', 'hidden: 17'))
    with pytest.raises(SerError, match='weights of another model'):
        load_run(copy)
    (copy / 'labels.json').write_text('["only"]')
    with pytest.raises(SerError, match='at least two class names'):
        load_run(copy)


def test_pretrained_weights_are_never_fetched(copy):
    text = (copy / 'config.yaml').read_text()
    assert 'weights: null' in text
    (copy / 'config.yaml').write_text(text.replace('weights: null', 'weights: /nowhere/backbone.safetensors'))
    load_run(copy)
