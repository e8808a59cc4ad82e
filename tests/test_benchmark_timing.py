"""Timing in turn, its arithmetic, and errors that stop one case only."""

import json
import math

import pytest
import torch

from ser.benchmarks import timing
from ser.benchmarks.timing import Case, Row, Took, error_line, measure
from ser.errors import SerError

CPU = torch.device('cpu')


def quiet(_):
    pass


def timed(name, seconds, order=None, **more):
    """A Case whose calls take `seconds` in turn, by their own clock."""
    left = iter(seconds)

    def call():
        if order is not None:
            order.append(name)
        return Took(next(left))

    return Case('cqt', name, 4, 3.5, lambda stack: call, **more)


def test_cases_of_a_group_are_timed_in_turn_after_their_warm_ups():
    order = []
    cases = [timed('ser', [1.0] * 9, order), timed('librosa', [1.0] * 9, order)]
    measure(cases, 3, CPU, quiet)
    # A warm-up each, three timings in turn, and a call each for memory.
    assert order == ['ser', 'librosa', *['ser', 'librosa'] * 3, 'ser', 'librosa']


def test_the_row_is_the_median_and_the_quartiles_per_clip():
    row, = measure([timed('ser', [9.0, 0.8, 0.4, 0.2, 0.6, 1.0, 9.0], clips=8)], 5, CPU, quiet)
    # Timings 0.2 0.4 0.6 0.8 1.0 s over 8 clips.
    assert row.ms_per_clip == pytest.approx(75.0) and row.spread == pytest.approx((50.0, 100.0))
    assert row.clips_per_second == pytest.approx(1000 / 75) and row.clips == 8


def test_a_quick_call_is_repeated_inside_a_timing(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(timing.time, 'perf_counter', lambda: clock[0])
    calls = []

    def call():
        calls.append(clock[0])
        clock[0] += 0.003

    row, = measure([Case('cqt', 'ser', 2, 1.0, lambda stack: call)], 4, CPU, quiet)
    assert row.ms_per_clip == pytest.approx(1.5)
    warm_up = math.ceil(0.5 / 0.003)
    # 0.02 s hold seven calls of 3 ms, and each timing has one call before it; one more is for memory.
    assert len(calls) == warm_up + 4 * (1 + 7) + 1


@pytest.mark.slow
def test_groups_differ_by_stage_batch_and_length_and_rows_keep_the_order():
    cases = [Case(stage, 'ser', batch, seconds, lambda stack: lambda: Took(1.0))
             for stage, batch, seconds in (('mel', 1, 1.0), ('cqt', 1, 1.0), ('mel', 2, 1.0), ('mel', 1, 2.0))]
    assert len({case.group for case in cases}) == 4
    rows = measure(cases, 1, CPU, quiet)
    assert [(row.stage, row.batch, row.seconds) for row in rows] == [case.group for case in cases]


def test_an_error_stops_its_case_alone_and_its_clean_up_runs():
    cleaned = []

    def failing(stack):
        stack.callback(cleaned.append, 'failing')
        raise SerError('what was wrong')

    def later(stack):
        stack.callback(cleaned.append, 'later')
        left = iter([Took(1.0)])
        return lambda: next(left)

    rows = measure([Case('cqt', 'ser', 4, 3.5, failing), Case('cqt', 'librosa', 4, 3.5, later), timed('x', [1.0] * 5)],
                   2, CPU, quiet)
    assert [row.error for row in rows] == ['what was wrong', 'StopIteration', None]
    assert sorted(cleaned) == ['failing', 'later']
    assert rows[0].as_json() == {'stage': 'cqt', 'implementation': 'ser', 'batch': 4, 'seconds': 3.5,
                                 'error': 'what was wrong'}


def test_clean_up_happens_once_after_the_last_call_whatever_it_raises():
    closed = []

    def start(stack):
        stack.callback(lambda: closed.append(1) or 1 / 0)
        return lambda: Took(1.0 if not closed else 1 / 0)

    row, = measure([Case('cqt', 'ser', 4, 3.5, start)], 2, CPU, quiet)
    assert row.error is None and closed == [1]


@pytest.mark.parametrize('error', [
    MemoryError(), torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20 GiB'),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate")])
def test_out_of_memory_says_what_to_lower(error):
    line = error_line(error, Case('front_end', 'ser', 256, 3.5, None))
    assert line == ('out of memory in front_end at batch 256, 3.5 s: lower --batch or --seconds, or choose a smaller '
                    '--config')


def test_other_errors_are_one_line():
    case = Case('cqt', 'ser', 1, 1.0, None)
    assert error_line(ValueError('two\n  lines'), case) == 'ValueError: two lines'
    assert error_line(SerError('a line'), case) == 'a line'
    assert error_line(AssertionError(), case) == 'AssertionError'


def test_json_has_no_nan_and_keeps_further_columns():
    row = Row('cqt', 'ser', 16, 3.5, 16, 2.0, (1.0, math.nan), None, {'launches': 7, 'floor_ms': math.inf})
    assert json.loads(json.dumps(row.as_json(), allow_nan=False)) == {
        'stage': 'cqt', 'implementation': 'ser', 'batch': 16, 'seconds': 3.5, 'ms_per_clip': 2.0,
        'spread': [1.0, None], 'peak_mb': None, 'clips_per_second': 500.0, 'clips': 16, 'launches': 7,
        'floor_ms': None}


def test_facts_are_asked_once_with_the_call():
    asked = []
    row, = measure([timed('ser', [1.0] * 5, facts=lambda call: asked.append(call) or {'launches': 3})], 1, CPU, quiet)
    assert row.extra == {'launches': 3} and len(asked) == 1 and asked[0]() == Took(1.0)


def test_a_line_is_said_for_each_case():
    said = []
    measure([timed('ser', [1.0] * 5), timed('librosa', [1.0] * 5)], 1, CPU, said.append)
    assert said == ['cqt, ser, batch 4', 'cqt, librosa, batch 4']
