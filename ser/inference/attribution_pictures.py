"""The picture of an explanation: attention over the waveform, each view with its saliency and Grad-CAM, shares."""

import numpy as np

from ser.features.frontend import FrontEnd
from ser.inference.inspection_axes import (
    BLUE,
    GREY,
    ORANGE,
    TITLES,
    draw_values,
    draw_waveform,
    label_bands,
    new_figure,
    png,
    reach,
    titled,
)
from ser.inference.stages import as_picture

LINES = (ORANGE, '#009E73', '#CC79A7', '#56B4E9', '#D55E00')
MOST_CLASSES, FEWEST_BARS = 12, 5
# What is cut off is shown when it is at least this share of the clip.
SEEN = 0.001


def draw_explanation(found, title, config, front_end):
    """Bytes of a PNG of an attributions.Explanation for a Config and its model's front end."""
    facts, arrays = found.facts, found.arrays
    spectral = [view for view in found.views if arrays[view].ndim > 1]
    cams = any(f'{view}_gradcam' in arrays for view in spectral)
    heights = [1.7, *([1.5] if 'waveform' in found.views else []), *([2.4] * len(spectral)), 2.2]
    figure = new_figure(0.8 + sum(heights), title)
    grid = figure.add_gridspec(len(heights), 6, height_ratios=heights)
    row = 1
    course = figure.add_subplot(grid[0, :])
    _draw_attention(course, arrays, facts)
    if 'waveform' in found.views:
        _draw_audio_saliency(figure.add_subplot(grid[row, :], sharex=course), arrays, facts['explained'])
        row += 1
    for view in spectral:
        width = 2 if cams else 3
        panels = [figure.add_subplot(grid[row, start:start + width]) for start in range(0, 6, width)]
        _draw_view(panels, view, arrays, facts['explained'], config, front_end)
        row += 1
    _draw_shares(figure, grid[row, :], facts)
    return png(figure)


def _draw_attention(axes, arrays, facts):
    waveform, rate = arrays['clip'], int(arrays['sample_rate'])
    clip = len(waveform) / rate
    end, seen = max(clip, facts['heard']['end']), SEEN * clip
    draw_waveform(axes, waveform, rate, color='#9DB7C9')
    cut = [span for span in ((0, facts['heard']['start']), (facts['heard']['end'], end)) if span[1] - span[0] > seen]
    for low, high in cut:
        axes.axvspan(low, high, color=GREY, alpha=0.15, linewidth=0)
    axes.set_xlim(0, end)
    axes.set_xlabel('time in the clip (s)' + ('; grey was not heard' if cut else ''), fontsize=9)
    by_expert = {}
    for span in facts['attention']:
        by_expert.setdefault(span['of'], []).append(span)
    if not by_expert:
        titled(axes, 'Waveform (this network has no attention over time)')
        return
    titled(axes, 'Attention over time: how much each moment weighs')
    over = axes.twinx()
    for color, (expert, spans) in zip(LINES, by_expert.items(), strict=False):
        edges = [spans[0]['start'], *(span['end'] for span in spans)]
        # Per second, so that experts with frames of other lengths compare; those at the ends are cut by the clip's.
        step = np.median(np.diff(edges))
        over.stairs([span['weight'] / step for span in spans], edges, color=color, linewidth=1.4, label=expert)
    over.set_ylim(bottom=0)
    over.set_ylabel('weight per second', fontsize=9)
    over.tick_params(labelsize=8)
    over.spines['top'].set_visible(False)
    if len(by_expert) > 1:
        over.legend(fontsize=8, loc='lower right', bbox_to_anchor=(1, 1), ncols=len(by_expert), frameon=False)


def _draw_audio_saliency(axes, arrays, explained):
    samples, edges, course = arrays['waveform'], arrays['waveform_edges'], arrays['waveform_course']
    draw_waveform(axes, samples, len(samples) / (edges[-1] - edges[0]), edges[0], color='#9DB7C9')
    over = axes.twinx()
    over.stairs(100 * course, np.linspace(edges[0], edges[-1], len(course) + 1), color=ORANGE, linewidth=1.4)
    over.set_ylim(bottom=0)
    over.set_ylabel('share (%)', fontsize=9)
    over.tick_params(labelsize=8)
    over.spines['top'].set_visible(False)
    titled(axes, f"Waveform as the encoder hears it, and where '{explained}' leans on it (|gradient|)")
    axes.set_xlabel('time in the clip (s)', fontsize=9)


