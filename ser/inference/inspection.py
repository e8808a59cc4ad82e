"""What a model sees of a clip, how it came there, what a trained model used of it: arrays, pictures, facts."""

import io
from pathlib import Path

import numpy as np
import torch

from ser.errors import SerError
from ser.evaluation.dimension_files import read_task
from ser.features.cqt import check_bins
from ser.features.frontend import FrontEnd
from ser.files import write_json, write_whole
from ser.inference.attribution_pictures import draw_explanation
from ser.inference.attributions import explain
from ser.inference.inspection_axes import TITLES
from ser.inference.inspection_pictures import draw_features
from ser.inference.layers import hear_layers
from ser.inference.recordings import BadRecording, read_recording
from ser.inference.stage_pictures import draw_augmented, draw_layers, draw_spectra, draw_stages
from ser.inference.stages import show_stages
from ser.models import build_model
from ser.models.front_ends import build_front_end
from ser.shards.reader import windows
from ser.training.rebuild import load_run
from ser.training.task import main_head

ALWAYS = ('cqt', 'mel')
SUFFIXES = ('-features', '-stages', '-spectra', '-augmented', '-layers', '-explained')


class Inspector:
    """The front end of a config: CQT and Mel where the sample rate allows them, and whatever else its model sees."""

    def __init__(self, config, model=None):
        """model: the config's SpeechModel, whose front end is taken; None builds the front end alone."""
        self.config, self.model = config, model
        self.front_end = build_front_end(config) if model is None else model.front_end
        self.images = isinstance(self.front_end, FrontEnd)
        seen = self.front_end.views.values() if self.images else getattr(self.front_end, 'wanted', ())
        self.seen = tuple(dict.fromkeys(seen))
        allowed = [name for name in ALWAYS if name in self.seen or _allowed(name, config.features)]
        self.features = tuple(dict.fromkeys([*allowed, *self.seen]))
        here = {name: name for name in self.features if self.images or name not in self.seen}
        # Tables of the CQT are not made twice.
        self.levels = self.front_end if self.images and self.front_end.views == here else FrontEnd(
            config.features, config.augment, here, data_rate=config.data.sample_rate)
        self.waveform = self.levels.waveform

    @property
    def filters(self):
        """What the front end is given besides audio: the filters that the model has learnt, where it learns some."""
        return {'filters': self.model.network.filters} if self.model is not None and self.model.learns_filters else {}

    def views(self, waveforms, lengths, draw=None):
        """What the network gets of waveforms (B, T) int16 with lengths (B,); draw: a Draw, as in training."""
        return self.front_end(waveforms, lengths, draw, **self.filters)

    def before(self, waveforms, lengths):
        """feature -> (values, frames) of what the model sees before it is normalised, in dB mostly."""
        return self.front_end.features(waveforms, lengths, **self.filters)

    @torch.no_grad()
    def arrays(self, samples):
        """A dict of arrays for int16 (n,) samples at data.sample_rate.

        `waveform` float32 (m,) and `sample_rate` in Hz, as the features take it: trimmed, resampled, cut and levelled
        as the config says, and padded to features.min_samples where needed. For each feature `<feature>_db` float32
        (bands, frames), the clip's own frames only (MFCC: coefficients, chroma of scale 'power': power). Of models that
        see images, `<feature>_image` float32 (size, size), lowest band first, in [0, 1] before normalisation;
        (3, size, size) with channels 'delta'. Of models that see sequences, `<feature>_sequence` float32 (rows,
        frames) of each that they see. Of models that hear audio, `audio` float32 (m,) as their encoder gets it.
        """
        waveforms, lengths = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
        heard, heard_lengths = self.waveform(waveforms, lengths)
        arrays = {'waveform': heard[0, :heard_lengths[0]].numpy(),
                  'sample_rate': np.int64(self.config.features.sample_rate)}
        for name, (values, frames) in self._levels(waveforms, lengths).items():
            arrays[f'{name}_db'] = values[0, :, :frames[0]].numpy()
        if self.images:
            for name, image in self.levels.raw_images(waveforms, lengths, **self.filters).items():
                arrays[f'{name}_image'] = image[0].squeeze(0).numpy()
            return arrays
        views = self.views(waveforms, lengths)
        for name in self.seen:
            arrays[f'{name}_sequence'] = views[name][0, :, :views['frames'][0]].numpy()
        if 'waveform' in views:
            arrays['audio'] = views['waveform'][0, :views['samples'][0]].numpy()
        return arrays

    def draw(self, arrays, title):
        """Bytes of a PNG: the waveform, then a row per feature with its values over time and what the model sees."""
        return draw_features(arrays, title, self.config, self.features)

    def _levels(self, waveforms, lengths):
        found = self.levels.features(waveforms, lengths, **(self.filters if self.images else {}))
        if self.seen and not self.images:
            found |= self.before(waveforms, lengths)
        return {name: found[name] for name in self.features}


def trained_inspector(run):
    """(Inspector, task.Head) of a run directory, which must hold weights. Raises SerError as `load_run`."""
    config, names, model = load_run(run)
    return Inspector(config, model), main_head(names, read_task(run))


def untrained_inspector(config):
    """The Inspector of a Config; of a model with an encoder with that encoder, as training starts from it.

    Raises SerError where its weights cannot be had.
    """
    if not hasattr(config.model, 'encoder'):
        return Inspector(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.run.seed)
        model = build_model(config, ('no', 'yes'))
    return Inspector(config, model.eval().requires_grad_(False))


