"""Limits and tokens that make no sense are refused before anything is loaded."""

import pytest

from ser.errors import SerError
from ser.serving.limits import Limits, check_token, is_loopback, size_words


def test_the_defaults_are_within_bounds():
    Limits().check()
    assert Limits(max_bytes=2048).held_bytes == 8192


@pytest.mark.parametrize('given, message', [
    ({'max_bytes': 5}, '--max-bytes 5: at least 1024'), ({'max_seconds': float('nan')}, '--max-seconds nan: at least'),
    ({'max_seconds': 1e9}, 'at most 3600'), ({'queue': 0}, '--queue 0: at least 1'),
    ({'timeout_seconds': 0}, '--timeout 0'), ({'max_batch': 0}, '--batch 0'), ({'max_wait_ms': -1}, '--wait-ms -1'),
    ({'timeout_seconds': float('inf')}, '--timeout inf: at most 86400'),
    ({'max_wait_ms': float('inf')}, '--wait-ms inf: at most 60000')])
def test_bounds_that_allow_nothing_are_refused(given, message):
    with pytest.raises(SerError, match=message):
        Limits(**given).check()


def test_bytes_in_words():
    sizes = [1024, 1536, 200_000, 2**20 - 1, 64 << 20, 5 * 2**19]
    assert [size_words(size) for size in sizes] == ['1 KiB', '1.5 KiB', '195 KiB', '1024 KiB', '64 MiB', '2.5 MiB']


def test_loopback():
    assert all(map(is_loopback, ('127.0.0.1', '127.8.9.1', 'localhost', 'LOCALHOST', '::1', '[::1]')))
    assert not any(map(is_loopback, ('0.0.0.0', '::', '192.168.0.1', 'localhost.evil.example', '127.0.0.1.nip.io', '')))


def test_others_reach_the_server_with_a_token_only():
    check_token('127.0.0.1', None)
    check_token('0.0.0.0', 'a-long-token')
    with pytest.raises(SerError, match='0.0.0.0: other machines could reach the model. Give --token'):
        check_token('0.0.0.0', None)
    for token, told in (('short', '5 characters'), ('', '0 characters'), ('blanks in it', '12'), ('täglich8', '8'),
                        ('two\nlines', '9')):
        with pytest.raises(SerError, match=f'--token: {told}') as error:
            check_token('127.0.0.1', token)
        assert not token or token not in str(error.value)
