"""Places, memory and time: what is full says so, what is late is dropped, and who leaves is forgotten."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

from ser.serving.app import build_app
from tests.served import StandIn, ask, asked, clip, form, listening, service


async def until(condition, seconds=10):
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds
        await asyncio.sleep(0.005)


def at_once(made, count):
    """The answers to `count` requests that were sent while the model was held."""
    async def run():
        app = build_app(made)
        made.predictor.gate.clear()
        tasks = [asyncio.ensure_future(asked(app, 'POST', '/predict', files=form(clip(i))))
                 for i in range(count)]
        room = min(count, made.limits.queue)
        await until(lambda: made._coming == 0 and sum(task.done() for task in tasks) == count - room)
        made.predictor.gate.set()
        return await asyncio.gather(*tasks)

    return asyncio.run(run())


def test_a_full_queue_refuses_the_rest_and_loses_nothing(tmp_path):
    with service(tmp_path, queue=4, max_batch=2) as made:
        answers = at_once(made, 50)
        assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 46
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.headers['retry-after'] == '1'
        assert refused.json()['error'] == 'the server has its hands full with 4 requests. Try again in 1 s'
        assert made.requests == made.held_bytes == made._coming == made.batcher.waiting == 0
        assert ask(build_app(made), 'POST', '/predict', files=form(clip())).status_code == 200


def test_uploads_share_bounded_memory(tmp_path):
    with service(tmp_path, max_bytes=20_000) as made:
        # A clip is 16 kB; together they may be four times 20 kB.
        made.held_bytes = 70_000
        answer = ask(build_app(made), 'POST', '/predict', files=form(clip()))
        assert answer.status_code == 429 and made.held_bytes == 70_000
        assert answer.json()['error'].startswith('other recordings fill the memory for uploads')
        made.held_bytes = 0


def test_late_answers_are_given_up_and_their_work_dropped(tmp_path):
    with service(tmp_path, timeout_seconds=0.4) as made:
        async def run():
            app = build_app(made)
            made.predictor.gate.clear()
            answers = await asyncio.gather(*(asked(app, 'POST', '/predict', files=form(clip())) for _ in range(3)))
            made.predictor.gate.set()
            return answers

        answers = asyncio.run(run())
        assert [answer.status_code for answer in answers] == [504] * 3
        assert answers[0].json()['error'].startswith('this took longer than 0.4 s, so it was given up')
        made.batcher.call(lambda: None).result(5)
        # The model was in the first batch already; what waited behind it was not heard.
        assert sum(made.predictor.sizes) < 3 or len(made.predictor.sizes) == 1
        assert made.requests == made.held_bytes == made._coming == made.batcher.waiting == 0


def test_a_stopping_server_says_so(tmp_path):
    with service(tmp_path) as made:
        made.batcher.close()
        answers = [ask(build_app(made), 'POST', '/predict', files=form(clip()))]
        made.close()
        answers += [ask(build_app(made), 'POST', path, files=form(clip())) for path in ('/predict', '/explain')]
        for answer in answers:
            assert answer.status_code == 503 and answer.json() == {'error': 'the server is stopping'}


def test_what_was_begun_has_little_time_when_the_server_ends(tmp_path):
    async def run():
        app = build_app(made)
        made.predictor.gate.clear()
        begun = [asyncio.ensure_future(asked(app, 'POST', path, files=form(clip())))
                 for path in ('/predict', '/timeline')]
        await until(lambda: len(made.predictor.sizes) + made.batcher.waiting == 2)
        made.end_within(0.3)
        late = await asked(app, 'POST', '/predict', files=form(clip()))
        return [late, *await asyncio.gather(*begun)]

    with service(tmp_path) as made:
        answers = asyncio.run(run())
        assert [(answer.status_code, answer.json()['error']) for answer in answers] == [
            (503, 'the server is stopping')] * 3
        assert all(answer.headers['connection'] == 'close' for answer in answers)


def test_the_memory_of_an_upload_counts_until_no_thread_reads_it(tmp_path, monkeypatch):
    def reading(upload, *_):
        with upload.opened():
            assert leave.wait(10)
        raise ValueError

    leave = threading.Event()
    monkeypatch.setattr('ser.serving.service.read_samples', reading)
    with service(tmp_path, timeout_seconds=0.3) as made:
        assert ask(build_app(made), 'POST', '/predict', files=form(clip())).status_code == 504
        assert made.requests == 0 and made.held_bytes > len(clip())
        leave.set()
        asyncio.run(until(lambda: made.held_bytes == 0))


HEAD = 'POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=xyz\r\n'
START = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'


def exchange(address, head, *chunks, wait=0.0):
    """The bytes that a server answers to raw chunks, as much of them as it lets through."""
    with socket.create_connection(address, timeout=10) as connection:
        try:
            connection.sendall(head.encode() + b'\r\n')
            for chunk in chunks:
                connection.sendall(chunk)
                time.sleep(wait)
        except OSError:
            pass
        answer = b''
        while b'"error"' not in answer and (part := connection.recv(65536)):
            answer += part
        return answer.decode()


@pytest.fixture
def server(tmp_path):
    with service(tmp_path, StandIn(), max_bytes=50_000, timeout_seconds=1.0) as made, listening(made) as address:
        yield made, address


def test_bodies_are_counted_as_they_arrive(server):
    made, address = server
    chunk = b'4000\r\n' + bytes(0x4000) + b'\r\n'
    started = time.monotonic()
    answer = exchange(address, HEAD + 'Transfer-Encoding: chunked\r\n', b'%x\r\n' % len(START) + START + b'\r\n',
                      *[chunk] * 40)
    assert answer.startswith('HTTP/1.1 413') and 'larger than 49 KiB' in answer
    claimed = exchange(address, HEAD + 'Content-Length: 100000000000\r\n')
    assert claimed.startswith('HTTP/1.1 413') and 'connection: close' in claimed
    waiting = exchange(address, HEAD + 'Content-Length: 1000000\r\nExpect: 100-continue\r\n')
    assert waiting.startswith('HTTP/1.1 413')
    assert time.monotonic() - started < 5 and made.held_bytes == made.requests == 0


def test_a_body_that_never_ends_is_given_up(server):
    made, address = server
    answer = exchange(address, HEAD + 'Content-Length: 2000\r\n', START)
    assert answer.startswith('HTTP/1.1 504') and 'this took longer than 1 s' in answer and 'connection: close' in answer
    assert made.held_bytes == made.requests == 0


def test_a_body_that_comes_byte_by_byte_is_given_up(server):
    made, address = server
    started = time.monotonic()
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall((HEAD + 'Content-Length: 2000\r\n\r\n').encode() + START)
        with contextlib.suppress(OSError):
            while time.monotonic() - started < 10:
                connection.sendall(b'a')
                time.sleep(0.05)
    assert 1 <= time.monotonic() - started < 8
    assert made.metrics.requests['/predict', 504] == 1 and made.held_bytes == made.requests == 0


def test_a_client_that_leaves_frees_its_place_and_its_work(server):
    made, address = server
    data = START + clip(1, 1.0) + b'\r\n--xyz--\r\n'
    made.predictor.gate.clear()
    first = socket.create_connection(address, timeout=10)
    first.sendall((HEAD + f'Content-Length: {len(data)}\r\n\r\n').encode() + data)
    assert made.predictor.entered.acquire(timeout=5)
    second = socket.create_connection(address, timeout=10)
    second.sendall((HEAD + f'Content-Length: {len(data)}\r\n\r\n').encode() + data)
    third = socket.create_connection(address, timeout=10)
    third.sendall((HEAD + f'Content-Length: {len(data)}\r\n\r\n').encode() + data[:500])
    asyncio.run(until(lambda: made.batcher.waiting == 1 and made.requests == 3))
    for connection in (first, second, third):
        connection.close()
    asyncio.run(until(lambda: made.requests == 0))
    made.predictor.gate.set()
    made.batcher.call(lambda: None).result(5)
    assert made.predictor.sizes == [1] and made.held_bytes == 0 and made.metrics.requests['/predict', 499] == 3
