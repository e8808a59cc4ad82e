"""From a request to its answer: a place in the queue, the body within its bounds, the time, a client that stays."""

import asyncio

from ser.serving.limits import size_words
from ser.serving.refusal import Gone, Refusal, Stopped, busy, late, unavailable
from ser.serving.threads import STOPPING
from ser.serving.upload import UploadParser

FORM_BYTES = 32 << 10
"""What the form around a file may add to it."""

DRAIN_SECONDS = 2.0
"""How long a refused body is still read, so that its client comes to read why."""
# Without a byte.
_DRAIN_IDLE_SECONDS = 0.25


async def answered(request, service, work):
    """What the coroutine work(Upload) returns, for the file that a Starlette request brings.

    Raises Refusal for what is too much, malformed, too late or more than the queue holds, and when the server ends or
    cannot answer; Gone when the client hangs up. The work is then dropped.
    """
    body = _Body(request, service)
    try:
        with service.place():
            async with service.in_time():
                upload = await body.upload()
                try:
                    return await _while_there(request, work(upload))
                finally:
                    upload.close()
    except Refusal as refused:
        # Without what was held where it came from.
        refusal = refused.with_traceback(None)
    except TimeoutError:
        refusal = unavailable(STOPPING) if service.stopping else late(service.limits)
    except Stopped as stopped:
        refusal = unavailable(str(stopped))
    if not await body.drained():
        # What is still on its way is no next request.
        refusal.headers.setdefault('Connection', 'close')
    raise refusal


class _Body:
    """A request's body, chunk by chunk."""

    def __init__(self, request, service):
        self._request, self._service = request, service
        self._ended, self._bytes = False, 0

    async def upload(self):
        """The Upload that the body holds; its memory is counted as held until it is freed."""
        try:
            return await self._upload()
        except BaseException:
            self._free()
            raise

    def _free(self):
        self._service.hold(-self._bytes)

    async def _upload(self):
        limits = self._service.limits
        claimed = self._request.headers.get('content-length', '')
        if claimed.isdecimal() and int(claimed[:20]) > limits.max_bytes + FORM_BYTES:
            raise _too_large(limits)
        parser = UploadParser(self._request.headers.get('content-type'))
        while not self._ended:
            chunk = await self._next()
            self._bytes += len(chunk)
            self._service.hold(len(chunk))
            if self._bytes > limits.max_bytes + FORM_BYTES:
                raise _too_large(limits)
            if self._service.held_bytes > limits.held_bytes:
                raise busy('other recordings fill the memory for uploads')
            parser.feed(chunk)
        if parser.size > limits.max_bytes:
            raise _too_large(limits)
        return parser.finish(self._free)

    async def drained(self):
        """Read and forget what still comes of a refused body, for a short while; returns whether it has ended."""
        # A client that waits to be told to go on has sent nothing, and shall not.
        if self._ended or 'expect' in self._request.headers:
            return self._ended
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self._ended:
                    async with asyncio.timeout(_DRAIN_IDLE_SECONDS):
                        await self._next()
        except (TimeoutError, Gone):
            return False
        return self._ended

    async def _next(self):
        message = await self._request.receive()
        if message['type'] == 'http.disconnect':
            raise Gone
        self._ended = not message.get('more_body', False)
        return message.get('body', b'')


def _too_large(limits):
    return Refusal(413, f'the file is larger than {size_words(limits.max_bytes)}, the most that this server takes. Cut '
                        'it, or save it as FLAC, OGG or MP3')


async def _while_there(request, work):
    """The result of a coroutine; raises Gone, and cancels it, as soon as the client hangs up."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request):
    while (await request.receive())['type'] != 'http.disconnect':
        pass
