"""Dynamic batching: who is heard with whom, who waits, what is dropped."""

import sys
import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest

from ser.serving.batcher import Batcher, Stopped, _Job
from ser.serving.counters import Metrics
from tests.served import StandIn


@pytest.fixture
def model():
    stand_in = StandIn()
    yield stand_in
    stand_in.gate.set()


@pytest.fixture
def make(model):
    made = []

    def batcher(**options):
        made.append(Batcher(model.values, **options))
        return made[-1]

    yield batcher
    model.gate.set()
    for one in made:
        one.close()


def clips(count, first=1):
    return [np.full(100, 50 * (first + i), np.int16) for i in range(count)]


def held(model, batcher):
    """Keep the model busy with one clip; returns its Future."""
    model.gate.clear()
    future = batcher.submit(clips(1))
    assert model.entered.acquire(timeout=5)
    return future


def test_what_waits_while_the_model_is_busy_is_heard_together(model, make):
    batcher = make(max_batch=4)
    busy = held(model, batcher)
    futures = [batcher.submit(clips(1, i)) for i in range(2, 11)]
    assert batcher.waiting == 9
    model.gate.set()
    rows = [future.result(5) for future in (busy, *futures)]
    assert model.sizes == [1, 4, 4, 1] and batcher.waiting == 0
    np.testing.assert_array_equal(np.concatenate(rows), model.values(clips(10)))


def test_a_batch_of_one_hears_each_alone(model, make):
    batcher = make(max_batch=1)
    busy = held(model, batcher)
    futures = [batcher.submit(clips(1)) for _ in range(3)]
    model.gate.set()
    assert [len(future.result(5)) for future in (busy, *futures)] == [1] * 4 and model.sizes == [1] * 4


def test_a_long_recording_does_not_hold_up_short_ones(model, make):
    batcher, ended = make(max_batch=4), []
    busy = held(model, batcher)
    long = batcher.submit(clips(20))
    long.add_done_callback(lambda _: ended.append('long'))
    short = batcher.submit(clips(1, 7))
    short.add_done_callback(lambda _: ended.append('short'))
    model.gate.set()
    np.testing.assert_array_equal(long.result(5), model.values(clips(20)))
    busy.result(5)
    assert ended == ['short', 'long']


def test_a_batch_is_bounded_in_samples_too(model, make):
    batcher = make(max_batch=8, max_samples=1000)
    busy = held(model, batcher)
    futures = [batcher.submit([np.ones(n, np.int16)]) for n in (100, 300, 300, 400, 5000, 10, 20)]
    model.gate.set()
    assert [len(future.result(5)) for future in (busy, *futures)] == [1] * 8
    assert model.sizes == [1, 3, 1, 1, 2]


def test_an_idle_model_waits_for_nobody(model, make):
    batcher = make(max_batch=8, max_wait_seconds=5.0, expected=lambda: 0)
    started = time.monotonic()
    batcher.submit(clips(1)).result(5)
    assert time.monotonic() - started < 2


def test_a_batch_waits_for_those_that_are_coming_until_it_is_full_or_late(model, make):
    coming = [1]
    batcher = make(max_batch=2, max_wait_seconds=5.0, expected=lambda: coming[0])
    first = batcher.submit(clips(1))
    time.sleep(0.1)
    assert not first.done() and model.sizes == []
    second = batcher.submit(clips(1))
    assert len(first.result(2)) == len(second.result(2)) == 1 and model.sizes == [2]
    third = batcher.submit(clips(1))
    coming[0] = 0
    batcher.nudge()
    third.result(2)
    coming[0] = 1
    late = make(max_batch=2, max_wait_seconds=0.05, expected=lambda: 1)
    late.submit(clips(1)).result(2)
    assert model.sizes == [2, 1, 1]


def test_cancelled_work_is_dropped_and_counted(model, make):
    metrics = Metrics()
    batcher = make(max_batch=4, metrics=metrics)
    busy = held(model, batcher)
    gone, kept = batcher.submit(clips(8)), batcher.submit(clips(2))
    assert gone.cancel()
    model.gate.set()
    assert len(kept.result(5)) == 2 and len(busy.result(5)) == 1
    assert model.sizes == [1, 2] and metrics.dropped == 1


def test_what_comes_while_the_queue_is_cleaned_is_not_lost(make):
    batcher, futures = make(max_batch=4), []
    with batcher._changed:
        coming = threading.Thread(target=lambda: futures.append(batcher.submit(clips(1))))
        coming.start()
        # Long enough for it to stand before the lock.
        time.sleep(0.05)
        batcher._forget()
    coming.join(5)
    assert len(futures[0].result(5)) == 1


