"""Clips to listen to: chosen by hand-computed probabilities, their audio and pictures decoded again."""

import base64
import io
import json
import shutil

import numpy as np
import pytest
import soundfile
from PIL import Image

from ser.errors import SerError
from ser.evaluation.predictions import Predictions
from ser.reports.exemplars import LISTENING_HZ, MOST_SECONDS, audio_uri, choose, exemplars_of, picture_uri
from tests.tiny_run import tiny_run  # noqa: F401


def decoded(uri, kind):
    head, _, data = uri.partition(',')
    assert head == f'data:{kind};base64'
    return io.BytesIO(base64.b64decode(data))


def test_who_is_chosen_by_hand():
    #            a right, a sure; a -> b twice; b -> c once; c right
    rows = [(0, [.9, .05, .05]), (0, [.6, .3, .1]), (0, [.2, .7, .1]), (0, [.3, .4, .3]), (1, [.1, .1, .8]),
            (1, [.2, .5, .3]), (2, [.1, .2, .7]), (2, [0, .05, .95])]
    labels, values = zip(*rows, strict=True)
    said = Predictions.from_probabilities([f'k{n}' for n in range(8)], [None] * 8, labels, values, ('a', 'b', 'c'))
    assert choose(said, said.probabilities, 1) == [('hardest', 4), ('confused', 2), ('clearest', 7)]
    # Wrong ones are used up by two kinds; of the right ones one of each class comes first.
    assert choose(said, said.probabilities, 2) == [
        ('hardest', 4), ('hardest', 2), ('confused', 3), ('clearest', 7), ('clearest', 0)]
    assert [place for kind, place in choose(said, said.probabilities, 9) if kind == 'clearest'] == [7, 0, 5, 6, 1]
    # A right answer that is hardly likely takes no wrong one's place.
    near = Predictions.from_probabilities(['k0', 'k1'], [None] * 2, [0, 0], [[.4, .3, .3], [.45, .55, 0]],
                                          ('a', 'b', 'c'))
    assert choose(near, near.probabilities, 1) == [('hardest', 1), ('clearest', 0)]
    right = Predictions.from_probabilities(['k'], [None], [0], [[.9, .1]], ('a', 'b'))
    assert choose(right, right.probabilities, 3) == [('clearest', 0)]


def test_audio_is_the_clip_at_a_rate_and_length_for_listening():
    times = np.arange(48000 * 12) / 48000
    loud = np.rint(8000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)
    samples, rate = soundfile.read(decoded(audio_uri(loud, 48000), 'audio/ogg'))
    assert rate == LISTENING_HZ and samples.ndim == 1 and len(samples) == MOST_SECONDS * LISTENING_HZ
    spectrum = np.abs(np.fft.rfft(samples))
    assert abs(np.argmax(spectrum) / MOST_SECONDS - 440) < 1
    samples, rate = soundfile.read(decoded(audio_uri(loud[:8000], 16000), 'audio/ogg'))
    assert (rate, len(samples)) == (16000, 8000) and np.corrcoef(samples, loud[:8000])[0, 1] > 0.99


def test_pictures_stand_the_right_way_up_and_are_small():
    values = np.zeros((40, 1000), dtype=np.float32)
    values[0] = -80.0
    picture = Image.open(decoded(picture_uri(values), 'image/png'))
    assert picture.size == (320, 40)
    pixels = np.asarray(picture.convert('RGB')).astype(int).sum(axis=2)
    assert (pixels[-1] < 20).all() and (pixels[:-1] > 500).all(), 'the lowest band is not at the bottom'
    flat = Image.open(decoded(picture_uri(np.full((8, 8), 3.0)), 'image/png'))
    assert flat.size == (8, 8)
    colour = np.zeros((3, 8, 8), dtype=np.float32)
    colour[0, 0] = 1.0
    pixels = np.asarray(Image.open(decoded(picture_uri(colour), 'image/png')))
    assert pixels.shape == (8, 8, 3) and (pixels[-1] == (255, 0, 0)).all() and not pixels[:-1].any()


@pytest.fixture
def run(tiny_run, tmp_path):  # noqa: F811
    """A copy that is not calibrated."""
    path = shutil.copytree(tiny_run.path, tmp_path / 'run')
    (path / 'calibration.json').unlink(missing_ok=True)
    return path


def test_the_clips_of_a_run(tiny_run, run):  # noqa: F811
    found = exemplars_of(run, count=2, device='cpu')
    rows = {row['key']: row for row in tiny_run.predictions()}
    assert [one.kind for one in found] == sorted((one.kind for one in found), key=('hardest', 'confused',
                                                                                  'clearest').index)
    assert len({one.key for one in found}) == len(found) and {one.kind for one in found} >= {'hardest', 'clearest'}
    for one in found:
        row = rows[one.key]
        assert (one.label, one.predicted, one.speaker) == (row['label'], row['predicted'], row['speaker'])
        assert one.confidence == float(row[row['predicted']]) and one.true_probability == float(row[row['label']])
        assert (one.label == one.predicted) == (one.kind == 'clearest')
        samples, rate = soundfile.read(decoded(one.audio, 'audio/ogg'))
        assert len(samples) / rate == pytest.approx(one.seconds)
        assert set(one.views) == {'mel'} and Image.open(decoded(one.views['mel'], 'image/png')).size == (32, 32)
    hardest = [one.true_probability for one in found if one.kind == 'hardest']
    assert hardest[0] == min(float(row[row['label']]) for row in rows.values()) and hardest == sorted(hardest)


def test_a_calibrated_run_says_calibrated_probabilities(tiny_run, run):  # noqa: F811
    (run / 'calibration.json').write_text(json.dumps({'temperature': 0.5}))
    rows = {row['key']: row for row in tiny_run.predictions()}
    one = exemplars_of(run, count=1, device='cpu')[0]
    values = [float(rows[one.key][name]) ** 2 for name in ('neutral', 'happy', 'sad', 'angry')]
    assert one.confidence == pytest.approx(max(values) / sum(values))


def test_without_its_shards_and_with_none_asked_for_it_says_so(tiny_run, tmp_path):  # noqa: F811
    with pytest.raises(SerError, match='its test part is not at hand'):
        exemplars_of(tiny_run.path, [str(tmp_path / 'gone')])
    with pytest.raises(SerError, match='count 0: at least one clip'):
        exemplars_of(tiny_run.path, count=0)
