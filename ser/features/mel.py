"""Mel and chroma power of one short-time spectrum (STFT), which MFCC and slopes share.

Both engines take float32 waveforms (B, T) and give power (B, bands, N) in float32: Hann windows of n_fft, zeros round
the clip, frames centred on every hop_length-th sample; torchaudio's mel filters (Slaney scale and norm: librosa's
numbers), or what was learned of them, and librosa's chroma filters on the same power. N is all 1 + T // hop_length
frames, or those asked for.
"""

import torch
import torchaudio
from torch import nn

from ser.features.filters import check_mel, chroma_filters, mel_filters
from ser.features.learned import LearnedFilters
from ser.features.level import frames_at
from ser.features.waveform import without_state

# Bytes that a bin of a frame takes while it is worked on: 2 samples, the spectrum, and torch's own copy of that.
CELL_BYTES = 24
# Working set per device type where features.mel.chunk_mb is 'auto': a processor's cache, or what a GPU does not feel.
AUTO_CHUNK_MB = {'cpu': 6.0}
OTHER_CHUNK_MB = 512.0
# Bands that share one matrix product. Neighbours overlap little: 16 of 128 need an eighth of the whole product, and
# fewer make it too thin to be fast (measured, NOTES.md).
GROUP = 16


class PowerBanks(nn.Module):
    """What the engines share: the chosen banks, and how many frames are worked on at once.

    learned: LearnedFilters of the mel, or None.
    """

    def __init__(self, mel, sample_rate, banks):
        super().__init__()
        check_mel(mel, sample_rate)
        self.learned = None
        if mel.trainable and 'mel' in banks:
            self.learned = LearnedFilters(mel_filters(mel, sample_rate))
        self.banks, self.n_fft, self.hop_length = tuple(banks), mel.n_fft, mel.hop_length
        self.chunk_mb = mel.chunk_mb

    def chunk_frames(self, device):
        """Frames that fit into features.mel.chunk_mb, at least 1."""
        megabytes = self.chunk_mb
        if megabytes == 'auto':
            megabytes = AUTO_CHUNK_MB.get(device.type, OTHER_CHUNK_MB)
        return max(1, int(megabytes * 1e6 // (CELL_BYTES * (1 + self.n_fft // 2))))

    def mel_of(self, filters):
        """float32 (bins, 1 + n_fft // 2), not below 0, of the tensor that learns; None for None."""
        return None if filters is None else self.learned(filters).relu()


class BandedBanks(PowerBanks):
    """Frames gathered in chunks that stay in the cache; only those asked for, each filter over its own bins.

    The squares of real and imaginary parts go into the product side by side, where their sum costs nothing.
    """

    def __init__(self, mel, chroma, sample_rate, banks):
        super().__init__(mel, sample_rate, banks)
        self.register_buffer('window', torch.hann_window(mel.n_fft), persistent=False)
        self.groups = {}
        if 'mel' in self.banks:
            self.groups['mel'] = self._grouped('mel', mel_filters(mel, sample_rate))
        if 'chroma' in self.banks:
            filters = torch.from_numpy(chroma_filters(sample_rate, mel.n_fft, chroma.bins)).to(torch.float32)
            self.groups['chroma'] = self._grouped('chroma', filters)

    def forward(self, waveforms, shown=None, filters=None):
        """float32 (B, T), shown int64 (B, N) frame numbers or None for all -> bank to float32 power (B, bands, N).

        filters: float32 (bins, 1 + n_fft // 2), what was learned (LearnedFilters), or None for the definition.
        """
        clips, samples = waveforms.shape
        total, half, mel = 1 + samples // self.hop_length, self.n_fft // 2, self.mel_of(filters)
        # Frames of all clips are rows of one view: each clip is padded to a whole number of hops.
        hops = -(-(samples + self.n_fft) // self.hop_length)
        padded = nn.functional.pad(waveforms, (half, hops * self.hop_length - samples - half))
        frames = padded.flatten().unfold(0, self.n_fft, self.hop_length)
        every = shown is None or shown.shape[1] >= total
        numbers = torch.arange(total, device=waveforms.device).expand(clips, -1) if every else shown
        rows = (numbers + hops * torch.arange(clips, device=waveforms.device)[:, None]).flatten()
        if torch.is_grad_enabled() and waveforms.requires_grad:
            # A gradient keeps every chunk anyway, and that of `frames` is as large for one as for all.
            chunks = [self._chunk(frames, rows, mel)]
        else:
            work = self._work(min(self.chunk_frames(waveforms.device), len(rows)), waveforms.device)
            chunks = [self._chunk(frames, part, mel, *(held[:len(part)] for held in work))
                      for part in rows.split(len(work[0]))]
        power = {name: torch.cat([chunk[name] for chunk in chunks]).view(clips, numbers.shape[1], -1).transpose(1, 2)
                 for name in self.banks}
        return {name: frames_at(value, shown) for name, value in power.items()} if every else power

    def _work(self, rows, device):
        """Memory for one chunk after another: fresh pages for each would cost more than the arithmetic."""
        return (torch.empty(rows, self.n_fft, device=device),
                torch.empty(rows, 1 + self.n_fft // 2, device=device, dtype=torch.complex64))

    def _chunk(self, frames, rows, mel, windowed=None, spectrum=None):
        windowed = torch.mul(torch.index_select(frames, 0, rows, out=windowed), self.window, out=windowed)
        spectrum = torch.view_as_real(torch.fft.rfft(windowed, out=spectrum)).flatten(1)
        squares = torch.square(spectrum, out=None if spectrum.requires_grad else spectrum)
        return {name: self._learned(squares, mel) if name == 'mel' and mel is not None else torch.cat(
            [squares[:, first:last] @ getattr(self, weights) for first, last, weights in self.groups[name]], dim=1)
            for name in self.banks}

    def _learned(self, squares, mel):
        # A gradient keeps the power, which may not lie in memory that the next chunk takes.
        power = squares[:, 0::2] + squares[:, 1::2]
        return torch.cat([power[:, first // 2:last // 2] @ group[:, first // 2:last // 2].T
                          for (first, last, _), group in zip(self.groups['mel'], mel.split(GROUP), strict=True)], dim=1)

    def _grouped(self, bank, filters):
        """(first, last + 1, name of the weights) of each group of bands, over squares in pairs; weights as buffers."""
        groups = []
        for low in range(0, len(filters), GROUP):
            group = filters[low:low + GROUP]
            used = group.any(dim=0).nonzero().flatten().tolist() or [0]
            weights = group[:, used[0]:used[-1] + 1].T.repeat_interleave(2, dim=0).contiguous()
            self.register_buffer(f'{bank}_{low}', weights, persistent=False)
            groups.append((2 * used[0], 2 * used[-1] + 2, f'{bank}_{low}'))
        return groups


class TorchaudioBanks(PowerBanks):
    """torchaudio's own MelSpectrogram, a few clips at a time; every frame is computed."""

    def __init__(self, mel, chroma, sample_rate, banks):
        super().__init__(mel, sample_rate, banks)
        self.layer = without_state(torchaudio.transforms.MelSpectrogram(
            sample_rate=sample_rate, n_fft=mel.n_fft, hop_length=mel.hop_length, n_mels=mel.bins, f_min=mel.fmin_hz,
            f_max=mel.fmax_hz, power=2.0, norm='slaney', mel_scale='slaney', pad_mode='constant'))
        filters = torch.from_numpy(chroma_filters(sample_rate, mel.n_fft, chroma.bins)).to(torch.float32)
        self.register_buffer('chroma_filters', filters, persistent=False)

    def forward(self, waveforms, shown=None, filters=None):
        """float32 (B, T), shown int64 (B, N) frame numbers or None for all -> bank to float32 power (B, bands, N).

        filters: float32 (bins, 1 + n_fft // 2), what was learned (LearnedFilters), or None for the definition.
        """
        frames = 1 + waveforms.shape[1] // self.hop_length
        clips, mel = max(1, self.chunk_frames(waveforms.device) // frames), self.mel_of(filters)
        chunks = [self._chunk(part, mel) for part in waveforms.split(clips)]
        return {name: frames_at(torch.cat([chunk[name] for chunk in chunks]), shown) for name in self.banks}

    def _chunk(self, waveforms, mel):
        power = self.layer.spectrogram(waveforms)
        given = {'mel': mel, 'chroma': self.chroma_filters}
        return {name: self.layer.mel_scale(power) if given[name] is None else torch.matmul(given[name], power)
                for name in self.banks}


ENGINES = {'banded': BandedBanks, 'torchaudio': TorchaudioBanks}
