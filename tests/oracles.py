"""Clips to measure with, and the features written a second time, plainly, in float64 numpy."""

import functools

import numpy as np

C1_HZ = 32.70319566257483


def synthetic_clips(rate=44100):
    """Name to int16 clip: a chirp, a voiced tone with pauses and noise, clicks, and one under 4096 samples."""
    random = np.random.default_rng(7)
    time = np.arange(int(1.3 * rate)) / rate
    chirp = 0.3 * np.sin(2 * np.pi * np.cumsum(80 * 2 ** (4.5 * time)) / rate)
    pitch = 2 * np.pi * np.cumsum(140 + 30 * np.sin(2 * np.pi * 1.5 * time)) / rate
    voice = sum(np.sin(k * pitch) / k**1.2 for k in range(1, 30)) * np.clip(np.sin(2 * np.pi * 2.2 * time), 0, 1)
    clicks = np.zeros(int(0.71 * rate))
    clicks[[200, len(clicks) // 3, len(clicks) // 3 + 400, -6000, -50]] = (0.9, -0.5, 0.7, -0.9, 0.4)
    short = np.sin(2 * np.pi * 440 * time[:3000]) * np.hanning(3000)

    def noisy(clip, level):
        samples = clip + level * random.standard_normal(len(clip))
        return np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)

    # Noise at a quiet room's level: without it the numbers between the tones are nulls, where definitions part.
    return {'chirp': noisy(chirp, 5e-3), 'voice': noisy(0.25 * voice, 5e-3), 'clicks': noisy(clicks, 1e-3),
            'short': noisy(0.4 * short, 5e-3)}


@functools.cache
def real_clips(folder, count=24, rate=44100):
    """`count` int16 clips spread over RAVDESS and Emo-DB, mono, resampled by soxr."""
    import soundfile
    import soxr

    clips = []
    for corpus in ('ravdess', 'emodb'):
        files = sorted((folder / corpus).rglob('*.flac'))
        for path in files[::max(1, len(files) // (count // 2))][:count // 2]:
            samples, stored = soundfile.read(path, dtype='float64', always_2d=True)
            samples = soxr.resample(samples.mean(axis=1), stored, rate)
            clips.append(np.clip(np.round(samples * 32768), -32768, 32767).astype(np.int16))
    return clips


def padded(clip, least=4096):
    """An int16 clip as float64 in [-1, 1), zeros at its end up to `least` samples."""
    return np.pad(clip / 32768.0, (0, max(0, least - len(clip))))


def cqt_power(clip, rate=44100, hop=512, fmin=C1_HZ, bins=84, per_octave=12):
    """Squared constant-Q magnitude by its definition: each frame times each Hann atom, float64 (bins, 1 + n // hop).

    Atoms last Q * rate / frequency samples, Q = (r^2 + 1) / (r^2 - 1), rounded up to whole samples, half of them (of an
    odd number the greater half) before the frame's centre; they are L1-normalised and scaled by the square root of
    their length; zeros surround the clip.
    """
    ratio = 2.0 ** (2.0 / per_octave)
    quality, frames = (ratio + 1) / (ratio - 1), 1 + len(clip) // hop
    power = np.zeros((bins, frames))
    for k in range(bins):
        frequency = fmin * 2.0 ** (k / per_octave)
        length = int(np.ceil(quality * rate / frequency))
        before = (length + 1) // 2
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
        window *= np.sqrt(length) / window.sum()
        phase = 2 * np.pi * frequency * (np.arange(length) - before) / rate
        pieces = np.lib.stride_tricks.sliding_window_view(np.pad(clip, (before, length + hop)), length)[::hop]
        atoms = np.stack([window * np.cos(phase), window * np.sin(phase)], axis=1)
        power[k] = np.square(pieces[:frames] @ atoms).sum(axis=1)
    return power


@functools.cache
def definition_db(samples, least=4096):
    """The definition's decibels of an int16 clip given as bytes, kept for the tests that share it."""
    return decibels(cqt_power(padded(np.frombuffer(samples, dtype=np.int16), least)))


def decibels(power, floor=-80.0):
    """Decibels relative to the maximum, cut at the floor."""
    return 10 * np.log10(np.maximum(power / power.max(), 10 ** (floor / 10)))


def unit(values):
    """Min-max scaling with the reference system's epsilon."""
    return (values - values.min()) / (values.max() - values.min() + 1e-8)


def resize(image, size):
    """Bilinear resize (F, T) -> (size, size), pixel areas aligned, no antialias, edges repeated."""
    for axis in (0, 1):
        extent = image.shape[axis]
        source = np.clip((np.arange(size) + 0.5) * extent / size - 0.5, 0, extent - 1)
        left = np.floor(source).astype(int)
        right = np.minimum(left + 1, extent - 1)
        share = (source - left).reshape((-1, 1) if axis == 0 else (1, -1))
        image = image.take(left, axis) * (1 - share) + image.take(right, axis) * share
    return image


def librosa_cqt(clip, rate=44100):
    """librosa's constant-Q magnitude at the reference system's settings."""
    import librosa

    return np.abs(librosa.cqt(clip, sr=rate, hop_length=512, fmin=C1_HZ, n_bins=84, bins_per_octave=12))


def librosa_mel(clip, rate=44100, n_fft=4096, hop=256, bins=128):
    """librosa's mel power at the reference system's settings."""
    import librosa

    return librosa.feature.melspectrogram(y=clip, sr=rate, n_fft=n_fft, hop_length=hop, n_mels=bins,
                                          pad_mode='constant')
