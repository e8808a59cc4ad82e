"""Functionals: a clip's low-level descriptors over time as one vector of statistics (Schuller et al. 2013, ComParE)."""

import torch
from torch import nn

from ser.features.descriptors import Descriptors
from ser.features.frontend import island
from ser.features.waveform import Waveform

PERCENTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_OF_SPREAD = ('mean', 'deviation', 'skewness', 'kurtosis')
_OF_ORDER = (*(f'p{round(100 * share)}' for share in PERCENTILES), 'range99', 'range95', 'range75')
_OF_FITS = ('slope', 'curvature', 'residual')
_OF_STEPS = ('rise', 'fall')
STATISTICS = _OF_SPREAD + _OF_ORDER + _OF_FITS + _OF_STEPS
# Voiced frames come in stretches, and are fewer: what tails and curves say of them hurt on validation (NOTES.md).
OF_VOICED = ('mean', 'deviation', 'p5', 'p25', 'p50', 'p75', 'p95', 'range95', 'range75', 'slope', 'rise', 'fall')
# Of changes from frame to frame, whose mean is next to nothing.
OF_CHANGES = ('deviation', 'p5', 'p95', 'range95')
# Deviation, in a descriptor's own unit, under which it counts as constant.
CONSTANT = 1e-3
# Frames on each side over which the change of a descriptor is taken.
DELTA_FRAMES = 2
# Numbers of a clip as a whole, in the order that `_whole` gives them.
WHOLE = ('seconds', 'voiced_share', 'voiced_per_second', 'voiced_mean', 'voiced_longest', 'voiced_deviation',
         'unvoiced_mean', 'unvoiced_longest', 'unvoiced_deviation', 'peaks_per_second')
# An energy peak stands above the clip's mean level, and is the highest within so many seconds on each side.
PEAK_SECONDS = 0.05


def statistics(values, mask, hop_seconds, wanted=STATISTICS):
    """Statistics of values (B, F, N) where mask (bool (B, 1, N)) is set: float32 (B, F, len(wanted)).

    Means and deviations are over the population (scipy.stats); skewness and excess kurtosis vanish where a value hardly
    varies; percentiles are numpy's (linear); slope and curvature are the coefficients per second of a line and per
    second squared of a parabola fitted by least squares, residual what the line leaves (root mean square); rise and
    fall are the mean change per second over steps up and down between neighbouring frames. All are 0 where no frame
    counts.
    """
    shares = mask.to(values.dtype)
    count = shares.sum(dim=2, keepdim=True).clamp(min=1)
    mean = (values * shares).sum(dim=2, keepdim=True) / count
    centred = (values - mean) * shares
    found = {'mean': mean, 'deviation': (centred.square().sum(dim=2, keepdim=True) / count).sqrt()}
    if {*wanted} & {'skewness', 'kurtosis'}:
        found |= _tails(centred, count)
    if {*wanted} & {*_OF_ORDER}:
        found |= _order(values, mask)
    if {*wanted} & {*_OF_FITS}:
        found |= _fits(centred, shares, count, hop_seconds)
    if {*wanted} & {*_OF_STEPS}:
        found |= _steps(values, mask, hop_seconds)
    return torch.cat([found[name] for name in wanted], dim=2)


def _tails(centred, count):
    """Skewness and excess kurtosis, (B, F, 1) each."""
    square = centred.square()
    variance, third, fourth = (power.sum(dim=2, keepdim=True) / count
                               for power in (square, square * centred, square.square()))
    width = variance + CONSTANT**2
    return {'skewness': third / width**1.5, 'kurtosis': (fourth - 3 * variance.square()) / width.square()}


