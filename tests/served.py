"""A server for tests: a stand-in for a model, an application to ask in process, and the same one behind a socket."""

import asyncio
import contextlib
import io
import struct
import threading
import time
from types import SimpleNamespace

import httpx
import numpy as np
import uvicorn

from ser.evaluation.calibration import Calibration
from ser.serving.app import build_app
from ser.serving.limits import Limits
from ser.serving.server import listen, settings
from ser.serving.service import Service
from tests.shard_factory import audio_bytes, tone

LOCAL = 'http://127.0.0.1'


class StandIn:
    """A Predictor that needs no torch: the answer is a function of the clip's level and of nothing beside it.

    gate: an Event that the model waits for before each batch. sizes: clips of each batch so far.
    """

    def __init__(self, max_seconds=2.0):
        self.names, self.sample_rate, self.classifies = ['calm', 'happy', 'sad'], 16000, True
        self.calibration = Calibration()
        self.device = SimpleNamespace(type='cpu')
        self.config = SimpleNamespace(
            data=SimpleNamespace(max_seconds=max_seconds), model=SimpleNamespace(kind='standin'),
            evaluation=SimpleNamespace(batch_size=8))
        self.gate, self.entered, self.sizes = threading.Event(), threading.Semaphore(0), []
        self.gate.set()

    def values(self, clips):
        """float64 (B, 3)."""
        self.sizes.append(len(clips))
        self.entered.release()
        assert self.gate.wait(30)
        level = np.array([np.abs(clip.astype(np.float64)).mean() / 32768 for clip in clips])
        return np.stack([level, 0.6 - level / 2, 0.4 - level / 2], axis=1)


@contextlib.contextmanager
def service(folder, predictor=None, **limits):
    """A Service of a stand-in; limits: of Limits."""
    made = Service(folder, predictor or StandIn(), Limits(**{'timeout_seconds': 20.0, **limits}))
    try:
        yield made
    finally:
        if hasattr(made.predictor, 'gate'):
            made.predictor.gate.set()
        made.close()


def ask(app, method, path, headers=None, content=None, **options):
    """The httpx.Response of an ASGI application."""
    return asyncio.run(asked(app, method, path, headers, content, **options))


async def asked(app, method, path, headers=None, content=None, **options):
    """As `ask`, inside a loop."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=LOCAL, timeout=30) as client:
        return await client.request(method, path, headers=headers, content=content, **options)


def form(data, name='clip.wav'):
    """The `files` of an httpx request."""
    return {'file': (name, data)}


def clip(seed=1, seconds=0.5, suffix='wav', **options):
    """The bytes of a short audio file."""
    return audio_bytes(tone(seed, seconds), 16000, suffix, **options)


@contextlib.contextmanager
def listening(made, **options):
    """(host, port) of a Service behind a real socket."""
    with listen('127.0.0.1', 0) as socket:
        server = uvicorn.Server(settings(build_app(made, **options), made.limits))
        thread = threading.Thread(target=server.run, kwargs={'sockets': [socket]}, daemon=True)
        thread.start()
        address = socket.getsockname()
        while not server.started:
            time.sleep(0.005)
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join(20)


def flac_claiming(data, rate=None, channels=None, frames=None):
    """A FLAC whose first header claims another rate, number of channels or of frames than it has."""
    packed = int.from_bytes(data[18:26], 'big')
    given = {44: (20, rate), 41: (3, None if channels is None else channels - 1), 0: (36, frames)}
    for shift, (bits, value) in given.items():
        if value is not None:
            packed = packed & ~(((1 << bits) - 1) << shift) | value << shift
    return data[:18] + packed.to_bytes(8, 'big') + data[26:]


def silent_flac(seconds, rate, channels):
    """A FLAC of silence: a few bytes for thousands of samples."""
    import soundfile

    held = io.BytesIO()
    with soundfile.SoundFile(held, 'w', rate, channels, 'PCM_16', format='FLAC') as file:
        block = np.zeros((rate, channels), np.int16)
        for _ in range(seconds):
            file.write(block)
    return held.getvalue()


def wav_of_floats(values, rate=16000):
    """A WAV of float32 samples, whatever they are."""
    body = np.asarray(values, '<f4').tobytes()
    head = struct.pack('<4sIHHIIHH', b'fmt ', 16, 3, 1, rate, rate * 4, 4, 32)
    return struct.pack('<4sI4s', b'RIFF', 4 + len(head) + 8 + len(body), b'WAVE') + head + struct.pack(
        '<4sI', b'data', len(body)) + body
