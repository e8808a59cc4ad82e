"""The work behind the routes: decoding in threads, batches on the model thread, pictures; bounded and cancellable."""

import asyncio
import math
import threading
import time
from contextlib import asynccontextmanager, contextmanager

import numpy as np

from ser.errors import SerError
from ser.evaluation.dimension_files import read_task
from ser.inference.emotion_segments import SILENCE
from ser.inference.emotion_windows import grid_of, is_silent
from ser.inference.predictor import is_short
from ser.inference.recordings import BadRecording
from ser.serving.audio import read_header, read_samples, unusable
from ser.serving.batcher import DEAD, Batcher
from ser.serving.counters import Metrics
from ser.serving.model_facts import model_facts
from ser.serving.refusal import Refusal, busy, unavailable
from ser.serving.threads import STOPPING, Threads
from ser.shards.reader import longest, windows
from ser.training.task import main_head

LONG_SECONDS = 30.0
"""Longer recordings are decoded and held two at a time, whatever the number of requests."""
_LONG_AT_ONCE, _TIMELINES_AT_ONCE, _DECODERS = 2, 2, 4
_WARM_SECONDS = 1.0
# What a batch holds for each of its clips at most: a few long ones take no more memory than many of usual length.
_BATCH_SECONDS = 8.0
# A model that is at one batch for longer than any request may take answers nobody; a short time limit proves nothing.
_LEAST_STUCK_SECONDS = 10.0
# How long the model thread may take to end, and each of the others after it.
_MODEL_END_SECONDS, _THREAD_END_SECONDS = 2.0, 0.5


