"""The picture of a timeline: the recording's envelope under its segments, and the probabilities over time."""

import numpy as np
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ser.evaluation.calibration import UNKNOWN
from ser.evaluation.plots import shortened
from ser.inference.emotion_formats import clock
from ser.inference.emotion_segments import SILENCE
from ser.inference.inspection_axes import WIDTH, new_figure, png, titled

# Okabe and Ito 2008, told apart with any common colour vision; beyond them the same with hatching.
COLOURS = ('#56B4E9', '#E69F00', '#0072B2', '#D55E00', '#009E73', '#F0E442', '#CC79A7', '#999999')
HATCHES = (None, '////', '....', 'xxxx')
QUIET, UNSURE = '#EDEDED', '#FFFFFF'

_NARROW_INCHES = 0.085
_LONGEST_NAME = 18
_PLOT_INCHES = 0.92 * WIDTH
_MOST_EDGES = 150
_MOST_STEPS, _COLUMNS = 700, 300


def draw_timeline(timeline, title=None):
    """Bytes of a PNG of a Timeline: segments over the waveform's envelope, smoothed probabilities stacked below."""
    figure = new_figure(6.6, title or timeline.file)
    strip, wave, shares = figure.subplots(3, 1, sharex=True, height_ratios=(0.55, 1.6, 2.4))
    styles = {name: {'facecolor': COLOURS[i % len(COLOURS)], 'hatch': HATCHES[i // len(COLOURS) % len(HATCHES)]}
              for i, name in enumerate(timeline.names)}
    # None is silence, which a class may be called; so may 'unknown', and such a run is never in doubt.
    styles = {None: {'facecolor': QUIET, 'hatch': None}, UNKNOWN: {'facecolor': UNSURE, 'hatch': '\\\\\\\\'}} | styles
    _draw_strip(strip, timeline, styles)
    _draw_envelope(wave, timeline, styles)
    _draw_shares(shares, timeline, styles)
    shares.set_xlim(0, timeline.seconds)
    shares.set_xlabel('time' if timeline.seconds >= 60 else 'time (s)', fontsize=9)
    _label_time(shares, timeline.seconds)
    _draw_legend(figure, timeline, styles)
    return png(figure)


def _draw_strip(axes, timeline, styles):
    # Many lines side by side would be all one sees.
    edge = 0.4 if len(timeline.segments) <= _MOST_EDGES else 0
    for emotion, spans in _by_emotion(timeline).items():
        axes.broken_barh(spans, (0, 1), linewidth=edge, edgecolor='#555555', **styles[emotion])
    for segment in timeline.segments:
        inches = _PLOT_INCHES * (segment.end - segment.start) / timeline.seconds
        said = shortened(segment.emotion, _LONGEST_NAME)
        if inches > _NARROW_INCHES * len(said) + 0.1:
            axes.text((segment.start + segment.end) / 2, 0.5, said, ha='center', va='center', fontsize=8, clip_on=True,
                      parse_math=False, bbox={'facecolor': 'white', 'alpha': 0.85, 'linewidth': 0, 'pad': 1.2})
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.tick_params(axis='x', length=0, labelbottom=False)
    count = len(timeline.segments)
    titled(axes, f'{count} segment{"" if count == 1 else "s"}')


def _by_emotion(timeline):
    """Emotion, None for silence -> (start, length) of its segments."""
    spans = {}
    for segment in timeline.segments:
        spans.setdefault(_said(segment), []).append((segment.start, segment.end - segment.start))
    return spans


def _said(segment):
    return None if segment.confidence is None else segment.emotion


def _draw_envelope(axes, timeline, styles):
    low, high, size = timeline.envelope
    for emotion, spans in _by_emotion(timeline).items():
        axes.broken_barh(spans, (-1.2, 2.4), linewidth=0, alpha=0.35, facecolor=styles[emotion]['facecolor'])
    edges = np.minimum(np.arange(len(low) + 1) * size, timeline.seconds)
    axes.stairs(high / 32768, edges, baseline=low / 32768, fill=True, color='#333333', linewidth=0)
    peak = max(float(np.abs(np.concatenate([low, high]).astype(np.int32)).max()) / 32768, 1e-3)
    axes.set_ylim(-1.1 * peak, 1.1 * peak)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylabel('amplitude', fontsize=9)
    axes.spines[['top', 'right']].set_visible(False)
    titled(axes, 'Waveform')


def _draw_shares(axes, timeline, styles):
    edges, values = _columns(timeline)
    below = np.zeros(len(values))
    for name, column in zip(timeline.names, values.T, strict=True):
        axes.stairs(100 * (below + column), edges, baseline=100 * below, fill=True, linewidth=0, **styles[name])
        below = below + column
    axes.stairs(np.where(below > 0, 0.0, 100.0), edges, fill=True, linewidth=0, facecolor=QUIET)
    axes.set_ylim(0, 100)
    axes.set_ylabel('%', fontsize=9)
    axes.spines[['top', 'right']].set_visible(False)
    calibrated = 'calibrated' if timeline.calibrated else 'uncalibrated'
    more = f'; {together} steps a column' if (together := -(-len(timeline.step_values) // len(values))) > 1 else ''
    titled(axes, f'Probabilities ({calibrated}), the mean of the windows of {timeline.window_seconds:g} s that cover '
                 f'each step of {timeline.hop_seconds:g} s{more}')


def _columns(timeline):
    """(edges (N + 1,) in seconds, probabilities (N, C), zeros for silence).

    More than `_MOST_STEPS` steps are taken together, to `_COLUMNS` at most: the mean of those with sound. Narrower ones
    would be noise to the eye.
    """
    count = len(timeline.step_values)
    together = 1 if count <= _MOST_STEPS else -(-count // _COLUMNS)
    starts = np.arange(0, count, together)
    heard = np.add.reduceat(~np.isnan(timeline.step_values[:, :1]), starts, dtype=np.int64)
    sums = np.add.reduceat(np.nan_to_num(timeline.step_values), starts)
    return np.append(timeline.step_times[starts], timeline.step_times[-1]), sums / np.maximum(heard, 1)


def _label_time(axes, seconds):
    """Round times: seconds below a minute, else minutes or hours."""
    if seconds < 60:
        axes.xaxis.set_major_locator(MaxNLocator(12))
        return
    steps = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
    step = next((step for step in steps if seconds / step <= 13), steps[-1])
    axes.set_xticks(np.arange(0, seconds + 1e-9, step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value, 0)))


def _draw_legend(figure, timeline, styles):
    """The classes, and silence and 'unknown' where they occur."""
    found = {_said(segment) for segment in timeline.segments}
    silent = None in found or bool(np.isnan(timeline.step_values).any())
    named = [*timeline.names, *([None] if silent else []), *([UNKNOWN] if UNKNOWN in found else [])]
    patches = [Patch(label=shortened(name or SILENCE, _LONGEST_NAME), edgecolor='#555555', linewidth=0.4,
                     **styles[name]) for name in dict.fromkeys(named)]
    legend = figure.legend(handles=patches, loc='outside lower center', ncols=min(len(patches), 9), fontsize=8.5,
                           frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
