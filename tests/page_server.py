"""A stand-in for the server of `ser serve`: its page is tested in every situation, quickly and without a model."""

import base64
import contextlib
import io
import json
import math
import re
import threading
import time
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

PAGE = Path(__file__).resolve().parent.parent / 'ser' / 'serving' / 'page'
CSP = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:"
TYPES = {'.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml'}
CLASSES = ['neutral', 'calm', 'happy', 'sad', 'angry', 'fear', 'disgust', 'surprise']


class Stand:
    """What the server says and does; tests change it before they act."""

    def __init__(self):
        self.classes = list(CLASSES)
        self.calibrated, self.threshold = True, 0.35
        self.score = ('UA 57.8 % [45.5, 71.3] on 300 clips of 5 speakers not in training (protocol speaker, 95 % '
                      'interval by bootstrap over speakers)')
        self.notes = []
        self.limits = {'max_bytes': 8 << 20, 'max_seconds': 600.0}
        self.best = 'angry'
        self.confidence = 0.62
        self.silent = False
        self.attention = True
        self.views = ('cqt', 'mel')
        self.token = None
        # Requests of POST answered by a status of their own, in turn: (status, sentence, headers).
        self.refusals = []
        self.seconds_each = 0.0
        # What was sent: (path, file name, bytes).
        self.uploads = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.split('?')[0]
        name = 'index.html' if path == '/' else path.removeprefix('/static/')
        if path == '/model':
            if self.allowed():
                self.json(200, model_facts(self.server.stand))
        elif path in ('/', f'/static/{name}') and re.fullmatch(r'[\w-]+\.\w+', name) and (PAGE / name).is_file():
            self.send(200, TYPES[Path(name).suffix], (PAGE / name).read_bytes())
        else:
            self.json(404, {'error': f'{path}: no such page'})

    def do_POST(self):
        stand = self.server.stand
        body = self.rfile.read(int(self.headers['Content-Length']))
        if not self.allowed():
            return
        if stand.refusals:
            status, sentence, headers = stand.refusals.pop(0)
            self.json(status, {'error': sentence}, headers)
            return
        name, data = form_file(self.headers['Content-Type'], body)
        path = self.path.split('?')[0]
        stand.uploads.append((path, name, data))
        time.sleep(stand.seconds_each)
        try:
            samples, rate = soundfile.read(io.BytesIO(data), dtype='float32', always_2d=True)
        except soundfile.LibsndfileError:
            self.json(400, {'error': f'{name} is not audio: it is text. WAV, FLAC, OGG and MP3 files can be read'})
            return
        answer = {'/predict': prediction, '/timeline': timeline, '/explain': explanation}[path]
        self.json(200, answer(stand, name, samples.mean(axis=1), rate))

    def allowed(self):
        token = self.server.stand.token
        good = token is None or self.headers.get('Authorization') == f'Bearer {token}'
        if not good:
            self.json(401, {'error': 'this server wants its token'})
        return good

    def json(self, status, facts, headers=()):
        self.send(status, 'application/json', json.dumps(facts).encode(), headers)

    def send(self, status, kind, body, headers=()):
        self.send_response(status)
        for name, value in {'Content-Type': kind, 'Content-Length': str(len(body)), 'Content-Security-Policy': CSP,
                            'X-Content-Type-Options': 'nosniff', **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)


def form_file(content_type, body):
    """(file name, bytes) of the part `file` of a multipart body."""
    form = BytesParser(policy=HTTP).parsebytes(f'Content-Type: {content_type}\r\n\r\n'.encode() + body)
    part, = (part for part in form.iter_parts() if part.get_param('name', header='content-disposition') == 'file')
    return part.get_filename(), part.get_payload(decode=True)


def model_facts(stand):
    """What GET /model answers."""
    return {'name': 'crnn-tiny-ravdess', 'system': 'crnn', 'classes': stand.classes, 'sample_rate': 16000,
            'score': stand.score, 'calibrated': stand.calibrated, 'threshold': stand.threshold,
            'limits': stand.limits, 'notes': stand.notes}


def shares(classes, best, confidence):
    """{class: probability} with `confidence` for `best`; the others get less and less of the rest."""
    others = [name for name in classes if name != best]
    parts = np.arange(len(others), 0, -1) ** 2.0
    parts *= (1 - confidence) / parts.sum()
    return {name: confidence if name == best else float(parts[others.index(name)]) for name in classes}


