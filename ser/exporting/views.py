"""A run's own front ends on engines that trace: matrix products in place of FFTs, nothing read out of a batch."""

import torch
from torch import nn
from torch.nn import functional

from ser.exporting.constant_q import OctaveCqt
from ser.exporting.spectrum import MatrixBanks
from ser.exporting.waveform import TraceableWaveform
from ser.features.frontend import FrontEnd
from ser.features.level import decibels
from ser.features.sequences import SequenceFrontEnd, mean_level, standardised


def steady_decibels(power, valid, floor_db):
    """`decibels` whose floor is one number, whichever way a runtime rounds its logarithm.

    Images and rows are scaled by how much they vary: of silence, rounding would be all that does.
    """
    return decibels(power, valid, floor_db - 1.0).clamp(min=floor_db)


def steady_mean_level(values_db, valid):
    """`mean_level`, taken from the loudest: of unchanging decibels exactly what they are."""
    loudest = values_db.amax(dim=(1, 2), keepdim=True)
    return loudest + mean_level(values_db - loudest, valid)


class SteadyFrontEnd(FrontEnd):
    """FrontEnd with `steady_decibels`."""

    decibels = staticmethod(steady_decibels)


class SteadySequences(SequenceFrontEnd):
    """SequenceFrontEnd with `steady_decibels` and `steady_mean_level`."""

    decibels, mean_level = staticmethod(steady_decibels), staticmethod(steady_mean_level)


class ImageViews(nn.Module):
    """FrontEnd's images, by FrontEnd's own steps."""

    def __init__(self, front_end):
        """front_end: SteadyFrontEnd with traceable engines (see `traceable_views`)."""
        super().__init__()
        self.front_end = front_end

    def forward(self, waveforms, lengths):
        """waveforms float32 (B, T), lengths int64 (B,) -> view to float32 (B, C, size, size)."""
        front = self.front_end
        samples, lengths = front.waveform(waveforms, lengths)
        columns = front.columns(lengths, samples.shape[1])
        power = front.power(samples, None if front.every else columns)
        return front.finish(front.images(power, lengths, columns))


class SequenceViews(nn.Module):
    """SequenceFrontEnd's sequences and waveforms, by its own steps."""

    def __init__(self, front_end):
        """front_end: SteadySequences with traceable engines (see `traceable_views`)."""
        super().__init__()
        self.front_end = front_end

    def forward(self, waveforms, lengths):
        """waveforms float32 (B, T), lengths int64 (B,) -> the views of SequenceFrontEnd."""
        front = self.front_end
        samples, lengths = front.waveform(waveforms, lengths)
        views = front.sequences(samples, lengths)
        if front.audio is not None:
            views['waveform'] = standardised(samples, lengths) if front.audio == 'standard' else samples
            views['samples'] = lengths
        return views


class MatrixImager(nn.Module):
    """An Imager whose resize is one matrix, which holds torch's own weights, and whose shapes nobody checks."""

    def __init__(self, imager, rows):
        """imager: Imager. rows: of the feature that it shows."""
        super().__init__()
        self.inner = imager
        matrix = functional.interpolate(torch.eye(rows)[None, None], (imager.size, rows), mode='bilinear',
                                        align_corners=False, antialias=False)[0, 0]
        self.register_buffer('matrix', matrix.contiguous(), persistent=False)

    def columns(self, frames, total):
        """As Imager.columns."""
        return self.inner.columns(frames, total)

    def resize(self, columns):
        """As Imager.resize: float32 (B, C, F, size) -> (B, C, size, size)."""
        return self.matrix @ columns

    def normalise(self, images):
        """As Imager.normalise."""
        mean, std = (part.view(1, -1, 1, 1) for part in (self.inner.mean, self.inner.std))
        return (images.expand(-1, self.inner.channels, -1, -1) - mean) / std


class SteadyMfcc(nn.Module):
    """Mfcc whose coefficients of unchanging decibels do not change either, whichever way a runtime rounds."""

    def __init__(self, mfcc):
        """mfcc: features.cepstrum.Mfcc."""
        super().__init__()
        self.inner = mfcc

    def forward(self, mel_db):
        """As Mfcc.forward."""
        first = mel_db[..., :1]
        return self.inner(mel_db - first) + self.inner(first)


def traceable_views(config, model):
    """ImageViews or SequenceViews of a run (training.rebuild.load_run), whose filters are those it has learned."""
    theirs, features, rate = model.front_end, config.features, config.data.sample_rate
    images = isinstance(theirs, FrontEnd)
    if images:
        front = SteadyFrontEnd(features, config.augment, theirs.views, rate)
    else:
        front = SteadySequences(features, config.augment, theirs.wanted, rate, theirs.audio)
    front.waveform = TraceableWaveform(features, rate)
    if front.banks is not None:
        front.banks = MatrixBanks(features, front.banks.banks, _learned(model, 'mel', theirs.banks))
    if front.mfcc is not None:
        front.mfcc = SteadyMfcc(front.mfcc)
    if not images:
        return SequenceViews(front)
    if front.cqt is not None:
        front.cqt = OctaveCqt(features.cqt, features.sample_rate, _learned(model, 'cqt', theirs.cqt))
    rows = {'cqt': features.cqt.bins, 'mel': features.mel.bins, 'mfcc': features.mfcc.coefficients,
            'chroma': features.chroma.bins}
    front.imagers = nn.ModuleDict({name: MatrixImager(imager, rows[name]) for name, imager in front.imagers.items()})
    return ImageViews(front)


def _learned(model, name, engine):
    """What a run has learned of a feature's filters, as they are used, or None."""
    if engine.learned is None:
        return None
    found = engine.learned(model.network.filters[name].detach())
    return found.relu() if name == 'mel' else found