def _draw_view(panels, view, arrays, explained, config, front_end):
    values, edges = arrays[view], arrays[f'{view}_edges']
    images = isinstance(front_end, FrontEnd)
    feature = front_end.views[view] if images else view
    name = TITLES[feature] if feature == view else f'{view} ({TITLES[feature]})'
    shown = as_picture(front_end, view, values) if images else values
    draw_values(panels[0], shown, edges, (0, 1) if images else reach(values))
    titled(panels[0], f'{name}, as the network sees it')
    label_bands(panels[0], feature, config.features, values.shape[-2])
    strength = arrays[f'{view}_saliency']
    draw_values(panels[1], strength, edges, (0, _top(strength)), 'viridis')
    titled(panels[1], f"saliency: |d '{explained}' / d {'pixel' if images else 'value'}|")
    if len(panels) > 2:
        _draw_cam(panels[2], shown, arrays.get(f'{view}_gradcam'), edges, explained)
    for panel in panels:
        panel.set_xlabel('time in the clip (s)', fontsize=9)
    for panel in panels[1:]:
        panel.set_yticks([])


def _draw_cam(axes, shown, cam, edges, explained):
    if cam is None:
        axes.axis('off')
        axes.text(0.5, 0.5, 'this backbone has no last map', ha='center', va='center', fontsize=9, color='#666666')
        return
    draw_values(axes, shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, axis=2), edges)
    largest = float(cam.max())
    if largest > 0:
        axes.imshow(cam / largest, origin='lower', aspect='auto', interpolation='nearest', cmap='inferno', alpha=0.6,
                    vmin=0, vmax=1, extent=(edges[0], edges[-1], -0.5, cam.shape[0] - 0.5))
        titled(axes, f"Grad-CAM: what speaks for '{explained}'")
    else:
        titled(axes, f"Grad-CAM: nothing speaks for '{explained}'")


def _draw_shares(figure, place, facts):
    values = facts['probabilities'] or facts['dimensions']
    charts = [('Probability' if facts['probabilities'] else 'Dimension', _likeliest(values), facts['explained'])]
    if facts['branches']:
        charts.append(('Contribution to the logit', facts['branches'], None))
    if facts['gates']:
        charts.append(('Gate: weight of each', facts['gates'], None))
    if facts['layer_weights']:
        layers = {'input' if i == 0 else f'layer {i}': weight for i, weight in enumerate(facts['layer_weights'])}
        charts.append(("Weight of the encoder's layers", layers, None))
    panels = place.subgridspec(1, len(charts)).subplots(squeeze=False)[0]
    for panel, (title, shares, marked) in zip(panels, charts, strict=True):
        _draw_bars(panel, shares, marked)
        titled(panel, title)


def _draw_bars(axes, shares, marked):
    names, values = list(shares), list(shares.values())
    axes.barh(range(len(names)), values, color=[ORANGE if name == marked else BLUE for name in names], height=0.7)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    # A bar alone would fill the chart.
    middle, half = (len(names) - 1) / 2, max(len(names), FEWEST_BARS) / 2
    axes.set_ylim(middle + half, middle - half)
    axes.axvline(0, color='#333333', linewidth=0.8)
    low, high = min([0.0, *values]), max([0.0, *values])
    room = 0.25 * max(high - low, 1e-9)
    axes.set_xlim(low - (1.4 * room if low < 0 else 0), high + room)
    for place, value in enumerate(values):
        axes.text(value, place, f' {value:.3g} ', va='center', ha='left' if value >= 0 else 'right', fontsize=8)
    axes.spines[['top', 'right']].set_visible(False)


def _likeliest(values):
    """The MOST_CLASSES greatest, in their own order; all where there are no more."""
    kept = sorted(values, key=values.get, reverse=True)[:MOST_CLASSES]
    return {name: value for name, value in values.items() if name in kept}


def _top(strength):
    """The value that holds 99.5 % of the others: a few pixels would hide the rest."""
    largest = float(np.percentile(strength, 99.5))
    return largest if largest > 0 else 1.0
