"""What the model sees of a clip: its features as arrays, and a picture of them."""

import io

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ser.features.frontend import FrontEnd
from ser.files import write_whole
from ser.inference.recordings import BadRecording, read_recording
from ser.shards.reader import windows

DPI = 130
ALWAYS = ('cqt', 'mel')
TITLES = {'cqt': 'CQT', 'mel': 'Mel', 'mfcc': 'MFCC', 'chroma': 'Chroma'}
PITCHES = ('C', 'C♯', 'D', 'D♯', 'E', 'F', 'F♯', 'G', 'G♯', 'A', 'A♯', 'B')
BLUE = '#0072B2'


class Inspector:
    """The front end of a config: CQT and Mel always, and any other feature that a view of its model sees."""

    def __init__(self, config):
        views = [view for view in config.model.views.items() if view[1] is not None]
        seen = [view.feature or name for name, view in views]
        self.config = config
        self.features = tuple(dict.fromkeys([*ALWAYS, *seen]))
        self.front_end = FrontEnd(config.features, config.augment, {name: name for name in self.features},
                                  data_rate=config.data.sample_rate)

    @torch.inference_mode()
    def arrays(self, samples):
        """A dict of arrays for int16 (n,) samples at data.sample_rate.

        `waveform` float32 (m,) in [-1, 1] and `sample_rate` in Hz, as the features take it: resampled to
        features.sample_rate and padded to features.min_samples where needed. For each feature `<feature>_db` float32
        (bands, frames), the clip's own frames only (MFCC: coefficients, not dB), and `<feature>_image` float32
        (size, size), lowest band first, in [0, 1] before normalisation; (3, size, size) with channels 'delta'.
        """
        waveforms, lengths = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
        heard, heard_lengths = self.front_end.waveform(waveforms, lengths)
        arrays = {'waveform': heard[0, :heard_lengths[0]].numpy(),
                  'sample_rate': np.int64(self.config.features.sample_rate)}
        for name, (values, frames) in self.front_end.features(waveforms, lengths).items():
            arrays[f'{name}_db'] = values[0, :, :frames[0]].numpy()
        for name, image in self.front_end.raw_images(waveforms, lengths).items():
            arrays[f'{name}_image'] = image[0].squeeze(0).numpy()
        return arrays

    def draw(self, arrays, title):
        """Bytes of a PNG: the waveform, then a row per feature with its values over time and the model's image."""
        rows = len(self.features)
        figure = Figure(figsize=(12, 1.9 + 2.75 * rows), dpi=DPI, layout='constrained')
        FigureCanvasAgg(figure)
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
        grid = figure.add_gridspec(1 + rows, 2, width_ratios=(3.1, 1), height_ratios=(1.1, *([2.75] * rows)))
        times = figure.add_subplot(grid[0, 0])
        _draw_waveform(times, arrays)
        _write_facts(figure.add_subplot(grid[0, 1]), arrays, self.config)
        for row, name in enumerate(self.features, start=1):
            axes = figure.add_subplot(grid[row, 0], sharex=times)
            self._draw_feature(figure, axes, arrays, name)
            _draw_image(figure.add_subplot(grid[row, 1]), arrays[f'{name}_image'], TITLES[name])
            axes.tick_params(labelbottom=row == rows, labelsize=8)
        axes.set_xlabel('time (s)')
        figure.suptitle(title, fontsize=12, parse_math=False)
        held = io.BytesIO()
        figure.savefig(held, format='png', facecolor='white')
        return held.getvalue()

    def _draw_feature(self, figure, axes, arrays, name):
        values, features = arrays[f'{name}_db'], self.config.features
        hop = (features.cqt if name == 'cqt' else features.mel).hop_length / int(arrays['sample_rate'])
        bands, frames = values.shape
        cepstral = name == 'mfcc'
        # The lowest coefficients are far larger than the others: they may leave the scale.
        largest = float(np.percentile(np.abs(values[1:]), 95)) if cepstral and bands > 1 else 0.0
        limits = {'vmin': -largest, 'vmax': largest} if cepstral else {'vmin': features.level.floor_db, 'vmax': 0}
        drawn = axes.imshow(values, origin='lower', aspect='auto', interpolation='nearest', cmap='magma',
                            extent=(-hop / 2, (frames - 0.5) * hop, -0.5, bands - 0.5), **limits)
        axes.set_title(f'{TITLES[name]}: {bands} x {frames}', loc='left', fontsize=10)
        places, labels, axis = band_ticks(name, features, int(arrays['sample_rate']))
        axes.set_yticks(places, labels, fontsize=8)
        axes.set_ylabel(axis)
        bar = figure.colorbar(drawn, ax=axes, pad=0.01, aspect=18)
        bar.set_label('coefficient' if cepstral else 'dB, 0 is the loudest', fontsize=8)
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)


