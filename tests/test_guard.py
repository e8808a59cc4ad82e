"""The door: Host, Origin, token, encoding; what every answer tells browsers."""

import asyncio

import pytest

from ser.serving.counters import Metrics
from ser.serving.guard import CROWDED, Guard
from ser.serving.refusal import Refusal

TOKEN = 'a-long-token'


def guard(host='127.0.0.1', token=None, app=None):
    return Guard(app, Metrics(), ('/', '/predict', '/model'), host, token)


def scope(method='GET', path='/model', **headers):
    named = {'host': '127.0.0.1:8000', **{name.replace('_', '-'): value for name, value in headers.items()}}
    return {'type': 'http', 'method': method, 'path': path,
            'headers': [(name.encode(), value.encode()) for name, value in named.items() if value is not None]}


def refusal(one, given):
    with pytest.raises(Refusal) as refused:
        one.check(given)
    return refused.value.status, refused.value.sentence


@pytest.mark.parametrize('host', ['127.0.0.1', '127.0.0.1:9', 'localhost:8000', 'LOCALHOST', '[::1]:8000'])
def test_this_machine_goes_by_its_own_names(host):
    guard().check(scope(host=host))


@pytest.mark.parametrize('host', ['evil.example', 'evil.example:8000', 'localhost.evil.example', '', None, '[',
                                  '127.0.0.1.nip.io', 'localhost@evil.example', '192.168.0.1'])
def test_another_name_that_points_here_is_refused(host):
    assert refusal(guard(), scope(host=host))[0] == 403
    guard('0.0.0.0', TOKEN).check(scope(host=host, authorization=f'Bearer {TOKEN}'))


@pytest.mark.parametrize('headers', [
    {}, {'origin': 'http://127.0.0.1:8000'}, {'sec_fetch_site': 'same-origin', 'origin': 'http://127.0.0.1:8000'},
    {'host': 'ser.example', 'origin': 'https://SER.example', 'sec_fetch_site': 'same-origin'}])
def test_own_pages_and_programs_may_send(headers):
    guard('0.0.0.0').check(scope('POST', '/predict', **headers))


@pytest.mark.parametrize('headers', [
    {'origin': 'https://evil.example'}, {'origin': 'null'}, {'origin': 'http://127.0.0.1:9'}, {'origin': ''},
    {'sec_fetch_site': 'cross-site'}, {'sec_fetch_site': 'same-site'}, {'sec_fetch_site': ''},
    {'origin': 'http://127.0.0.1:8000', 'sec_fetch_site': 'cross-site'}])
def test_pages_of_others_may_not(headers):
    status, sentence = refusal(guard(), scope('POST', '/predict', **headers))
    assert status == 403 and sentence.startswith('a page of another site may not send recordings here')
    # Looking is harmless: nothing lets the other page read the answer.
    guard().check(scope('GET', '/model', **headers))


def test_with_a_token_all_but_the_page_and_health_need_it():
    one = guard(token=TOKEN)
    for path in ('/', '/health', '/static/app.js'):
        one.check(scope(path=path))
    for path in ('/model', '/metrics', '/nothing', '/static', '//', '/health/'):
        for given in (None, 'Bearer', 'Bearer ', f'Bearer {TOKEN}x', f'Bearer {TOKEN[:-1]}', f'Basic {TOKEN}', TOKEN,
                      'Bearer \xe4'):
            status, sentence = refusal(one, scope(path=path, authorization=given))
            assert status == 401 and TOKEN not in sentence
        one.check(scope(path=path, authorization=f'Bearer {TOKEN}'))
        one.check(scope(path=path, authorization=f'bearer  {TOKEN} '))


def test_compressed_bodies_are_not_opened():
    for encoding in ('gzip', 'deflate, gzip', 'br', ''):
        assert refusal(guard(), scope('POST', content_encoding=encoding))[0] == 422
    guard().check(scope('POST', content_encoding='identity'))


def test_a_header_that_comes_twice_is_refused():
    given = scope()
    given['headers'] += [(b'host', b'localhost')]
    assert refusal(guard(), given) == (422, 'the request has several host headers')


def test_every_answer_is_guarded_and_counted():
    async def app(scope, receive, send):
        headers = [(b'cache-control', b'no-cache')] if scope['path'] == '/' else []
        await send({'type': 'http.response.start', 'status': 200, 'headers': headers})
        await send({'type': 'http.response.body', 'body': b''})

    def answer(given):
        sent = []

        async def send(message):
            sent.append(message)

        asyncio.run(one(given, None, send))
        return sent[0]['status'], dict(sent[0]['headers'])

    one = guard(app=app)
    for given, status in ((scope(path='/'), 200), (scope(), 200), (scope(host='evil'), 403)):
        found, headers = answer(given)
        assert found == status and headers[b'x-content-type-options'] == b'nosniff'
        assert headers[b'content-security-policy'].startswith(
            b"default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:;")
        assert headers[b'cache-control'] == (b'no-cache' if given['path'] == '/' else b'no-store')
        assert b'access-control-allow-origin' not in headers
    answer(scope(path='/static/x.js'))
    answer(scope(path='/x' * 1000))
    assert one.metrics.requests == {('/', 200): 1, ('/model', 200): 1, ('/model', 403): 1, ('/static/', 200): 1,
                                    ('other', 200): 1}


def test_json_alone_gets_a_newline_and_a_connection_too_many_is_refused():
    async def app(scope, receive, send):
        kind = scope['path'].encode()
        await send({'type': 'http.response.start', 'status': 200, 'headers': [
            (b'content-type', kind), (b'content-length', b'4')]})
        await send({'type': 'http.response.body', 'body': b'{"', 'more_body': True})
        await send({'type': 'http.response.body', 'body': b'a"'})

    def answer(given):
        sent = []

        async def send(message):
            sent.append(message)

        asyncio.run(guard(app=app)(given, None, send))
        body = b''.join(part['body'] for part in sent[1:])
        return sent[0]['status'], dict(sent[0]['headers'])[b'content-length'], body

    assert answer(scope(path='application/json')) == (200, b'5', b'{"a"\n')
    assert answer(scope(path='text/plain')) == (200, b'4', b'{"a"')
    status, length, body = answer(scope() | {'state': {CROWDED: True}})
    assert (status, int(length)) == (503, len(body)) and body.endswith(b'}\n') and b'"error": "all connections' in body


def test_a_client_that_left_is_counted_too():
    async def app(scope, receive, send):
        raise OSError

    one = guard(app=app)
    with pytest.raises(OSError):
        asyncio.run(one(scope(), None, None))
    assert one.metrics.requests == {('/model', 499): 1}
    with pytest.raises(RuntimeError, match='no websocket here'):
        asyncio.run(one({'type': 'websocket'}, None, None))
