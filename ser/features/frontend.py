"""The front end: a batch's samples to one image per view, on the device, in float32."""

from contextlib import contextmanager

import torch
from torch import nn

from ser.errors import SerError, did_you_mean
from ser.features.augment import SpecAugment
from ser.features.cepstrum import Mfcc, slope
from ser.features.cqt import ENGINES as CQT_ENGINES
from ser.features.image import Imager
from ser.features.learned import initial_filters, learns
from ser.features.level import decibels, frame_counts, frames_at, unit_range, valid_frames
from ser.features.mel import ENGINES as MEL_ENGINES
from ser.features.waveform import Waveform

FEATURES = ('cqt', 'mel', 'mfcc', 'chroma')


class FrontEnd(nn.Module):
    """Samples -> waveform -> power -> decibels -> [0, 1] -> image -> masks -> normalised image, per view.

    Each feature is computed once, however many views show it. What is shown are the frames that the columns of the
    image lie between (features.image.frames), and the banded Mel computes no other. CQT, mel and chroma are decibels
    relative to the clip's maximum over those; MFCC is the cepstrum of those mel decibels and is scaled as it is.
    Everything runs in float32 with autocast off, has no parameters and nothing in the state dict: filters that learn
    are handed in, `initial_filters` in the beginning. A graph is kept only for these and for waveforms, where they
    require gradients.
    """

    decibels = staticmethod(decibels)
    """How power becomes decibels; exports put in one whose silence does not hang on rounding."""

    def __init__(self, features, augment, views, data_rate):
        """features: FeaturesConfig; augment: AugmentConfig; views: view name -> feature; data_rate: Hz of batches."""
        super().__init__()
        self.views = _checked(views)
        self.wanted = tuple(name for name in FEATURES if name in self.views.values())
        self.floor_db, self.delta = features.level.floor_db, features.image.channels == 'delta'
        self.delta_width, self.every = features.image.delta_width, features.image.frames == 'all' or self.delta
        rate = features.sample_rate
        self.waveform = Waveform(features, data_rate)
        self.hops = {name: (features.cqt if name == 'cqt' else features.mel).hop_length for name in FEATURES}
        self.fewest = {name: frame_counts(features.min_samples, hop) for name, hop in self.hops.items()}
        self.cqt = CQT_ENGINES[features.cqt.engine](features.cqt, rate) if 'cqt' in self.wanted else None
        banks = [bank for bank, users in (('mel', {'mel', 'mfcc'}), ('chroma', {'chroma'})) if users & {*self.wanted}]
        self.banks = MEL_ENGINES[features.mel.engine](features.mel, features.chroma, rate, banks) if banks else None
        self.mfcc = Mfcc(features.mfcc.coefficients, features.mel.bins) if 'mfcc' in self.wanted else None
        self.trainable = [name for name, section in (('cqt', features.cqt), ('mel', features.mel)) if section.trainable]
        self.imagers = nn.ModuleDict({name: Imager(features.image, self.hops[name], rate) for name in self.wanted})
        self.spec_augment = SpecAugment(augment.spec_augment) if augment.spec_augment.kind == 'masks' else None

    def initial_filters(self):
        """feature to the float32 tensor that learns (features.cqt.trainable, features.mel.trainable), as it starts."""
        return initial_filters(self.trainable, {'cqt': self.cqt, 'mel': self.banks})

    def prepare(self, lengths, device):
        """Make the CQT tables that batches padded to `lengths` samples need, in that order, within table_mb.

        Returns (how many tables are there, how many the lengths need).
        """
        if not hasattr(self.cqt, 'prepare'):
            return 0, 0
        return self.cqt.prepare([self.waveform.padded(length) for length in lengths], device)

    def kept_tables(self, length, device):
        """The CQT tables of batches padded to `length` samples: () where none are needed, None where none are kept."""
        if not hasattr(self.cqt, 'prepare'):
            return ()
        return self.cqt.kept(self.waveform.padded(length), device)

    def forward(self, waveforms, lengths, draw=None, filters=None):
        """waveforms (B, T) int16 or float, lengths (B,) int64, draw Draw or None, filters as `initial_filters` or None
        -> view to float32 (B, C, size, size), masked where drawn and normalised."""
        with island(waveforms, filters):
            return self.finish(self.raw_images(waveforms, lengths, draw, filters), draw)

    def raw_images(self, waveforms, lengths, draw=None, filters=None):
        """view to float32 (B, 1, size, size) in [0, 1], before masks and normalisation; 3 channels with 'delta'."""
        with island(waveforms, filters):
            samples, lengths = self.waveform(waveforms, lengths, draw)
            columns = self.columns(lengths, samples.shape[1])
            return self.images(self.power(samples, None if self.every else columns, filters), lengths, columns)

    def features(self, waveforms, lengths, filters=None):
        """feature to (values, frames): float32 (B, F, T) in dB (MFCC: coefficients) and valid frames int64 (B,)."""
        with island(waveforms, filters):
            samples, lengths = self.waveform(waveforms, lengths)
            power = self.power(samples, filters=filters)
            frames = {name: frame_counts(lengths, hop) for name, hop in self.hops.items()}
            valid = {name: valid_frames(frames[name], value.shape[-1]) for name, value in power.items()}
            values = self._values(power, valid)
            return {name: (values[name], frames[name]) for name in self.wanted}

    # --- the steps of raw_images, in their order -------------------------------------------------------------

    def columns(self, lengths, samples):
        """feature to the Columns of its images: lengths int64 (B,) of clips in a batch of `samples`, at the features'
        rate."""
        return {name: self.imagers[name].columns(frame_counts(lengths, hop), 1 + samples // hop)
                for name, hop in self.hops.items() if name in self.wanted}

    def power(self, samples, columns=None, filters=None):
        """'cqt', 'mel' and 'chroma', where wanted, to float32 power (B, bands, N) of float32 samples (B, T): N is
        every frame, or those that `columns` show."""
        shown = {name: column.shown for name, column in (columns or {}).items()}
        learned = {name: {'filters': tensor} for name, tensor in (filters or {}).items()}
        power = {}
        if self.banks is not None:
            # One spectrogram, one hop, one size of image: what one feature of it shows, all show.
            columns_of_mel = [shown[name] for name in self.wanted if name != 'cqt' and name in shown]
            power = self.banks(samples, columns_of_mel[0] if columns_of_mel else None, **learned.get('mel', {}))
        if self.cqt is not None:
            power['cqt'] = self.cqt(samples, shown.get('cqt'), **learned.get('cqt', {}))
        return power

    def images(self, power, lengths, columns):
        """view to float32 (B, C, size, size) in [0, 1] of what `power` gave for clips of `lengths` (B,)."""
        valid, frames = {}, {name: frame_counts(lengths, hop) for name, hop in self.hops.items()}
        for name, value in power.items():
            column = columns.get(name) or columns['mfcc']
            valid[name] = valid_frames(frames[name], value.shape[-1]) if self.every else column.inside
        values = self._values(power, valid)
        images = {name: self._image(name, values[name], frames[name], columns[name]) for name in self.wanted}
        return {view: images[feature] for view, feature in self.views.items()}

    def finish(self, images, draw=None):
        """view to float32 (B, channels, size, size): `images` masked by `draw`, normalised."""
        if draw is not None and draw.masks is not None:
            if self.spec_augment is None:
                raise SerError("masks were drawn but augment.spec_augment.kind is 'none'; set it to 'masks'")
            images = {view: self.spec_augment(image, draw.masks.views[view]) for view, image in images.items()}
        return {view: self.imagers[self.views[view]].normalise(image) for view, image in images.items()}

    def _values(self, power, valid):
        values = {name: self.decibels(value, valid[name], self.floor_db) for name, value in power.items()}
        if self.mfcc is not None:
            values['mfcc'] = self.mfcc(values['mel'])
        return values

    def _image(self, feature, values, frames, column):
        if not self.every:
            levels = unit_range(values, column.inside)[:, None]
        else:
            channels = [values]
            if self.delta:
                channels += [slope(values, frames, self.delta_width, order, self.fewest[feature]) for order in (1, 2)]
            valid = valid_frames(frames, values.shape[-1])
            levels = torch.stack([frames_at(unit_range(channel, valid), column.shown) for channel in channels], dim=1)
        return self.imagers[feature].resize(column.between(levels))


@contextmanager
def island(waveforms, filters=None):
    """float32 whatever autocast says around it, and no graph unless waveforms or filters themselves ask for one."""
    with (torch.autocast(waveforms.device.type, enabled=False),
          torch.set_grad_enabled(torch.is_grad_enabled() and (waveforms.requires_grad or learns(filters)))):
        yield


def _checked(views):
    for view, feature in views.items():
        if feature not in FEATURES:
            raise SerError(f"model.views.{view}: no feature is called '{feature}'. Features: {', '.join(FEATURES)}."
                           f'{did_you_mean(feature, FEATURES)} Set model.views.{view}.feature')
    return dict(views)
