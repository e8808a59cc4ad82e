"""The stages of waveforms (ser.features.waveform) with nothing that depends on numbers inside a batch."""

import math

from torch.nn import functional

from ser.features.trim import HOPS_PER_WINDOW, LevelTrim, gathered
from ser.features.waveform import Waveform, zero_beyond

# Halved twice by a network, as many frames are still two.
_FRAMES = 9


class TraceableTrim(LevelTrim):
    """LevelTrim whose blocks are cut by padding to whole ones."""

    def power(self, waveforms):
        """As LevelTrim.power."""
        clips, samples = waveforms.shape
        # One frame more than needed: a graph takes a dimension of 1 for a fixed one.
        before, frames = HOPS_PER_WINDOW // 2, 2 + samples // self.hop
        blocks = frames + HOPS_PER_WINDOW - 1
        squares = functional.pad(waveforms.square(), (before * self.hop, (blocks - before) * self.hop - samples))
        blocks = squares.reshape(clips, blocks, self.hop).sum(dim=2)
        return sum(blocks[:, first:first + frames] for first in range(HOPS_PER_WINDOW))

    def forward(self, waveforms, lengths):
        """As LevelTrim.forward."""
        starts, kept = self.bounds(waveforms, lengths)
        return gathered(waveforms, starts, kept, waveforms.shape[1]), kept


class TraceableWaveform(Waveform):
    """Waveform for float samples and any length: trimmed, resampled, cut to length, levelled, padded.

    Zeros follow every batch, so that the shortest clip has room for `min_samples` and frames of which pooling leaves
    two (a graph takes a dimension of 1 for a fixed one); they reach no result.
    """

    def __init__(self, features, data_rate):
        super().__init__(features, data_rate)
        self.room = max(2 * self.min_samples - 1, _FRAMES * max(features.mel.hop_length, features.cqt.hop_length))
        if self.trim is not None:
            self.trim = TraceableTrim(features.waveform.trim, data_rate)

    def forward(self, waveforms, lengths, draw=None):
        """waveforms (B, T) float32, lengths (B,) int64 -> float32 (B, T'), int64 (B,), T' >= min_samples."""
        lengths = lengths.clamp(max=waveforms.shape[1])
        samples = zero_beyond(waveforms, lengths)
        if self.trim is not None:
            samples, lengths = self.trim(samples, lengths)
        if self.resample is not None:
            samples, lengths = self._resample(samples, lengths)
        if self.samples is not None and not self.evaluates_whole:
            starts, lengths = (lengths - self.samples).clamp(min=0) // 2, lengths.clamp(max=self.samples)
            samples = gathered(samples, starts, lengths, self.samples)
        samples = self._levelled(samples, lengths)
        return functional.pad(samples, (0, self.room)), lengths.clamp(min=self.min_samples)

    def _resample(self, samples, lengths):
        """torchaudio's convolution (transforms.Resample), whose output length is rounded in whole numbers."""
        shared = math.gcd(self.data_rate, self.sample_rate)
        old, new = self.data_rate // shared, self.sample_rate // shared
        width, total = self.resample.width, (samples.shape[1] * new + old - 1) // old
        padded = functional.pad(samples[:, None], (width, width + old))
        found = functional.conv1d(padded, self.resample.kernel, stride=old)
        found = found.transpose(1, 2).flatten(1)[:, :total]
        lengths = (lengths * new + old - 1) // old
        return zero_beyond(found, lengths), lengths
