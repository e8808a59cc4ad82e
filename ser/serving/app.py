"""The routes of the server, as a FastAPI application inside its Guard."""

import logging
from pathlib import Path

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from ser import serving
from ser.errors import SerError, did_you_mean
from ser.inference.emotion_windows import SHORTEST_HOP_SECONDS
from ser.serving.answers import Explanation, Failure, Health, ModelFacts, Prediction, Timeline
from ser.serving.guard import CLIENT_LEFT, Guard
from ser.serving.intake import answered
from ser.serving.refusal import Gone, Refusal
from ser.serving.upload import FIELD

LOG = logging.getLogger('ser.serving')
PAGE = Path(serving.__file__).parent / 'page'
ROUTES = ('/', '/health', '/model', '/metrics', '/openapi.json', '/predict', '/timeline', '/explain')
_WINDOW = 'Seconds of a window; default: 3, or less where the model hears less at once'
_HOP = 'Seconds from the start of a window to that of the next; default: 1, or less where the window is shorter'
# By hand: what a system calls a type differs, and a browser told to believe it runs no script of another.
TYPES = {'.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8',
         '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.png': 'image/png', '.ico': 'image/x-icon',
         '.json': 'application/json', '.webmanifest': 'application/manifest+json', '.woff2': 'font/woff2'}
_DESCRIPTION = """What a trained speech emotion model says of recordings.

Send one audio file (WAV, FLAC, OGG or MP3, any sample rate and number of channels) as the multipart form field `file`:

    curl -F file=@clip.wav http://127.0.0.1:8000/predict

Every refusal is JSON with one sentence, `error`. A server that was started with a token wants the
header `Authorization: Bearer TOKEN` everywhere but on `/`, `/static/`, `/health` and this schema. Status 403
is for pages of other sites."""
_FORM = {'requestBody': {'required': True, 'content': {'multipart/form-data': {'schema': {
    'type': 'object', 'required': [FIELD], 'properties': {
        FIELD: {'type': 'string', 'format': 'binary', 'description': 'A WAV, FLAC, OGG or MP3 file'}}}}}}}
_REFUSALS = {400: 'Not audio, or damaged', 401: 'No token, or a wrong one', 413: 'Too large or too long',
             422: 'Malformed request', 429: 'Busy; Retry-After says when to try again',
             503: 'Nobody is answered now; /health says why', 504: 'It took too long'}
_FAILURES = {status: {'model': Failure, 'description': words} for status, words in _REFUSALS.items()}
_NO_TOKEN = {401: _FAILURES[401]}


def build_app(service, host='127.0.0.1', token=None, access_log=False):
    """The ASGI application of a Service, listening on `host`."""
    app = FastAPI(title='ser serve', version='1', description=_DESCRIPTION, docs_url=None, redoc_url=None)
    _add_handlers(app)
    _add_pages(app)
    _add_facts(app, service)
    _add_answers(app, service)
    return Guard(app, service.metrics, ROUTES, host, token, access_log)


