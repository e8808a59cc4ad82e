"""The rivals compute what they are compared for."""

import librosa
import numpy as np
import pytest
import torch

from ser.benchmarks.clips import clip
from ser.benchmarks.rivals import bare_cqt, bare_mel, nnaudio_cqt, stock_mel
from ser.features.cqt import FoldedCqt
from tests.tiny_benchmark import tiny_config

CPU = torch.device('cpu')


def samples(count=2, seconds=1.0):
    return torch.from_numpy(np.stack([clip(n, seconds, 16000) for n in range(count)]) / np.float32(32768))


def decibels(power):
    return 10 * np.log10(np.maximum(power / power.max(axis=(1, 2), keepdims=True), 1e-8))


@pytest.mark.parametrize(('name', 'mean_db'), [('nnaudio-1992', 0.03), ('nnaudio-2010', 1.0)])
def test_nnaudios_layers_give_our_cqt(name, mean_db):
    features, given = tiny_config().features, samples()
    ours = FoldedCqt(features.cqt, 16000)(given).numpy()
    theirs = nnaudio_cqt(name, features)(given).square().numpy()
    assert theirs.shape == ours.shape
    assert np.abs(decibels(theirs) - decibels(ours)).mean() < mean_db


def test_the_stock_mel_is_librosas():
    given = samples()
    ours = stock_mel(tiny_config().features)(given)[1].numpy()
    theirs = librosa.feature.melspectrogram(y=given[1].numpy(), sr=16000, n_fft=512, hop_length=128, n_mels=32)
    assert np.abs(ours - theirs).max() < 1e-4 * theirs.max()


class Counting(torch.overrides.TorchFunctionMode):
    """Notes the shape of what each FFT is given, and the bytes of each clone."""

    def __init__(self):
        super().__init__()
        self.met = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.fft.rfft, torch.fft.ifft, torch.Tensor.clone):
            self.met.append((func.__name__.removeprefix('fft_'), tuple(args[0].shape), (kwargs or {}).get('n')))
        return func(*args, **kwargs or {})


def test_bare_ffts_are_one_large_and_a_small_one_for_each_bin():
    features = tiny_config().features
    with Counting() as counting:
        bare_cqt(features, 3, 16000, CPU)()
    (clone, clips, _), (forward, given, size), (inverse, folded, _) = counting.met
    assert (clone, clips, forward, given) == ('clone', (3, 16000), 'rfft', (3, 16000))
    # Half of the longest atom after the clip, 17.3 / 32.7 s / 2, in whole hops.
    assert size % 128 == 0 and 16000 + 0.5 * 17.33 / 32.7 * 16000 <= size < 1.1 * (16000 + 0.27 * 16000)
    assert (inverse, folded) == ('ifft', (size // 128, 3, 72))


def test_bare_ffts_of_the_mel_are_of_the_frames_shown():
    with Counting() as counting:
        bare_mel(tiny_config().features, 4, 16000, CPU)()
    ffts = [shape for name, shape, _ in counting.met if name == 'rfft']
    # 126 frames, of which 32 columns show 64.
    assert sum(rows for rows, _ in ffts) == 4 * 64 and {width for _, width in ffts} == {512}
    assert [shape for name, shape, _ in counting.met if name == 'clone'] == [(4, 16000)]
