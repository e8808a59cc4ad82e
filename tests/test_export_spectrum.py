"""Power by two matrix products: numpy's FFT, and the banks of the trained engines."""

import numpy as np
import pytest
import torch

from ser.config.load import load_config
from ser.exporting.framing import frames_of
from ser.exporting.spectrum import MatrixBanks, PowerSpectrum, factors
from ser.features.mel import ENGINES


@pytest.mark.parametrize(('hop', 'reach', 'samples'), [(4, 6, 23), (5, 3, 20), (8, 8, 1), (3, 12, 30)])
def test_frames_are_the_samples_round_every_hop(hop, reach, samples):
    waveforms = torch.randn(2, samples)
    padded = np.pad(waveforms.numpy(), ((0, 0), (reach, reach + hop)))
    every = np.stack([padded[:, at:at + 2 * reach] for at in range(0, samples + 1, hop)], axis=1)
    np.testing.assert_array_equal(frames_of(waveforms, None, hop, reach), every)
    shown = torch.tensor([[0, samples // hop, 0], [samples // hop, 0, 0]])
    np.testing.assert_array_equal(frames_of(waveforms, shown, hop, reach),
                                  np.take_along_axis(every, shown.numpy()[..., None], axis=1))


@pytest.mark.parametrize('n', [4, 62, 400, 4096])
def test_the_power_spectrum_is_that_of_an_fft(n):
    spectrum, frames = PowerSpectrum(n), torch.randn(2, 3, n)
    found = np.empty((2, 3, n // 2 + 1))
    kept = spectrum.order <= n // 2
    found[..., spectrum.order[kept]] = spectrum(frames)[..., kept]
    wanted = np.abs(np.fft.rfft(frames.double().numpy() * torch.hann_window(n, dtype=torch.float64).numpy())) ** 2
    np.testing.assert_allclose(found, wanted, atol=3e-6 * wanted.max(), rtol=1e-5)
    assert np.prod(factors(n)) == n


@pytest.mark.parametrize('engine', ['banded', 'torchaudio'])
def test_mel_and_chroma_are_those_of_the_trained_engines(engine):
    features = load_config(('base',), ['features.sample_rate=16000', 'features.mel.n_fft=400', 'features.mel.bins=30',
                                       'features.mel.hop_length=160']).features
    waveforms, shown = torch.randn(2, 5000), torch.tensor([[0, 31, 7], [5, 5, 30]])
    theirs = ENGINES[engine](features.mel, features.chroma, 16000, ['mel', 'chroma'])
    ours = MatrixBanks(features, ['mel', 'chroma'])
    assert not ours.state_dict()
    for frames in (None, shown):
        wanted = theirs(waveforms, frames)
        for name, power in ours(waveforms, frames).items():
            torch.testing.assert_close(power, wanted[name], rtol=2e-5, atol=1e-6 * float(wanted[name].max()))
