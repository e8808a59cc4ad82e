"""Threads for work that requests share. None of them keeps the process from ending, whatever it is at."""

import contextlib
import queue
import threading
import time
from concurrent.futures import Future, InvalidStateError

from ser.serving.refusal import Stopped

STOPPING = 'the server is stopping'


class Threads:
    """So many threads and the functions that wait for them.

    An executor's threads are waited for when Python ends, for as long as they take; these are not.
    """

    def __init__(self, count, name):
        """name: of the threads, with a number behind it."""
        self._waiting, self._lock, self._closing = queue.SimpleQueue(), threading.Lock(), False
        self._threads = [threading.Thread(target=self._run, name=f'{name}-{i}', daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, function, *arguments):
        """A Future of function(*arguments); cancelled before it begins, it never does. Raises Stopped after `close`."""
        future = Future()
        with self._lock:
            if self._closing:
                raise Stopped(STOPPING)
            self._waiting.put((future, function, arguments))
        return future

    def close(self, seconds):
        """Fail what has not begun with Stopped; returns whether every thread ended within so many seconds."""
        with self._lock:
            self._closing = True
        with contextlib.suppress(queue.Empty):
            while True:
                if entry := self._waiting.get_nowait():
                    fail(entry[0], Stopped(STOPPING))
        for _ in self._threads:
            self._waiting.put(None)
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self):
        while entry := self._waiting.get():
            answer(*entry)
            # What it holds is not kept until the next one comes.
            entry = None


def answer(future, function, arguments=()):
    """Let a Future have what function(*arguments) returns or raises; one that was cancelled or has failed is left
    alone."""
    if future.done() or not future.set_running_or_notify_cancel():
        return
    try:
        value = function(*arguments)
    except Exception as error:
        fail(future, error)
    else:
        with contextlib.suppress(InvalidStateError):
            future.set_result(value)


def fail(future, error):
    """Let a Future that has no answer yet fail."""
    with contextlib.suppress(InvalidStateError):
        future.set_exception(error)
