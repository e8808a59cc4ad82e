import pickle

import pytest
import torch
from torch import nn

from ser.errors import SerError
from ser.files import write_with_digest
from ser.training.checkpoint import load_newest, load_weights, save_checkpoint, save_weights

IDENTITY = {'index digest': 'abc', 'batch size': 16}


def state(value):
    return {'identity': IDENTITY, 'weights': torch.full((3,), float(value))}


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_the_last_two_and_the_best_are_kept(tmp_path):
    for step in range(1, 7):
        save_checkpoint(tmp_path, state(step), step, keep={2})
    assert names(tmp_path) == [f'step-{s:09d}.pt{suffix}' for s in (2, 5, 6) for suffix in ('', '.sha256')]
    loaded, path = load_newest(tmp_path, IDENTITY)
    assert loaded['weights'].tolist() == [6.0, 6.0, 6.0] and path.name == 'step-000000006.pt'


def test_no_checkpoint_at_all_is_none(tmp_path):
    assert load_newest(tmp_path / 'none', IDENTITY) == (None, None)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, caplog):
    for step in (1, 2):
        path = save_checkpoint(tmp_path, state(step), step)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    loaded, path = load_newest(tmp_path, IDENTITY)
    assert path.name == 'step-000000001.pt' and loaded['weights'][0] == 1
    assert 'step-000000002.pt is damaged' in caplog.text


def test_all_damaged_is_an_error(tmp_path):
    path = save_checkpoint(tmp_path, state(1), 1)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SerError, match='all 1 checkpoints are damaged'):
        load_newest(tmp_path, IDENTITY)


@pytest.mark.parametrize(('name', 'value'), [('index digest', 'other'), ('batch size', 8)])
def test_another_identity_is_refused(tmp_path, name, value):
    save_checkpoint(tmp_path, state(1), 1)
    with pytest.raises(SerError, match=f'made with another {name}'):
        load_newest(tmp_path, IDENTITY | {name: value})


class Payload:
    def __reduce__(self):
        return (pytest.fail, ('a checkpoint executed code',))


def test_a_malicious_checkpoint_executes_nothing(tmp_path):
    write_with_digest(tmp_path / 'step-000000001.pt', pickle.dumps({'identity': IDENTITY, 'x': Payload()}))
    with pytest.raises(SerError, match='not a checkpoint of this program'):
        load_newest(tmp_path, IDENTITY)


def test_weights_round_trip_and_are_the_same_bytes(tmp_path):
    model = nn.Linear(3, 2)
    save_weights(tmp_path / 'a.safetensors', model.state_dict())
    save_weights(tmp_path / 'b.safetensors', model.state_dict())
    assert (tmp_path / 'a.safetensors').read_bytes() == (tmp_path / 'b.safetensors').read_bytes()
    other = nn.Linear(3, 2)
    load_weights(tmp_path / 'a.safetensors', other)
    assert torch.equal(model.weight, other.weight)


def test_missing_damaged_and_foreign_weights_are_refused(tmp_path):
    with pytest.raises(SerError, match='no such weights'):
        load_weights(tmp_path / 'none.safetensors', nn.Linear(3, 2))
    path = tmp_path / 'w.safetensors'
    save_weights(path, nn.Linear(3, 2).state_dict())
    with pytest.raises(SerError, match='weights of another model'):
        load_weights(path, nn.Linear(4, 2))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SerError, match='damaged'):
        load_weights(path, nn.Linear(3, 2))
    write_with_digest(path, b'not safetensors at all')
    with pytest.raises(SerError, match='weights of another model'):
        load_weights(path, nn.Linear(3, 2))
