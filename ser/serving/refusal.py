"""Why a request gets no answer: an HTTP status and one sentence for a person."""


class Refusal(Exception):
    """A request that is not answered. status: of the HTTP response; sentence: for people; headers: of the response."""

    def __init__(self, status, sentence, headers=()):
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers)


class Gone(Exception):
    """The client hung up: nobody waits for an answer any more."""


def busy(sentence, seconds=1):
    """The Refusal of a request that may be sent again after `seconds`."""
    return Refusal(429, f'{sentence}. Try again in {seconds} s', {'Retry-After': str(seconds)})


def late(limits):
    """The Refusal of a request that took longer than Limits allow; the connection is of no further use."""
    return Refusal(504, f'this took longer than {limits.timeout_seconds:g} s, so it was given up. Try a shorter '
                        'recording, or again when the server is less busy', {'Connection': 'close'})
