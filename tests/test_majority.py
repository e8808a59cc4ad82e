"""The commonest class: log shares of training, whatever is heard."""

import torch

from ser.config.load import load_config
from ser.models import build_model
from ser.models.fitted import Clips

NAMES = ('neutral', 'happy', 'sad')


def test_a_clip_counts_once_whatever_its_windows():
    network = build_model(load_config(('base',), ('model.kind=majority',), {}), NAMES).network
    train = Clips(torch.ones(7), torch.tensor([0, 1, 1, 1, 1, 2, 2]), torch.tensor([3, 4, 4, 4, 4, 8, 9]))
    network.fit(train, train)
    torch.testing.assert_close(network.log_priors.exp(), torch.tensor([0.25, 0.25, 0.5]))


def test_every_clip_gets_the_shares_of_training():
    model = build_model(load_config(('base',), ('model.kind=majority',), {}), NAMES)
    train = Clips(torch.ones(8), torch.tensor([2, 0, 2, 1, 2, 0, 2, 2]), torch.arange(8))
    assert model.network.fit(train, train) == ''
    waveforms = torch.zeros(2, 5000, dtype=torch.int16)
    views = model.views(waveforms, torch.tensor([5000, 12]))
    assert list(views) == ['samples'] and views['samples'].tolist() == [5000, 12]
    logits = model.classify(views).logits
    torch.testing.assert_close(logits.softmax(1), torch.tensor([[2, 1, 5]] * 2) / 8)
    assert torch.equal(logits, model(waveforms, torch.tensor([5000, 12])))
    assert model.parts() == {} and model.front_end.prepare([1], 'cpu') == (0, 0)
    assert model.front_end.kept_tables(1, 'cpu') == ()
