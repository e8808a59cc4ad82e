"""From a batch's int16 samples to the float32 waveforms that features hear, zero beyond each clip's end."""

import torch
import torchaudio
from torch import nn

from ser.errors import SerError
from ser.features.drawn import fitted
from ser.features.mixup import mix_waveforms
from ser.features.trim import LevelTrim, cut_to
from ser.features.waveform_augment import augmented, longest_of
from ser.shards.batch import padded_length

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
    """Stored samples to what features hear: float32, trimmed, resampled, cut to length, levelled; see `stages`.

    Resampling is torchaudio's windowed sinc (its kernel is made once); a clip becomes
    ceil(length * sample_rate / data_rate) samples long. A clip under `min_samples` counts as
    `min_samples` long, zeros at its end. No result depends on the padding of the batch.
    """

    def __init__(self, features, data_rate):
        """features: FeaturesConfig; data_rate: Hz of batches."""
        super().__init__()
        config, rate = features.waveform, features.sample_rate
        self.data_rate, self.sample_rate, self.min_samples = data_rate, rate, features.min_samples
        self.resample = None
        if data_rate != rate:
            self.resample = without_state(torchaudio.transforms.Resample(data_rate, rate))
        self.trim = LevelTrim(config.trim, data_rate) if config.trim.kind == 'level' else None
        fixed = config.length.kind == 'fixed'
        self.samples = max(1, round(config.length.seconds * rate)) if fixed else None
        self.evaluates_whole = fixed and config.length.evaluate == 'whole'
        self.level = config.level

    def forward(self, waveforms, lengths, draw=None):
        """waveforms (B, T) int16 or float, lengths (B,) int64, draw a Draw in training and None elsewhere
        -> float32 (B, T'), int64 (B,), T' >= min_samples."""
        *_, (_, samples, counts) = self.stages(waveforms, lengths, draw)
        return samples, counts

    def stages(self, waveforms, lengths, draw=None):
        """Yield (name, float32 (B, T), int64 (B,)) after each step that this config takes, in order: raw, trimmed,
        resampled, augmented (training), fixed, prepared."""
        samples = to_float(waveforms)
        # What was made here may be changed here, without another copy.
        samples = zero_beyond(samples, lengths, in_place=samples is not waveforms and not samples.requires_grad)
        yield 'raw', samples, lengths
        if self.trim is not None:
            samples, lengths = self._cut_padding(*self.trim(samples, lengths))
            yield 'trimmed', samples, lengths
        if self.resample is not None:
            samples, lengths = self._resample(samples, lengths)
            yield 'resampled', samples, lengths
        if draw is not None and draw.audio is not None:
            samples, lengths = self._augmented(samples, lengths, draw.audio)
            yield 'augmented', samples, lengths
        if self.samples is not None and not (draw is None and self.evaluates_whole):
            samples, lengths = cut_to(samples, lengths, self.samples, None if draw is None else draw.crop)
            yield 'fixed', samples, lengths
        samples = self._levelled(samples, lengths)
        if draw is not None and draw.mix is not None:
            samples, lengths = mix_waveforms(samples, lengths, draw.mix)
        if samples.shape[1] < self.min_samples:
            samples = nn.functional.pad(samples, (0, self.min_samples - samples.shape[1]))
        yield 'prepared', samples, lengths.clamp(min=self.min_samples)

    def padded(self, samples):
        """How many samples `forward` makes of batches of `samples` at most, outside training."""
        samples = samples if self.resample is None else self._resampled(samples)
        if self.samples is not None and not self.evaluates_whole:
            samples = self.samples
        return max(samples, self.min_samples)

    def _cut_padding(self, samples, lengths):
        """On a CPU, where lengths cost nothing to read: no more padding than the longest clip needs."""
        if samples.device.type != 'cpu':
            return samples, lengths
        grid = max(1, self.data_rate // 10)
        longest = -(-int(lengths.max()) // grid) * grid
        return samples[:, :max(longest, grid)], lengths

    def _resample(self, samples, lengths):
        total = self._resampled(samples.shape[1])
        samples, lengths = self.resample(samples), self._resampled(lengths)
        # Torchaudio rounds the total in float32, one sample off at worst; the sinc also rings past a clip's end.
        return zero_beyond(nn.functional.pad(samples, (0, total - samples.shape[1])), lengths), lengths

    def _augmented(self, samples, lengths, audio):
        before = samples.shape[1]
        samples, lengths = augmented(samples, lengths, audio, self.sample_rate)
        if samples.shape[1] != before:
            # Batches keep to the few lengths that they are read in: tables and compiled code are made for those.
            total = -(-longest_of(samples, lengths) * self.data_rate // self.sample_rate)
            samples = fitted(samples, self._resampled(padded_length(total, self.data_rate)))
        return samples, lengths

    def _levelled(self, samples, lengths):
        if self.level.kind == 'none':
            return samples
        if self.level.kind == 'peak':
            now, wanted = samples.abs().amax(dim=1), 1.0
        else:
            now, wanted = (samples.square().sum(dim=1) / lengths.clamp(min=1)).sqrt(), 10 ** (self.level.target_db / 20)
        return samples * torch.where(now > 0, wanted / now, 1.0)[:, None]

    def _resampled(self, length):
        return -(-(length * self.sample_rate) // self.data_rate)
