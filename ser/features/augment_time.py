"""Transforms of the audio's time: speed, time stretch, pitch shift."""

import functools
import math

import numpy as np
import torch
import torchaudio
from torch import nn

from ser.features.drawn import at_least_one, between, fitted, inside, runs, whole_between

RATES = 1000
"""Rates of a time stretch are drawn in parts of this."""
FACTORS = 200
"""Factors of a pitch shift are rounded to parts of this, so that few resampling kernels serve all."""
MOST_GAIN = 4.0
"""Largest factor by which a stretched clip is brought back to its level: clips of a few samples may nearly vanish."""
# A window of about 40 ms resolves the harmonics of a voice; the power of two next to it.
_WINDOW_SECONDS = 0.04
_HOPS_PER_WINDOW = 4
_HALF_TURN = 2.0**31


@functools.lru_cache(maxsize=256)
def resampler(old, new, device):
    """torchaudio's windowed-sinc Resample from rate old to new, its kernel kept on `device`."""
    return torchaudio.transforms.Resample(old, new).to(device)


def resampled(samples, old, new, total):
    """float32 (n, total) of samples (n, T), taken for rate `old`, at rate `new`."""
    return fitted(resampler(old, new, samples.device)(samples), total)


# --- speed ---------------------------------------------------------------------------------------------------


def draw_speed(step, draws):
    """Each clip's factor in percent."""
    lowest, highest = (round(100 * bound) for bound in step.factor)
    return {'percent': whole_between(lowest, highest, draws[:, 0])}