class Service:
    """A run's model and everything that requests share. Made, started and closed by one owner."""

    def __init__(self, run, predictor, limits, threads=None):
        """predictor: a predictor.Predictor of the run. threads: of the model's arithmetic; None leaves torch's own.

        Raises SerError for a run that predicts dimensions: pages and routes speak of classes.
        """
        if read_task(run) is not None:
            raise SerError(f'{run}: predicts dimensions; ser serve answers with emotions. Use ser predict')
        self.predictor, self.limits, self.metrics = predictor, limits, Metrics()
        self.facts = model_facts(run, predictor, limits)
        self.requests = self.held_bytes = 0
        self.stopping = False
        self._run, self._coming, self._explainer = run, 0, None
        self._lock, self._running = threading.Lock(), set()
        self._decoders = Threads(_DECODERS, 'decode')
        self._timelines = Threads(_TIMELINES_AT_ONCE, 'timeline')
        self._long = asyncio.Semaphore(_LONG_AT_ONCE)
        self.batcher = Batcher(predictor.values, limits.max_batch, limits.max_wait_ms / 1000, lambda: self._coming,
                               self.metrics, limits.max_batch * _BATCH_SECONDS * predictor.sample_rate)
        self.batcher.call(lambda: _use_threads(threads)).result()

    def warm_up(self):
        """Let the model hear silence once: the first request then waits for no table or kernel to be made."""
        silence = np.zeros(int(_WARM_SECONDS * self.predictor.sample_rate), dtype=np.int16)
        self.batcher.submit([silence]).result()

    def close(self):
        """Drop what waits and let every thread end, the model's after its batch; returns whether all did in time."""
        self.stopping = True
        # The model's first: timelines wait for it.
        ended = [self.batcher.close(_MODEL_END_SECONDS)]
        ended += [threads.close(_THREAD_END_SECONDS) for threads in (self._timelines, self._decoders)]
        return all(ended)

    def trouble(self):
        """(state, sentence) while nobody is answered: 'stopping', 'dead' or 'stuck', and why; None else."""
        if self.stopping:
            return 'stopping', STOPPING
        if self.batcher.dead:
            return 'dead', DEAD
        if (seconds := self.batcher.busy_seconds) > max(self.limits.timeout_seconds, _LEAST_STUCK_SECONDS):
            return 'stuck', (f'the model has been at one batch for {seconds:.0f} s, longer than a request may take. If '
                             'that goes on, the server must be started again')
        return None

    def hold(self, count):
        """Count so many bytes more, or fewer, of uploads in memory; from any thread."""
        with self._lock:
            self.held_bytes += count

    @asynccontextmanager
    async def in_time(self):
        """Raise TimeoutError when a request has taken as long as it may, or as long as the end of the server leaves."""
        async with asyncio.timeout(self.limits.timeout_seconds) as bound:
            self._running.add(bound)
            try:
                yield
            finally:
                self._running.discard(bound)

    def end_within(self, seconds):
        """Take no more requests, and leave those that are being answered so many seconds from now."""
        self.stopping = True
        until = asyncio.get_running_loop().time() + seconds
        for bound in self._running:
            if not bound.expired() and bound.when() > until:
                bound.reschedule(until)

    @contextmanager
    def place(self):
        """A place in the queue for one request; raises Refusal where all are taken, or none is answered."""
        if trouble := self.trouble():
            raise unavailable(trouble[1])
        if self.requests >= self.limits.queue:
            raise busy(f'the server has its hands full with {self.requests} requests')
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextmanager
    def coming(self):
        """A clip is on its way to the model, until the function that this gives is called, or all ends."""
        self._coming += 1
        left = 1

        def on_queued():
            nonlocal left
            self._coming -= left
            if left:
                self.batcher.nudge()
            left = 0

        try:
            yield on_queued
        finally:
            on_queued()

    async def predict(self, upload, on_queued):
        """A dict as answers.Prediction describes it. on_queued: called when the clip waits for the model."""
        header = await self._in_thread(read_header, upload, self.limits)
        if header.seconds <= LONG_SECONDS:
            return await self._predict(upload, on_queued)
        on_queued()
        async with self._long:
            return await self._predict(upload, lambda: None)

    async def _predict(self, upload, on_queued):
        samples = await self._samples(upload)
        rate = self.predictor.sample_rate
        seconds = len(samples) / rate
        on_queued()
        values = None
        if not is_silent(samples, rate):
            future = self.batcher.submit(windows(samples, self.predictor.config.data.max_seconds, rate))
            values = (await asyncio.wrap_future(future)).mean(axis=0)
        return {'file': upload.name, 'seconds': seconds, 'short': is_short(seconds), **self._said(values)}

    def _said(self, values):
        """What is said of uncalibrated probabilities float64 (C,); None: of silence, which no model heard."""
        calibration, names = self.predictor.calibration, self.predictor.names
        how = {'silent': values is None, 'calibrated': calibration.fitted, 'threshold': calibration.threshold}
        if values is None:
            return {'emotion': SILENCE, 'likeliest': None, 'confidence': None, **how, 'probabilities': {}}
        values = calibration.apply(values)
        emotion, confidence = calibration.answer(values, names)
        return {'emotion': emotion, 'likeliest': names[int(values.argmax())], 'confidence': confidence, **how,
                'probabilities': dict(zip(names, values.tolist(), strict=True))}

    async def timeline(self, upload, window_seconds, hop_seconds):
        """A dict as answers.Timeline describes it. window_seconds, hop_seconds: None leaves it to the model."""
        try:
            grid_of(self.predictor.sample_rate, self.predictor.config.data.max_seconds, window_seconds, hop_seconds)
        except SerError as error:
            raise Refusal(422, str(error)) from None
        await self._in_thread(read_header, upload, self.limits)
        model = QueuedPredictor(self.predictor, self.batcher)

        def work():
            from ser.inference.emotion_timeline import timeline_of

            with upload.opened() as file:
                return timeline_of(model, file, window_seconds, hop_seconds, name=upload.name,
                                   max_seconds=self.limits.max_seconds).facts()

        future = self._timelines.submit(work)
        try:
            return await asyncio.wrap_future(future)
        except BadRecording as bad:
            raise unusable(upload, bad) from None
        finally:
            model.stop()

    async def explain(self, upload, start):
        """A dict as answers.Explanation describes it, of data.max_seconds from second `start` on."""
        await self._in_thread(read_header, upload, self.limits)
        rate, most = self.predictor.sample_rate, self.predictor.config.data.max_seconds
        async with self._long:
            first = int(start * rate)
            samples = await self._samples(upload, first + longest(most, rate))
            if first >= len(samples):
                raise Refusal(422, f'start is {start:g} s; {upload.name} ends at {len(samples) / rate:.2f} s')
            clip = samples[first:].copy()
            del samples
            if is_silent(clip, rate):
                raise Refusal(422, f'nothing is to be heard in {upload.name} from {first / rate:g} s to '
                                   f'{(first + len(clip)) / rate:.2f} s: the model is not asked about silence')
            found = await asyncio.wrap_future(self.batcher.call(lambda: self._explain(clip)))
            front_end = self._explainer[0].front_end
            return await self._in_thread(_drawn, found, front_end, first / rate)

    def _explain(self, clip):
        """An attributions.Explanation of int16 (n,) samples, made by the model thread."""
        from ser.inference.attributions import explain
        from ser.inference.inspection import Inspector, trained_inspector

        if self._explainer is None:
            on_cpu = self.predictor.device.type == 'cpu'
            inspector = Inspector(self.predictor.config, self.predictor.model) if on_cpu else \
                trained_inspector(self._run)[0]
            self._explainer = inspector.model, main_head(self.predictor.names, None), inspector.waveform
        model, head, waveform = self._explainer
        return explain(model, head, clip, waveform)

    async def _samples(self, upload, most=math.inf):
        deadline = time.monotonic() + self.limits.timeout_seconds
        return await self._in_thread(read_samples, upload, self.predictor.sample_rate, self.limits, deadline, most)

    async def _in_thread(self, function, *arguments):
        # Where the request is cancelled, what has not begun is never begun.
        return await asyncio.wrap_future(self._decoders.submit(function, *arguments))


class QueuedPredictor:
    """A Predictor whose clips are heard by the batcher, among those of other requests; for one timeline."""

    def __init__(self, predictor, batcher):
        self._predictor, self._batcher, self._stopped = predictor, batcher, threading.Event()

    def __getattr__(self, name):
        return getattr(self._predictor, name)

    def values(self, clips):
        """float64 (B, C), as Predictor.values. Raises SerError once the request has ended."""
        if self._stopped.is_set():
            raise SerError('nobody waits for this timeline any more')
        return self._batcher.submit(list(clips)).result()

    def stop(self):
        """Let the timeline end with the batch that it waits for."""
        self._stopped.set()


def _drawn(found, front_end, start):
    from ser.serving.pictures import explanation_facts

    return explanation_facts(found, front_end, start)


def _use_threads(threads):
    # Of the thread that calls it: the arithmetic's threads belong to the model thread.
    if threads:
        import torch

        torch.set_num_threads(threads)