def test_one_bad_clip_does_not_take_the_others_with_it(model):
    def values(given):
        if any(len(clip) == 13 for clip in given):
            raise FloatingPointError('not finite')
        return model.values(given)

    batcher = Batcher(values, max_batch=8)
    busy = held(model, batcher)
    good, bad, also = (batcher.submit([np.zeros(n, np.int16)]) for n in (10, 13, 11))
    model.gate.set()
    assert busy.result(5).shape == good.result(5).shape == also.result(5).shape == (1, 3)
    with pytest.raises(FloatingPointError, match='not finite'):
        bad.result(5)
    with pytest.raises(FloatingPointError):
        batcher.submit([np.zeros(13, np.int16)] * 20).result(5)
    assert batcher.close()


def test_calls_run_on_the_model_thread_between_batches(model, make):
    batcher = make()
    busy = held(model, batcher)
    name, failing = batcher.call(lambda: threading.current_thread().name), batcher.call(lambda: 1 / 0)
    never = batcher.call(lambda: 1)
    assert never.cancel() and batcher.waiting == 3
    model.gate.set()
    assert name.result(5) == 'model' and len(busy.result(5)) == 1
    with pytest.raises(ZeroDivisionError):
        failing.result(5)


def test_closing_finishes_the_batch_at_hand_and_fails_the_rest(model, make):
    batcher = make(max_batch=1)
    busy = held(model, batcher)
    waiting, called = batcher.submit(clips(1)), batcher.call(lambda: 1)
    closing = threading.Thread(target=batcher.close)
    closing.start()
    model.gate.set()
    closing.join(5)
    assert len(busy.result(5)) == 1
    for future in (waiting, called):
        with pytest.raises(Stopped, match='stopping'):
            future.result(5)
    with pytest.raises(Stopped):
        batcher.submit(clips(1))


def test_a_model_that_does_not_end_keeps_nobody_waiting(model, make):
    batcher = make(max_batch=1)
    busy = held(model, batcher)
    waiting = batcher.submit(clips(1))
    assert batcher.busy_seconds > 0 and not batcher.dead
    assert not batcher.close(0.1)
    for future in (busy, waiting):
        with pytest.raises(Stopped, match='stopping'):
            future.result(0)
    model.gate.set()
    assert batcher.close(5) and not batcher.dead


def test_a_call_that_closing_has_failed_is_left_alone(model, make, monkeypatch):
    batcher, broken = make(max_batch=1), []
    monkeypatch.setattr(threading, 'excepthook', broken.append)
    model.gate.clear()
    with batcher._changed:
        # Both at once, so that the call belongs to the batch at hand.
        batcher._jobs.append(_Job(clips(1)))
        batcher._calls.append((called := Future(), lambda: 1))
        batcher._changed.notify_all()
    assert model.entered.acquire(timeout=5) and not batcher.close(0.05)
    with pytest.raises(Stopped, match='stopping'):
        called.result(0)
    model.gate.set()
    assert batcher.close(5) and not broken


def test_what_nobody_waits_for_does_not_pile_up_behind_a_stuck_model(model, make):
    metrics = Metrics()
    batcher = make(max_batch=1, metrics=metrics)
    held(model, batcher)
    for _ in range(5):
        batcher.submit(clips(2)).cancel()
        batcher.call(lambda: 1).cancel()
    # The last call alone: nothing has come after it.
    assert batcher.waiting == 1 and metrics.dropped == 5


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_model_thread_that_dies_fails_all_that_waits(model, make):
    batcher = make(max_batch=1)
    busy = held(model, batcher)
    waiting, called = batcher.submit(clips(1)), batcher.call(lambda: 1)
    # No Exception: nothing that work may raise.
    batcher._hear = lambda batch: sys.exit()
    model.gate.set()
    busy.result(5)
    for future in (waiting, called):
        with pytest.raises(Stopped, match='has stopped working; its log says why'):
            future.result(5)
    with pytest.raises(Stopped, match='must be started again'):
        batcher.submit(clips(1))
    batcher._thread.join(5)
    assert batcher.dead and batcher.close(1)


def test_a_model_that_loses_a_row_fails_the_request_and_not_the_thread(make):
    rows = [np.ones((1, 2))]
    broken = Batcher(lambda given: rows[0][:len(rows)] if len(rows) > 1 else rows[0][:0], max_batch=1)
    try:
        with pytest.raises(RuntimeError, match='0 answers to 1 clips'):
            broken.submit(clips(1)).result(5)
        rows.append(None)
        assert broken.submit(clips(1)).result(5).shape == (1, 2)
    finally:
        broken.close()
