"""Cases timed in turn: A B A B ..., a warm-up first, medians and quartiles, memory in a call of its own.

An error in one case is a row that says so; the others go on.
"""

import gc
import logging
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import torch

from ser.benchmarks.memory import extra_peak_mb
from ser.errors import SerError

log = logging.getLogger(__name__)

SHORTEST_SECONDS = 0.02
"""A quicker call is repeated inside one timing until that takes about so long: clocks and schedulers are coarse."""


SETTLE_SECONDS = 0.05
"""Before each timing: threads of BLAS wait in a loop for some 30 ms after their last work."""

QUICK_SECONDS = 0.5
"""Cases whose call is quicker have one call untimed before each timing."""

WARM_UP = {'cpu': (1, 0.5), 'cuda': (3, 0.5)}
"""By the device's type: fewest calls before the first timing and the seconds they take at least; a GPU's first calls
compile, choose algorithms and capture."""


@dataclass(frozen=True)
class Case:
    """One thing to time.

    start(stack) sets up, untimed, leaves its clean-up on the ExitStack and returns the call to time, which takes
    nothing. A call may return a Took: it has timed itself then. facts(call), if given, is asked once for further
    columns of the row, after the timings.
    """

    stage: str
    implementation: str
    batch: int
    seconds: float
    """Length of a clip."""
    start: Callable[[ExitStack], Callable[[], object]]
    clips: int | None = None
    """Clips that one call works through; `batch` unless given."""
    facts: Callable[[Callable[[], object]], dict] | None = None
    memory: bool = True
    """Whether its peak can be told: not where processes keep their memory from call to call."""

    @property
    def group(self):
        """Cases with the same one are timed in turn."""
        return self.stage, self.batch, self.seconds


@dataclass(frozen=True)
class Took:
    """Returned by a call that timed the part of itself that counts, with the device's work finished on both ends."""

    seconds: float


@dataclass
class Row:
    """What was measured of one case; a row with an error has nothing else to say."""

    stage: str
    implementation: str
    batch: int
    seconds: float
    clips: int = 0
    """Clips of one call."""
    ms_per_clip: float | None = None
    """Median over the timings."""
    spread: tuple[float, float] | None = None
    """Lower and upper quartile of ms per clip."""
    peak_mb: float | None = None
    """Most memory in use during a call beyond what was in use before it; None where that cannot be known."""
    extra: dict = field(default_factory=dict)
    """Further columns: percent_of_step, launches, floor_ms, ..."""
    error: str | None = None

    @property
    def clips_per_second(self):
        """From the median."""
        return 1000.0 / self.ms_per_clip if self.ms_per_clip else None

    def as_json(self):
        """The row of the JSON file: plain values, None for what is not finite."""
        head = {'stage': self.stage, 'implementation': self.implementation, 'batch': self.batch,
                'seconds': plain(self.seconds)}
        if self.error is not None:
            return {**head, 'error': self.error}
        spread = None if self.spread is None else [plain(value) for value in self.spread]
        return {**head, 'ms_per_clip': plain(self.ms_per_clip), 'spread': spread, 'peak_mb': plain(self.peak_mb),
                'clips_per_second': plain(self.clips_per_second), 'clips': self.clips,
                **{name: plain(value) for name, value in self.extra.items()}}


def plain(value):
    """A number as JSON has it: None for NaN and infinity, six significant digits."""
    if isinstance(value, float):
        return float(f'{value:.6g}') if math.isfinite(value) else None
    return value


def measure(cases, repeats, device, say):
    """A Row for each case, in their order.

    Cases of one (stage, batch, seconds) are set up together and timed in turn, `repeats` times each. say: called with a
    line before each case's warm-up.
    """
    groups = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    rows = {}
    for group in groups.values():
        rows.update(_measure_group(group, repeats, device, say))
    return [rows[id(case)] for case in cases]


