"""A run's own front ends on engines that trace: matrix products in place of FFTs, nothing read out of a batch."""

import copy

import torch
from torch import nn
from torch.nn import functional

from ser.exporting.constant_q import OctaveCqt
from ser.exporting.spectrum import MatrixBanks
from ser.exporting.waveform import TraceableWaveform
from ser.features.frontend import FrontEnd
from ser.features.sequences import standardised


class ImageViews(nn.Module):
    """FrontEnd's images, by FrontEnd's own steps."""

    def __init__(self, front_end):
        """front_end: FrontEnd with traceable engines (see `traceable_views`)."""
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
        """front_end: SequenceFrontEnd with traceable engines (see `traceable_views`)."""
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


def traceable_views(config, model):
    """ImageViews or SequenceViews of a run (training.rebuild.load_run), whose filters are those it has learned."""
    front, features = copy.deepcopy(model.front_end), config.features
    front.waveform = TraceableWaveform(features, config.data.sample_rate)
    if front.banks is not None:
        front.banks = MatrixBanks(features, front.banks.banks, _learned(model, 'mel', front.banks))
    if not isinstance(front, FrontEnd):
        return SequenceViews(front)
    if front.cqt is not None:
        front.cqt = OctaveCqt(features.cqt, features.sample_rate, _learned(model, 'cqt', front.cqt))
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
