"""The routes, each with every status it can have and the sentence that goes with it."""

import asyncio
import json

import numpy as np
import pytest

from ser.errors import SerError
from ser.evaluation.calibration import Calibration
from ser.serving.app import PAGE, ROUTES, TYPES, build_app
from tests.served import StandIn, ask, asked, clip, flac_claiming, form, service, wav_of_floats

TOKEN = 'a-long-token'


@pytest.fixture
def made(tmp_path):
    with service(tmp_path / 'my-run', max_bytes=200_000, max_seconds=5.0) as one:
        yield one


@pytest.fixture
def app(made):
    return build_app(made)


def error(response):
    assert response.headers['content-type'] == 'application/json' and list(response.json()) == ['error']
    return response.status_code, response.json()['error']


def test_a_prediction(app, made):
    found = ask(app, 'POST', '/predict', files=form(clip(1), '../a clip.wav')).json()
    values = made.predictor.values([np.frombuffer(clip(1)[44:], '<i2')])[0]
    assert list(found) == ['file', 'seconds', 'emotion', 'likeliest', 'confidence', 'silent', 'short', 'calibrated',
                           'threshold', 'probabilities']
    assert (found['silent'], found['short']) == (False, False)
    assert found['probabilities'] == pytest.approx(dict(zip(made.predictor.names, values, strict=True)), abs=1e-12)
    assert found['file'] == 'a clip.wav' and found['seconds'] == 0.5
    assert found['calibrated'] is False and found['threshold'] is None
    assert found['likeliest'] == found['emotion'] and found['confidence'] == max(found['probabilities'].values())


def test_a_calibrated_run_may_say_unknown(app, made):
    made.predictor.calibration = Calibration(2.0, 0.9, facts={'temperature': 2.0})
    found = ask(app, 'POST', '/predict', files=form(clip())).json()
    assert (found['emotion'], found['calibrated'], found['threshold']) == ('unknown', True, 0.9)
    assert found['likeliest'] in made.predictor.names and found['confidence'] < 0.9


def test_less_than_a_syllable_is_said_to_be_short(app):
    for samples, short in ((80, True), (1599, True), (1600, False)):
        found = ask(app, 'POST', '/predict', files=form(clip(1, samples / 16000))).json()
        assert found['short'] is short and found['likeliest'], samples
    schema = ask(app, 'GET', '/openapi.json').json()['components']['schemas']['Prediction']
    assert schema['properties']['short']['type'] == 'boolean' and 'short' in schema['required']


def test_silence_is_said_and_the_model_not_asked(app, made):
    made.predictor.sizes.clear()
    found = ask(app, 'POST', '/predict', files=form(wav_of_floats(np.zeros(8000, np.float32)))).json()
    assert (found['emotion'], found['silent'], found['likeliest'], found['confidence']) == ('silence', True, None, None)
    assert found['probabilities'] == {} and made.predictor.sizes == []


def test_a_long_clip_is_heard_in_windows(app, made):
    made.predictor.sizes.clear()
    long = clip(3, 4.5)
    found = ask(app, 'POST', '/predict', files=form(long)).json()
    assert made.predictor.sizes == [3] and found['seconds'] == 4.5
    samples = np.frombuffer(long[44:], '<i2')
    values = made.predictor.values(np.split(samples, 3)).mean(axis=0)
    assert list(found['probabilities'].values()) == pytest.approx(values.tolist(), abs=1e-12)


def test_a_timeline(app):
    found = ask(app, 'POST', '/timeline', files=form(clip(3, 3.0)), params={'window': 1, 'hop': 0.5}).json()
    assert (found['file'], found['seconds']) == ('clip.wav', 3.0)
    assert (found['window_seconds'], found['hop_seconds']) == (1.0, 0.5)
    assert len(found['windows']) == 5 and found['segments'][-1]['end'] == 3.0
    assert error(ask(app, 'POST', '/timeline', files=form(b'some text')))[0] == 400
    damaged = clip(3, 3.0)[:-100]
    assert error(ask(app, 'POST', '/timeline', files=form(damaged)))[1].startswith('clip.wav: cut short')


@pytest.mark.parametrize('query, told', [
    ({'window': 99}, 'window'), ({'window': 'nan'}, 'window'), ({'window': 1, 'hop': 2}, 'hop'),
    ({'hop': 0.049}, '0.05'), ({'hop': 'x'}, 'hop: ')])
def test_lengths_that_do_not_fit(app, query, told):
    status, sentence = error(ask(app, 'POST', '/timeline', files=form(clip(3, 3.0)), params=query))
    assert status == 422 and told in sentence


