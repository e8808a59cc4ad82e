"""Clips to compare on: named ones, the run's test part, or synthetic speech."""

import shutil

import numpy as np
import pytest
import soundfile

from ser.errors import SerError
from ser.exporting.clips import MOST, parity_clips
from ser.inference.recordings import read_recording
from ser.training.run import open_run
from tests.tiny_run import tiny_run  # noqa: F401


def test_the_runs_own_test_part_comes_first(tiny_run):  # noqa: F811
    found, source = parity_clips(tiny_run.path, *open_run(tiny_run.path))
    assert source == "the run's test part"
    keys = [row['key'] for row in tiny_run.predictions()]
    assert len(found) == min(MOST, len(keys))
    longest = int(0.5 * 16000)
    wanted = sorted(read_recording(tiny_run.clips[key], 16000)[:longest].tobytes() for key in keys)
    assert len(keys) > MOST or sorted(clip.tobytes() for clip in found) == wanted


def test_named_clips_are_read_and_cut(tiny_run, tmp_path):  # noqa: F811
    for number in range(MOST + 5):
        soundfile.write(tmp_path / f'{number:02d}.wav', np.full(600 + number, 0.1), 16000)
    config, names = open_run(tiny_run.path)
    found, source = parity_clips(tiny_run.path, config, names, [str(tmp_path)])
    assert source == 'the clips that were named' and len(found) == MOST
    lengths = [len(clip) for clip in found]
    assert lengths == sorted(set(lengths)) and lengths[0] == 600 and lengths[-1] == 623
    soundfile.write(tmp_path / 'long.wav', np.full(30000, 0.1), 16000)
    assert len(parity_clips(tiny_run.path, config, names, [str(tmp_path / 'long.wav')])[0][0]) == 8000
    (tmp_path / 'text.wav').write_text('words')
    with pytest.raises(SerError, match=r'--clips: .*text.wav: .*Name audio files'):
        parity_clips(tiny_run.path, config, names, [str(tmp_path / 'long.wav'), str(tmp_path / 'text.wav')])
    with pytest.raises(SerError, match='no such file'):
        parity_clips(tiny_run.path, config, names, [str(tmp_path / 'none.wav')])


def test_synthetic_speech_is_the_last_resort(tiny_run, tmp_path):  # noqa: F811
    shutil.copytree(tiny_run.path, tmp_path / 'run')
    (tmp_path / 'run' / 'data.json').write_text('{"digest": "of other shards"}')
    config, names = open_run(tmp_path / 'run')
    found, source = parity_clips(tmp_path / 'run', config, names)
    assert source.startswith('the synthetic demo voice (the run')
    assert len(found) == MOST and all(clip.dtype == np.int16 and len(clip) == 8000 for clip in found)
