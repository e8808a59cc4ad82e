"""Pictures of a clip's way to the network: waveforms by stage, spectra, augmented draws, layers of an encoder."""

import numpy as np

from ser.inference.inspection_axes import (
    BLUE,
    GREY,
    TITLES,
    add_bar,
    draw_values,
    draw_waveform,
    label_bands,
    level_words,
    new_figure,
    png,
    reach,
    titled,
)
from ser.inference.inspection_pictures import draw_levels
from ser.inference.layers import in_proportion
from ser.inference.stages import as_picture, levels

WORDS = {'raw': 'as read', 'trimmed': 'quiet ends off', 'resampled': 'at the rate of the features',
         'fixed': 'cut to length', 'prepared': 'as the features take it'}

FEW_TICKS = 12


def draw_stages(shown, title):
    """Bytes of a PNG: a waveform per stage, one below the other, over seconds of the clip."""
    stages = shown.stages
    figure = new_figure(0.9 + 1.55 * len(stages), f'{title}: the waveform, stage by stage')
    clip, end = stages[0].seconds, max(stage.start_seconds + stage.seconds for stage in stages)
    axes = figure.subplots(len(stages), 1, sharex=True, squeeze=False)[:, 0]
    for panel, stage in zip(axes, stages, strict=True):
        draw_waveform(panel, stage.samples, stage.sample_rate, stage.start_seconds)
        titled(panel, f'{stage.name} ({WORDS[stage.name]}): {stage.seconds:.3f} s at {stage.sample_rate} Hz, '
                      f'{level_words(levels(stage.samples))}')
        cut = [(low, high) for low, high in ((0, stage.start_seconds), (stage.start_seconds + stage.seconds, clip))
               if high > low]
        for low, high in cut:
            panel.axvspan(low, high, color=GREY, alpha=0.15, linewidth=0)
    axes[-1].set_xlim(0, end)
    # The last stage has lost what any has.
    axes[-1].set_xlabel('time in the clip (s)' + ('; grey was cut off' if cut else ''))
    return png(figure)


def draw_spectra(shown, title, config, front_end):
    """Bytes of a PNG: a row per view, the feature before normalisation and what the network gets of it."""
    views = list(shown.after)
    rows = len(views) + (shown.audio is not None)
    figure = new_figure(0.9 + 2.75 * rows, f'{title}: before normalisation, and as the network gets it')
    panels = figure.subplots(rows, 2, squeeze=False, width_ratios=(1.5, 1))
    for (left, right), view in zip(panels, views, strict=False):
        feature = shown.feature_of[view]
        draw_levels(figure, left, shown.before[feature], feature, config.features)
        _draw_input(figure, right, shown.after[view], view, feature, config, front_end)
    if shown.audio is not None:
        rate = config.features.sample_rate
        for panel, samples, words in zip(panels[-1], (shown.stages[-1].samples, shown.audio),
                                         ('prepared', 'for the encoder'), strict=True):
            draw_waveform(panel, samples, rate)
            panel.set_xlim(0, len(samples) / rate)
            titled(panel, f'Waveform, {words}: {_numbers(samples)}')
    for panel in panels[-1]:
        if not panel.get_xlabel():
            panel.set_xlabel('time (s)', fontsize=9)
    return png(figure)