def test_facts(app):
    health = ask(app, 'GET', '/health')
    assert health.json() == {'status': 'ok', 'model': 'my-run'} and health.status_code == 200
    found = ask(app, 'GET', '/model').json()
    assert list(found) == ['name', 'system', 'classes', 'sample_rate', 'score', 'calibrated', 'threshold', 'limits',
                           'notes']
    assert found['limits'] == {'max_bytes': 200_000, 'max_seconds': 5.0}
    assert found['classes'] == ['calm', 'happy', 'sad'] and found['score'] is None
    page = ask(app, 'GET', '/metrics')
    assert page.headers['content-type'] == 'text/plain; version=0.0.4; charset=utf-8'
    assert 'ser_requests_total{route="/model",status="200"} 1' in page.text and 'ser_queue_length 0' in page.text


def test_the_page_and_its_files(app):
    for path in [path for path in PAGE.glob('*') if path.suffix in TYPES]:
        answer = ask(app, 'GET', '/' if path.name == 'index.html' else f'/static/{path.name}')
        assert answer.status_code == 200 and answer.content == path.read_bytes()
        assert answer.headers['content-type'] == TYPES[path.suffix] and answer.headers['cache-control'] == 'no-cache'
        assert "default-src 'self'" in answer.headers['content-security-policy']
    for name in ('..%2Fapp.py', '%2e%2e/app.py', 'gone.js', 'index.html%00', ''):
        assert ask(app, 'GET', f'/static/{name}').status_code == 404


def test_every_field_is_described_with_an_example(app):
    schema = ask(app, 'GET', '/openapi.json').json()
    assert set(schema['paths']) == set(ROUTES) - {'/', '/openapi.json'}
    for path in ('/predict', '/timeline', '/explain'):
        post = schema['paths'][path]['post']
        fields = post['requestBody']['content']['multipart/form-data']['schema']
        assert fields['required'] == ['file'] and fields['properties']['file']['format'] == 'binary'
        assert set(post['responses']) == {'200', '400', '401', '413', '422', '429', '503', '504'}
        for status, answer in post['responses'].items():
            assert '$ref' in answer['content']['application/json']['schema'], (path, status)
    models = schema['components']['schemas']
    assert {'Prediction', 'Timeline', 'Explanation', 'Failure'} <= set(models)
    for name in set(models) - {'HTTPValidationError', 'ValidationError'}:
        for field, facts in models[name]['properties'].items():
            shaped = '$ref' in json.dumps(facts)
            assert shaped or facts.get('description'), f'{name}.{field}'
            assert shaped or facts.get('examples') or facts.get('type') == 'boolean', f'{name}.{field}'
    assert ask(app, 'GET', '/docs').status_code == ask(app, 'GET', '/redoc').status_code == 404


@pytest.mark.parametrize('files, status, told', [
    (form(b'just text', 'notes.wav'), 400, 'notes.wav is not audio: it is text'),
    (form(b''), 400, 'clip.wav is empty'),
    (form(clip(1, 6.0, 'ogg')), 413, 'clip.wav is 6 s long by its header; 5 s are the most'),
    (form(bytes(250_000)), 413, 'larger than 195 KiB'),
    (form(bytes(201_000)), 413, 'larger than 195 KiB'),
    (form(flac_claiming(clip(suffix='flac'), frames=1 << 34)), 400, 'more than its'),
    ({'data': ('clip.wav', clip())}, 422, "no field 'file', but 'data'. Send one file as the multipart form field"),
    ({'audio': ('clip.wav', clip(1, 2.0))}, 422, "the field 'audio' of the form has more than 16384 bytes, which only"),
    ([('file', ('a.wav', clip())), ('file', ('b.wav', clip()))], 422, 'several fields')])
@pytest.mark.parametrize('path', ['/predict', '/timeline', '/explain'])
def test_refused_uploads(app, made, path, files, status, told):
    found, sentence = error(ask(app, 'POST', path, files=files))
    assert found == status and told in sentence
    assert made.requests == made.held_bytes == made._coming == 0


def test_names_in_errors_are_harmless_json(app):
    name = '<script>alert("x")</script>\u202e.wav'
    sentence = error(ask(app, 'POST', '/predict', files=form(b'text', name)))[1]
    assert sentence.startswith('script>.wav is not audio')


@pytest.mark.parametrize('path, query, told', [
    ('/predict', 'top=3', "unknown key 'top' in the query of /predict, which has none."),
    ('/timeline', 'windw=1',
     "unknown key 'windw' in the query of /timeline, which has window and hop alone. Did you mean 'window'?"),
    ('/timeline', 'hop=1&hop=2', "the query has 'hop' several times"),
    ('/explain', 'begin=1', "unknown key 'begin' in the query of /explain, which has start alone.")])
def test_unknown_keys_of_a_query_are_refused(app, made, path, query, told):
    assert error(ask(app, 'POST', f'{path}?{query}', files=form(clip()))) == (422, told)
    assert made.predictor.sizes == []


def test_json_ends_with_a_newline(app):
    answers = [ask(app, 'POST', '/predict', files=form(clip())), ask(app, 'POST', '/timeline', files=form(clip())),
               ask(app, 'GET', '/openapi.json'), ask(app, 'GET', '/health'), ask(app, 'GET', '/nothing'),
               ask(app, 'GET', '/', headers={'host': 'evil.example'})]
    for answer in answers:
        assert answer.content.endswith(b'}\n') and int(answer.headers['content-length']) == len(answer.content)


