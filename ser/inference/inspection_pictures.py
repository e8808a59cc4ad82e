"""The picture of a clip's features: the waveform, then a row per feature, its values over time and the model's view."""

import numpy as np

from ser.inference.inspection_axes import (
    TITLES,
    add_bar,
    draw_values,
    draw_waveform,
    label_bands,
    level_words,
    new_figure,
    png,
    reach,
    spread,
    titled,
)
from ser.inference.stages import levels


def draw_features(arrays, title, config, features):
    """Bytes of a PNG of what `Inspector.arrays` gave for the `features` of a Config."""
    rows = len(features)
    figure = new_figure(1.9 + 2.75 * rows, title)
    grid = figure.add_gridspec(1 + rows, 2, width_ratios=(3.1, 1), height_ratios=(1.1, *([2.75] * rows)))
    times, rate = figure.add_subplot(grid[0, 0]), int(arrays['sample_rate'])
    draw_waveform(times, arrays['waveform'], rate)
    times.set_xlim(0, len(arrays['waveform']) / rate)
    titled(times, 'Waveform, as the features take it')
    times.tick_params(labelbottom=False)
    _write_facts(figure.add_subplot(grid[0, 1]), arrays, config)
    for row, name in enumerate(features, start=1):
        axes = figure.add_subplot(grid[row, 0], sharex=times)
        draw_levels(figure, axes, arrays[f'{name}_db'], name, config.features)
        axes.tick_params(labelbottom=row == rows)
        _draw_view(figure.add_subplot(grid[row, 1]), arrays, name)
    axes.set_xlabel('time (s)')
    return png(figure)


def draw_levels(figure, axes, values, name, features):
    """A feature float32 (rows, frames) before normalisation over seconds, with its colour bar."""
    hop = (features.cqt if name == 'cqt' else features.mel).hop_length / features.sample_rate
    limits, label = _scale(values, name, features)
    edges = (np.arange(values.shape[1] + 1) - 0.5) * hop
    drawn = draw_values(axes, values, edges, limits)
    titled(axes, f'{TITLES[name]}: {values.shape[0]} x {values.shape[1]}')
    label_bands(axes, name, features, values.shape[0])
    add_bar(figure, drawn, axes, label)


def _scale(values, name, features):
    if name == 'mfcc':
        # The lowest coefficients are far larger than the others: they may leave the scale.
        return spread(values[1:], 95), 'coefficient'
    if values.min() < 0 or values.max() == 0:
        if values.max() > 0:
            return (float(values.min()), float(values.max())), 'dB, 0 is the mean power'
        return (features.level.floor_db, 0), 'dB, 0 is the loudest'
    return (0, float(values.max())), 'power'


def _draw_view(axes, arrays, name):
    """What a model sees of a feature: its image, or its rows over the clip's frames; empty where it sees nothing."""
    image, sequence = arrays.get(f'{name}_image'), arrays.get(f'{name}_sequence')
    if image is not None:
        shown = image if image.ndim == 2 else np.clip(image.transpose(1, 2, 0), 0, 1)
        axes.imshow(shown, origin='lower', cmap='magma', vmin=0, vmax=1, interpolation='nearest')
        titled(axes, f'{TITLES[name]} image: {image.shape[-1]} x {image.shape[-2]}')
    elif sequence is not None:
        low, high = reach(sequence)
        axes.imshow(sequence, origin='lower', cmap='magma', vmin=low, vmax=high, interpolation='nearest', aspect='auto')
        titled(axes, f'{TITLES[name]} for the network: {low:.2g} to {high:.2g}')
    else:
        axes.axis('off')
        axes.text(0.5, 0.5, 'not seen by this model', ha='center', va='center', fontsize=9, color='#666666')
        return
    height, width = (image if image is not None else sequence).shape[-2:]
    axes.set_xticks([0, width - 1])
    axes.set_yticks([0, height - 1])
    axes.set_ylabel('band, low to high', fontsize=8, labelpad=-8)
    axes.set_xlabel('time' if image is not None else 'frame', fontsize=8, labelpad=-6)


def _write_facts(axes, arrays, config):
    waveform, rate = arrays['waveform'], int(arrays['sample_rate'])
    lines = [f'{len(waveform) / rate:.2f} s, {len(waveform)} samples', f'{rate} Hz, {level_words(levels(waveform))}']
    if any(name.endswith('_image') for name in arrays):
        time, channels = config.features.image.time, config.features.image.channels
        width = 'the clip fills the width' if time.kind == 'stretch' else f'the width is {time.seconds:g} s'
        lines += [f'image: {config.features.image.size} px, {width}', f'channels: {channels}']
        if channels == 'delta':
            lines.append('red static, green delta, blue delta-delta')
    else:
        if any(name.endswith('_sequence') for name in arrays):
            lines.append('the model sees sequences of frames')
        if 'audio' in arrays:
            lines.append(f"the encoder's waveform: deviation {arrays['audio'].std():.3g}")
    axes.axis('off')
    axes.text(0, 0.95, '\n'.join(lines), va='top', fontsize=8.5, linespacing=1.5, color='#333333',
              transform=axes.transAxes)
