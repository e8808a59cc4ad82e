"""Why a request gets no answer: an HTTP status and one sentence for a person."""

import json


class Refusal(Exception):
    """A request that is not answered. status: of the HTTP response; sentence: for people; headers: of the response."""

    def __init__(self, status, sentence, headers=()):
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers)


class Gone(Exception):
    """The client hung up: nobody waits for an answer any more."""


class Stopped(Exception):
    """No more work is taken; the text says why."""


def busy(sentence, seconds=1):
    """The Refusal of a request that may be sent again after `seconds`."""
    return Refusal(429, f'{sentence}. Try again in {seconds} s', {'Retry-After': str(seconds)})


def late(limits):
    """The Refusal of a request that took longer than Limits allow; the connection is of no further use."""
    return Refusal(504, f'this took longer than {limits.timeout_seconds:g} s, so it was given up. Try a shorter '
                        'recording, or again when the server is less busy', {'Connection': 'close'})


def unavailable(sentence, seconds=5):
    """The Refusal of a server that answers nobody now, for the reason in `sentence`; asking again may help."""
    return Refusal(503, sentence, {'Retry-After': str(seconds), 'Connection': 'close'})


def as_json(sentence, **facts):
    """UTF-8 JSON {error, ...}: the body of every refusal."""
    return json.dumps({**facts, 'error': sentence}, ensure_ascii=False).encode('utf-8', 'backslashreplace')
