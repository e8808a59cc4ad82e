"""The service on a real small model: the answers of `ser predict`, whatever the company; pictures; threads."""

import asyncio
import base64
import io

import numpy as np
import pytest
from PIL import Image

from ser.errors import SerError
from ser.evaluation.calibration import Calibration
from ser.inference.predictor import Predictor
from ser.inference.recordings import Named
from ser.serving.app import build_app
from ser.serving.limits import Limits
from ser.serving.service import QueuedPredictor, Service
from tests.served import StandIn, ask, asked, form, wav_of_floats
from tests.tiny_run import tiny_run  # noqa: F401


@pytest.fixture(scope='module')
def real(tiny_run):  # noqa: F811
    made = Service(tiny_run.path, Predictor(tiny_run.path, 'cpu'), Limits(max_wait_ms=20.0), threads=1)
    made.warm_up()
    yield made
    made.close()


def test_answers_are_those_of_ser_predict_in_any_company(real, tiny_run):  # noqa: F811
    async def together():
        return await asyncio.gather(*(asked(app, 'POST', '/predict', files=form(path.read_bytes())) for path in paths))

    app, paths = build_app(real), list(tiny_run.clips.values())[:24]
    said = list(real.predictor.predict([Named(path) for path in paths]))
    alone = [ask(app, 'POST', '/predict', files=form(path.read_bytes())).json() for path in paths[:4]]
    answers = [answer.json() for answer in asyncio.run(together())]
    assert any(result.values is not None for result in said)
    for result, answer in zip(said, answers, strict=True):
        np.testing.assert_allclose(list(answer['probabilities'].values()), result.values, atol=1e-5, rtol=0)
        assert answer['emotion'] == result.emotion and tuple(answer['probabilities']) == real.predictor.names
    for one, answer in zip(alone, answers, strict=False):
        np.testing.assert_allclose(list(one['probabilities'].values()), list(answer['probabilities'].values()),
                                   atol=1e-5, rtol=0)
    lines = [line.rpartition(' ') for line in real.metrics.text().splitlines() if not line.startswith('#')]
    heard = {name: float(value) for name, _, value in lines}
    assert heard['ser_batch_clips_bucket{le="2"}'] < heard['ser_batch_clips_count'], 'no batch of more than two'


def test_an_explanation_and_a_timeline(real, tiny_run):  # noqa: F811
    app, data = build_app(real), next(path for path in tiny_run.clips.values()).read_bytes()
    found = ask(app, 'POST', '/explain', files=form(data)).json()
    assert list(found) == ['seconds', 'start', 'waveform', 'views', 'attention']
    assert 0 < found['seconds'] <= 0.5 and found['start'] == 0 and found['attention'] is None
    assert found['waveform']['sample_rate'] == 16000 and len(found['waveform']['peaks']) == 600
    view, = found['views']
    pictures = [Image.open(io.BytesIO(base64.b64decode(view[key].removeprefix('data:image/png;base64,'))))
                for key in ('png', 'saliency')]
    assert view['name'] == 'mel' and [picture.size for picture in pictures] == [(32, 32)] * 2
    assert [picture.mode for picture in pictures] == ['RGB', 'RGBA']
    later = ask(app, 'POST', '/explain', files=form(data), params={'start': 0.2}).json()
    assert later['start'] == 0.2 and later['seconds'] < found['seconds']
    beyond = ask(app, 'POST', '/explain', files=form(data), params={'start': 99})
    assert beyond.status_code == 422 and 'start is 99 s; clip.wav ends at 0.' in beyond.json()['error']
    # Of a pause that is longer than the model hears at once it would explain nothing.
    quiet = wav_of_floats(np.concatenate([np.full(8000, 0.5, np.float32), np.zeros(16000, np.float32)]))
    assert ask(app, 'POST', '/explain', files=form(quiet)).status_code == 200
    silent = ask(app, 'POST', '/explain', files=form(quiet), params={'start': 0.75})
    assert silent.status_code == 422 and silent.json()['error'] == (
        'nothing is to be heard in clip.wav from 0.75 s to 1.25 s: the model is not asked about silence')
    # The model still answers as before.
    assert ask(app, 'POST', '/predict', files=form(data)).status_code == 200
    timeline = ask(app, 'POST', '/timeline', files=form(data), params={'window': 0.3, 'hop': 0.1}).json()
    assert tuple(timeline['classes']) == real.predictor.names and timeline['windows']


def test_calibration_is_applied_after_the_mean(real, monkeypatch):
    values = np.array([0.5, 0.3, 0.1, 0.1])
    monkeypatch.setattr(real.predictor, 'calibration', Calibration())
    assert list(real._said(values)['probabilities'].values()) == pytest.approx(values.tolist())
    monkeypatch.setattr(real.predictor, 'calibration', Calibration(2.0, 0.45, 0.2))
    said, root = real._said(values), np.sqrt(values) / np.sqrt(values).sum()
    assert list(said['probabilities'].values()) == pytest.approx(root.tolist())
    assert (said['emotion'], said['likeliest'], said['threshold']) == ('unknown', real.predictor.names[0], 0.45)


def test_a_timeline_that_nobody_waits_for_ends(real):
    model = QueuedPredictor(real.predictor, real.batcher)
    assert model.sample_rate == 16000 and model.values([np.ones(8000, np.int16)]).shape == (1, 4)
    model.stop()
    with pytest.raises(SerError, match='nobody waits'):
        model.values([np.ones(8000, np.int16)])


def test_runs_that_predict_dimensions_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr('ser.serving.service.read_task', lambda run: {'kind': 'dimensions'})
    with pytest.raises(SerError, match='predicts dimensions; ser serve answers with emotions. Use ser predict'):
        Service(tmp_path, StandIn(), Limits())
