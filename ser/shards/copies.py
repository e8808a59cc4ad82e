"""Recordings that are there more than once: the same samples, or the same recording after other treatment.

Descriptors name the candidates, cross-correlation of the waveforms decides. A recording that was coded, amplified,
resampled or cut out of its silence again keeps its waveform; another take of the same sentence does not.
"""

from dataclasses import dataclass

import numpy as np

from ser.shards.fingerprint import BAND_HZ, RATE_HZ, sounding_waveform, stored_samples
from ser.shards.fingerprint_cache import Prints, fingerprint_index, load, name_of, read_spans, save
from ser.shards.pool import cores, ordered_map

SPREAD_RATIO = 0.04
"""Candidates differ in spread by no more than this share. Copies measured: at most 0.016 (NOTES.md)."""

LEAST_COSINE = 0.9
"""Of the descriptors of candidates. Copies measured: at least 0.926, the worst being Vorbis at its lowest quality."""

LEAST_CORRELATION = 0.8
"""Of the waveforms of copies. Measured: copies at least 0.961, other takes of the same words at most 0.52."""

LEAST_OVERLAP = 0.8
"""Share of the shorter clip's sound over which the two are compared."""

MIN_CANDIDATES = 1000
"""No more candidates than this, or one for each clip, are listened to, the most alike first."""

_BLOCK_ROWS = 1024
_BLOCK_COLUMNS = 8192
_UPSAMPLE = 4
_FEW_PAIRS = 32


@dataclass(frozen=True)
class Fingerprints:
    """What is known of every clip's sound.

    near: ((row, row, correlation), ...) of recordings that are nearly identical, each row the first that holds its
    samples. unheard: candidates beyond the bound.
    """

    prints: Prints
    near: tuple
    unheard: int


def find_copies(index, jobs=None):
    """The Fingerprints of an Index; everything that was computed before comes from the cache.

    jobs: processes, the cores unless given. Raises SerError as fingerprint_index.
    """
    prints = fingerprint_index(index, jobs)
    pairs, unheard = candidates(prints)
    name = name_of('pairs', [[prints.pcm[row].tobytes().hex() for row in pair] for pair in pairs])
    kept = load(name) if len(pairs) else {'correlation': np.zeros(0)}
    if kept is None:
        kept = {'correlation': _listen(index, pairs, jobs)}
        save(name, kept)
    near = tuple((int(one), int(other), float(correlation))
                 for (one, other), correlation in zip(pairs, kept['correlation'], strict=True)
                 if correlation >= LEAST_CORRELATION)
    return Fingerprints(prints, near, unheard)


def first_holders(prints):
    """int64 (N,): for each row the first row with the very same samples; its own number where there is no other."""
    _, first, group = np.unique(prints.pcm, axis=0, return_index=True, return_inverse=True)
    holders = first[group.reshape(-1)]
    bad = np.array(sorted(prints.bad), dtype=np.int64)
    holders[bad] = bad
    return holders


def candidates(prints):
    """(pairs int64 (M, 2), how many more there are): rows whose descriptors are alike, the most alike first.

    Of rows with the same samples the first stands for all; memory is bounded whatever the number of rows.
    """
    rows = np.flatnonzero((first_holders(prints) == np.arange(len(prints.spread))) & (prints.spread > 0))
    rows = rows[np.argsort(prints.spread[rows], kind='stable')]
    spread = np.log(prints.spread[rows].astype(np.float64))
    limit = max(MIN_CANDIDATES, len(rows))
    found, kept, count = [], (np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.float32)), 0
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = slice(start, min(start + _BLOCK_ROWS, len(rows)))
        ones = _directions(prints, rows[block])
        last = np.searchsorted(spread, spread[block.stop - 1] + SPREAD_RATIO, side='right')
        for left in range(start, last, _BLOCK_COLUMNS):
            columns = slice(left, min(left + _BLOCK_COLUMNS, last))
            cosine = ones @ _directions(prints, rows[columns]).T
            i, j = np.nonzero(cosine >= LEAST_COSINE)
            within = (j + left > i + start) & (spread[j + left] - spread[i + start] <= SPREAD_RATIO)
            i, j = i[within], j[within]
            found.append((np.stack([rows[i + start], rows[j + left]], axis=1), cosine[i, j]))
            count += len(i)
        kept, found = _most_alike([kept, *found], limit), []
    return np.sort(kept[0], axis=1), count - len(kept[0])


def _most_alike(found, limit):
    pairs, cosine = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(-cosine, kind='stable')[:limit]
    return pairs[order], cosine[order]


def _directions(prints, rows):
    """Unit vectors, float32 (n, 512)."""
    vectors = prints.descriptors[rows].astype(np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _listen(index, pairs, jobs):
    """Correlation of each pair, float64 (M,)."""
    jobs = 1 if len(pairs) < _FEW_PAIRS else jobs or cores()
    items = (tuple(_place(index, row) for row in pair) for pair in pairs.tolist())
    return np.array(list(ordered_map(_pair_correlation, items, jobs)))


def _place(index, number):
    row = index.rows[number]
    return index.shards[row.shard], (row.offset, row.size, row.suffix)


def _pair_correlation(item):
    waveforms = []
    for shard, span in item:
        data, = read_spans(shard, [span])
        waveforms.append(sounding_waveform(*stored_samples(data, span[2])))
    return correlation(*waveforms)


def correlation(one, other):
    """The largest correlation, either sign, of two waveforms at 8 kHz (float32 (n,), (m,)) over all shifts, in [0, 1].

    Between 100 Hz and 3.2 kHz, at a quarter of a sample, over the part in which the two overlap; 0 where that is
    under LEAST_OVERLAP of the shorter.
    """
    if not len(one) or not len(other):
        return 0.0
    size = 1 << (len(one) + len(other) - 1).bit_length()
    hz = np.arange(size // 2 + 1) * (RATE_HZ / size)
    band = (hz >= BAND_HZ[0]) & (hz <= BAND_HZ[1])
    spectra = [np.fft.rfft(waveform, size) * band for waveform in (one, other)]
    shifts = np.fft.irfft(spectra[0] * spectra[1].conj(), size * _UPSAMPLE) * _UPSAMPLE
    best = int(np.argmax(np.abs(shifts)))
    shift = round((best if best < shifts.size / 2 else best - shifts.size) / _UPSAMPLE)
    start, end = max(shift, 0), min(len(one), len(other) + shift)
    if end - start < LEAST_OVERLAP * min(len(one), len(other)):
        return 0.0
    first, second = (np.fft.irfft(spectrum, size) for spectrum in spectra)
    energy = np.sum(first[start:end] ** 2) * np.sum(second[start - shift:end - shift] ** 2)
    return float(min(abs(shifts[best]) / np.sqrt(energy), 1.0)) if energy > 0 else 0.0
