"""Filter banks over the bins of a power spectrum: mel and chroma."""

import numpy as np
import torchaudio

from ser.errors import SerError


def check_mel(mel, sample_rate):
    """Raise SerError for bands of `mel` (MelConfig) that do not fit under half of `sample_rate` Hz, or an odd n_fft."""
    if mel.n_fft % 2:
        raise SerError(f'features.mel.n_fft: {mel.n_fft} is odd; an even number of samples is wanted, such as '
                       f'{mel.n_fft + 1}')
    nyquist = sample_rate / 2
    top = nyquist if mel.fmax_hz is None else mel.fmax_hz
    if top > nyquist:
        raise SerError(f'features.mel.fmax_hz: {top:g} Hz is above half the sample rate of {sample_rate} Hz; '
                       f'at most {nyquist:g}, or null for just that')
    if mel.fmin_hz >= top:
        raise SerError(f'features.mel.fmin_hz: {mel.fmin_hz:g} Hz is not below the upper edge of {top:g} Hz; '
                       'lower fmin_hz or raise fmax_hz')


def chroma_filters(sample_rate, n_fft, bins):
    """Weights of each FFT bin in each pitch class, float64 (bins, 1 + n_fft // 2), C first.

    librosa.filters.chroma at its defaults (A4 = 440 Hz, octaves weighted by a Gaussian round the 5th, two octaves
    wide, columns of unit length), after Ellis 2007, "Chroma feature analysis and synthesis".
    """
    frequencies = np.arange(1, n_fft) * sample_rate / n_fft
    # Octaves above 27.5 Hz (A0), in pitch classes; the bin at 0 Hz is put 1.5 octaves below the first.
    pitches = bins * np.log2(frequencies / 27.5)
    pitches = np.concatenate(([pitches[0] - 1.5 * bins], pitches))
    widths = np.concatenate((np.maximum(np.diff(pitches), 1.0), [1.0]))
    half = np.round(bins / 2)
    distances = np.remainder(pitches - np.arange(bins)[:, None] + half + 10 * bins, bins) - half
    weights = np.exp(-0.5 * (2 * distances / widths) ** 2)
    weights /= np.linalg.norm(weights, axis=0)
    weights *= np.exp(-0.5 * ((pitches / bins - 5.0) / 2.0) ** 2)
    return np.ascontiguousarray(np.roll(weights, -3 * (bins // 12), axis=0)[:, :1 + n_fft // 2])


def mel_filters(mel, sample_rate):
    """Weights of each FFT bin in each mel band, float32 (bins, 1 + n_fft // 2): torchaudio's, Slaney scale and norm."""
    top = sample_rate / 2 if mel.fmax_hz is None else mel.fmax_hz
    return torchaudio.functional.melscale_fbanks(1 + mel.n_fft // 2, mel.fmin_hz, top, mel.bins, sample_rate,
                                                 norm='slaney', mel_scale='slaney').T.contiguous()