class Inspection:
    """What `ser inspect` writes for each file: features always, stages and an explanation where they are asked for."""

    def __init__(self, inspector, folder, stages=False, previews=0, head=None, run=None):
        """stages: also the waveform's stages and `previews` augmented ones. head: the task.Head of the inspector's
        trained model, whose answer is then explained; run: what the model is called."""
        self.inspector, self.folder, self.head, self.run = inspector, Path(folder), head, run
        self.stages, self.previews = stages, previews

    def write(self, recording, stem):
        """Write the files of a recordings.Named; returns (a line for people, whether it failed).

        Raises SerError when the disk refuses, and for a model whose numbers are not finite.
        """
        config = self.inspector.config.data
        try:
            if recording.fault:
                raise BadRecording(recording.fault)
            samples = read_recording(recording.path, config.sample_rate)
        except BadRecording as bad:
            return f'{recording.path}: {bad}', True
        pieces = windows(samples, config.max_seconds, config.sample_rate)
        part = '' if len(pieces) == 1 else f', window 1 of {len(pieces)}'
        title, about = recording.path.name + part, {'file': str(recording.path)}
        window = {'window': {'number': 1, 'of': len(pieces)}}
        arrays = self.inspector.arrays(pieces[0])
        names = self._save(f'{stem}-features', arrays, pictures={'': self.inspector.draw(arrays, title)})
        if self.stages:
            names += self._write_stages(stem, pieces[0], title, {**about, **window})
        answer = ''
        if self.head is not None:
            more, answer = self._write_explanation(stem, pieces[0], title, about, window)
            names += more
        seconds, files = f'{len(samples) / config.sample_rate:.2f} s{part}', ', '.join([str(self.folder / names[0]),
                                                                                        *names[1:]])
        return f"{recording.path}: written: {files} ({'; '.join([seconds, *self._seen(arrays)])}){answer}", False

    def _seen(self, arrays):
        """The views that the model sees, with their shapes, as words; none for a model that sees no such view."""
        shapes = [f"{TITLES[name]} {' x '.join(map(str, arrays[f'{name}_db'].shape))}" for name in self.inspector.seen]
        return [', '.join(shapes)] if shapes else []

    def _write_stages(self, stem, samples, title, about):
        inspector = self.inspector
        shown = show_stages(inspector, samples, self.previews)
        arrays, layers = dict(shown.arrays), None
        if inspector.model is not None:
            layers = hear_layers(inspector.model, samples)
        pictures = {'-stages': draw_stages(shown, title)}
        if inspector.seen or shown.audio is not None:
            pictures['-spectra'] = draw_spectra(shown, title, inspector.config, inspector.front_end)
        if self.previews:
            pictures['-augmented'] = draw_augmented(shown, title, inspector.config, inspector.front_end)
        if layers is not None:
            arrays |= {'layer_norms': layers.norms, 'layer_distances': layers.distances, 'layer_edges': layers.edges}
            pictures['-layers'] = draw_layers(layers, title)
        facts = {**about, **shown.facts, 'pictures': [f'{stem}{suffix}.png' for suffix in pictures]}
        return self._save(f'{stem}-stages', arrays, facts, pictures, stem)

    def _write_explanation(self, stem, samples, title, about, window):
        found = explain(self.inspector.model, self.head, samples, self.inspector.waveform)
        answer = _answer(found.facts)
        picture = draw_explanation(found, f'{title}: {answer}', self.inspector.config, self.inspector.front_end)
        facts = {**about, 'run': str(self.run), **window, **found.facts, 'pictures': [f'{stem}-explained.png']}
        return self._save(f'{stem}-explained', found.arrays, facts, {'-explained': picture}, stem), f': {answer}'

    def _save(self, name, arrays, facts=None, pictures=None, stem=None):
        """Write `<name>.npz`, `<name>.json` where there are facts, and `<stem><suffix>.png`; returns their names."""
        held = io.BytesIO()
        np.savez_compressed(held, **arrays)
        names = [f'{name}.npz']
        write_whole(self.folder / names[0], held.getvalue())
        if facts is not None:
            names.append(f'{name}.json')
            write_json(self.folder / names[-1], facts)
        for suffix, picture in pictures.items():
            names.append(f'{name if stem is None else stem}{suffix}.png')
            write_whole(self.folder / names[-1], picture)
        return names


def output_stems(recordings):
    """A file stem for each of `recordings` (recordings.Named); one whose files would meet another's is numbered: a,
    a-2, a-3."""
    taken, stems = set(), []
    for recording in recordings:
        stem, times = recording.path.stem, 2
        while taken & _names(stem):
            stem, times = f'{recording.path.stem}-{times}', times + 1
        taken |= _names(stem)
        stems.append(stem)
    return stems


def _names(stem):
    return {stem + suffix for suffix in SUFFIXES}


def _allowed(feature, features):
    """Whether a feature can be computed at features.sample_rate: the bands of the CQT may lie too high for it."""
    try:
        if feature == 'cqt':
            check_bins(features.cqt, features.sample_rate)
    except SerError:
        return False
    return True


def _answer(facts):
    values = facts['probabilities']
    if values is not None:
        return f"{facts['emotion']} {100 * values[facts['emotion']]:.1f} %"
    return ', '.join(f'{name} {value:.2f}' for name, value in facts['dimensions'].items())
