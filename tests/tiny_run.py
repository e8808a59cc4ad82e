"""A run of the real trainer on small shards, made once a session, and its clips as files."""

import csv
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from ser.train import main
from tests.shard_factory import make_shards
from tests.tiny import ASSIGNMENTS

MAX_SECONDS = 0.5
_made = []


@dataclass(frozen=True)
class TinyRun:
    """path: the run. shards: its folder of tars (22.05 kHz, resampled in reading). clips: key -> audio file."""

    path: Path
    shards: Path
    clips: dict

    def predictions(self):
        """Rows of predictions.csv as dicts."""
        with open(self.path / 'predictions.csv', newline='') as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope='session')
def tiny_run(tmp_path_factory):
    """Never change it: copy first. Some test clips are longer than data.max_seconds and are scored in windows."""
    # A fixture that several modules import is one fixture each; the run is made once all the same.
    if not _made:
        _made.append(_make(tmp_path_factory.mktemp('tiny-run')))
    return _made[0]


def _make(folder):
    make_shards(folder / 'shards', n_speakers=8, clips_per=2, rate=22050)
    threads = torch.get_num_threads()
    code = main(['--shards', str(folder / 'shards'), '--out', str(folder / 'run'), '--set', *ASSIGNMENTS,
                 'training.epochs=1', f'data.max_seconds={MAX_SECONDS}', 'data.long=window'])
    torch.set_num_threads(threads)
    assert code == 0
    (folder / 'clips').mkdir()
    clips = {}
    for path in sorted((folder / 'shards').glob('*.tar')):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith('.flac'):
                    clips[Path(member.name).stem] = folder / 'clips' / member.name
                    clips[Path(member.name).stem].write_bytes(tar.extractfile(member).read())
    return TinyRun(folder / 'run', folder / 'shards', clips)
