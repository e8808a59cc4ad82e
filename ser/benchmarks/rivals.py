"""The rivals on the device: nnAudio's and torchaudio's stock modules, and the bare FFTs that nobody can do without."""

import math

import torch
import torchaudio
from nnAudio.features.cqt import CQT1992v2, CQT2010v2
from scipy.fft import next_fast_len

from ser.benchmarks.floor import frames_shown
from ser.features.cqt_tables import quality

NNAUDIO = {'nnaudio-1992': CQT1992v2, 'nnaudio-2010': CQT2010v2}


def nnaudio_cqt(implementation, features):
    """nnAudio's layer at the settings of `features` (FeaturesConfig): float32 (B, T) -> magnitude (B, bins, frames).

    librosa's Q and zero padding, as its definition wants; everything else is nnAudio's own default.
    """
    config = features.cqt
    scale = quality(config.bins_per_octave) * (2.0 ** (1.0 / config.bins_per_octave) - 1.0)
    return NNAUDIO[implementation](
        sr=features.sample_rate, hop_length=config.hop_length, fmin=config.fmin_hz, n_bins=config.bins,
        bins_per_octave=config.bins_per_octave, filter_scale=scale, pad_mode='constant', verbose=False)


def stock_mel(features):
    """torchaudio's MelSpectrogram at the settings of `features`: float32 (B, T) -> power (B, bands, frames)."""
    mel = features.mel
    return torchaudio.transforms.MelSpectrogram(
        sample_rate=features.sample_rate, n_fft=mel.n_fft, hop_length=mel.hop_length, n_mels=mel.bins,
        f_min=mel.fmin_hz, f_max=mel.fmax_hz, power=2.0, norm='slaney', mel_scale='slaney', pad_mode='constant')


def bare_cqt(features, batch, samples, device):
    """A call: a copy of clips of `samples`, one real FFT of each, and one small inverse FFT for each of its bins.

    The FFT is of the clip and half the longest atom: less would wrap round.
    """
    hop = features.cqt.hop_length
    atom = quality(features.cqt.bins_per_octave) * features.sample_rate / features.cqt.fmin_hz
    frames = next_fast_len(math.ceil((samples + atom / 2) / hop))
    clips = torch.randn(batch, samples, device=device)
    folded = torch.randn(frames, batch, features.cqt.bins, dtype=torch.complex64, device=device)

    def call():
        torch.fft.rfft(clips.clone(), n=frames * hop)
        torch.fft.ifft(folded, dim=0)

    return call


def bare_mel(features, batch, samples, device):
    """A call: the real FFTs of the frames that the image needs, and a copy of the clips.

    Frames lie in memory one after the other, as no spectrogram has them, and
    few enough at a time on the CPU to stay in its cache.
    """
    mel = features.mel
    frames = batch * frames_shown(features, samples, mel.hop_length)
    held = frames if device.type == 'cuda' else min(frames, 16)
    window = torch.randn(held, mel.n_fft, device=device)
    clips = torch.randn(batch, samples, device=device)

    def call():
        clips.clone()
        for _ in range(frames // held):
            torch.fft.rfft(window)

    return call
