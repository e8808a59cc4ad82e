"""Speakers in folds, and the hold-out by clip."""

from collections import Counter

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneGroupOut

from ser.config.protocol import LeaveOneSpeakerOutProtocol, SpeakerKFoldProtocol, UtteranceProtocol
from ser.errors import SerError
from ser.shards.protocols import fold_count, fold_names, make_split
from ser.shards.validation import BY_CLIP
from tests.made_index import NAMES, clips, index_of, keys, values


def test_leaving_one_out_is_what_scikit_learn_leaves_out():
    index = index_of(clips('one', 5), clips('two', 4))
    groups = [f'{row.corpus}/{row.speaker}' for row in index.rows]
    protocol = LeaveOneSpeakerOutProtocol()
    names = fold_names(index, protocol, NAMES)
    theirs = LeaveOneGroupOut().split(groups, groups=groups)
    for fold, (_, test) in enumerate(theirs, start=1):
        split = make_split(index, protocol.model_copy(update={'fold': fold}), NAMES)
        np.testing.assert_array_equal(split.parts['test'], test)
        assert names[fold - 1] == f'speaker {groups[test[0]]}'
    assert len(names) == fold == fold_count(index, protocol, NAMES) == 9


def test_folds_say_whom_they_test():
    index = index_of(clips('one', 23))
    protocol = SpeakerKFoldProtocol(folds=3)
    names = fold_names(index, protocol, NAMES)
    for fold, name in enumerate(names, start=1):
        split = make_split(index, protocol.model_copy(update={'fold': fold}), NAMES)
        tested = sorted(values(index, split, lambda row: row.speaker)['test'])
        assert name == f'speakers {", ".join(tested[:6])} and {len(tested) - 6} more'
    few = index_of(clips('one', 4))
    assert sorted(fold_names(few, SpeakerKFoldProtocol(folds=4), NAMES)) == [f'speaker 0{i}' for i in range(1, 5)]
    with pytest.raises(SerError, match='more than the 4 speakers'):
        fold_names(few, SpeakerKFoldProtocol(folds=5), NAMES)


def test_utterances_validate_by_speakers_that_training_has_not():
    index = index_of(clips('one', 12, each=5))
    for seed in range(3):
        split = make_split(index, UtteranceProtocol(seed=seed), NAMES)
        speakers = values(index, split, lambda row: row.speaker)
        assert not speakers['train'] & speakers['valid'] and speakers['test'] & speakers['train']
        assert Counter(index.rows[row].emotion for row in split.parts['test']) == dict.fromkeys(NAMES, 12)
        assert abs(len(split.parts['valid']) / len(index.rows) - 0.1) < 0.03
        assert any(note.startswith('validation is of whole speakers') for note in split.notes)
        assert BY_CLIP not in split.notes and split.speaker_disjoint is False


def test_utterances_test_the_same_clips_whatever_validates():
    known, unknown = index_of(clips('one', 4)), index_of(clips('one', [None] * 4))
    first, second = (make_split(index, UtteranceProtocol(), NAMES) for index in (known, unknown))
    assert keys(known, first)['test'] == keys(unknown, second)['test']
    assert BY_CLIP in second.notes and second.speaker_disjoint is None
    assert not any(note.startswith('validation is of whole') for note in second.notes)
    pair = make_split(index_of(clips('one', 2, each=10)), UtteranceProtocol(), NAMES)
    assert BY_CLIP in pair.notes


def test_stated_groups_are_the_folds():
    index = index_of(clips('one', 6))
    protocol = SpeakerKFoldProtocol(folds=3, groups=(('03', '01'), ('02', '06'), ('04', '05')))
    assert fold_names(index, protocol, NAMES) == ('speakers 01, 03', 'speakers 02, 06', 'speakers 04, 05')
    for fold, group in enumerate(protocol.groups, start=1):
        split = make_split(index, protocol.model_copy(update={'fold': fold}), NAMES)
        speakers = values(index, split, lambda row: row.speaker)
        assert set(speakers['test']) == set(group)
        assert not set(speakers['valid']) & {*speakers['train'], *group}


@pytest.mark.parametrize(('folds', 'groups', 'message'), [
    (2, (('01',), ('02',), ('03', '04')), r'protocol.groups: 3 groups for 2 folds; set protocol.folds to 3'),
    (2, (('01', '02'), ('03', '4')), r"protocol.groups: no speaker '4'. Speakers: 01, 02, 03, 04"),
    (2, (('01', '02'), ('02', '03', '04')), r"protocol.groups: speaker '02' is named twice"),
    (2, (('01', '02'), ('03',)), r'protocol.groups: no group has 04; each speaker is tested in one fold'),
])
def test_groups_that_are_no_division_of_the_speakers_are_refused(folds, groups, message):
    with pytest.raises(SerError, match=message):
        make_split(index_of(clips('one', 4)), SpeakerKFoldProtocol(folds=folds, groups=groups), NAMES)