def _order(values, mask):
    """PERCENTILES and the distances of the outer pairs, (B, F, 1) each."""
    ordered = values.masked_fill(~mask, torch.inf).sort(dim=2).values
    last = (mask.sum(dim=2, keepdim=True) - 1).clamp(min=0)
    places = last * values.new_tensor(PERCENTILES)
    below = places.floor()
    above = (below + 1).minimum(last)
    low, high = (ordered.gather(2, place.long().expand(-1, values.shape[1], -1)) for place in (below, above))
    found = torch.where(mask.any(dim=2, keepdim=True), low + (high - low) * (places - below), 0.0).split(1, dim=2)
    return dict(zip(_OF_ORDER, (*found, found[6] - found[0], found[5] - found[1], found[4] - found[2]), strict=True))


def _fits(centred, shares, count, hop_seconds):
    """Slope and curvature of least-squares fits over time and the residual of the line, (B, F, 1) each."""
    def less_mean(curve):
        return (curve - (curve * shares).sum(dim=2, keepdim=True) / count) * shares

    times = torch.arange(shares.shape[2], device=shares.device, dtype=shares.dtype) * hop_seconds
    line = less_mean(times.expand_as(shares))
    line_power = line.square().sum(dim=2, keepdim=True)
    bow = less_mean(line.square())
    # What of the parabola a line does not explain.
    bow = bow - line * (bow * line).sum(dim=2, keepdim=True) / line_power.clamp(min=hop_seconds**2 / 4)
    bow_power = bow.square().sum(dim=2, keepdim=True)
    slope, curvature = (torch.where(power > (hop_seconds / 4) ** order,
                                    (centred * curve).sum(dim=2, keepdim=True) / power, 0.0)
                        for curve, power, order in ((line, line_power, 2), (bow, bow_power, 4)))
    left = centred.square().sum(dim=2, keepdim=True) - slope.square() * line_power
    return {'slope': slope, 'curvature': curvature, 'residual': (left.clamp(min=0) / count).sqrt()}


def _steps(values, mask, hop_seconds):
    """Mean change per second over steps up, then down, between neighbours that both count, (B, F, 1) each."""
    both = mask[..., 1:] & mask[..., :-1]
    change = ((values[..., 1:] - values[..., :-1]) / hop_seconds).masked_fill(~both, 0.0)
    found = {}
    for name, part in (('rise', change.clamp(min=0)), ('fall', change.clamp(max=0))):
        steps = (part != 0).sum(dim=2, keepdim=True).clamp(min=1)
        found[name] = part.sum(dim=2, keepdim=True) / steps
    return found


def changes(values):
    """Change per frame of (B, F, N) by a least-squares line over DELTA_FRAMES on each side, ends repeated."""
    total = values.shape[2]
    held = nn.functional.pad(values, (DELTA_FRAMES, DELTA_FRAMES), mode='replicate')
    weight = 2 * sum(step**2 for step in range(1, DELTA_FRAMES + 1))
    return sum(step * (held[..., DELTA_FRAMES + step:DELTA_FRAMES + step + total]
                       - held[..., DELTA_FRAMES - step:DELTA_FRAMES - step + total])
               for step in range(1, DELTA_FRAMES + 1)) / weight


def runs(mask):
    """Mean, longest and deviation of how many frames stretches of a mask last, and their number: bool (B, N) ->
    float32 (B,) each, 0 where there is none."""
    places = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    before = torch.where(mask, -1, places).cummax(dim=1).values
    ends = mask & ~nn.functional.pad(mask[:, 1:], (0, 1))
    lasts = torch.where(ends, places - before, 0).float()
    number = ends.sum(dim=1)
    count = number.clamp(min=1)
    mean = lasts.sum(dim=1) / count
    deviation = (((lasts - mean[:, None]) * ends).square().sum(dim=1) / count).sqrt()
    return mean, lasts.amax(dim=1), deviation, number.float()


