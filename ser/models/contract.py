"""The one contract every system keeps, so that training, prediction, export and benchmarks need no special case."""

from typing import Any, NamedTuple

import torch
from torch import nn

from ser.features.graphs import GraphedFrontEnd
from ser.features.learned import learns


class Output(NamedTuple):
    """What a network returns for a batch of B clips."""

    logits: torch.Tensor
    """(B, C) float, one column per class."""
    auxiliary: dict[str, torch.Tensor]
    """Logits of further heads by target name; empty where a system has one head."""
    details: dict[str, torch.Tensor]
    """Gates and attention weights by name, detached, first axis B; for read-out, never for the loss."""
    embedding: torch.Tensor | None = None
    """(B, D), the vector that the head sees, with its gradient."""
    side_logits: dict[str, torch.Tensor] = {}
    """Further logits (B, C) of the main target; the network's `side_losses` says how much each counts."""
    penalties: dict[str, torch.Tensor] = {}
    """Scalars of the batch to be minimised; the network's `penalties` says how much each counts."""


class SpeechModel(nn.Module):
    """A front end and a network: int16 or float audio in, logits out.

    `front_end(waveforms, lengths, draw)` gives the views: a dict of float32 tensors with clips first, and of int64
    (B,) lengths. `network(views, mix)` gives an Output and has `parts()` and `set_gradient_checkpointing(enable)`; it
    may have `side_losses` and `penalties` (name -> share of the loss) and `depths()` (part -> how many layers lie
    between it and the head). DDP, torch.compile, EMA and checkpoints wrap `network` alone: its shapes are static, and
    the front end's tables are not worth broadcasting or storing. Filters that learn (the front end's
    `initial_filters`, where it has any) are the network's for that reason, as `network.filters`, and handed to the
    front end with each batch.
    """

    def __init__(self, front_end: nn.Module, network: nn.Module):
        super().__init__()
        self.front_end = front_end
        self.network = network
        self.graphed = None
        initial = front_end.initial_filters() if hasattr(front_end, 'initial_filters') else {}
        self.learns_filters = bool(initial)
        if initial:
            network.filters = nn.ParameterDict({name: nn.Parameter(tensor.clone()) for name, tensor in initial.items()})

    def views(self, waveforms, lengths, draw: Any = None, network: nn.Module | None = None):
        """The views of a batch: waveforms (B, T) int16 or float32 in [-1, 1], lengths (B,) int64 samples.

        draw: the Draw to apply, drawn beforehand. network: whose filters, where filters learn (an average of
        `self.network`, say); None for its own. Carries a gradient only where these want one.
        """
        filters = (self.network if network is None else network).filters if self.learns_filters else None
        with torch.set_grad_enabled(torch.is_grad_enabled() and learns(filters)):
            if filters is not None:
                return self.front_end(waveforms, lengths, draw, filters=filters)
            return (self.graphed or self.front_end)(waveforms, lengths, draw)

    def capture_views(self):
        """From now on, compute views of frequent batch shapes by CUDA graphs, which `graphed` counts.

        Not where filters learn: a graph keeps no gradient.
        """
        if not self.learns_filters:
            self.graphed = GraphedFrontEnd(self.front_end)

    def classify(self, views, mix: Any = None) -> Output:
        """The Output for views; mix: the Mix to apply, drawn beforehand, which the loss gets as well."""
        return self.network(views, mix)

    def forward(self, waveforms, lengths):
        """Logits (B, C) of a batch, without augmentation."""
        return self.classify(self.views(waveforms, lengths)).logits

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """Every parameter that learns exactly once, by part: the network's, then 'front_end' where filters learn.

        A part without parameters (such as 'fusion' under concat) is an empty list.
        """
        parts = dict(self.network.parts())
        filters = self.network.filters if self.learns_filters else None
        if learns(filters):
            parts['front_end'] = [tensor for tensor in filters.values() if tensor.requires_grad]
        listed = [id(parameter) for parameters in parts.values() for parameter in parameters]
        learning = {id(parameter) for parameter in self.parameters() if parameter.requires_grad}
        if len(listed) != len(set(listed)) or set(listed) != learning:
            raise RuntimeError(f'{type(self.network).__name__}.parts() lists {len(listed)} parameters '
                               f'({len(set(listed))} distinct) of {len(learning)} that learn')
        return parts

    def set_gradient_checkpointing(self, enable: bool = True):
        """Recompute activations in the backward pass instead of keeping them: the same gradients, less memory."""
        self.network.set_gradient_checkpointing(enable)
