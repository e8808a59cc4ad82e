"""Saliency and Grad-CAM against networks whose answer is known by hand."""

import torch
from torch import nn

from ser.inference.saliency import grad_cam, look, saliency, watched
from ser.models.backbones import Backbone
from ser.models.contract import Output


class Linear(nn.Module):
    """logits = sum of weights * view, for each class."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, views, mix=None):
        return Output(torch.einsum('bft,cft->bc', views['mel'], self.weights), {}, {})


class Body(nn.Module):
    """A convolution, its mean over the map, a linear layer; as timm's models it has forward_features."""

    num_prefix_tokens = 0

    def __init__(self, tokens=False):
        super().__init__()
        self.convolution, self.outer, self.as_tokens = nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.Linear(3, 4), tokens

    def forward_features(self, x):
        found = self.convolution(x).relu()
        return found.flatten(2).transpose(1, 2) if self.as_tokens else found

    def forward(self, x):
        found = self.forward_features(x)
        return self.outer(found.mean(dim=1 if self.as_tokens else (2, 3)))


class Seeing(nn.Module):
    """The backbone's vector is the logits."""

    def __init__(self, body):
        super().__init__()
        self.backbones = nn.ModuleDict({'mel': Backbone(body, torch.zeros(1, 1, 8, 8))})

    def forward(self, views, mix=None):
        return Output(self.backbones['mel'](views['mel']), {}, {})


def seeing(tokens=False):
    torch.manual_seed(0)
    return Seeing(Body(tokens)).eval().requires_grad_(False), torch.rand(1, 1, 8, 8)


def test_the_saliency_of_a_linear_network_is_its_weights():
    weights = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1))
    views = {'mel': torch.randn(1, 4, 5), 'frames': torch.tensor([5])}
    for target in range(3):
        found = look(Linear(weights), views, ('mel',), target)
        assert torch.equal(found.gradients['mel'], weights[target]) and found.target == target
        assert torch.equal(saliency(found.gradients['mel']), weights[target].abs())
    largest = look(Linear(weights), views, ('mel',))
    assert largest.target == int(largest.output.logits.argmax()) and largest.maps == {}
    assert not views['mel'].requires_grad


def test_of_an_images_channels_the_strongest_counts():
    gradient = torch.tensor([[[1.0, -2.0]], [[-3.0, 0.5]]])
    assert saliency(gradient).tolist() == [[3, 2]]
    assert saliency(torch.tensor([-1.0, 2.0])).tolist() == [1, 2]


def test_grad_cam_is_the_formula():
    network, image = seeing()
    found = look(network, {'mel': image}, ('mel',), target=2)
    body = network.backbones['mel'].body
    maps = body.convolution(image).relu()[0]
    activation, gradient = found.maps['mel']
    assert torch.allclose(activation, maps)
    # The head is a mean over 16 places and a linear layer: its weights over 16 are the gradient everywhere.
    assert torch.allclose(gradient, (body.outer.weight[2] / 16)[:, None, None].expand(3, 4, 4))
    wanted = sum(body.outer.weight[2, k] / 16 * maps[k] for k in range(3)).clamp(min=0)
    assert torch.allclose(grad_cam(activation, gradient), wanted, atol=1e-6)
    assert grad_cam(activation, gradient, (8, 8)).shape == (8, 8)


def test_tokens_that_fill_a_square_are_a_map():
    (plain, image), (tokens, _) = seeing(), seeing(tokens=True)
    maps = [look(network, {'mel': image}, ('mel',), 1).maps['mel'] for network in (plain, tokens)]
    assert all(torch.allclose(one, other) for one, other in zip(*maps, strict=True))
    network = Seeing(Body(tokens=True))
    # 4 x 2 places are no square: no map, and the gradients are there all the same.
    found = look(network.eval(), {'mel': torch.rand(1, 1, 8, 4)}, ('mel',), 0)
    assert found.maps == {} and found.gradients['mel'].any()


def test_networks_are_left_as_they_were():
    network, image = seeing()
    before = network({'mel': image}).logits
    with watched(network) as caught:
        network({'mel': image})
        assert list(caught) == ['mel']
    look(network, {'mel': image}, ())
    assert 'forward_features' not in vars(network.backbones['mel'].body)
    assert torch.equal(network({'mel': image}).logits, before)
