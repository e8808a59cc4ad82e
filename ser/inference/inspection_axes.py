"""What the pictures of `ser inspect` share: figures, waveforms, features with bands and seconds along their axes."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

DPI = 150
WIDTH = 12
"""Inches."""
TITLES = {'cqt': 'CQT', 'mel': 'Mel', 'mfcc': 'MFCC', 'chroma': 'Chroma', 'waveform': 'Waveform'}
PITCHES = ('C', 'C♯', 'D', 'D♯', 'E', 'F', 'F♯', 'G', 'G♯', 'A', 'A♯', 'B')
BLUE, ORANGE, GREY = '#0072B2', '#E69F00', '#6E6E6E'
MOST_TICKS = 25
"""Labels that fit above each other; in low axes fewer do."""


def new_figure(height, title):
    """An empty Figure, WIDTH x `height` inches, under a title that is shown as it is."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout='constrained')
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    figure.suptitle(title, fontsize=12, parse_math=False)
    return figure


def png(figure):
    """Bytes of a Figure as a PNG."""
    held = io.BytesIO()
    figure.savefig(held, format='png', facecolor='white')
    return held.getvalue()


def titled(axes, title):
    """Put a title at the left of axes, as it is, and make their ticks small."""
    axes.set_title(title, loc='left', fontsize=10, parse_math=False)
    axes.tick_params(labelsize=8)


def draw_waveform(axes, samples, sample_rate, start_seconds=0.0, color=BLUE, margin=1.1):
    """A waveform float32 (n,) over seconds, its loudest sample just inside the axes."""
    axes.plot(start_seconds + np.arange(len(samples)) / sample_rate, samples, color=color, linewidth=0.5)
    peak = max(float(np.abs(samples).max()), 1e-4)
    axes.set_ylim(-margin * peak, margin * peak)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylabel('amplitude', fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[['top', 'right']].set_visible(False)


def draw_values(axes, values, edges, limits=(None, None), cmap='magma'):
    """Values (rows, columns) or (rows, columns, 3) between `edges` (columns + 1,) seconds, lowest row first; returns
    what a colour bar is made of."""
    return axes.imshow(values, origin='lower', aspect='auto', interpolation='nearest', cmap=cmap, vmin=limits[0],
                       vmax=limits[1], extent=(edges[0], edges[-1], -0.5, values.shape[0] - 0.5))


def add_bar(figure, drawn, axes, label, **options):
    """A colour bar at the right of axes."""
    bar = figure.colorbar(drawn, ax=axes, pad=0.01, aspect=18, **options)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)


def label_bands(axes, name, features, rows, most=MOST_TICKS):
    """Name the bands of a feature along the vertical axis of `rows` rows, which may be those of an image."""
    places, labels, axis = band_ticks(name, features, most)
    bands = band_count(name, features)
    axes.set_yticks((np.asarray(places) + 0.5) * rows / bands - 0.5, labels, fontsize=8)
    axes.set_ylabel(axis, fontsize=9)


def band_count(name, features):
    """Rows of a feature, for a FeaturesConfig."""
    return {'cqt': features.cqt.bins, 'mel': features.mel.bins, 'mfcc': features.mfcc.coefficients,
            'chroma': features.chroma.bins}[name]


def band_ticks(name, features, most=MOST_TICKS):
    """(places in bands, labels, axis title) for the vertical axis of a feature, for a FeaturesConfig; `most` labels
    would fit."""
    if name == 'cqt':
        cqt = features.cqt
        places = np.arange(0, cqt.bins, cqt.bins_per_octave)
        hertz = cqt.fmin_hz * 2.0 ** (places / cqt.bins_per_octave)
        return places, [f'{note_of(f)}  {f:.0f}' for f in hertz], 'note, Hz'
    if name == 'mel':
        mel = features.mel
        hertz = np.array([0, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000])
        top = features.sample_rate / 2 if mel.fmax_hz is None else mel.fmax_hz
        low, high = slaney_mel(mel.fmin_hz), slaney_mel(top)
        places = (slaney_mel(hertz) - low) / (high - low) * (mel.bins + 1) - 1
        kept = []
        # From the top, where octaves lie apart; labels further down would run into each other.
        for i in reversed(np.flatnonzero((places >= -1) & (places <= mel.bins - 0.5))):
            if not kept or places[kept[0]] - places[i] > mel.bins / most:
                kept.insert(0, i)
        return places[kept], [f'{f}' for f in hertz[kept]], 'Hz'
    if name == 'chroma':
        places = np.arange(features.chroma.bins)
        named = features.chroma.bins == len(PITCHES)
        return places, list(PITCHES) if named else [f'{place}' for place in places], 'pitch class'
    places = np.arange(0, features.mfcc.coefficients, 5)
    return places, [f'{place}' for place in places], 'coefficient'


def note_of(hertz):
    """The nearest note of equal temperament (A4 = 440 Hz), such as 'C4'."""
    number = round(69 + 12 * np.log2(hertz / 440))
    return f'{PITCHES[number % 12]}{number // 12 - 1}'


def slaney_mel(hertz):
    """Slaney's mel scale (Auditory Toolbox 1998): linear to 1 kHz, 66.7 Hz a mel, then 27 mels for a factor of 6.4."""
    hertz = np.asarray(hertz, dtype=np.float64)
    above = 15 + np.log(np.maximum(hertz, 1000) / 1000) * 27 / np.log(6.4)
    return np.where(hertz < 1000, hertz * 3 / 200, above)


def spread(values, percent=99.5):
    """(-x, x) that holds `percent` of the magnitudes of values: the rest may leave the scale."""
    largest = float(np.percentile(np.abs(values), percent)) if values.size else 0.0
    return (-largest, largest) if largest > 0 else (-1.0, 1.0)


def reach(values, percent=99.5):
    """(low, high) that hold all values but the few at either end that would hide the rest."""
    low, high = np.percentile(values, (100 - percent, percent))
    return (float(low), float(high)) if high > low else (float(low) - 1.0, float(low) + 1.0)


def level_words(level, shown=('peak_db', 'rms_db')):
    """'peak -3.0 dB, RMS -20.1 dB' of {'peak_db', 'rms_db'}, None for silence."""
    if level['peak_db'] is None:
        return 'silence'
    # No '-0.0'.
    return ', '.join(f"{'peak' if name == 'peak_db' else 'RMS'} {round(level[name], 1) + 0.0:.1f} dB" for name in shown)