def _measure_group(cases, repeats, device, say):
    """id of the case -> Row."""
    running = [_Running(case, device) for case in cases]
    try:
        for one in running:
            say(f'{one.case.stage}, {one.case.implementation}, batch {one.case.batch}')
            one.attempt(one.warm_up)
        for _ in range(repeats):
            for one in running:
                one.attempt(one.time_once)
        for one in running:
            one.attempt(one.look)
        return {id(one.case): one.row() for one in running}
    finally:
        for one in running:
            one.close()
        _release(device)


class _Running:
    """A case under way."""

    def __init__(self, case, device):
        self.case, self.device = case, device
        self.stack, self.call = ExitStack(), None
        self.number, self.taken, self.timed_itself, self.quick = 1, [], False, False
        self.peak_mb, self.extra, self.error = None, {}, None

    def attempt(self, part):
        """Run a part of the measurement unless an earlier one failed; a failure ends the case."""
        if self.error is not None:
            return
        try:
            part()
        except Exception as error:
            log.debug('%s, %s', self.case.stage, self.case.implementation, exc_info=True)
            self.error = error_line(error, self.case)
            # The traceback's frames would keep the memory that was too little.
            error.__traceback__ = None
            self.close()
            _release(self.device)

    def warm_up(self):
        """Set up, call until nothing is done for the first time any more, and find how many calls make one timing."""
        self.call = self.case.start(self.stack)
        fewest, least_seconds = WARM_UP.get(self.device.type, WARM_UP['cpu'])
        calls, spent = 0, 0.0
        while calls < fewest or spent < least_seconds:
            took = self._timed(1)
            calls, spent = calls + 1, spent + took
        if not self.timed_itself:
            self.number = max(1, math.ceil(SHORTEST_SECONDS / max(took, 1e-9)))
        self.quick = took < QUICK_SECONDS

    def time_once(self):
        """One timing of steady work: after what the case before left spinning has come to rest, on warm caches."""
        time.sleep(SETTLE_SECONDS)
        if self.quick:
            self._timed(1)
        self.taken.append(self._timed(self.number) / self.number)

    def look(self):
        """Memory, and the case's further facts."""
        if self.case.memory:
            self.peak_mb = extra_peak_mb(self.call, self.device)
        if self.case.facts is not None:
            self.extra = self.case.facts(self.call)

    def _timed(self, number):
        finish(self.device)
        started = time.perf_counter()
        for _ in range(number):
            result = self.call()
        self.timed_itself = isinstance(result, Took)
        if self.timed_itself:
            return result.seconds
        finish(self.device)
        return time.perf_counter() - started

    def row(self):
        """What came out."""
        case = self.case
        row = Row(case.stage, case.implementation, case.batch, case.seconds, error=self.error)
        if self.error is None:
            row.clips = case.clips or case.batch
            per_clip = 1000.0 * np.asarray(self.taken) / row.clips
            low, middle, high = np.quantile(per_clip, (0.25, 0.5, 0.75)).tolist()
            row.ms_per_clip, row.spread, row.peak_mb, row.extra = middle, (low, high), self.peak_mb, dict(self.extra)
        return row

    def close(self):
        """Clean up; a failure in that is no result's fault."""
        self.call = None
        try:
            self.stack.close()
        except Exception:
            log.debug('clean-up of %s, %s', self.case.stage, self.case.implementation, exc_info=True)


def _release(device):
    """Memory that nothing holds any more goes back before the next case takes its own."""
    gc.collect()
    if device.type == 'cuda':
        torch.cuda.empty_cache()


def finish(device):
    """Wait until the device has done all that was asked of it."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    elif device.type == 'mps':
        torch.mps.synchronize()


def error_line(error, case):
    """One line for an error of a case: what a person can do about it, where that is known."""
    text = ' '.join(str(error).split())
    low = text.lower()
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
            isinstance(error, RuntimeError) and ('out of memory' in low or "can't allocate memory" in low)):
        return (f'out of memory in {case.stage} at batch {case.batch}, {case.seconds:g} s: lower --batch or --seconds, '
                'or choose a smaller --config')
    if isinstance(error, SerError):
        return text
    return f'{type(error).__name__}: {text[:300]}' if text else type(error).__name__
