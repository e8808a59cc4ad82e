"""From a batch's int16 samples to float32 waveforms at the features' rate, zero beyond each clip's end."""

import torch
import torchaudio
from torch import nn

from ser.errors import SerError

FULL_SCALE = 32768.0


def without_state(module):
    """`module` with every buffer made non-persistent: it moves with `.to()` and stays out of the state dict."""
    for part in module.modules():
        for name, buffer in list(part.named_buffers(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, buffer, persistent=False)
    return module


def to_float(waveforms):
    """float32 waveforms (B, T): int16 divided by 32768, so in [-1, 1); float samples as they are.

    Raises SerError for another shape or type.
    """
    if waveforms.ndim != 2:
        raise SerError(f'waveforms of shape {tuple(waveforms.shape)}: (clips, samples) is wanted, mono')
    if waveforms.dtype == torch.int16:
        return waveforms.to(torch.float32).mul_(1 / FULL_SCALE)
    if waveforms.is_floating_point():
        return waveforms.to(torch.float32)
    raise SerError(f'waveforms of type {waveforms.dtype}: int16, or float in [-1, 1], is wanted')


def zero_beyond(waveforms, lengths, in_place=False):
    """`waveforms` (B, T) with samples from each clip's length (B,) on set to 0."""
    beyond = torch.arange(waveforms.shape[1], device=waveforms.device) >= lengths[:, None]
    return waveforms.masked_fill_(beyond, 0.0) if in_place else waveforms.masked_fill(beyond, 0.0)


class Waveform(nn.Module):
    """int16 or float samples at `data_rate` Hz to float32 at `sample_rate` Hz.

    Resampling is torchaudio's windowed sinc (its kernel is made once); a clip becomes
    ceil(length * sample_rate / data_rate) samples long. A clip under `min_samples` counts as
    `min_samples` long, zeros at its end. No result depends on the padding of the batch.
    """

    def __init__(self, data_rate, sample_rate, min_samples):
        super().__init__()
        self.data_rate, self.sample_rate, self.min_samples = data_rate, sample_rate, min_samples
        self.resample = None
        if data_rate != sample_rate:
            self.resample = without_state(torchaudio.transforms.Resample(data_rate, sample_rate))

    def forward(self, waveforms, lengths):
        """waveforms (B, T) int16 or float, lengths (B,) int64 -> float32 (B, T'), int64 (B,), T' >= min_samples."""
        samples = to_float(waveforms)
        # What was made here may be changed here, without another copy.
        samples = zero_beyond(samples, lengths, in_place=samples is not waveforms and not samples.requires_grad)
        if self.resample is not None:
            samples, lengths = self.resample(samples), self._resampled(lengths)
            # Torchaudio rounds the total in float32, one sample off at worst; the sinc also rings past a clip's end.
            missing = self._resampled(waveforms.shape[1]) - samples.shape[1]
            samples = zero_beyond(nn.functional.pad(samples, (0, missing)), lengths)
        if samples.shape[1] < self.min_samples:
            samples = nn.functional.pad(samples, (0, self.min_samples - samples.shape[1]))
        return samples, lengths.clamp(min=self.min_samples)

    def padded(self, samples):
        """How many samples `forward` makes of batches of `samples`."""
        return max(samples if self.resample is None else self._resampled(samples), self.min_samples)

    def _resampled(self, length):
        return -(-(length * self.sample_rate) // self.data_rate)
