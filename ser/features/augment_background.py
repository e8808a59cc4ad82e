"""Recordings of a folder as background: read once, an excerpt for each clip."""

import functools
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ser.corpora.scan import find_audio
from ser.corpora.utterance import Utterance
from ser.errors import SerError
from ser.features.augment_noise import mixed_at
from ser.features.drawn import between
from ser.shards.audio_encode import BadAudio, prepare

log = logging.getLogger(__name__)

MOST_SAMPLES = 1 << 30
"""Samples that all recordings of a folder may hold together, 2 GiB."""
_NAMED = 3
_WHERE = 'augment.waveform, background'


@dataclass(frozen=True)
class Recordings:
    """Recordings one after the other: samples int16 (N,); starts and sizes int64 (R,) of each."""

    samples: torch.Tensor
    starts: torch.Tensor
    sizes: torch.Tensor

    def to(self, device):
        """The same recordings on `device`."""
        return Recordings(self.samples.to(device), self.starts.to(device), self.sizes.to(device))

    def excerpts(self, lengths, total, which, place):
        """float32 (n, total) of recordings for clips of lengths int64 (n,).

        which, place: float32 (n,) in [0, 1], the recording as a share of all, and where the excerpt starts as a share
        of the places where it would fit; a recording shorter than the clip is repeated, from any place on.
        """
        chosen = (which * len(self.sizes)).long().clamp(max=len(self.sizes) - 1)
        size, start = self.sizes[chosen], self.starts[chosen]
        places = torch.where(size >= lengths, size - lengths + 1, size)
        first = torch.minimum((place * places).long(), places - 1)
        inner = (first[:, None] + torch.arange(total, device=lengths.device)) % size[:, None]
        return self.samples[start[:, None] + inner].float() / 32768.0


@functools.lru_cache(maxsize=8)
def read_folder(folder, rate):
    """The Recordings of a folder at `rate` Hz, on the host. Files that cannot be read are named in the log.

    Raises SerError for a folder that is missing, holds no audio or none that can be read, or too much.
    """
    try:
        names = find_audio(Path(folder))[0]
    except SerError as error:
        raise SerError(f'{_WHERE}: {error}. Set its folder to one of audio files') from None
    if not names:
        raise SerError(f"{_WHERE}: no audio file in '{folder}'. Set its folder to one that holds some")
    found, bad, total = [], [], 0
    for name in names:
        try:
            found.append(prepare(Utterance(Path(folder) / name, name, '', '', ''), rate)[0])
        except BadAudio as error:
            reason, detail = error.args
            bad.append(f'{name} ({reason}{": " if detail else ""}{detail})')
            continue
        total += len(found[-1])
        if total > MOST_SAMPLES:
            raise SerError(f"{_WHERE}: the recordings in '{folder}' last longer than {MOST_SAMPLES / rate / 3600:.0f} "
                           f'hours at {rate} Hz, the most that is held in memory. Give a folder with fewer')
    named = ', '.join(bad[:_NAMED]) + (f' and {len(bad) - _NAMED} more' if len(bad) > _NAMED else '')
    if not found:
        raise SerError(f"{_WHERE}: none of the {len(names)} audio files in '{folder}' can be read: {named}")
    if bad:
        log.warning('%s: %d of %d files cannot be read and are left out: %s', _WHERE, len(bad), len(names), named)
    sizes = torch.tensor([len(samples) for samples in found])
    return Recordings(torch.from_numpy(np.concatenate(found)), sizes.cumsum(0) - sizes, sizes)


@functools.lru_cache(maxsize=8)
def _on_device(folder, rate, device):
    return read_folder(folder, rate).to(device)


def check_recordings(steps, rate):
    """Read the folders that steps of augment.waveform name, before a run depends on them. Raises SerError."""
    for step in steps:
        if step.kind == 'one_of':
            check_recordings(step.steps, rate)
        elif step.kind == 'background':
            read_folder(step.folder, rate)


def draw_background(step, draws):
    """Each clip's ratio, recording and place in it."""
    return {'snr_db': between(step.snr_db, draws[:, 0]), 'which': draws[:, 1], 'place': draws[:, 2]}


def background(samples, lengths, drawn, rate):
    """samples (n, T) with an excerpt of the folder's recordings at each clip's ratio."""
    values = drawn.values
    recordings = _on_device(drawn.step.folder, rate, samples.device)
    excerpts = recordings.excerpts(lengths, samples.shape[1], values['which'], values['place'])
    return mixed_at(samples, lengths, excerpts, values['snr_db']), lengths
