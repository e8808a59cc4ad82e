"""The front end of models that want time: sequences of frames, and waveforms, with how long each clip is."""

import torch
from torch import nn

from ser.errors import SerError, did_you_mean
from ser.features.cepstrum import Mfcc
from ser.features.frontend import island
from ser.features.learned import initial_filters
from ser.features.level import decibels, frame_counts, valid_frames
from ser.features.mel import ENGINES as MEL_ENGINES
from ser.features.waveform import Waveform

SEQUENCES = ('mel', 'mfcc', 'chroma')
# Deviation, and share of the clip's largest value, under which a row's deviation counts as none and the row is only
# centred: a coefficient is rounded as coarsely as the largest of its frame.
QUIET_DEVIATION = QUIET_SHARE = 1e-5
# (x - mean) / sqrt(variance + this), as transformers' Wav2Vec2FeatureExtractor.
STANDARD_EPSILON = 1e-7


def mean_level(values_db, valid):
    """The level in dB of each clip's mean power over rows and valid frames: float32 (B, 1, 1) of (B, F, T)."""
    power = (10.0 ** (values_db / 10.0)).masked_fill(~valid, 0.0)
    count = valid.sum(dim=2, keepdim=True) * values_db.shape[1]
    return 10.0 * torch.log10(power.sum(dim=(1, 2), keepdim=True) / count)


class SequenceFrontEnd(nn.Module):
    """Samples -> waveform -> power -> decibels -> rows normalised -> masks, over each clip's own frames.

    forward gives a dict: each wanted feature float32 (B, rows, N), 0 from a clip's last frame on; 'frames' int64 (B,),
    how many frames each clip has, the same for all features. Where audio is wanted, 'waveform' float32 (B, T), 0 beyond
    the clip, and 'samples' int64 (B,). Everything is computed in float32 with autocast off.
    """

    decibels, mean_level = staticmethod(decibels), staticmethod(mean_level)
    """How power becomes decibels, and their mean; exports put in some whose silence does not hang on rounding."""

    def __init__(self, features, augment, wanted, data_rate, audio=None):
        """features: FeaturesConfig; augment: AugmentConfig; wanted: names of SEQUENCES; data_rate: Hz of batches.

        audio: None, 'plain', or 'standard' for waveforms of mean 0 and deviation 1 over each clip.
        """
        super().__init__()
        self.wanted = checked_sequences(wanted, 'model.features') if wanted else ()
        self.views, self.audio = self.wanted, audio
        self.sequence, self.floor_db = features.sequence, features.level.floor_db
        self.chroma_power = features.chroma.scale == 'power'
        rate, self.hop_length = features.sample_rate, features.mel.hop_length
        self.waveform = Waveform(features, data_rate)
        banks = [bank for bank, users in (('mel', {'mel', 'mfcc'}), ('chroma', {'chroma'})) if users & {*self.wanted}]
        self.banks = MEL_ENGINES[features.mel.engine](features.mel, features.chroma, rate, banks) if banks else None
        self.trainable = [name for name, section in (('cqt', features.cqt), ('mel', features.mel)) if section.trainable]
        self.mfcc = Mfcc(features.mfcc.coefficients, features.mel.bins) if 'mfcc' in self.wanted else None
        self.fill = getattr(augment.spec_augment, 'fill', None)

    def initial_filters(self):
        """feature to the float32 tensor that learns (features.mel.trainable), as it starts."""
        return initial_filters(self.trainable, {'mel': self.banks})

    def prepare(self, lengths, device):
        """No tables: (0, 0), as FrontEnd.prepare."""
        return 0, 0

    def kept_tables(self, length, device):
        """No tables: (), as FrontEnd.kept_tables."""
        return ()

    def forward(self, waveforms, lengths, draw=None, filters=None):
        """waveforms (B, T) int16 or float, lengths (B,) int64, draw Draw or None, filters as `initial_filters` or None
        -> the views."""
        with island(waveforms, filters):
            samples, lengths = self.waveform(waveforms, lengths, draw)
            views = self.sequences(samples, lengths, draw.masks if draw is not None else None, filters)
            if self.audio is not None:
                views['waveform'] = standardised(samples, lengths) if self.audio == 'standard' else samples
                views['samples'] = lengths
            return views

    def features(self, waveforms, lengths, filters=None):
        """feature to (values, frames): float32 (B, F, T) in dB (MFCC: coefficients), not normalised, int64 (B,)."""
        with island(waveforms, filters):
            samples, lengths = self.waveform(waveforms, lengths)
            frames = frame_counts(lengths, self.hop_length)
            values = self.levels(self.power(samples, filters), frames)
            return {name: (values[name], frames) for name in self.wanted}

    def power(self, samples, filters=None):
        """bank to float32 power (B, bands, N) of float32 samples (B, T)."""
        return self.banks(samples, filters=(filters or {}).get('mel'))

    def sequences(self, samples, lengths, masks=None, filters=None):
        """The wanted features and 'frames' of float32 samples (B, T) at the features' rate, lengths int64 (B,)."""
        if not self.wanted:
            return {}
        frames = frame_counts(lengths, self.hop_length)
        views = {}
        for name, values in self.levels(self.power(samples, filters), frames).items():
            valid = valid_frames(frames, values.shape[-1])
            values = normalised_rows(values, valid) if name in self.sequence.normalise else values
            if masks is not None:
                values = masked_spans(values, frames, masks.views[name], self.fill)
            views[name] = values.masked_fill(~valid, 0.0)
        return {**views, 'frames': frames}

    def levels(self, power, frames):
        """feature to float32 (B, rows, N) in dB of the banks' power; MFCC of those mel decibels, coefficients."""
        values = {}
        for name, value in power.items():
            if name == 'chroma' and self.chroma_power:
                values[name] = value
                continue
            valid = valid_frames(frames, value.shape[-1])
            values[name] = self.decibels(value, valid, self.floor_db)
            if self.sequence.reference == 'mean':
                values[name] = values[name] - self.mean_level(values[name], valid)
        if self.mfcc is not None:
            values['mfcc'] = self.mfcc(values['mel'])
        return {name: values[name] for name in self.wanted}


