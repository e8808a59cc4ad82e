"""Whole groups to parts: within each corpus where there are several, and the words for them."""

import numpy as np
import pytest

from ser.config.protocol import SpeakerKFoldProtocol, SpeakerProtocol
from ser.shards.groups import Groups, named, natural_order, speakers_of
from ser.shards.protocols import make_split
from tests.made_index import NAMES, clips, index_of, values

KIND = SpeakerProtocol()


@pytest.mark.parametrize('sizes', [(24, 10, 3), (3, 3, 3), (40, 5)])
def test_speakers_of_every_corpus_are_in_every_part(sizes):
    index = index_of(*(clips(f'c{i}', size, each=2) for i, size in enumerate(sizes)))
    for seed in range(3):
        split = make_split(index, SpeakerProtocol(seed=seed), NAMES)
        speakers = values(index, split, lambda row: (row.corpus, row.speaker))
        for of_part in speakers.values():
            assert {corpus for corpus, _ in of_part} == {f'c{i}' for i in range(len(sizes))}
        everyone = [who for of_part in speakers.values() for who in of_part]
        assert len(everyone) == len(set(everyone)) == sum(sizes) and split.speaker_disjoint


def test_corpora_too_small_to_divide_are_trained_on():
    index = index_of(clips('big', 20), clips('mid', 8), clips('pair', 2), clips('single', 1))
    split = make_split(index, SpeakerProtocol(), NAMES)
    corpora = values(index, split, lambda row: row.corpus)
    assert corpora == {'train': {'big', 'mid', 'pair', 'single'}, 'valid': {'big', 'mid'}, 'test': {'big', 'mid'}}
    assert split.notes == ("only trained on, having fewer than 3 to divide: 'pair', 'single'",)
    loud = index_of(clips('big', 3), clips('pair', 2, each=90))
    assert values(loud, make_split(loud, SpeakerProtocol(), NAMES), lambda row: row.corpus)['test'] == {'big'}
    tested = [speaker for fold in range(1, 5) for speaker in values(index, make_split(
        index, SpeakerKFoldProtocol(folds=4, fold=fold), NAMES), lambda row: (row.corpus, row.speaker))['test']]
    assert len(tested) == len(set(tested)) == 31
    both = index_of(clips('a', 2), clips('b', 2))
    speakers = values(both, make_split(both, SpeakerProtocol(), NAMES), lambda row: (row.corpus, row.speaker))
    assert sorted(map(len, speakers.values())) == [1, 1, 2]


@pytest.mark.parametrize(('valid', 'test'), [(0.15, 0.15), (0.1, 0.1)])
def test_seventy_fifteen_fifteen_and_eighty_ten_ten(valid, test):
    index = index_of(clips('one', 60), clips('two', 40))
    split = make_split(index, SpeakerProtocol(valid_fraction=valid, test_fraction=test), NAMES)
    shares = [len(rows) / len(index.rows) for rows in split.parts.values()]
    np.testing.assert_allclose(shares, [1 - valid - test, valid, test], atol=0.011)


def test_folds_cover_every_corpus():
    index = index_of(clips('one', 10), clips('two', 5))
    for fold in range(1, 6):
        split = make_split(index, SpeakerKFoldProtocol(folds=5, fold=fold), NAMES)
        tested = values(index, split, lambda row: (row.corpus, row.speaker))['test']
        assert sorted(corpus for corpus, _ in tested) == ['one', 'one', 'two']


def test_one_corpus_and_a_needed_part():
    index = index_of(clips('one', 6, NAMES[:2]), clips('one', ['x'], ['sad']))
    rows = np.arange(len(index.rows))
    groups = Groups(index, rows, speakers_of(index, rows, KIND), KIND, NAMES)
    np.testing.assert_array_equal(groups.counts[:, :4].sum(axis=0), [24, 24, 0, 4])
    for needed in (0, 1, 2):
        parts = groups.divide(np.arange(7), (0.4, 0.3, 0.3), needed=needed)
        assert parts[groups.members.index(('one', 'x'))] == needed
        assert set(parts) == {0, 1, 2}


def test_words():
    assert named([('a', '03'), ('a', '10')], 'speaker') == ('speaker 03', 'speaker 10')
    assert named([('', '03'), ('b', '3')], 'speaker') == ('speaker 03', 'speaker b/3')
    assert natural_order([('a', '10'), ('a', '9'), ('a', '10')]) == [('a', '9'), ('a', '10')]
