"""What one client may ask of the server, and how many at once."""

import ipaddress
from dataclasses import dataclass

from ser.errors import SerError

MIN_TOKEN = 8


@dataclass(frozen=True)
class Limits:
    """Bounds of the server; each is an option of `ser serve`."""

    max_bytes: int = 64 << 20
    """Of a file. A body is counted as it arrives and may have a little more, for the form around the file."""
    max_seconds: float = 600.0
    """Of a recording."""
    queue: int = 128
    """Requests that are read, waiting or being answered at once; further ones are told to come again."""
    timeout_seconds: float = 60.0
    """From the first byte of a request to its answer."""
    max_batch: int = 16
    """Clips that the model hears at once; 1 answers each request by itself."""
    max_wait_ms: float = 5.0
    """How long a batch that is not full waits for requests that are being read; without any it never waits."""

    @property
    def held_bytes(self):
        """Bytes of all bodies that are held at once: no more than four of the largest."""
        return 4 * self.max_bytes

    def check(self):
        """Raise SerError for a bound that allows nothing."""
        low = {'--max-bytes': (self.max_bytes, 1024), '--max-seconds': (self.max_seconds, 0.1),
               '--queue': (self.queue, 1), '--timeout': (self.timeout_seconds, 0.1), '--batch': (self.max_batch, 1),
               '--wait-ms': (self.max_wait_ms, 0)}
        for option, (given, least) in low.items():
            # Written so that NaN is refused too.
            if not given >= least:
                raise SerError(f'{option} {given:g}: at least {least:g} is wanted')
        # The system's clocks take no infinite time.
        for option, given, most in (('--timeout', self.timeout_seconds, 86400), ('--wait-ms', self.max_wait_ms, 60000)):
            if given > most:
                raise SerError(f'{option} {given:g}: at most {most} is allowed')
        if not self.max_seconds <= 3600:
            raise SerError(f'--max-seconds {self.max_seconds:g}: at most 3600 is allowed, which is what is decoded of '
                           'any file')


def size_words(count):
    """A number of bytes as people read it: '64 MiB', '1.5 KiB'."""
    value, unit = (count / 2**20, 'MiB') if count >= 2**20 else (count / 2**10, 'KiB')
    return f'{round(value, 1 if value < 10 else 0):g} {unit}'


def is_loopback(host):
    """Whether a name or address reaches this machine alone."""
    if host.lower() == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host.strip('[]')).is_loopback
    except ValueError:
        return False


def check_token(host, token):
    """Raise SerError where others could reach the server without a token, and for one that is easily guessed."""
    if token is None:
        if not is_loopback(host):
            raise SerError(f'--host {host}: other machines could reach the model. Give --token TOKEN, or set SER_TOKEN')
    elif len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or ' ' in token:
        raise SerError(f'--token: {len(token)} characters; at least {MIN_TOKEN} are wanted, of printable ASCII without '
                       'blanks')