def draw_augmented(shown, title, config, front_end):
    """Bytes of a PNG: the clip as evaluation takes it, then a row per preview; columns are the waveform and the
    views."""
    views, rate = list(shown.after), config.features.sample_rate
    words = sorted({part for preview in shown.previews for part in preview.drawn})
    about = f"drawn anew each epoch: {', '.join(words)}" if words else 'this config augments nothing'
    figure = new_figure(1.0 + 1.75 * (1 + len(shown.previews)), f'{title}: as training sees it ({about})')
    rows = [('not augmented', shown.stages[-1].samples, shown.after, ())]
    rows += [(f'epoch {preview.epoch}', preview.waveform, preview.views, [step['kind'] for step in preview.audio])
             for preview in shown.previews]
    panels = figure.subplots(len(rows), 1 + len(views), squeeze=False, sharex='col')
    longest = max(len(row[1]) for row in rows) / rate
    limits = {view: reach(shown.after[view]) for view in views}
    most = {view: max(row[2][view].shape[-1] for row in rows) for view in views}
    for line, (name, samples, seen, steps) in zip(panels, rows, strict=True):
        draw_waveform(line[0], samples, rate, color=GREY if name == 'not augmented' else BLUE)
        titled(line[0], f"{name}: {len(samples) / rate:.2f} s, {level_words(levels(samples), ('rms_db',))}")
        line[0].set_xlim(0, longest)
        line[0].text(0.01, 0.03, ', '.join(steps), transform=line[0].transAxes, fontsize=8, color='#444444')
        for panel, view in zip(line[1:], views, strict=True):
            _draw_seen(panel, seen[view], view, limits[view], front_end)
            panel.set_xlim(-0.5, most[view] - 0.5)
            titled(panel, f"{TITLES.get(shown.feature_of[view], view)} ({' x '.join(map(str, seen[view].shape))})")
            label_bands(panel, shown.feature_of[view], config.features, seen[view].shape[-2], FEW_TICKS)
    panels[-1, 0].set_xlabel('time (s)')
    for panel, view in zip(panels[-1, 1:], views, strict=True):
        panel.set_xlabel('column of the image' if shown.after[view].ndim == 3 else 'frame')
    return png(figure)


def draw_layers(layers, title):
    """Bytes of a PNG: how far an encoder's hidden states stand out, a row per layer, over seconds of the clip."""
    count = len(layers.distances)
    figure = new_figure(1.6 + max(1.6, 0.28 * count), f"{title}: the encoder's hidden states, layer by layer")
    axes = figure.subplots()
    shown = in_proportion(layers.distances)
    drawn = draw_values(axes, shown, layers.edges, reach(shown))
    titled(axes, 'how far each frame is from the mean frame of its layer')
    axes.set_yticks(range(count), ['input', *map(str, range(1, count))], fontsize=8)
    axes.set_ylabel('layer', fontsize=9)
    axes.set_xlabel('time in the clip (s)')
    add_bar(figure, drawn, axes, "1: the layer's mean distance")
    return png(figure)


def _draw_input(figure, axes, values, view, feature, config, front_end):
    """What the network gets of a view, in its own numbers; slopes as colours."""
    rows, columns = values.shape[-2:]
    numbers = _numbers(values)
    if values.ndim == 3:
        edges = np.arange(columns + 1) - 0.5
        if front_end.delta:
            draw_values(axes, as_picture(front_end, view, values), edges)
            words = 'red static, green delta, blue delta-delta'
        else:
            add_bar(figure, draw_values(axes, values[0], edges), axes, 'first channel')
            words = f'{values.shape[0]} x {rows} x {columns}'
        titled(axes, f'{view} for the network: {words}; {numbers}')
        axes.set_xlabel('column of the image', fontsize=9)
    else:
        edges = (np.arange(columns + 1) - 0.5) * front_end.hop_length / config.features.sample_rate
        add_bar(figure, draw_values(axes, values, edges, reach(values)), axes, "the network's numbers")
        titled(axes, f'{view} for the network: {rows} x {columns}; {numbers}')
    label_bands(axes, feature, config.features, rows)


def _numbers(values):
    # What is nearly 0 is 0.
    mean, deviation = (round(float(number), 3) + 0.0 for number in (values.mean(), values.std()))
    return f'mean {mean:.3g}, deviation {deviation:.3g}'


def _draw_seen(axes, values, view, limits, front_end):
    edges = np.arange(values.shape[-1] + 1) - 0.5
    if values.ndim == 3:
        draw_values(axes, as_picture(front_end, view, values), edges, (0, 1))
    else:
        draw_values(axes, values, edges, limits)