def _add_handlers(app):
    @app.exception_handler(Refusal)
    async def refused(request, refusal):
        return _failure(refusal.status, refusal.sentence, refusal.headers)

    @app.exception_handler(Gone)
    async def left(request, error):
        return Response(status_code=CLIENT_LEFT)

    @app.exception_handler(SerError)
    async def unable(request, error):
        # Its words may be of this machine's folders, which are nobody else's business.
        LOG.error('%s: %s', request.url.path, error)
        return _failure(500, 'the model could not answer; the log of the server says why')

    @app.exception_handler(HTTPException)
    async def not_here(request, error):
        path, allowed = request.url.path[:100], (error.headers or {}).get('Allow')
        words = {404: f'nothing is here at {path!r}. Paths: {" ".join(ROUTES)}',
                 405: f'{request.method} is not for {path}. {_how(allowed)}'}
        return _failure(error.status_code, words.get(error.status_code, str(error.detail)), error.headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(request, error):
        first = error.errors()[0]
        return _failure(422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")

    @app.exception_handler(Exception)
    async def broken(request, error):
        return _failure(500, 'the server has made a mistake; its log says which')


def _how(allowed):
    """What a path wants instead. allowed: the methods that it takes, as the header Allow names them, or None."""
    return f'Send one file by POST, as the multipart form field {FIELD!r}' if allowed == 'POST' else \
        f'It takes {allowed or "another method"}'


def _failure(status, sentence, headers=None):
    return JSONResponse({'error': sentence}, status, headers)


def _add_pages(app):
    @app.get('/', include_in_schema=False)
    async def page():
        return _file('index.html')

    @app.get('/static/{name}', include_in_schema=False)
    async def static(name: str):
        return _file(name)


def _file(name):
    """A file of the page by its plain name. Raises HTTPException where there is none."""
    # Compared with what lies there, so that no name leads out of the folder.
    found = {path.name: path for path in PAGE.glob('*') if path.suffix in TYPES and path.is_file()}
    if name not in found:
        raise HTTPException(404)
    return FileResponse(found[name], media_type=TYPES[found[name].suffix], headers={'cache-control': 'no-cache'})


def _add_facts(app, service):
    @app.get('/health', response_model=Health, response_model_exclude_none=True, summary='Whether the server answers',
             responses={503: {'model': Health, 'description': 'It answers nobody now'}})
    async def health(response: Response):
        facts = {'status': 'ok', 'model': service.facts['name']}
        if trouble := service.trouble():
            response.status_code = 503
            facts['status'], facts['error'] = trouble
        return facts

    @app.get('/model', response_model=ModelFacts, responses=_NO_TOKEN, summary='The model that answers here')
    async def model():
        return service.facts

    @app.get('/metrics', response_class=PlainTextResponse, responses=_NO_TOKEN, summary='Counters for Prometheus')
    async def metrics():
        gauges = {'ser_queue_length': (service.batcher.waiting, 'Windows and explanations that wait for the model.'),
                  'ser_requests_in_progress': (service.requests, 'Requests that are read, waiting or being answered.'),
                  'ser_held_bytes': (service.held_bytes, 'Bytes of uploads in memory.')}
        return Response(service.metrics.text(**gauges), media_type='text/plain; version=0.0.4; charset=utf-8')


def _add_answers(app, service):
    options = {'responses': _FAILURES, 'openapi_extra': _FORM}

    @app.post('/predict', response_model=Prediction, summary='One recording, one answer',
              dependencies=_only(), **options)
    async def predict(request: Request):
        with service.coming() as on_queued:
            return await answered(request, service, lambda upload: service.predict(upload, on_queued))

    @app.post('/timeline', responses={**_FAILURES, 200: {'model': Timeline, 'description': 'The timeline'}},
              openapi_extra=_FORM, summary='Emotion over time', dependencies=_only('window', 'hop'))
    async def timeline(request: Request,
                       window: float | None = Query(None, allow_inf_nan=False, description=_WINDOW),
                       hop: float | None = Query(None, ge=SHORTEST_HOP_SECONDS, allow_inf_nan=False, description=_HOP)):
        # As it is: checking thousands of windows field by field would take longer than hearing them.
        return JSONResponse(await answered(request, service, lambda upload: service.timeline(upload, window, hop)))

    @app.post('/explain', response_model=Explanation, summary='What the model used of a recording',
              dependencies=_only('start'), **options)
    async def explain(request: Request,
                      start: float = Query(0.0, ge=0, le=3600, description='Second of the recording to explain from')):
        return await answered(request, service, lambda upload: service.explain(upload, start))


def _only(*keys):
    """Dependencies of a route whose query has these keys alone, each once; others raise Refusal."""
    async def known(request: Request):
        given = [key for key, _ in request.query_params.multi_items()]
        for key in given:
            shown = repr(key[:100])
            if key not in keys:
                has = f'has {" and ".join(keys)} alone' if keys else 'has none'
                raise Refusal(422, f'unknown key {shown} in the query of {request.url.path}, which {has}.'
                                   f'{did_you_mean(key[:100], keys)}')
            if given.count(key) > 1:
                raise Refusal(422, f'the query has {shown} several times')

    return [Depends(known)]
