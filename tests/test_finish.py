"""What becomes of a part that was evaluated: predictions per head, gates of networks that have one."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from ser.config.model import ConcatFusion, GatedScalarFusion
from ser.evaluation.predictions import read_csv
from ser.models.contract import SpeechModel
from ser.models.fusion import build_fusion
from ser.models.maxmvit import FusedNetwork
from ser.shards.batch import Row, collate
from ser.training import finish
from ser.training.distributed import World
from ser.training.finish import predict_part
from ser.training.task import Head

NAMES = ('calm', 'loud')


class Pieces(nn.Module):
    """Two views: the first samples of a clip, and the next."""

    def forward(self, waveforms, lengths, draw=None):
        samples = waveforms.float() / 100
        return {'cqt': samples[:, :3], 'mel': samples[:, 3:6]}


def predicted(fusion, head=None):
    """(model, predictions, gates) of three clips with the row numbers 3, 5 and 8, the last in two windows."""
    torch.manual_seed(0)
    network = FusedNetwork({'cqt': nn.Linear(3, 4), 'mel': nn.Linear(3, 4)}, build_fusion(fusion, [4, 4]),
                           nn.Linear(8, 2))
    model = SpeechModel(Pieces(), network)
    rng = np.random.default_rng(0)
    rows = [Row(i, rng.integers(-99, 99, 1000).astype(np.int16), i % 2, 1.0, f'k{i}') for i in (8, 8, 5, 3)]
    columns = {'dimensions': np.zeros((9, 2), np.float32)}
    stream = [collate(rows[:2], 3, 2000, columns=columns), collate(rows[2:], 3, 2000, columns=columns)]
    index = SimpleNamespace(rows=[SimpleNamespace(key=f'k{i}') for i in range(9)], speaker_name=lambda row: 's1')
    found = predict_part(model, index, [3, 5, 8], (head or Head('emotion', NAMES),), stream, World(),
                         torch.device('cpu'), None)
    return model, rows, *found


def test_the_gate_of_two_views_is_kept_for_every_clip():
    model, rows, predictions, gates = predicted(GatedScalarFusion())
    assert gates.keys == predictions['emotion'].keys == ('k3', 'k5', 'k8')
    assert gates.labels == predictions['emotion'].labels == ('loud', 'loud', 'calm')
    assert gates.experts == ('cqt', 'mel')
    samples = torch.tensor(np.stack([row.samples for row in rows]))
    each = model.classify(model.views(samples, None)).details['gate'][:, 0].double()
    expected = [each[3], each[2], (each[0] + each[1]) / 2]
    assert gates.weights[:, 0] == pytest.approx([float(a) for a in expected], abs=1e-6)
    assert gates.weights.sum(1) == pytest.approx(np.ones(3))


def test_a_network_without_a_gate_has_no_gates():
    _, _, predictions, gates = predicted(ConcatFusion())
    assert gates is None and list(predictions) == ['emotion']


def test_gates_of_dimensions_have_no_labels():
    scale = (np.zeros(2), np.ones(2))
    *_, gates = predicted(GatedScalarFusion(), Head('dimensions', ('arousal', 'valence'), scale))
    assert gates.labels is None and gates.averages()['per_class'] == {} and len(gates.keys) == 3


def finished(tmp_path, monkeypatch, head):
    """The parts that `finish.test_run` asked for, and the files that it left before the scores were made."""
    torch.manual_seed(0)
    network = FusedNetwork({'cqt': nn.Linear(3, 4), 'mel': nn.Linear(3, 4)}, build_fusion(ConcatFusion(), [4, 4]),
                           nn.Linear(8, 2))
    rng, asked = np.random.default_rng(0), []
    rows = [Row(i, rng.integers(-99, 99, 1000).astype(np.int16), i % 2, 1.0, f'k{i}') for i in range(4)]
    parts = {'test': [0, 1], 'valid': [2, 3]}

    def stream(part):
        asked.append(part)
        columns = {'dimensions': np.zeros((4, 2), np.float32)}
        return nullcontext([collate([rows[i] for i in parts[part]], 2, 2000, columns=columns)])

    monkeypatch.setattr(finish, 'load_weights', lambda path, model: None)
    monkeypatch.setattr(finish, 'evaluate_run', lambda path, evaluation: sorted(file.name for file in path.iterdir()))
    index = SimpleNamespace(rows=[SimpleNamespace(key=f'k{i}') for i in range(4)], speaker_name=lambda row: 's1')
    job = SimpleNamespace(world=World(), model=SpeechModel(Pieces(), network), evaluation_stream=stream, index=index,
                          split=SimpleNamespace(parts=parts), task=SimpleNamespace(heads=(head,)), dtype=None,
                          device=torch.device('cpu'), config=SimpleNamespace(evaluation=None))
    return asked, finish.test_run(job, SimpleNamespace(path=tmp_path))


def test_what_the_kept_weights_say_of_validation_is_kept_too(tmp_path, monkeypatch):
    asked, files = finished(tmp_path, monkeypatch, Head('emotion', NAMES))
    assert asked == ['test', 'valid'] and files == ['predictions-validation.csv', 'predictions.csv']
    assert [read_csv(tmp_path / name).keys for name in files] == [('k2', 'k3'), ('k0', 'k1')]


def test_dimensions_have_no_confidence_to_fit(tmp_path, monkeypatch):
    asked, files = finished(tmp_path, monkeypatch, Head('dimensions', NAMES, (np.zeros(2), np.ones(2))))
    assert asked == ['test'] and files == ['predictions.csv']