def checked_sequences(names, where):
    """The names of features as a tuple. Raises SerError for none at all, an unknown one, and one given twice."""
    if not names:
        raise SerError(f"{where}: no feature is left; name at least one of {', '.join(SEQUENCES)}")
    for name in names:
        if name not in SEQUENCES:
            raise SerError(f"{where}: no sequence is called '{name}'. Allowed: {', '.join(SEQUENCES)}."
                           f'{did_you_mean(name, SEQUENCES)}')
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise SerError(f"{where}: '{twice}' is named twice; each feature counts once")
    return tuple(names)


def normalised_rows(values, valid):
    """Each row of each clip with mean 0 and deviation 1 over the valid frames; a constant row is only centred.

    values float32 (B, F, T), valid bool (B, 1, T). Frames that are not valid hold anything.
    """
    count = valid.sum(dim=2, keepdim=True)
    largest = values.detach().masked_fill(~valid, 0.0).abs().amax(dim=(1, 2), keepdim=True)
    quiet = (QUIET_SHARE * largest).clamp(min=QUIET_DEVIATION)
    # Relative to the first frame a constant row is exactly 0, whatever its level: rounding may not pass for variation.
    values = values - values[..., :1].detach()
    centred = values - values.masked_fill(~valid, 0.0).sum(dim=2, keepdim=True) / count
    variance = centred.masked_fill(~valid, 0.0).square().sum(dim=2, keepdim=True) / count
    # No root is taken of 0, where its gradient is infinite.
    return centred / torch.where(variance > quiet.square(), variance, 1.0).sqrt()


def masked_spans(values, frames, draw, fill):
    """SpecAugment on sequences (B, F, T): spans are shares of the clip's own frames, and of the feature's own rows.

    draw: 'time' and 'frequency' spans of a view (SpecAugmentDraw). fill: 'floor' is the clip's least value, 'mean' its
    mean, over its frames.
    """
    valid = valid_frames(frames, values.shape[-1])
    if fill == 'mean':
        total = values.masked_fill(~valid, 0.0).sum(dim=(1, 2), keepdim=True)
        level = total / (valid.sum(dim=2, keepdim=True) * values.shape[1])
    else:
        level = values.masked_fill(~valid, torch.inf).amin(dim=(1, 2), keepdim=True)
    times = (torch.arange(values.shape[2], device=values.device) + 0.5) / frames[:, None]
    rows = ((torch.arange(values.shape[1], device=values.device) + 0.5) / values.shape[1]).expand(len(values), -1)
    masked = _inside(times, draw['time'])[:, None, :] | _inside(rows, draw['frequency'])[:, :, None]
    return torch.where(masked, level, values)


def _inside(places, span):
    """bool (B, N): places float32 (B, N) in [0, 1] that lie in a span of a clip that is masked at all."""
    start, width = span['start'][..., None], span['width'][..., None]
    hit = ((places[:, None] >= start) & (places[:, None] < start + width)).any(dim=1)
    return hit & (span['batch_prob'] > 0)[:, None]


def standardised(waveforms, lengths):
    """float32 (B, T): mean 0 and deviation 1 over each clip's own samples, 0 beyond them.

    transformers' Wav2Vec2FeatureExtractor with do_normalize, clip by clip.
    """
    count = lengths[:, None]
    inside = torch.arange(waveforms.shape[1], device=waveforms.device) < count
    mean = waveforms.masked_fill(~inside, 0.0).sum(dim=1, keepdim=True) / count
    centred = (waveforms - mean).masked_fill(~inside, 0.0)
    variance = centred.square().sum(dim=1, keepdim=True) / count
    return centred / (variance + STANDARD_EPSILON).sqrt()
