"""An ordered, bounded map over processes that end when their parent does."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from ser.errors import SerError

_AHEAD_PER_JOB = 16


def cores():
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def ordered_map(function, items, jobs):
    """function(item) for each item, in the items' order whatever `jobs` is; a bounded number is in flight.

    Raises what the function raises, and SerError when a process dies.
    """
    if jobs == 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context('fork' if sys.platform == 'linux' else 'spawn')
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_follow_parent)
    waiting = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > jobs * _AHEAD_PER_JOB:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise SerError('a process that reads audio died (out of memory, or a decoder crashed); '
                       'run again with --jobs 1 to see where') from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _follow_parent():
    """Leave Ctrl-C to the parent, and stop when the parent is gone, even killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sentinel = multiprocessing.parent_process().sentinel

    def watch():
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