def prediction(stand, name, samples, rate):
    """What POST /predict answers."""
    how = {'silent': stand.silent, 'short': len(samples) < 0.1 * rate, 'calibrated': stand.calibrated,
           'threshold': stand.threshold}
    if stand.silent:
        return {'file': name, 'seconds': len(samples) / rate, 'emotion': 'silence', 'likeliest': None,
                'confidence': None, **how, 'probabilities': {}}
    named = stand.threshold is None or stand.confidence >= stand.threshold
    return {'file': name, 'seconds': len(samples) / rate, 'emotion': stand.best if named else 'unknown',
            'likeliest': stand.best, 'confidence': stand.confidence, **how,
            'probabilities': shares(stand.classes, stand.best, stand.confidence)}


def timeline(stand, name, samples, rate, window=3.0, hop=1.0):
    """What POST /timeline answers: the class changes every four seconds, where the sound stops there is silence."""
    seconds = len(samples) / rate
    windows = []
    for start in np.arange(0, max(seconds - window, 0) + 1e-6, hop):
        piece = samples[int(start * rate):int((start + window) * rate)]
        silent = bool(np.sqrt(np.mean(piece ** 2)) < 1e-3)
        best = stand.classes[int(start / 4) % len(stand.classes)]
        sure = 0.5 + 0.35 * math.sin(start)
        emotion = 'silence' if silent else best if sure >= (stand.threshold or 0) else 'unknown'
        windows.append({'start': float(start), 'end': float(min(start + window, seconds)), 'silent': silent,
                        'emotion': emotion, 'confidence': None if silent else sure,
                        'probabilities': None if silent else shares(stand.classes, best, sure)})
    segments = []
    for i, each in enumerate(windows):
        end = seconds if i == len(windows) - 1 else each['start'] + window / 2 + hop / 2
        if segments and segments[-1]['emotion'] == each['emotion']:
            segments[-1]['end'] = end
        else:
            start = segments[-1]['end'] if segments else 0.0
            segments.append({'start': start, 'end': end, 'emotion': each['emotion'], 'confidence': each['confidence']})
    return {'file': name, 'seconds': seconds, 'window_seconds': window, 'hop_seconds': hop, 'classes': stand.classes,
            'calibrated': stand.calibrated, 'windows': windows, 'segments': segments}


def explanation(stand, name, samples, rate):
    """What POST /explain answers, with pictures that look like what they stand for."""
    samples = samples[:3 * rate]
    parts = [part if len(part) else np.zeros(1) for part in np.array_split(samples, 600)]
    frames = np.abs(np.fft.rfft(samples[:len(samples) // 256 * 256].reshape(-1, 256), axis=1)).T[::-1]
    grey = np.log1p(frames * 20)
    grey = (255 * grey / max(grey.max(), 1e-6)).astype(np.uint8)
    loud = (grey.astype(float) ** 2 / 255).astype(np.uint8)
    overlay = np.stack([np.full_like(grey, 255), np.full_like(grey, 170), np.zeros_like(grey), loud], axis=-1)
    views = [{'name': view, 'png': data_uri(grey), 'saliency': data_uri(overlay)} for view in stand.views]
    seconds = len(samples) / rate
    weights = np.array([np.abs(part).mean() for part in np.array_split(samples, 48)])
    attention = {'start': 0.0, 'end': seconds, 'weights': (weights / max(weights.sum(), 1e-9)).tolist()}
    return {'seconds': seconds, 'start': 0.0, 'views': views, 'attention': attention if stand.attention else None,
            'waveform': {'peaks': [[float(p.min()), float(p.max())] for p in parts], 'sample_rate': rate}}


def data_uri(pixels):
    """A PNG of uint8 (H, W) or (H, W, 4) pixels as a data URI."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'png')
    return 'data:image/png;base64,' + base64.b64encode(file.getvalue()).decode()


@contextlib.contextmanager
def standing():
    """(Stand, address without the last slash) of a server that stops with the block."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    server.daemon_threads = True
    server.stand = Stand()
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True)
    thread.start()
    try:
        yield server.stand, f'http://127.0.0.1:{server.server_address[1]}'
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