def speed(samples, lengths, drawn, rate):
    """Clips (n, T) in groups of one factor, resampled: ceil(n / factor) samples of n."""
    percents, total = drawn.host['percent'], samples.shape[1]
    out = samples.new_zeros(len(samples), -(-total * 100 // int(percents.min())))
    for run in runs(percents):
        out[run] = resampled(samples[run], int(percents[run.start]), 100, out.shape[1])
    return out, -(-lengths * 100 // drawn.values['percent'])


# --- time stretch --------------------------------------------------------------------------------------------


def window_samples(rate):
    """The phase vocoder's window at `rate` Hz: 512 samples at 16 kHz, 2048 at 44.1 kHz."""
    return 2 ** max(4, round(math.log2(_WINDOW_SECONDS * rate)))


def vocoded(spectrum, numerators, denominators, count):
    """The phase vocoder with a rate for each clip: complex64 (n, count, F) of a spectrum (n, N, F).

    Rates are numerators / denominators, int64 (n,). Frame k lies at k * rate: its magnitude is interpolated between the
    two frames beside, its phase goes on by the difference of theirs, as in torchaudio.functional.phase_vocoder (whose
    unwrapping changes phases by whole turns only). Frames after the last hold that one.
    """
    last, clips = spectrum.shape[1] - 1, torch.arange(len(spectrum), device=spectrum.device)[:, None]
    places = torch.arange(count, device=spectrum.device) * numerators[:, None]
    before = (places // denominators[:, None]).clamp(max=last)
    after = (before + 1).clamp(max=last)
    share = ((places % denominators[:, None]) / denominators[:, None])[:, :, None]
    magnitudes = spectrum.abs()
    magnitudes = torch.lerp(magnitudes[clips, before], magnitudes[clips, after], share)
    # Whole numbers that wrap once a turn add up without error in any order: no clip's phases depend on its batch.
    phases = (spectrum.angle() * (_HALF_TURN / math.pi)).clamp_(max=_HALF_TURN - 128.0).to(torch.int32)
    steps = phases.clone()
    steps[:, 1:] -= phases[:, :-1]
    taken = nn.functional.pad((before[:, :-1] + 1).clamp(max=last), (1, 0))
    phases = steps[clips, taken].cumsum(1, dtype=torch.int32)
    return torch.polar(magnitudes, phases.float().mul_(math.pi / _HALF_TURN))


def stretched(samples, numerators, denominators, total, rate):
    """float32 (n, total): clips (n, T), zero beyond their ends, `numerators / denominators` times as fast."""
    size = window_samples(rate)
    hop, window = size // _HOPS_PER_WINDOW, torch.hann_window(size, device=samples.device)
    # With zeros all around, no frame and no sample knows how long the batch is; the last frame is silent.
    padded = fitted(samples, samples.shape[1] + size + hop)
    spectrum = torch.stft(padded, size, hop, window=window, pad_mode='constant', return_complex=True).transpose(1, 2)
    frames = vocoded(spectrum.contiguous(), numerators, denominators, 1 + -(-(total + size) // hop))
    pieces = torch.fft.irfft(frames, size) * window
    # torch.istft, but that reads from the device whether the windows leave a gap.
    start, stop = size // 2, size // 2 + total
    weights = overlapped(window.square().expand(1, pieces.shape[1], -1))[:, start:stop]
    return overlapped(pieces)[:, start:stop] / weights


def overlapped(pieces):
    """float32 (n, samples): windows (n, N, size) added, each a hop after the one before."""
    blocks = pieces.unflatten(2, (_HOPS_PER_WINDOW, -1))
    before = range(_HOPS_PER_WINDOW)
    return sum(nn.functional.pad(blocks[:, :, place], (0, 0, place, before[-1] - place)) for place in before).flatten(1)


def level_kept(samples, lengths, before, lengths_before):
    """samples (n, T'), lengths (n,), at the root mean square that the clips had `before`, over each clip's own.

    The vocoder's bins part in phase, which takes 3 to 4 dB from a voice: a level that tells who was stretched.
    """
    samples = samples.masked_fill_(~inside(lengths, samples.shape[1]), 0.0)
    now, wanted = (x.square().sum(dim=1) / n.clamp(min=1) for x, n in ((samples, lengths), (before, lengths_before)))
    return samples * torch.where(now > 0, wanted / now, 1.0).sqrt().clamp(max=MOST_GAIN)[:, None]


def divided(lengths, numerators, denominators):
    """int64: lengths / (numerators / denominators), rounded."""
    return (2 * lengths * denominators + numerators) // (2 * numerators)


def draw_stretch(step, draws):
    """Each clip's rate in thousandths."""
    lowest, highest = (RATES * bound for bound in step.rate)
    return {'rate': np.rint(between((lowest, highest), draws[:, 0])).astype(np.int64)}


def stretch(samples, lengths, drawn, rate):
    """Clips (n, T) at each one's rate and at their own level: n / rate samples of n, rounded."""
    numerators = drawn.values['rate']
    total = max(1, int(divided(samples.shape[1], drawn.host['rate'], RATES).max()))
    own = at_least_one(divided(lengths, numerators, RATES), lengths)
    out = stretched(samples, numerators, torch.full_like(numerators, RATES), total, rate)
    return level_kept(out, own, samples, lengths), own


# --- pitch shift ---------------------------------------------------------------------------------------------


def draw_pitch(step, draws):
    """Each clip's factor of frequency in parts of FACTORS."""
    semitones = between(step.semitones, draws[:, 0])
    return {'factor': np.rint(FACTORS * 2.0 ** (semitones / 12.0)).astype(np.int64)}


def pitch(samples, lengths, drawn, rate):
    """Clips (n, T), each `factor` times as high, as long and as loud as it was."""
    factors, numerators = drawn.host['factor'], torch.full_like(drawn.values['factor'], FACTORS)
    longest = max(1, int(divided(samples.shape[1], FACTORS, factors).max()))
    slow = stretched(samples, numerators, drawn.values['factor'], longest, rate)
    slow = slow.masked_fill_(~inside(divided(lengths, numerators, drawn.values['factor']), longest), 0.0)
    out = torch.empty_like(samples)
    for run in runs(factors):
        out[run] = resampled(slow[run], int(factors[run.start]), FACTORS, samples.shape[1])
    return level_kept(out, lengths, samples, lengths), lengths
