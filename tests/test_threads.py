"""Threads that keep nobody waiting: work in turn, an end that is bounded, a process that ends beside them."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ser.serving.refusal import Stopped
from ser.serving.threads import Threads

ROOT = Path(__file__).resolve().parent.parent
FOR_EVER = """
import threading, time
from ser.serving.threads import Threads
threads, begun = Threads(2, 'work'), threading.Event()
threads.submit(lambda: (begun.set(), time.sleep(600)))
assert begun.wait(10)
print(threads.close(0.1))
"""


def test_work_is_done_in_turn_and_errors_are_its_own():
    threads = Threads(2, 'work')
    futures = [threads.submit(lambda i: (i, threading.current_thread().name), i) for i in range(20)]
    failing = threads.submit(lambda: 1 / 0)
    assert [future.result(5)[0] for future in futures] == list(range(20))
    assert {future.result()[1] for future in futures} <= {'work-0', 'work-1'}
    with pytest.raises(ZeroDivisionError):
        failing.result(5)
    assert threads.submit(lambda: 3).result(5) == 3 and threads.close(5)


def test_what_is_cancelled_or_closed_before_it_begins_never_does():
    threads, entered, leave, done = Threads(1, 'work'), threading.Event(), threading.Event(), []
    first = threads.submit(lambda: (entered.set(), leave.wait(10), done.append('first')))
    assert entered.wait(5)
    cancelled, waiting = threads.submit(done.append, 'cancelled'), threads.submit(done.append, 'waiting')
    assert cancelled.cancel()
    started = time.monotonic()
    assert not threads.close(0.1) and time.monotonic() - started < 5
    with pytest.raises(Stopped, match='the server is stopping'):
        waiting.result(5)
    with pytest.raises(Stopped):
        threads.submit(done.append, 'late')
    leave.set()
    first.result(5)
    assert threads.close(5) and done == ['first']


def test_a_process_ends_while_a_thread_works():
    done = subprocess.run([sys.executable, '-c', FOR_EVER], cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, 'False\n'), done.stderr
