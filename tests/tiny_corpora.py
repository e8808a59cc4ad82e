"""Corpora small enough to train on in tests, with other keys, speakers and labels, and a matrix of them."""

from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
import torch

from ser.files import write_whole
from ser.matrix import main
from tests.shard_factory import sample, spoiled, write_tar
from tests.tiny import ASSIGNMENTS

BOTH = ('neutral', 'happy', 'angry')
ONCE = [*ASSIGNMENTS, 'training.epochs=1', 'run.device=cpu']
_made = []


def make_corpus(folder, name, emotions, n_speakers=6, first_tone=0, spoil=None):
    """One tar of 2 clips for each of n_speakers and emotions of the corpus `name`; returns the folder.

    spoil: number of a clip whose audio is no audio.
    """
    members = []
    for speaker in range(1, n_speakers + 1):
        for emotion in emotions:
            for take in range(2):
                clip = sample(f'{name}-s{speaker:02d}-{emotion}-{take}', first_tone + len(members) // 2, corpus=name,
                              speaker=f's{speaker:02d}', emotion=emotion, raw_label=emotion,
                              gender='female' if speaker % 2 else 'male')
                members += spoiled(clip) if len(members) // 2 == spoil else clip
    write_tar(folder / f'{name}-00000.tar', members)
    return folder


def two_corpora(folder):
    """['one=...', 'two=...']: corpora that share BOTH and have a label each that the other lacks."""
    return [f"one={make_corpus(folder / 'one', 'one', (*BOTH, 'sad'))}",
            f"two={make_corpus(folder / 'two', 'two', (*BOTH, 'boredom'), first_tone=500)}"]


@dataclass(frozen=True)
class TinyMatrix:
    """out: the folder of a matrix of `shards`, the third of which cannot be decoded. code: its exit code."""

    out: Path
    shards: list
    code: int


@pytest.fixture(scope='session')
def tiny_matrix(tmp_path_factory):
    """Never change it: copy first."""
    # A fixture that several modules import is one fixture each; the matrix is made once all the same.
    if not _made:
        folder = tmp_path_factory.mktemp('tiny-matrix')
        shards = [*two_corpora(folder), f"bad={make_corpus(folder / 'bad', 'bad', BOTH, 4, 900, spoil=5)}"]
        _made.append(TinyMatrix(folder / 'out', shards, run_main(main, '--shards', *shards, '--out', folder / 'out')))
    return _made[0]


def run_main(main, *arguments, more=()):
    """A command's exit code under ONCE and `more` assignments; torch's threads stay as they were.

    Pictures of runs are files without content: drawing them takes longer than the trainings.
    """
    # What draws other pictures takes `save` as it is when first imported.
    import ser.inference.matrix  # noqa: F401

    threads = torch.get_num_threads()
    try:
        with patch('ser.evaluation.plots.save', lambda figure, path: write_whole(path, b'')):
            return main([*map(str, arguments), '--set', *ONCE, *more])
    finally:
        torch.set_num_threads(threads)


def stamps(folder):
    """{path: (mtime in ns, bytes)} of every file below a folder."""
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(folder.rglob('*'))
            if path.is_file() and path.name not in ('.lock', 'train.log')}
