"""The README's first command on the synthetic corpus: better than chance, worse than perfect, and fair."""

import csv
import io
import json
import os
import subprocess
import sys
import tarfile
from collections import defaultdict
from pathlib import Path

import pytest

from ser.randomness import permutation
from ser.shards.demo_shards import ensure_demo_shards

ROOT = Path(__file__).resolve().parent.parent


def train(folder, *arguments):
    """`python -m ser.train` in a folder of its own; returns the run directory."""
    done = subprocess.run([sys.executable, '-m', 'ser.train', *map(str, arguments)], cwd=folder, capture_output=True,
                          text=True, timeout=1200, env=os.environ | {'PYTHONPATH': str(ROOT)})
    assert done.returncode == 0, done.stderr[-3000:]
    run, = (folder / 'runs').iterdir()
    return run


def score(run):
    return json.loads((run / 'test_metrics.json').read_text())


def permuted(source, target):
    """The same audio with each speaker's labels permuted among the speaker's own clips."""
    samples = []
    for path in sorted(source.glob('*.tar')):
        with tarfile.open(path) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar}
        samples += [(name, members[name], json.loads(members[name.replace('.flac', '.json')]))
                    for name in members if name.endswith('.flac')]
    of_speaker = defaultdict(list)
    for number, (_, _, fields) in enumerate(samples):
        of_speaker[fields['speaker']].append(number)
    target.mkdir()
    with tarfile.open(target / 'permuted.tar', 'w') as tar:
        for speaker, numbers in of_speaker.items():
            order = permutation(len(numbers), 'control', speaker)
            for number, other in zip(numbers, order, strict=True):
                name, audio, fields = samples[number]
                emotion = samples[numbers[other]][2]['emotion']
                text = json.dumps(fields | {'emotion': emotion, 'raw_label': emotion}).encode()
                for member, data in ((name, audio), (name.replace('.flac', '.json'), text)):
                    info = tarfile.TarInfo(member)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return target


@pytest.mark.slow
def test_the_demo_is_neither_trivial_nor_hopeless_and_ends_with_what_the_readme_promises(tmp_path):
    run = train(tmp_path)
    metrics = score(run)
    assert 0.45 <= metrics['ua'] <= 0.90
    assert metrics['ua_interval'][0] > metrics['chance'] == pytest.approx(0.2)
    assert metrics['synthetic'] and metrics['n_speakers'] >= 5
    assert (run / 'confusion_matrix.png').stat().st_size > 5000
    with open(run / 'split.csv', newline='') as file:
        assert sum(row['part'] == 'train' for row in csv.DictReader(file)) <= 400


@pytest.mark.slow
def test_with_labels_permuted_within_speaker_the_same_command_stays_at_chance(tmp_path):
    ensure_demo_shards(tmp_path / 'demo')
    run = train(tmp_path, '--shards', permuted(tmp_path / 'demo', tmp_path / 'permuted'), '--config', 'demo')
    metrics = score(run)
    low, high = metrics['ua_interval']
    assert low <= metrics['chance'] <= high


def test_a_demo_folder_that_holds_something_else_is_refused(tmp_path):
    from ser.errors import SerError

    (tmp_path / 'shards.json').write_text('{}')
    with pytest.raises(SerError, match='holds other shards than the demo corpus'):
        ensure_demo_shards(tmp_path)
