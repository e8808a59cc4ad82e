import librosa
import numpy as np
import pytest
import torch

from ser.config.waveform import LevelTrim as TrimConfig
from ser.features.trim import LevelTrim, cut_to, gathered, shifted

RATE = 16000


def bursts(seed, count=6):
    """Clips of bursts between quieter noise, each beginning and ending otherwise, zero-padded: float32, int64."""
    random = np.random.default_rng(seed)
    lengths = random.integers(2000, 30000, count)
    waveforms = np.zeros((count, lengths.max() + int(random.integers(0, 4000))), dtype=np.float32)
    for row, length in zip(waveforms, lengths, strict=True):
        envelope = np.full(length, 10.0 ** random.uniform(-4, -2))
        for _ in range(random.integers(1, 4)):
            start = random.integers(0, length)
            envelope[start:start + random.integers(50, length)] = 10.0 ** random.uniform(-1.5, 0)
        row[:length] = 0.3 * envelope * random.standard_normal(length)
    return torch.from_numpy(waveforms), torch.from_numpy(lengths)


def trim(below_db=35.0, margin=0.0, window=0.064, rate=RATE):
    return LevelTrim(TrimConfig(below_db=below_db, margin_seconds=margin, window_seconds=window), rate)


@pytest.mark.parametrize(('below_db', 'margin', 'window', 'rate'), [
    (35.0, 0.0, 0.064, 16000), (35.0, 0.1, 0.064, 16000), (20.0, 0.013, 0.0305, 22050), (50.0, 0.0, 0.1, 8000),
    (60.0, 3.0, 0.02, 48000)])
def test_what_stays_is_what_librosa_keeps_and_the_margin(below_db, margin, window, rate):
    layer = trim(below_db, margin, window, rate)
    hop, extra = max(1, round(window * rate / 4)), round(margin * rate)
    cut = 0
    for seed in range(4):
        waveforms, lengths = bursts(seed)
        samples, kept = layer(waveforms, lengths)
        assert samples.shape == waveforms.shape and kept.dtype == torch.int64
        for row, length in enumerate(lengths.tolist()):
            clip = waveforms[row, :length].numpy()
            _, (start, stop) = librosa.effects.trim(clip, top_db=below_db, frame_length=4 * hop, hop_length=hop)
            start, stop = max(0, start - extra), min(length, stop + extra)
            assert kept[row] == stop - start
            np.testing.assert_array_equal(samples[row, :stop - start], clip[start:stop])
            assert (samples[row, stop - start:] == 0).all()
            cut += stop - start < length
    assert cut > 5 or margin == 3.0


def test_the_window_power_is_that_of_every_sample_in_it():
    layer, waveforms = trim(), torch.randn(2, 3001)
    window = 4 * layer.hop
    padded = np.pad(waveforms.double().numpy(), ((0, 0), (window // 2, window)))
    expected = [np.square(padded[:, at:at + window]).sum(1) for at in range(0, 3002, layer.hop)]
    np.testing.assert_allclose(layer.power(waveforms), np.stack(expected, 1), rtol=1e-5)


def test_a_silent_clip_stays_whole_and_so_does_one_under_a_window():
    waveforms = torch.zeros(3, 9000)
    waveforms[1, :40] = 0.5
    samples, kept = trim()(waveforms, torch.tensor([7000, 40, 0]))
    assert kept.tolist() == [7000, 40, 0] and torch.equal(samples, waveforms)


def test_a_clip_alone_equals_the_clip_in_a_padded_batch():
    layer = trim(margin=0.02)
    waveforms, lengths = bursts(9)
    together, kept = layer(waveforms, lengths)
    for row, length in enumerate(lengths):
        alone, left = layer(waveforms[row:row + 1, :length], lengths[row:row + 1])
        assert left == kept[row] and torch.equal(alone[0, :left], together[row, :left])


def test_a_pause_within_the_clip_stays():
    waveforms = torch.zeros(1, 16000)
    waveforms[0, 2000:3000] = waveforms[0, 9000:9900] = 0.5
    samples, kept = trim()(waveforms, torch.tensor([16000]))
    assert 7900 <= kept[0] <= 7900 + 4 * 1024 and (samples[0, 1600:5000] == 0).all()


def test_clips_copied_by_the_host_are_those_looked_up_on_a_device():
    waveforms, starts = torch.randn(4, 50), torch.tensor([0, 7, 49, 20])
    lengths = torch.tensor([50, 11, 1, 0])
    for total in (50, 60):
        expected = torch.zeros(4, total)
        for row, (start, length) in enumerate(zip(starts, lengths, strict=True)):
            expected[row, :length] = waveforms[row, start:start + length]
        assert torch.equal(shifted(waveforms, starts, lengths, total), expected)
        assert torch.equal(gathered(waveforms, starts, lengths, total), expected)


def numbered():
    """Clips that count from 1, of 10, 7 and 3 samples."""
    lengths = torch.tensor([10, 7, 3])
    counted = torch.arange(1.0, 11.0).expand(3, -1)
    return counted * (counted <= lengths[:, None]), lengths


def test_a_cut_without_places_is_the_centre():
    samples, lengths = cut_to(*numbered(), 4)
    assert samples.tolist() == [[4, 5, 6, 7], [2, 3, 4, 5], [1, 2, 3, 0]] and lengths.tolist() == [4, 4, 3]
    samples, lengths = cut_to(*numbered(), 12)
    assert samples.shape == (3, 12) and lengths.tolist() == [10, 7, 3] and samples[0].tolist() == [*range(1, 11), 0, 0]


def test_drawn_places_share_the_possible_cuts_evenly():
    # 4 of 10 samples can begin at seven places, 4 of 7 at four, and 3 samples at one.
    found = []
    for part in range(28):
        samples, lengths = cut_to(*numbered(), 4, torch.full((3,), (part + 0.5) / 28))
        assert lengths.tolist() == [4, 4, 3]
        found.append(samples[:, 0].tolist())
    assert [row[0] for row in found] == [1 + part // 4 for part in range(28)]
    assert [row[1] for row in found] == [1 + part // 7 for part in range(28)]
    assert {row[2] for row in found} == {1}


@pytest.mark.parametrize('place', [0.0, 0.999999, float(np.nextafter(np.float32(1), np.float32(0)))])
def test_no_place_lies_beyond_the_last_cut(place):
    waveforms = torch.arange(1.0, 100001.0)[None]
    samples, lengths = cut_to(waveforms, torch.tensor([100000]), 10, torch.tensor([place]))
    last = samples[0, -1].item()
    assert lengths == 10 and (samples[0].diff() == 1).all()
    assert last == 10 if place == 0 else 99999 <= last <= 100000
