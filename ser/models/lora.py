"""Low-rank adaptation (LoRA, Hu et al. 2022): weight + alpha / rank * up @ down, in place of a matrix's weight."""

import math

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize


class LowRank(nn.Module):
    """The update of one matrix, zero at first; a parametrisation, so that it also reaches code that reads the weight
    itself, as WavLM's attention does."""

    def __init__(self, weight, rank, alpha, dropout):
        """weight (outputs, inputs): what is updated. dropout: share of inputs that the update does without."""
        super().__init__()
        outputs, inputs = weight.shape
        self.down = nn.Parameter(weight.new_empty(rank, inputs))
        self.up = nn.Parameter(weight.new_zeros(outputs, rank))
        self.scale, self.dropout = alpha / rank, dropout
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight):
        """weight (outputs, inputs) -> the same shape, float32 whatever autocast says."""
        with torch.autocast(weight.device.type, enabled=False):
            kept = functional.dropout(self.down.new_ones(self.down.shape[1]), self.dropout, self.training)
            return weight + self.scale * (self.up @ (self.down * kept))


def add_lora(layers, linears, config):
    """Give the matrices `config.targets` (a TrainLora) of every layer an update that learns, and fix all else.

    linears: target -> the matrix's dotted name in a layer.
    """
    for layer in layers:
        layer.requires_grad_(False)
        for target in config.targets:
            linear = layer.get_submodule(linears[target])
            update = LowRank(linear.weight, config.rank, config.alpha, config.dropout)
            parametrize.register_parametrization(linear, 'weight', update)


def merged_state(module):
    """The state dict of `module` with every update written into its matrix, under the names that it had without."""
    state = module.state_dict()
    for name, part in module.named_modules():
        if parametrize.is_parametrized(part, 'weight') and isinstance(part.parametrizations.weight[0], LowRank):
            inner = f'{name}.parametrizations.weight.'
            state = {key: tensor for key, tensor in state.items() if not key.startswith(inner)}
            state[f'{name}.weight'] = part.weight.detach()
    return state
