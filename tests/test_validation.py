"""Validation inside the training part: by speaker within each corpus, by clip only where there is no other way."""

from collections import Counter

import numpy as np
import pytest

from ser.config.protocol import CrossProtocol
from ser.shards.validation import BY_CLIP, clips_by_class, draw_validation
from tests.made_index import NAMES, clips, index_of

KIND = CrossProtocol()


def drawn(index, fraction=0.2, rows=None):
    rows = np.arange(len(index.rows)) if rows is None else rows
    places, notes = draw_validation(index, rows, fraction, KIND, NAMES)
    assert (np.diff(places) > 0).all()
    return {(row.corpus, row.speaker) for row in (index.rows[i] for i in rows[places])}, places, notes


@pytest.mark.parametrize('sizes', [(10,), (10, 3, 20)])
def test_whole_speakers_of_every_corpus(sizes):
    index = index_of(*(clips(f'c{i}', size) for i, size in enumerate(sizes)))
    speakers, places, notes = drawn(index)
    assert {corpus for corpus, _ in speakers} == {f'c{i}' for i in range(len(sizes))} and notes == ()
    whole = [i for i, row in enumerate(index.rows) if (row.corpus, row.speaker) in speakers]
    assert places.tolist() == whole
    assert abs(len(places) / len(index.rows) - 0.2) < 0.05


def test_corpora_that_cannot_give_whole_speakers_only_train():
    index = index_of(clips('many', 9), clips('two', 2), clips('unknown', [None] * 5))
    speakers, _, notes = drawn(index)
    assert {corpus for corpus, _ in speakers} == {'many'}
    assert notes == ("no clip of 'two', 'unknown' validates: its speakers are unknown or fewer than 3",)


@pytest.mark.parametrize('speakers', [2, [None] * 4])
def test_by_clip_where_no_corpus_can(speakers):
    index = index_of(clips('one', speakers, each=10))
    _, places, notes = drawn(index)
    assert notes == (BY_CLIP,)
    share = len(index.rows) // 4 // 5
    assert Counter(index.rows[i].emotion for i in places) == dict.fromkeys(NAMES, share)


def test_places_are_of_the_rows_given():
    index = index_of(clips('one', 8))
    rows = np.array([i for i, row in enumerate(index.rows) if row.speaker > '03'])
    speakers, _, _ = drawn(index, rows=rows)
    assert speakers and all(speaker > '03' for _, speaker in speakers)


def test_clips_by_class_and_the_least_of_it():
    index = index_of(clips('one', 1, each=7))
    assert len(clips_by_class(index, np.arange(28), NAMES, 0.2, 'key')) == 4
    assert len(clips_by_class(index, np.arange(28), NAMES, 0.99, 'key')) == 24
    assert clips_by_class(index, np.array([5, 6, 7]), NAMES, 0.9, 'key').tolist() == [1]
    assert clips_by_class(index, np.array([6, 7]), NAMES, 0.9, 'key').tolist() == [1]
    assert drawn(index, rows=np.arange(2))[1].tolist() == [1]
    assert drawn(index, rows=np.arange(1))[1].tolist() == []
