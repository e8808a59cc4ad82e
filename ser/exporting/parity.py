"""Whether an exported file says what its run says, and how fast, measured on clips when it is made."""

import io
import time
import warnings

import numpy as np
import torch

from ser.errors import SerError

MOST_DIFFERENCE = 1e-4
"""In probability, or in deviations of the training labels for dimensions."""
CLIPS_AT_ONCE = 4
REPEATS = 3


def onnx_function(data):
    """(waveforms, lengths) -> values, numpy arrays, of the bytes of an ONNX model, in onnxruntime on one core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    return lambda waveforms, lengths: session.run(None, {'waveforms': waveforms, 'lengths': lengths})[0]


def archive_function(data):
    """As onnx_function, of the bytes of a .pt2 archive, in torch."""
    with warnings.catch_warnings():
        # Of torch's own reading of buffers.
        warnings.simplefilter('ignore')
        return torch_function(torch.export.load(io.BytesIO(data)).module())


def torch_function(module):
    """As onnx_function, of a module."""
    def run(waveforms, lengths):
        with torch.inference_mode():
            return module(torch.from_numpy(waveforms), torch.from_numpy(lengths)).numpy()

    return run


def compare(exported, eager, trained, clips, scale=1.0):
    """A dict for JSON on how far three ways to the values of clips are apart.

    exported, eager: as onnx_function. trained: float64 (N, C), what the run says, calibrated. clips: int16 (n,) each.
    scale: float (C,) or 1, what differences are divided by; then there are no decisions. Raises SerError where
    `exported` differs by more than MOST_DIFFERENCE from `eager`, or from itself with the padding of a batch.
    """
    alone, seconds = _one_by_one(exported, clips)
    padded, reference = _batched(exported, clips), _batched(eager, clips)
    edges = padded_batch([np.zeros(clips[0].size, np.int16), clips[0][:1]])
    found = {'clips': len(clips), 'most_allowed': MOST_DIFFERENCE,
             'exported_against_eager': _apart(alone, reference, scale),
             'silence_and_one_sample_against_eager': _apart(exported(*edges), eager(*edges), scale),
             'alone_against_padded_batch': _apart(alone, padded, scale),
             **_against_trained(alone, trained, scale), 'latency_ms': _latency(seconds, clips)}
    return _checked(found, {'exported_against_eager': 'from the run in eager mode',
                            'silence_and_one_sample_against_eager': 'from the run in eager mode on silence',
                            'alone_against_padded_batch': 'between a clip alone and in a padded batch'})


def compare_alone(exported, trained, clips, scale=1.0):
    """As compare, of what keeps the trained engine and takes one clip at a time: what differs from it is refused."""
    alone, seconds = _one_by_one(exported, clips)
    found = {'clips': len(clips), 'most_allowed': MOST_DIFFERENCE, **_against_trained(alone, trained, scale),
             'latency_ms': _latency(seconds, clips)}
    return _checked(found, {'exported_against_trained': 'from the run'})


def _against_trained(alone, trained, scale):
    found = {'exported_against_trained': _apart(alone, trained, scale)}
    if np.ndim(scale) == 0:
        changed = np.flatnonzero(alone.argmax(1) != trained.argmax(1))
        found['changed_decisions'] = len(changed)
        found['margins_of_changed'] = [float(np.diff(np.sort(trained[row])[-2:])[0]) for row in changed]
    return found


def _latency(seconds, clips):
    clock, processor = 1e3 * np.array(seconds).T
    return {'median': float(np.median(clock)), 'slowest': float(clock.max()),
            'processor_median': float(np.median(processor)), 'cores': 1,
            'median_clip_samples': int(np.median([len(clip) for clip in clips]))}


def _checked(found, wanted):
    """`found`, or a SerError where one of the differences wanted (key -> words) is too large."""
    for key, what in wanted.items():
        # Written so that NaN does not pass.
        if not found[key]['max'] <= MOST_DIFFERENCE:
            raise SerError(f"the exported model differs {what} by {found[key]['max']:.2g}, over {MOST_DIFFERENCE:g}: "
                           'nothing was written. Another version of torch, onnxruntime or transformers may do better')
    return found


def padded_batch(clips):
    """(float32 (B, T) in [-1, 1), zeros beyond each clip; int64 (B,)) of int16 clips."""
    lengths = np.array([len(clip) for clip in clips], dtype=np.int64)
    waveforms = np.zeros((len(clips), lengths.max()), dtype=np.float32)
    for row, clip in zip(waveforms, clips, strict=True):
        row[:len(clip)] = clip / np.float32(32768)
    return waveforms, lengths


def _one_by_one(function, clips):
    """Values of each clip alone, and (seconds, processor seconds) of each, the least of REPEATS."""
    values, seconds = [], []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for clip in clips:
            batch, times = padded_batch([clip]), []
            for _ in range(REPEATS):
                started, used = time.perf_counter(), time.process_time()
                found = function(*batch)
                times.append((time.perf_counter() - started, time.process_time() - used))
            values.append(found)
            seconds.append(np.min(times, axis=0))
    finally:
        torch.set_num_threads(threads)
    return np.concatenate(values), seconds


def _batched(function, clips):
    """Values in padded batches, each of clips as far apart in the list as can be."""
    parts = max(1, -(-len(clips) // CLIPS_AT_ONCE))
    order = [row for first in range(parts) for row in range(first, len(clips), parts)]
    values = [function(*padded_batch(clips[first::parts])) for first in range(parts)]
    return np.concatenate(values)[np.argsort(order)]


def _apart(one, other, scale):
    difference = np.abs(np.asarray(one, dtype=np.float64) - other) / scale
    return {'max': float(difference.max()), 'mean': float(difference.mean())}
