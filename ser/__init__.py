"""Speech emotion recognition on streamed audio.

    import ser

    model = ser.load('runs/mine')
    answer = model('clip.wav')                 # a file, or
    answer = model(waveform, sample_rate)      # (n,) or (channels, n): float in [-1, 1] or int16
    answer.emotion, answer.confidence, answer.probabilities['angry']
    answers = model.batch(['a.wav', 'b.flac'])

Nothing heavy is imported before `ser.load` is looked up.
"""

import importlib

from ser.errors import SerError

__all__ = ['SerError', 'load']


def __getattr__(name):
    if name != 'load':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return importlib.import_module('ser.inference.loaded').load


def __dir__():
    return sorted([*globals(), 'load'])