class Functionals(nn.Module):
    """Waveforms to one vector a clip: STATISTICS of every descriptor over all frames, OF_VOICED over voiced frames,
    OF_CHANGES of its change from frame to frame, and the clip as a WHOLE. names: of the D numbers, in order."""

    def __init__(self, config, sample_rate, floor_db):
        """config: FunctionalsConfig. sample_rate: Hz. floor_db: as Descriptors'."""
        super().__init__()
        self.descriptors = Descriptors(config, sample_rate, floor_db)
        self.hop_seconds = self.descriptors.hop_seconds
        names, alone = self.descriptors.names, self.descriptors.voiced_only
        self.heard_always = [i for i, name in enumerate(names) if name not in alone]
        plain = [names[i] for i in self.heard_always]
        self.names = (*(f'{name}_{statistic}' for name in plain for statistic in STATISTICS),
                      *(f'{name}_change_{statistic}' for name in plain for statistic in OF_CHANGES),
                      *(f'{name}_voiced_{statistic}' for name in names for statistic in OF_VOICED), *WHOLE)

    def forward(self, samples, lengths):
        """samples float32 (B, T), zero from lengths int64 (B,) on -> float32 (B, D), finite."""
        frames = self.descriptors(samples, lengths)
        count = frames.valid.sum(dim=2, keepdim=True)
        # Beyond the clip its last frame goes on, so that what looks ahead sees nothing else.
        places = torch.arange(frames.values.shape[2], device=count.device).minimum(count - 1)
        values = frames.values.gather(2, places.expand_as(frames.values))
        always = values[:, self.heard_always]
        parts = [statistics(always, frames.valid, self.hop_seconds),
                 statistics(changes(always), frames.valid, self.hop_seconds, OF_CHANGES),
                 statistics(values, frames.voiced, self.hop_seconds, OF_VOICED)]
        return torch.cat([*(part.flatten(1) for part in parts), self._whole(values[:, 0], frames)], dim=1)

    def _whole(self, level, frames):
        """WHOLE of clips, (B, len(WHOLE)); level (B, N) in dB."""
        valid, voiced = frames.valid[:, 0], frames.voiced[:, 0]
        seconds = valid.sum(dim=1) * self.hop_seconds
        mean, longest, deviation, number = runs(voiced)
        rests = runs(valid & ~voiced)
        times = [part * self.hop_seconds for part in (mean, longest, deviation, *rests[:3])]
        half = max(1, round(PEAK_SECONDS / self.hop_seconds))
        smooth = nn.functional.avg_pool1d(nn.functional.pad(level[:, None], (2, 2), mode='replicate'), 5, 1)[:, 0]
        smooth = smooth.masked_fill(~valid, -torch.inf)
        above = (level * valid).sum(dim=1, keepdim=True) / valid.sum(dim=1, keepdim=True)
        highest = nn.functional.max_pool1d(smooth[:, None], 2 * half + 1, 1, half)[:, 0]
        peaks = ((smooth == highest) & (smooth > above)).sum(dim=1)
        return torch.stack([seconds, voiced.sum(dim=1) * self.hop_seconds / seconds, number / seconds, *times,
                            peaks / seconds], dim=1)


class FunctionalsFrontEnd(nn.Module):
    """Samples -> waveform -> Functionals: forward gives {'functionals': float32 (B, D)}. names: of the D numbers."""

    views = ()

    def __init__(self, features, config, data_rate):
        """features: FeaturesConfig; config: FunctionalsConfig; data_rate: Hz of batches."""
        super().__init__()
        self.waveform = Waveform(features, data_rate)
        self.functionals = Functionals(config, features.sample_rate, features.level.floor_db)
        self.names = self.functionals.names

    def prepare(self, lengths, device):
        """No tables: (0, 0), as FrontEnd.prepare."""
        return 0, 0

    def kept_tables(self, length, device):
        """No tables: (), as FrontEnd.kept_tables."""
        return ()

    def forward(self, waveforms, lengths, draw=None):
        """waveforms (B, T) int16 or float, lengths (B,) int64, draw a Draw or None -> the view."""
        with island(waveforms):
            return {'functionals': self.functionals(*self.waveform(waveforms, lengths, draw))}
