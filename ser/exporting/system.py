"""A trained run as one module, front end inside, that traces with any number of clips of any length."""

import copy

import torch
from torch import nn

from ser.errors import SerError
from ser.exporting.networks import traceable
from ser.exporting.views import traceable_views

REASONS = {'svm': 'its functionals are measured clip by clip in numpy, which no graph holds',
           'majority': 'it hears nothing, its answer is the commonest class of labels.json'}
SYSTEMS = ('maxmvit', 'crnn', 'ssl', 'moe')


def check_system(config):
    """Raise SerError for a run whose system cannot be one graph."""
    model = config.model
    if model.kind in REASONS:
        raise SerError(f'model.kind {model.kind} cannot be exported as a graph: {REASONS[model.kind]}. Kinds that can: '
                       f"{', '.join(SYSTEMS)}. Take --format safetensors")
    source = getattr(getattr(model, 'encoder', None), 'source', None)
    family = getattr(source, 'family', None) or _family(source)
    if family == 'whisper':
        raise SerError('a Whisper encoder cannot be exported as a graph: it hears 30 seconds whatever the clip, by a '
                       'spectrogram of its own. Take --format safetensors')


def _family(source):
    facts = getattr(source, 'facts', None)
    return facts.config.get('model_type') if facts is not None else None


class ExportedSystem(nn.Module):
    """`forward(waveforms, lengths)`: float32 (B, T) in [-1, 1] at the run's data rate, anything beyond int64 (B,)
    samples -> float32 (B, C), calibrated probabilities, or dimensions in the corpus's units.

    The run's own front end and network on engines that trace. Parameters are the network's, under its names.
    """

    def __init__(self, config, model, head, temperature=1.0):
        """config, model: of a run (training.rebuild.load_run); the model is copied. head: its training.task.Head."""
        super().__init__()
        check_system(config)
        self.network = traceable(copy.deepcopy(model.network))
        self.views = traceable_views(config, model)
        self.temperature, self.classifies = temperature, head.scale is None
        for name, value in zip(('mean', 'std'), head.scale or (), strict=False):
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, waveforms, lengths):
        """waveforms float32 (B, T), lengths int64 (B,) -> float32 (B, C)."""
        logits = self.logits(waveforms, lengths)
        return (logits / self.temperature).softmax(dim=1) if self.classifies else logits * self.std + self.mean

    def logits(self, waveforms, lengths):
        """As forward, before temperature, softmax and units."""
        return self.network(self.views(waveforms, lengths)).logits
