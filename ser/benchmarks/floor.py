"""The floor: what a stage must at least take on this machine, from its bytes and operations and two measured rates.

Bytes count once in and once out; an FFT of N real numbers is 2.5 N log2 N operations, of N complex ones 5 N log2 N.
"""

import math
import time
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from ser.benchmarks.timing import finish
from ser.features.image import CHANNELS

TRIES = 5
NETWORK_STAGES = ('model_forward', 'train_step', 'train_from_shards')
OPTIMISER_NUMBERS = 7
"""AdamW reads weight, gradient and two moments of each weight and writes all but the gradient."""


@dataclass(frozen=True)
class Work:
    """The least that a stage reads and writes, and computes, for one clip."""

    bytes: float
    flops: float = 0.0

    def columns(self):
        """For a row."""
        return {'bytes': self.bytes, 'flops': self.flops}


@dataclass(frozen=True)
class Rates:
    """What this device was measured to do, per second."""

    bytes: float
    """Read and written by a large copy on the device."""
    bus_bytes: float
    """Copied from pinned host memory to the device; on the CPU the same as `bytes`."""
    flops: float
    """Of a large float32 matrix product, as torch is set."""
    network_flops: float
    """The same in the network's precision."""


def fft_flops(n, real=True):
    """Operations of one FFT of n numbers."""
    return (2.5 if real else 5.0) * n * math.log2(max(n, 2))


def cqt_work(features, samples):
    """Work of the CQT of a clip of `samples`."""
    frames = 1 + samples // features.cqt.hop_length
    bins = features.cqt.bins
    return Work(4.0 * (samples + bins * frames), fft_flops(samples) + bins * fft_flops(frames, real=False))


def mel_work(features, samples, frames=None):
    """Work of the Mel power of a clip, of all frames or so many: FFTs, squares, the two filters at each FFT bin."""
    mel = features.mel
    frames, bins = frames or 1 + samples // mel.hop_length, 1 + mel.n_fft // 2
    return Work(4.0 * (samples + mel.bins * frames), frames * (fft_flops(mel.n_fft) + 3.0 * bins + 4.0 * bins))


def frames_shown(features, samples, hop_length):
    """Frames that the image of a clip needs: a bilinear column lies between two."""
    frames = 1 + samples // hop_length
    every = features.image.frames == 'all' or features.image.channels == 'delta'
    return frames if every else min(frames, 2 * features.image.size)


def image_work(features, samples, wanted):
    """Work of decibels and images of the features `wanted` of a clip."""
    power = sum(features.cqt.bins * frames_shown(features, samples, features.cqt.hop_length) if name == 'cqt' else
                features.mel.bins * frames_shown(features, samples, features.mel.hop_length) for name in wanted)
    return Work(4.0 * power + _image_bytes(features, wanted))


def _image_bytes(features, wanted):
    return 4.0 * len(wanted) * CHANNELS[features.image.channels] * features.image.size**2


def mask_work(features, views):
    """Work of SpecAugment on the one-channel image of each of `views`."""
    return Work(4.0 * 2 * len(views) * features.image.size**2)


def front_end_work(features, samples, wanted):
    """Work of the whole front end: int16 in, images out, and the operations of both transforms."""
    parts = [cqt_work(features, samples)] if 'cqt' in wanted else []
    if set(wanted) - {'cqt'}:
        parts.append(mel_work(features, samples, frames_shown(features, samples, features.mel.hop_length)))
    return Work(2.0 * samples + _image_bytes(features, wanted), sum(part.flops for part in parts))


def sequence_work(features, samples, wanted):
    """Work of a front end of sequences: int16 in; out, rows of every frame, or the waveform where none are wanted."""
    rows = {'mel': features.mel.bins, 'mfcc': features.mfcc.coefficients, 'chroma': features.chroma.bins}
    if not wanted:
        return Work(6.0 * samples)
    frames = 1 + samples // features.mel.hop_length
    return Work(2.0 * samples + 4.0 * frames * sum(rows[name] for name in wanted), mel_work(features, samples).flops)


def network_work(network, views, batch, train):
    """Work of a network on `views` (dict of tensors of at least one clip), per clip of a batch.

    Products of matrices and convolutions are counted as torch counts them; a backward pass has twice the forward's.
    """
    one = {name: image[:1] for name, image in views.items()}
    training = network.training
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(one)
    network.train(training)
    weights = 4.0 * sum(parameter.numel() for parameter in network.parameters())
    images = sum(image.numel() * image.element_size() for image in one.values())
    passes = 3 if train else 1
    traffic = weights * (2 + OPTIMISER_NUMBERS) if train else weights
    return Work(images + traffic / batch, float(passes * counter.get_total_flops()))


def add_floor(rows, rates):
    """Give each row that knows its bytes and operations `floor_ms`, per clip, and `fraction_of_floor`."""
    for row in rows:
        if row.error is not None or 'bytes' not in row.extra:
            continue
        flops = rates.network_flops if row.stage in NETWORK_STAGES else rates.flops
        speed = rates.bus_bytes if row.stage == 'copy' else rates.bytes
        floor_ms = 1000.0 * max(row.extra['bytes'] / speed, row.extra['flops'] / flops)
        row.extra |= {'floor_ms': floor_ms, 'fraction_of_floor': floor_ms / row.ms_per_clip}


def measure_rates(device, dtype):
    """The Rates of `device`, dtype being the network's; the best of a few tries each."""
    large = device.type == 'cuda'
    source = torch.zeros((1 << 28) if large else (1 << 25), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copied = 2 * len(source) / _best(lambda: target.copy_(source), device)
    over_the_bus = copied
    if large:
        pinned = torch.zeros(1 << 28, dtype=torch.uint8, pin_memory=True)
        over_the_bus = len(pinned) / _best(lambda: target.copy_(pinned, non_blocking=True), device)
    size = 8192 if large else 1024
    single = _matmul_rate(size, torch.float32, device)
    network = single if dtype in (None, torch.float32) else _matmul_rate(size, dtype, device)
    return Rates(copied, over_the_bus, single, network)


def _matmul_rate(size, dtype, device):
    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2.0 * size**3 / _best(lambda: torch.matmul(one, other), device)


def _best(call, device):
    """Least seconds of one call in TRIES tries, after one that does not count."""
    # Waiting for a GPU takes about as long as a tenth of one such call.
    calls, taken = 10 if device.type == 'cuda' else 1, []
    for _ in range(1 + TRIES):
        finish(device)
        started = time.perf_counter()
        for _ in range(calls):
            call()
        finish(device)
        taken.append((time.perf_counter() - started) / calls)
    return min(taken[1:])
