"""An explanation as a page shows it: pictures as data URIs, a waveform as peaks, attention as equal stretches."""

import base64
import io

import numpy as np

from ser.features.frontend import FrontEnd
from ser.inference.inspection_axes import reach
from ser.inference.stages import as_picture
from ser.inference.timeline import equal_spans

PEAKS = 600
MOST_WEIGHTS = 200
# The least and the most pixels that a view is shown with: a page scales small ones up and never needs larger ones.
_MOST_PIXELS, _WAVE_PIXELS = 1600, (600, 128)


def explanation_facts(found, front_end, start=0.0):
    """A dict for JSON of an attributions.Explanation, as answers.Explanation describes it.

    front_end: of the model. start: seconds of the recording at which the explained clip begins.
    """
    samples, rate = found.arrays['clip'], int(found.arrays['sample_rate'])
    return {
        'seconds': len(samples) / rate, 'start': start,
        'waveform': {'peaks': peaks(samples), 'sample_rate': rate},
        'views': [_view(found, name, front_end) for name in found.views],
        'attention': attention(found.facts, start)}


def peaks(samples, count=PEAKS):
    """[[lowest, highest]] of `count` equal stretches of float32 (n,) samples in [-1, 1]; of n where those are fewer."""
    count = max(min(count, len(samples)), 1)
    edges = len(samples) * np.arange(count) // count
    low, high = np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)
    # No '-0.0'.
    return (np.round(np.stack([low, high], axis=1).astype(np.float64), 4) + 0.0).tolist()


def attention(facts, start=0.0):
    """{start, end, weights} of the facts of an explanation, or None where nothing attends over time.

    The weights are of equal stretches and sum to 1; several experts that attend count alike.
    """
    by_expert = {}
    for span in facts['attention']:
        by_expert.setdefault(span['of'], []).append(span)
    if not by_expert:
        return None
    low = min(spans[0]['start'] for spans in by_expert.values())
    high = max(spans[-1]['end'] for spans in by_expert.values())
    count = min(max(map(len, by_expert.values())), MOST_WEIGHTS)
    courses = [equal_spans([span['weight'] for span in spans],
                           np.array([spans[0]['start'], *(span['end'] for span in spans)]), low, high, count)
               for spans in by_expert.values()]
    weights = np.mean(courses, axis=0)
    return {'start': start + low, 'end': start + high, 'weights': np.round(weights, 6).tolist()}


def _view(found, name, front_end):
    values, strength = found.arrays[name], found.arrays[f'{name}_saliency']
    if values.ndim == 1:
        width, height = _WAVE_PIXELS
        course = np.repeat(found.arrays[f'{name}_course'][None], height, axis=0)
        return {'name': name, 'png': data_uri(draw_wave(values, width, height)),
                'saliency': data_uri(overlay(_widened(course, width)))}
    images = isinstance(front_end, FrontEnd)
    shown = as_picture(front_end, name, values) if images else values
    low, high = (0.0, 1.0) if images else reach(values)
    return {'name': name, 'png': data_uri(coloured(_fitting(shown), low, high)),
            'saliency': data_uri(overlay(_fitting(strength)))}


def _fitting(values):
    """Values (rows, columns, ...) with at most _MOST_PIXELS of either: every so many-th is kept."""
    steps = [-(-size // _MOST_PIXELS) for size in values.shape[:2]]
    return values[::steps[0], ::steps[1]]


def _widened(values, width):
    return values[:, np.arange(width) * values.shape[1] // width]


def coloured(values, low, high):
    """uint8 (rows, columns, 3) of values (rows, columns), or of (rows, columns, 3) in [0, 1]; highest row first."""
    import matplotlib

    if values.ndim == 2:
        scaled = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
        values = matplotlib.colormaps['magma'](scaled)[..., :3]
    return np.round(255 * np.clip(values, 0, 1)[::-1]).astype(np.uint8)


def overlay(strength):
    """uint8 (rows, columns, 4), highest row first: the more it counts the brighter and the less transparent."""
    import matplotlib

    # The value that holds 99.5 % of the others: a few pixels would hide the rest.
    top = max(float(np.percentile(strength, 99.5)), 1e-12)
    scaled = np.clip(strength / top, 0, 1)[::-1]
    shown = matplotlib.colormaps['viridis'](scaled)
    shown[..., 3] = 0.85 * scaled
    return np.round(255 * shown).astype(np.uint8)


def draw_wave(samples, width, height):
    """uint8 (height, width, 3): the waveform as bars from its lowest to its highest sample, scaled to the loudest."""
    bars = np.array(peaks(samples / max(float(np.abs(samples).max()), 1e-4), width))
    bars = _widened(bars.T, width)
    rows = np.linspace(1, -1, height)[:, None]
    inside = (rows >= bars[0] - 1 / height) & (rows <= bars[1] + 1 / height)
    return np.where(inside[..., None], np.array([0, 114, 178]), 255).astype(np.uint8)


def data_uri(pixels):
    """A PNG of uint8 (rows, columns, 3 or 4) as a data URI."""
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(pixels).save(held, format='PNG')
    return f'data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}'