def output_stems(recordings):
    """A file stem for each of `recordings` (recordings.Named); one that comes again is numbered: a, a-2, a-3."""
    taken, stems = set(), []
    for recording in recordings:
        stem, times = recording.path.stem, 2
        while stem in taken:
            stem, times = f'{recording.path.stem}-{times}', times + 1
        taken.add(stem)
        stems.append(stem)
    return stems


def inspect_recording(inspector, recording, target):
    """Write `<target>.npz` and `<target>.png` for a recordings.Named; returns (a line for people, whether it failed).

    Raises SerError when the disk refuses.
    """
    config = inspector.config.data
    try:
        if recording.fault:
            raise BadRecording(recording.fault)
        samples = read_recording(recording.path, config.sample_rate)
    except BadRecording as bad:
        return f'{recording.path}: {bad}', True
    pieces = windows(samples, config.max_seconds, config.sample_rate)
    arrays = inspector.arrays(pieces[0])
    part = '' if len(pieces) == 1 else f', window 1 of {len(pieces)}'
    npz, png = (target.with_name(target.name + suffix) for suffix in ('.npz', '.png'))
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)
    write_whole(npz, held.getvalue())
    write_whole(png, inspector.draw(arrays, recording.path.name + part))
    shapes = ', '.join(f"{TITLES[name]} {' x '.join(map(str, arrays[f'{name}_db'].shape))}"
                       for name in inspector.features)
    seconds = len(samples) / config.sample_rate
    return f'{recording.path}: {npz}, {png} ({seconds:.2f} s{part}; {shapes})', False


def _draw_waveform(axes, arrays):
    waveform, rate = arrays['waveform'], int(arrays['sample_rate'])
    axes.plot(np.arange(len(waveform)) / rate, waveform, color=BLUE, linewidth=0.5)
    peak = max(float(np.abs(waveform).max()), 1e-4)
    axes.set_ylim(-1.1 * peak, 1.1 * peak)
    axes.set_xlim(0, len(waveform) / rate)
    axes.set_ylabel('amplitude')
    axes.set_title('Waveform', loc='left', fontsize=10)
    axes.tick_params(labelbottom=False, labelsize=8)
    axes.spines[['top', 'right']].set_visible(False)


def _write_facts(axes, arrays, config):
    waveform, rate = arrays['waveform'], int(arrays['sample_rate'])
    peak = float(np.abs(waveform).max())
    level = f'{20 * np.log10(peak):.1f} dBFS' if peak > 0 else 'silence'
    time, channels = config.features.image.time, config.features.image.channels
    width = 'the clip fills the width' if time.kind == 'stretch' else f'the width is {time.seconds:g} s'
    lines = [f'{len(waveform) / rate:.2f} s, {len(waveform)} samples', f'{rate} Hz, peak {level}',
             f'image: {config.features.image.size} px, {width}', f'channels: {channels}']
    if channels == 'delta':
        lines.append('red static, green delta, blue delta-delta')
    axes.axis('off')
    axes.text(0, 0.95, '\n'.join(lines), va='top', fontsize=8.5, linespacing=1.5, color='#333333',
              transform=axes.transAxes)


def _draw_image(axes, image, title):
    shown = image if image.ndim == 2 else np.clip(image.transpose(1, 2, 0), 0, 1)
    axes.imshow(shown, origin='lower', cmap='magma', vmin=0, vmax=1, interpolation='nearest')
    axes.set_title(f'{title} image: {image.shape[-1]} x {image.shape[-2]}', loc='left', fontsize=10)
    axes.set_xticks([0, image.shape[-1] - 1])
    axes.set_yticks([0, image.shape[-2] - 1])
    axes.set_ylabel('band, low to high', fontsize=8, labelpad=-8)
    axes.set_xlabel('time', fontsize=8, labelpad=-6)
    axes.tick_params(labelsize=8)


def band_ticks(name, features, sample_rate):
    """(places in bands, labels, axis title) for the vertical axis of a feature."""
    if name == 'cqt':
        cqt = features.cqt
        places = np.arange(0, cqt.bins, cqt.bins_per_octave)
        hertz = cqt.fmin_hz * 2.0 ** (places / cqt.bins_per_octave)
        return places, [f'{note_of(f)}  {f:.0f}' for f in hertz], 'note, Hz'
    if name == 'mel':
        mel = features.mel
        hertz = np.array([0, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000])
        top = sample_rate / 2 if mel.fmax_hz is None else mel.fmax_hz
        low, high = slaney_mel(mel.fmin_hz), slaney_mel(top)
        places = (slaney_mel(hertz) - low) / (high - low) * (mel.bins + 1) - 1
        inside = (places >= -1) & (places <= mel.bins - 0.5)
        # Counted from the top, where octaves lie apart; labels further down would run into each other.
        steps = np.diff(places, append=np.inf)
        kept = inside & (steps > mel.bins / 25)
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
