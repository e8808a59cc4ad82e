"""The constant-Q transform by its definition: nnAudio's kernels as real matrices, an octave at a time."""

import math

import torch
from torch import nn

from ser.exporting.framing import frames_of
from ser.features.cqt_tables import Atoms


class OctaveCqt(nn.Module):
    """Squared magnitudes of nnAudio's complex convolutions, each kernel as a real and an imaginary one.

    An octave's kernels are half as long as those of the octave below. Together they are cut to the longest of the
    octave, where nothing but zeros is left out: a seventh of the size of one matrix for all, and of its arithmetic.
    """

    def __init__(self, config, sample_rate, kernels=None):
        """config: CqtConfig. kernels: float32 (2, bins, width) that were learned, or None for the definition."""
        super().__init__()
        self.hop_length, self.reaches = config.hop_length, []
        atoms = Atoms(config, sample_rate)
        for number, low in enumerate(range(0, config.bins, config.bins_per_octave)):
            octave = range(low, min(low + config.bins_per_octave, config.bins))
            # Whole hops, so that frames are looked up by hops.
            reach = -(-max((atoms.lengths[k] + 1) // 2 for k in octave) // self.hop_length) * self.hop_length
            table = torch.zeros(2, len(octave), 2 * reach, dtype=torch.float64)
            for row, k in enumerate(octave):
                half, kernel = (atoms.lengths[k] + 1) // 2, torch.from_numpy(atoms.atoms[k])
                if kernels is None:
                    parts = torch.stack([kernel.real, kernel.imag])
                else:
                    middle = kernels.shape[2] // 2
                    parts = kernels[:, k, middle - half:middle + half]
                table[:, row, reach - half:reach + half] = parts * math.sqrt(atoms.lengths[k])
            self.reaches.append(reach)
            matrix = table.flatten(0, 1).T.contiguous().to(torch.float32)
            self.register_buffer(f'octave_{number}', matrix, persistent=False)

    def forward(self, waveforms, shown=None, filters=None):
        """float32 (B, T), shown int64 (B, N) or None for all -> float32 (B, bins, N), squared magnitude."""
        octaves = []
        for number, reach in enumerate(self.reaches):
            frames = frames_of(waveforms, shown, self.hop_length, reach)
            parts = (frames @ getattr(self, f'octave_{number}')).unflatten(2, (2, -1))
            octaves.append(parts.square().sum(dim=2))
        return torch.cat(octaves, dim=2).transpose(1, 2)
