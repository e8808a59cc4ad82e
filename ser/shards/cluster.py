"""The work of a build on a Dask cluster (extra [cluster]): one of this machine's processes, or one that runs already.

Workers read recordings and send back encoded members; the process that builds writes them, in order. So the bytes are
those of a local build, and a worker that dies takes nothing with it: what it was doing is done again by another.
"""

import asyncio
import contextlib
import functools
import importlib.util
import itertools
import logging
import platform
import time
from collections import deque

from ser.errors import SerError, install
from ser.files import sha256_of
from ser.shards.pool import cores

CONNECT_SECONDS = 20
"""How long a scheduler may take to answer, and a cluster to have its first worker."""

ALONE_SECONDS = 60
"""How long a build waits for a worker when the last one is gone."""

# Each task and each result is a round trip: recordings go in chunks.
_CHUNK = 8
_AHEAD_PER_THREAD = 2
_LOOK_SECONDS = 5


def check_cluster():
    """Raises SerError where the extra is not installed."""
    if importlib.util.find_spec('distributed') is None:
        raise SerError(f'--engine dask needs dask.distributed, which is not installed: {install("cluster")}')


@contextlib.contextmanager
def cluster(workers=None, scheduler=None):
    """A map over a cluster, `(function, items) -> results in order`; see `ordered_map` of ser.shards.pool.

    workers: processes on this machine (None: all cores), or scheduler: the address of a cluster, such as
    'tcp://host:8786'. There every worker needs this package, the same versions of what encodes, and the files under
    the same paths. Functions and items must pickle; a function may be called again for an item whose worker died.
    Raises SerError without the extra, and for a scheduler or cluster that does not answer in CONNECT_SECONDS; while
    mapping for versions that differ, when no worker is left for ALONE_SECONDS, and when an item keeps killing them.
    """
    check_cluster()
    from distributed import Client

    _hush()
    with contextlib.ExitStack() as stack:
        try:
            if scheduler:
                asyncio.run(asyncio.wait_for(_answer(scheduler), CONNECT_SECONDS))
            client = stack.enter_context(Client(scheduler or stack.enter_context(_of_this_machine(workers)),
                                                timeout=CONNECT_SECONDS, set_as_default=False))
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            # A TimeoutError is an OSError too.
            raise SerError(_unreachable(scheduler, error)) from None
        yield functools.partial(_ordered, client)


def _hush():
    """What dask has to say about lost workers, late beats and its own shutdown is in no log of ours."""
    # Each of its loggers has a level of its own.
    for name in list(logging.root.manager.loggerDict):
        if name.partition('.')[0] in ('distributed', 'tornado', 'asyncio'):
            logging.getLogger(name).setLevel(logging.CRITICAL)


async def _answer(scheduler):
    """What a scheduler says of itself. Client waits for ever where a connection is taken and nothing said."""
    from distributed import Security
    from distributed.core import rpc

    async with rpc(scheduler, connection_args=Security().get_connection_args('client')) as remote:
        return await remote.identity(n_workers=0)


def _of_this_machine(workers):
    from distributed import LocalCluster

    try:
        return LocalCluster(n_workers=workers or cores(), threads_per_worker=1, memory_limit=0,
                            dashboard_address='127.0.0.1:0', silence_logs=logging.CRITICAL)
    except (OSError, RuntimeError) as error:
        raise SerError(f'--engine dask: no cluster can be started here: {_line(error)}. Use --engine local') from None


def _unreachable(scheduler, error):
    if isinstance(error, TimeoutError) or 'imed out' in str(error):
        return (f'--scheduler {scheduler}: no scheduler with a worker answers there within {CONNECT_SECONDS} s. Start '
                'them: dask scheduler, then on each machine: dask worker ADDRESS')
    return f'--scheduler {scheduler}: {_line(error)}. An address looks like tcp://host:8786'


def _line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip('.')


def _ordered(client, function, items):
    """function(item) for each item, in their order; a bounded number is in flight."""
    task, waiting, items = functools.partial(_checked, function, versions()), deque(), iter(items)
    try:
        while chunk := list(itertools.islice(items, _CHUNK)):
            waiting.append(client.submit(task, chunk, pure=False))
            # A cluster may grow.
            if len(waiting) > _AHEAD_PER_THREAD * max(sum(client.nthreads().values()), 1):
                yield from _result(client, waiting.popleft())
        while waiting:
            yield from _result(client, waiting.popleft())
    except _lost() as error:
        what = type(error).__name__
        raise SerError(f'--engine dask: the scheduler is gone ({what}). Nothing was written; run it again') from None
    finally:
        with contextlib.suppress(Exception):
            client.cancel(list(waiting))


def _lost():
    """What dask raises where it has lost its scheduler."""
    from concurrent.futures import CancelledError

    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    return CancelledError, FutureCancelledError, CommClosedError


def _result(client, future):
    from distributed.scheduler import KilledWorker

    since = time.monotonic()
    while True:
        try:
            return future.result(timeout=_LOOK_SECONDS)
        except TimeoutError:
            if client.nthreads():
                since = time.monotonic()
            elif time.monotonic() - since > ALONE_SECONDS:
                raise SerError(f'--engine dask: the cluster has had no worker for {ALONE_SECONDS} s') from None
        except KilledWorker as error:
            raise SerError(f'a recording has killed {error.allowed_failures + 1} workers one after the other (out of '
                           'memory, or a decoder crashed); run again with --engine local --jobs 1') from None
        except ImportError as error:
            raise SerError(f'a worker of the cluster has other software: {_line(error)}. Install the same on all of '
                           f'them: {install("cluster")}') from None


def _checked(function, wanted, items):
    """On a worker: function(item) of each, if the results are those that the builder's own machine would give."""
    for name, version in versions().items():
        if version != wanted.get(name):
            raise SerError(f'worker {platform.node()} has {name} {version}, the builder {wanted.get(name)}: the bytes '
                           'might differ. Install the same on both')
    return [function(item) for item in items]


@functools.cache
def versions():
    """Name -> version of whatever the bytes of a member depend on."""
    import numpy
    import soundfile
    import soxr

    from ser.shards import audio_encode

    return {'numpy': numpy.__version__, 'libsndfile': soundfile.__libsndfile_version__,
            'libsoxr': soxr.__libsoxr_version__, 'processor': platform.machine(),
            'ser/shards/audio_encode.py': sha256_of(audio_encode.__file__)[:12]}
