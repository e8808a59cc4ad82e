"""A telephone's codec: a low sampling rate, few bits a sample."""

import torch

from ser.features.augment_time import resampled
from ser.features.drawn import inside, whole_between


def draw_codec(step, draws):
    """Each clip's bits a sample."""
    return {'bits': whole_between(*step.bits, draws[:, 0])}


def quantised(samples, bits, law):
    """samples (n, T), cut off at full scale, on the 2^bits - 1 levels about 0 that `law` spaces; bits int64 (n,).

    'mu' is torchaudio.functional.mu_law_encoding and back with 0 as a level of its own, so that silence stays silent.
    """
    most = (2.0 ** (bits - 1) - 1.0)[:, None]
    samples = samples.clamp(-1.0, 1.0)
    if law == 'linear':
        return (samples * most).round() / most
    mu = (2.0**bits - 1.0)[:, None]
    levels = (torch.log1p(mu * samples.abs()) / torch.log1p(mu) * most).round() / most
    return samples.sign() * torch.expm1(levels * torch.log1p(mu)) / mu


def codec(samples, lengths, drawn, rate):
    """samples (n, T) as the codec gives them back, at `rate` Hz again."""
    step, bits, total = drawn.step, drawn.values['bits'], samples.shape[1]
    if step.rate_hz is None or step.rate_hz >= rate:
        return quantised(samples, bits, step.law), lengths
    few = resampled(samples, rate, step.rate_hz, -(-total * step.rate_hz // rate))
    few.masked_fill_(~inside(-(-lengths * step.rate_hz // rate), few.shape[1]), 0.0)
    return resampled(quantised(few, bits, step.law), step.rate_hz, rate, total), lengths
