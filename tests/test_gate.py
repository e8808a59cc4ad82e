"""The gate's shares and the penalty on uneven ones."""

import pytest
import torch

from ser.config.moe import GateConfig
from ser.models.gate import Gate, imbalance


def test_shares_sum_to_one_and_the_temperature_sharpens_them():
    torch.manual_seed(0)
    vectors = torch.randn(6, 3, 4) * 3
    gate = Gate(GateConfig(hidden=5, dropout=0.0), 3, 4)
    shares = gate(vectors)
    torch.testing.assert_close(shares.sum(1), torch.ones(6))
    logits = gate.layers(vectors.flatten(1))
    torch.testing.assert_close(shares, logits.softmax(1))
    gate.temperature = 0.25
    torch.testing.assert_close(gate(vectors), (logits / 0.25).softmax(1))
    assert (gate(vectors).amax(1) > shares.amax(1)).all()


def test_it_is_linear_gelu_dropout_linear():
    gate = Gate(GateConfig(hidden=128, dropout=0.1), 4, 256)
    assert [type(layer).__name__ for layer in gate.layers] == ['Linear', 'GELU', 'Dropout', 'Linear']
    assert sum(p.numel() for p in gate.parameters()) == 4 * 256 * 128 + 128 + 128 * 4 + 4


@pytest.mark.parametrize(('rows', 'expected'), [
    # Means (.5, .5): even, however sure the gate is of each clip.
    ([[1.0, 0.0], [0.0, 1.0]], 0.0),
    # Means (.75, .25): deviation .25 over mean .5, squared.
    ([[1.0, 0.0], [0.5, 0.5]], 0.25),
    # One expert alone: K - 1.
    ([[1.0, 0.0, 0.0]] * 2, 2.0)])
def test_imbalance_by_hand(rows, expected):
    assert imbalance(torch.tensor(rows)).item() == pytest.approx(expected, abs=1e-6)


def test_its_gradient_takes_from_the_favourite():
    logits = torch.tensor([[2.0, 0.0, -1.0]], requires_grad=True)
    imbalance(logits.softmax(1)).backward()
    assert logits.grad[0, 0] > 0 > logits.grad[0, 2]