def health(app):
    answer = ask(app, 'GET', '/health')
    assert set(answer.json()) == {'status', 'model', 'error'} and answer.status_code == 503
    return answer.json()['status'], answer.json()['error']


def test_a_model_that_is_stuck_is_told_and_nobody_waits_for_it(app, made, monkeypatch):
    made.predictor.gate.clear()
    waiting = made.batcher.submit([np.zeros(100, np.int16)])
    assert made.predictor.entered.acquire(timeout=5)
    assert ask(app, 'GET', '/health').status_code == 200
    monkeypatch.setattr(made.batcher, '_began', made.batcher._began - 21)
    state, sentence = health(app)
    assert state == 'stuck' and sentence.startswith('the model has been at one batch for 21 s, longer than a request')
    answer = ask(app, 'POST', '/predict', files=form(clip()))
    assert error(answer) == (503, sentence) and answer.headers['retry-after'] == '5'
    made.predictor.gate.set()
    waiting.result(5)
    made.batcher.call(lambda: None).result(5)
    assert ask(app, 'POST', '/predict', files=form(clip())).status_code == 200
    assert ask(app, 'GET', '/health').json()['status'] == 'ok'


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_model_that_is_dead_is_told(app, made):
    def values(clips):
        raise SystemExit

    made.batcher._values = values
    told = 'the model has stopped working; its log says why. The server must be started again'
    # Whose clip it was, and who comes after it.
    for _ in range(2):
        assert error(ask(app, 'POST', '/predict', files=form(clip()))) == (503, told)
    made.batcher._thread.join(5)
    assert health(app) == ('dead', told)
    made.stopping = True
    assert health(app) == ('stopping', 'the server is stopping')


def test_other_paths_and_methods(app):
    status, sentence = error(ask(app, 'GET', '/nothing'))
    assert status == 404 and "nothing is here at '/nothing'. Paths: / /health" in sentence
    assert error(ask(app, 'GET', '/predict')) == (
        405, "GET is not for /predict. Send one file by POST, as the multipart form field 'file'")
    assert error(ask(app, 'POST', '/model')) == (405, 'POST is not for /model. It takes GET')
    assert error(ask(app, 'POST', '/predict', content=b'x'))[0] == 422
    assert error(ask(app, 'POST', '/predict', files=form(clip()), headers={'content-encoding': 'gzip'}))[0] == 422


def test_the_door_is_closed_to_others(app, made):
    assert error(ask(app, 'GET', '/', headers={'host': 'evil.example'}))[0] == 403
    assert error(ask(app, 'POST', '/predict', files=form(clip()), headers={'origin': 'http://evil.example'}))[0] == 403
    kept = build_app(made, '0.0.0.0', TOKEN)
    answer = ask(kept, 'POST', '/predict', files=form(clip()))
    assert error(answer)[0] == 401 and answer.headers['www-authenticate'] == 'Bearer'
    assert ask(kept, 'GET', '/health').status_code == 200
    headers = {'authorization': f'Bearer {TOKEN}'}
    assert ask(kept, 'POST', '/predict', files=form(clip()), headers=headers).status_code == 200


def test_a_model_that_fails_is_no_crash_and_tells_clients_no_paths(app, made, caplog):
    def values(clips):
        raise SerError('/srv/models/secret/best.safetensors: cannot be read')

    made.batcher._values = values
    for path in ('/predict', '/timeline'):
        caplog.clear()
        assert error(ask(app, 'POST', path, files=form(clip()))) == (
            500, 'the model could not answer; the log of the server says why')
        assert f'{path}: /srv/models/secret/best.safetensors: cannot be read' in caplog.text
    made.batcher._values = lambda clips: 1 / 0
    assert error(ask(app, 'POST', '/predict', files=form(clip()))) == (
        500, 'the server has made a mistake; its log says which')
    made.batcher._values = made.predictor.values
    assert ask(app, 'POST', '/predict', files=form(clip())).status_code == 200


def test_requests_at_once_share_batches_and_each_gets_its_own(tmp_path):
    async def all_of_them():
        made.predictor.gate.clear()
        tasks = [asyncio.ensure_future(asked(app, 'POST', '/predict', files=form(data))) for data in clips]
        while made.batcher.waiting < len(clips) - max(made.predictor.sizes, default=0):
            await asyncio.sleep(0.01)
        made.predictor.gate.set()
        return [answer.json() for answer in await asyncio.gather(*tasks)]

    clips = [clip(i, 0.2 + i / 20) for i in range(12)]
    with service(tmp_path, StandIn(), max_batch=16) as made:
        app = build_app(made)
        alone = [ask(app, 'POST', '/predict', files=form(data)).json() for data in clips]
        made.predictor.sizes.clear()
        assert asyncio.run(all_of_them()) == alone
        assert sum(made.predictor.sizes) == 12 and len(made.predictor.sizes) <= 2
