"""The front end: a batch's samples to one image per view, on the device, in float32."""

from contextlib import contextmanager

import torch
from torch import nn

from ser.errors import SerError, did_you_mean
from ser.features.augment import SpecAugment
from ser.features.cqt import ENGINES
from ser.features.image import Imager
from ser.features.level import decibels, frame_counts, unit_range
from ser.features.mel import Mfcc, PowerBanks, slope
from ser.features.waveform import Waveform

FEATURES = ('cqt', 'mel', 'mfcc', 'chroma')


class FrontEnd(nn.Module):
    """Samples -> waveform -> power -> decibels -> [0, 1] -> image -> masks -> normalised image, per view.

    Each feature is computed once, however many views show it. CQT, mel and chroma are decibels relative to the
    clip's maximum; MFCC is the cepstrum of those mel decibels and is scaled as it is. Everything runs in float32
    with autocast off, has no parameters and nothing in the state dict. A graph is kept only for waveforms that
    require gradients.
    """

    def __init__(self, features, augment, views, data_rate):
        """features: FeaturesConfig; augment: AugmentConfig; views: view name -> feature; data_rate: Hz of batches."""
        super().__init__()
        self.views = _checked(views)
        self.wanted = tuple(name for name in FEATURES if name in self.views.values())
        self.floor_db, self.delta = features.level.floor_db, features.image.channels == 'delta'
        self.delta_width = features.image.delta_width
        rate = features.sample_rate
        self.waveform = Waveform(data_rate, rate, features.min_samples)
        self.hops = {name: (features.cqt if name == 'cqt' else features.mel).hop_length for name in FEATURES}
        self.fewest = {name: frame_counts(features.min_samples, hop) for name, hop in self.hops.items()}
        self.cqt = ENGINES[features.cqt.engine](features.cqt, rate) if 'cqt' in self.wanted else None
        banks = [bank for bank, users in (('mel', {'mel', 'mfcc'}), ('chroma', {'chroma'})) if users & {*self.wanted}]
        self.banks = PowerBanks(features.mel, features.chroma, rate, banks) if banks else None
        self.mfcc = Mfcc(features.mfcc.coefficients, features.mel.bins) if 'mfcc' in self.wanted else None
        self.imagers = nn.ModuleDict({name: Imager(features.image, self.hops[name], rate) for name in self.wanted})
        self.spec_augment = SpecAugment(augment.spec_augment) if augment.spec_augment.kind == 'masks' else None

    def forward(self, waveforms, lengths, draw=None):
        """waveforms (B, T) int16 or float, lengths (B,) int64, draw SpecAugmentDraw or None
        -> view to float32 (B, C, size, size), masked where drawn and normalised."""
        with _island(waveforms):
            return {view: self._finish(view, image, draw)
                    for view, image in self.raw_images(waveforms, lengths).items()}

    def raw_images(self, waveforms, lengths):
        """view to float32 (B, 1, size, size) in [0, 1], before masks and normalisation; 3 channels with 'delta'."""
        with _island(waveforms):
            images = {feature: self._image(feature, values, frames)
                      for feature, (values, frames) in self.features(waveforms, lengths).items()}
            return {view: images[feature] for view, feature in self.views.items()}

    def features(self, waveforms, lengths):
        """feature to (values, frames): float32 (B, F, T) in dB (MFCC: coefficients) and valid frames int64 (B,)."""
        with _island(waveforms):
            samples, lengths = self.waveform(waveforms, lengths)
            power = self.banks(samples) if self.banks is not None else {}
            if self.cqt is not None:
                power['cqt'] = self.cqt(samples)
            frames = {name: frame_counts(lengths, hop) for name, hop in self.hops.items()}
            values = {name: decibels(power[name], frames[name], self.floor_db) for name in power}
            if self.mfcc is not None:
                values['mfcc'] = self.mfcc(values['mel'])
            return {name: (values[name], frames[name]) for name in self.wanted}

    def _image(self, feature, values, frames):
        channels = [values]
        if self.delta:
            channels += [slope(values, frames, self.delta_width, order, self.fewest[feature]) for order in (1, 2)]
        levels = torch.stack([unit_range(channel, frames) for channel in channels], dim=1)
        return self.imagers[feature].resize(levels, frames)

    def _finish(self, view, image, draw):
        if draw is not None:
            if self.spec_augment is None:
                raise SerError("masks were drawn but augment.spec_augment.kind is 'none'; set it to 'masks'")
            image = self.spec_augment(image, draw.views[view])
        return self.imagers[self.views[view]].normalise(image)


@contextmanager
def _island(waveforms):
    """float32 whatever autocast says around it, and no graph unless the waveforms themselves ask for one."""
    with (torch.autocast(waveforms.device.type, enabled=False),
          torch.set_grad_enabled(torch.is_grad_enabled() and waveforms.requires_grad)):
        yield


def _checked(views):
    for view, feature in views.items():
        if feature not in FEATURES:
            raise SerError(f"model.views.{view}: no feature is called '{feature}'. Features: {', '.join(FEATURES)}."
                           f'{did_you_mean(feature, FEATURES)} Set model.views.{view}.feature')
    return dict(views)
