"""Copies of a recording are found whatever was done to them; other takes are not."""

import numpy as np
import pytest

from ser.config.data import DataConfig
from ser.shards import copies
from ser.shards.copies import candidates, correlation, find_copies, first_holders
from ser.shards.fingerprint import DESCRIPTOR
from ser.shards.fingerprint_cache import Prints
from ser.shards.index import build_index
from tests.audit_clips import RATE, babble, clip, coded, heard, indexed, louder, resampled
from tests.shard_factory import make_shards


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def pairs(index, found):
    return {frozenset((index.rows[one].key, index.rows[other].key)) for one, other, _ in found.near}


def test_every_planted_copy_is_found_and_nothing_else(tmp_path):
    clips = [clip(f'take-{seed}', babble(seed)) for seed in range(20)]
    planted = {'gain': louder(babble(0), 0.2), 'trim': babble(1)[3000:-2500], 'pad': np.pad(babble(2), (999, 12345)),
               'vorbis': coded(babble(3)), 'mp3': coded(babble(4), container='MP3', subtype='MPEG_LAYER_III'),
               'inverted': -babble(5), 'offset': babble(6)[5:]}
    clips += [clip(name, samples, speaker='other') for name, samples in planted.items()]
    clips.append(clip('rate', resampled(babble(7), RATE, 44100), rate=44100))
    clips.append(clip('all', coded(resampled(louder(np.pad(babble(8), 700), 0.3), RATE, 22050), 22050), rate=22050))
    index = indexed(tmp_path, clips)
    found = heard(index)
    expected = [*planted, 'rate', 'all']
    assert pairs(index, found) == {frozenset((f'take-{i}', name)) for i, name in enumerate(expected)}
    assert all(value > 0.94 for *_, value in found.near) and found.unheard == 0
    holders = first_holders(found.prints)
    assert np.array_equal(holders, np.arange(len(clips)))


def test_the_first_of_identical_clips_stands_for_all(tmp_path):
    samples = babble(1)
    index = indexed(tmp_path, [clip('a', samples), clip('b', babble(2)), clip('c', samples, suffix='wav'),
                               clip('d', louder(samples, 0.5)), clip('e', samples)])
    found = heard(index)
    assert first_holders(found.prints).tolist() == [0, 1, 0, 3, 0]
    assert [pair[:2] for pair in found.near] == [(0, 3)]


def test_the_same_words_in_another_take_are_not_a_copy(tmp_path):
    # The same envelope and formants, spoken again: another pitch and other breath.
    def take(pitch, seed):
        time = np.arange(RATE) / RATE
        wave = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 12)) * np.hanning(RATE)
        return louder(wave + 0.05 * np.random.default_rng(seed).standard_normal(RATE), 5000)

    index = indexed(tmp_path, [clip('a', take(120, 1)), clip('b', take(123, 2))])
    assert len(candidates(heard(index).prints)[0]) == 1
    assert heard(index).near == ()


def test_what_was_listened_to_is_remembered(tmp_path, monkeypatch):
    index = indexed(tmp_path, [clip('a', babble(1)), clip('b', louder(babble(1), 0.5))])
    first = heard(index)
    monkeypatch.setattr(copies, '_listen', lambda *_: pytest.fail('listened again'))
    assert heard(index).near == first.near != ()


def test_processes_find_the_same(tmp_path, monkeypatch):
    make_shards(tmp_path, n_speakers=2)
    index = build_index(DataConfig(shards=(str(tmp_path),)))
    one = find_copies(index, 1)
    monkeypatch.setattr(copies, '_FEW_PAIRS', 0)
    monkeypatch.setattr(copies, 'load', lambda _: None)
    assert find_copies(index, 2).near == one.near


def prints_of(descriptors, spread):
    count = len(spread)
    pcm = np.random.default_rng(1).integers(0, 256, (count, 32), dtype=np.uint8)
    return Prints(pcm, np.zeros((count, 7), np.float32), descriptors, np.asarray(spread, np.float32), {})


def test_candidates_are_those_of_an_exhaustive_search_block_by_block(monkeypatch):
    draw = np.random.default_rng(5)
    base = draw.normal(size=(20, DESCRIPTOR))
    vectors = base[draw.integers(0, 20, 300)] + 0.3 * draw.normal(size=(300, DESCRIPTOR))
    descriptors = np.rint(vectors * 25).clip(-127, 127).astype(np.int8)
    spread = np.exp(draw.uniform(0, 0.3, 300))
    spread[7] = 0
    unit = descriptors / np.linalg.norm(descriptors.astype(float), axis=1, keepdims=True)
    near = np.abs(np.subtract.outer(np.log(np.maximum(spread, 1e-9)), np.log(np.maximum(spread, 1e-9))))
    expected = {(i, j) for i in range(300) for j in range(i + 1, 300) if 7 not in (i, j)
                and unit[i] @ unit[j] >= copies.LEAST_COSINE and near[i, j] <= copies.SPREAD_RATIO}
    monkeypatch.setattr(copies, '_BLOCK_ROWS', 37)
    monkeypatch.setattr(copies, '_BLOCK_COLUMNS', 11)
    found, more = candidates(prints_of(descriptors, spread))
    assert len(expected) > 100 and {tuple(pair) for pair in found.tolist()} == expected and more == 0
    monkeypatch.setattr(copies, 'MIN_CANDIDATES', 0)
    alike = np.ones((300, DESCRIPTOR), np.int8)
    found, more = candidates(prints_of(alike, np.ones(300)))
    assert len(found) == 300 and more == 300 * 299 // 2 - 300


def test_correlation_is_one_for_itself_shifted_and_small_for_another():
    one, other = (babble(seed, rate=8000).astype(np.float32) for seed in (1, 2))
    assert correlation(one, one) == pytest.approx(1)
    assert correlation(one, -0.01 * np.pad(one, (500, 80))) == pytest.approx(1, abs=0.01)
    assert correlation(one[1000:], one[:-800]) == pytest.approx(1, abs=0.02)
    assert correlation(one, other) < 0.5
    assert correlation(one, one[:0]) == correlation(np.zeros(90, np.float32), np.zeros(90, np.float32)) == 0
    assert correlation(one + 0.3, one) == pytest.approx(1, abs=0.01)


@pytest.mark.slow
def test_the_one_duplicate_of_ravdess_and_none_in_emodb(real_corpora, tmp_path):
    from ser.build_shards import main

    duplicates = {'ravdess': {frozenset(('ravdess-Actor_07_03-01-03-01-02-01-07',
                                         'ravdess-Actor_07_03-01-03-01-02-02-07'))}, 'emodb': set()}
    for corpus, expected in duplicates.items():
        assert main([corpus, str(real_corpora / corpus), str(tmp_path / corpus)]) == 0
        index = build_index(DataConfig(shards=(str(tmp_path / corpus),)))
        found = find_copies(index)
        holders = first_holders(found.prints)
        same = {frozenset((index.rows[i].key, index.rows[holder].key)) for i, holder in enumerate(holders)
                if i != holder}
        assert same | pairs(index, found) == expected and found.prints.bad == {}
