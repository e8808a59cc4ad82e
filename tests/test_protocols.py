"""Splits: disjoint, stratified, stable, and refused where the data cannot carry them."""

import csv
import dataclasses
from collections import Counter

import numpy as np
import pytest

from ser.config.load import load_config
from ser.config.messages import section_classes
from ser.config.protocol import (
    CrossProtocol,
    EmoboxProtocol,
    GivenProtocol,
    LeaveOneCorpusOutProtocol,
    LeaveOneSessionOutProtocol,
    LeaveOneSpeakerOutProtocol,
    OfficialProtocol,
    ProtocolConfig,
    SpeakerKFoldProtocol,
    SpeakerProtocol,
    SpeakerTextProtocol,
    TextProtocol,
    UtteranceProtocol,
)
from ser.errors import SerError
from ser.shards.index import Index, Row, Shard
from ser.shards.protocols import KINDS, fold_count, fold_names, make_split, write_split_csv
from tests.made_index import NAMES, clips, index_of, refused

DISJOINT = [SpeakerProtocol(), SpeakerProtocol(seed=5), SpeakerKFoldProtocol(fold=3), SpeakerKFoldProtocol(folds=2),
            LeaveOneSpeakerOutProtocol(fold=2)]


def make_index(speakers, emotions=NAMES, each=4, **metadata):
    rows = []
    for number, speaker in enumerate(speakers):
        for emotion in emotions:
            for take in range(each):
                rows.append(Row(f'{number}-{emotion}-{take}', 0, 0, 1, '.wav', emotion, emotion, speaker, None, None,
                                None, f'{len(rows):064x}', {'gender': ('f', 'm')[number % 2], **metadata}))
    return Index((Shard('x.tar', 'x.tar', '0' * 64, 1, None),), tuple(rows), Counter(), ())


def actors(n=24):
    return make_index([f'{i:02d}' for i in range(1, n + 1)])


def speakers_of(index, rows):
    return {index.rows[row].speaker for row in rows}


@pytest.mark.parametrize('protocol', DISJOINT, ids=lambda p: f'{p.kind}')
def test_speakers_are_in_one_part_only_and_every_clip_is_in_one(protocol):
    index = actors()
    split = make_split(index, protocol, NAMES)
    parts = [speakers_of(index, rows) for rows in split.parts.values()]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 24
    assert split.speaker_disjoint is True
    everything = np.sort(np.concatenate(list(split.parts.values())))
    np.testing.assert_array_equal(everything, np.arange(len(index.rows)))
    for rows in split.parts.values():
        assert rows.dtype == np.int64 and (np.diff(rows) > 0).all()
    again = make_split(index, protocol, NAMES)
    assert again.digest == split.digest and again.description == split.description


def test_equal_speakers_give_perfect_class_balance_and_near_gender_balance():
    index = actors()
    for seed in range(4):
        split = make_split(index, SpeakerProtocol(seed=seed), NAMES)
        for part, rows in split.parts.items():
            assert len(set(Counter(index.rows[row].emotion for row in rows).values())) == 1
            gender = Counter(index.rows[row].metadata['gender'] for row in rows)
            assert abs(gender['f'] - gender['m']) <= 3 * len(NAMES) * 4
            assert part != 'valid' or gender['f'] == gender['m']
        assert [len(speakers_of(index, rows)) for rows in split.parts.values()] == [15, 4, 5]
        assert split.notes == ()
    assert len({make_split(index, SpeakerProtocol(seed=s), NAMES).digest for s in range(4)}) == 4


def test_the_split_knows_names_and_not_the_run():
    index = actors()
    split = make_split(index, SpeakerProtocol(), NAMES[:3])
    assert all(index.rows[row].emotion != 'sad' for rows in split.parts.values() for row in rows)
    assert split.digest != make_split(index, SpeakerProtocol(), NAMES).digest


def test_folds_test_every_speaker_exactly_once():
    index = actors(11)
    for protocol in (SpeakerKFoldProtocol(folds=4), LeaveOneSpeakerOutProtocol()):
        folds = fold_count(index, protocol, NAMES)
        assert folds == (4 if protocol.kind == 'speaker-kfold' else 11)
        tested = []
        for fold in range(1, folds + 1):
            split = make_split(index, protocol.model_copy(update={'fold': fold}), NAMES)
            assert (split.fold, split.folds) == (fold, folds)
            assert f'fold {fold} of {folds}' in split.description
            tested += sorted(speakers_of(index, split.parts['test']))
        assert sorted(tested) == [f'{i:02d}' for i in range(1, 12)]
    assert tested == sorted(tested)
    assert fold_count(index, SpeakerProtocol(), NAMES) == 1
    refused(index, LeaveOneSpeakerOutProtocol(fold=12), 'there are 11 speakers, one fold each')
    refused(index, SpeakerKFoldProtocol(fold=6), 'there are 5 folds')
    refused(index, SpeakerKFoldProtocol(folds=12), 'more than the 11 speakers; choose 2 to 11')


def test_utterances_are_stratified_and_marked():
    index = actors(10)
    split = make_split(index, UtteranceProtocol(), NAMES)
    assert split.speaker_disjoint is False
    assert 'speaker-dependent' in split.description
    for part, share in (('train', 29), ('valid', 3), ('test', 8)):
        assert Counter(index.rows[row].emotion for row in split.parts[part]) == dict.fromkeys(NAMES, share)
    assert 'speakers in both train and test: ' in ' '.join(split.notes)
    assert split.digest != make_split(index, UtteranceProtocol(seed=1), NAMES).digest
    small = make_index([None], emotions=('happy', 'sad'), each=2)
    tiny = make_split(small, UtteranceProtocol(), ('happy', 'sad'))
    assert all(len(rows) for rows in tiny.parts.values()) and tiny.speaker_disjoint is None
    assert 'speakers unknown' in tiny.description
    refused(make_index([None], emotions=('happy', 'sad'), each=1), UtteranceProtocol(), 'at least 3 clips',
            names=('happy', 'sad'))


def test_speakers_that_are_unknown_or_too_few():
    for protocol in DISJOINT:
        refused(make_index([None] * 4), protocol, 'needs speakers, but 64 of 64 clips have none',
                '--protocol utterance', 'speaker-dependent (optimistic', '--protocol given')
        refused(make_index(['a']), protocol, 'at least 3 speakers', 'there is 1 speaker (a)', '--protocol utterance')
        refused(make_index(['a', 'b']), protocol, 'there are 2 speakers (a, b)')
    refused(make_index(['a', 'b', None]), SpeakerProtocol(), '16 of 48 clips have none')
    refused(make_index(['a', 'b', 'c']), SpeakerKFoldProtocol(folds=2), 'leave 1 beside the largest test part')
    assert all(len(rows) for rows in make_split(make_index(['a', 'b', 'c']), SpeakerProtocol(), NAMES).parts.values())


def test_fractions_must_leave_something():
    for protocol in (SpeakerProtocol(valid_fraction=0.5, test_fraction=0.5),
                     UtteranceProtocol(valid_fraction=0.9, test_fraction=0.2)):
        refused(actors(), protocol, 'leave nothing to train on; together they must be under 1')


def test_equal_numbers_in_two_corpora_are_two_speakers():
    one, other = make_index(['1', '2'], corpus='a'), make_index(['1', '2'], corpus='b')
    index = Index(one.shards, one.rows + other.rows, Counter(), ())
    assert fold_count(index, LeaveOneSpeakerOutProtocol(), NAMES) == 4


def test_notes_name_what_a_part_lacks_and_leaks():
    index = make_index(['a', 'b', 'c', 'd'])
    rows = [row for row in index.rows if row.emotion != 'sad' or row.speaker == 'a']
    index = Index(index.shards, tuple(rows), Counter(), ())
    notes = ' | '.join(make_split(index, SpeakerProtocol(), NAMES).notes)
    assert 'lacks sad' in notes and 'leak' not in notes
    same = tuple(dataclasses.replace(row, audio_sha256='f' * 64) for row in actors().rows)
    notes = ' | '.join(make_split(Index(index.shards, same, Counter(), ()), SpeakerProtocol(), NAMES).notes)
    assert 'leak: identical recordings in train and valid and test: 1, such as ' in notes


def test_parts_of_shards_are_not_mixed_up_in_silence():
    rows = tuple(dataclasses.replace(row, part=('train', 'valid', 'test')[i % 3])
                 for i, row in enumerate(actors().rows))
    refused(Index(actors().shards, rows, Counter(), ()), SpeakerProtocol(), 'Use --protocol given')


def test_the_split_is_written(tmp_path):
    index = actors(5)
    split = make_split(index, SpeakerProtocol(), NAMES[:2])
    write_split_csv(tmp_path / 'split.csv', index, split)
    with open(tmp_path / 'split.csv', newline='') as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ['key', 'speaker', 'label', 'part']
    keys = [index.rows[row].key for row in sorted(np.concatenate(list(split.parts.values())))]
    assert [line['key'] for line in lines] == keys
    assert Counter(line['part'] for line in lines) == {part: len(rows) for part, rows in split.parts.items()}


def test_speakers_of_two_corpora_have_two_names(tmp_path):
    one, two = (make_index(['03', '04'], corpus=corpus) for corpus in ('one', 'two'))
    rows = (*one.rows, *(dataclasses.replace(row, key=f'{row.key}b', audio_sha256=f'{number + 99:064x}')
                         for number, row in enumerate(two.rows)))
    index = Index(one.shards, rows, Counter(), ())
    assert {index.speaker_name(row) for row in rows} == {'one/03', 'one/04', 'two/03', 'two/04'}
    split = make_split(index, SpeakerProtocol(valid_fraction=0.25, test_fraction=0.25), NAMES)
    write_split_csv(tmp_path / 'split.csv', index, split)
    assert ',one/03,' in (tmp_path / 'split.csv').read_text() and split.speaker_disjoint
    assert {one.speaker_name(row) for row in one.rows} == {'03', '04'}


def everything():
    """Two corpora with all that any protocol reads."""
    parts = ('Train', 'Train', 'Train', 'Development', 'Test1', 'Test2')

    def says(number, take):
        return {'session': number // 2 + 1, 'text_id': f't{take}', 'split_set': parts[number % 6],
                'fold': ('train', 'valid', 'test')[number % 3]}

    return index_of(clips('one', 10, says=says), clips('two', 6, NAMES[:3], each=3, says=says),
                    clips('two', 6, NAMES[3:], each=2, says=says))


# What every kind makes of `everything` and of 24 RAVDESS speakers. A change here is a change of a protocol: whoever
# means it raises the version of the kind in ser.shards.protocols.KINDS, and only then writes the new line.
GOLDEN = [
    (SpeakerProtocol(), 2, '5c8b7dcf3ea1d93b'),
    (SpeakerProtocol(seed=7, valid_fraction=0.1, test_fraction=0.1), 2, 'a9aef2a448892d7c'),
    (SpeakerKFoldProtocol(fold=2), 2, '42d2290cd4870f69'),
    (LeaveOneSpeakerOutProtocol(fold=12), 2, '1ff7989cbb47802d'),
    (LeaveOneSessionOutProtocol(fold=3), 1, '40dd085477936b29'),
    (EmoboxProtocol(fold=4), 1, 'df746071b3ae4ee1'),
    (TextProtocol(), 1, 'f6d5f531bb962199'),
    (SpeakerTextProtocol(), 1, 'c99243750daaa894'),
    (OfficialProtocol(), 1, 'a5a48b52d42e6997'),
    (CrossProtocol(test=('two',)), 1, '1fa8d600f4fe7c6f'),
    (LeaveOneCorpusOutProtocol(fold=1), 1, 'f2e068193c981461'),
    (GivenProtocol(column='fold'), 1, 'c821bf4b75cb01ab'),
    (UtteranceProtocol(), 2, 'b9a629a67d1c5370'),
]


@pytest.mark.parametrize(('protocol', 'version', 'digest'), GOLDEN, ids=lambda value: getattr(value, 'kind', ''))
def test_splits_are_pinned(protocol, version, digest):
    index = index_of(clips('ravdess', 24)) if protocol.kind == 'emobox' else everything()
    split = make_split(index, protocol, NAMES)
    assert (split.version, split.digest[:16]) == (version, digest)
    assert split.seed == getattr(protocol, 'seed', None)


def test_digests_of_one_corpus_are_those_of_the_first_version():
    index = actors()
    digests = [make_split(index, protocol, NAMES).digest[:16] for protocol in (
        SpeakerProtocol(), SpeakerProtocol(seed=5), SpeakerKFoldProtocol(fold=3), LeaveOneSpeakerOutProtocol(fold=2))]
    assert digests == ['7569ad6eef115efe', '2ac74ad014825edd', '323b51ff23892c69', '7bc06a1af795fe77']


def test_every_kind_of_the_config_is_drawn_and_pinned():
    kinds = [section.model_fields['kind'].default for section in section_classes(ProtocolConfig)]
    assert sorted(kinds) == sorted(KINDS) == sorted({protocol.kind for protocol, _, _ in GOLDEN})
    for section in section_classes(ProtocolConfig):
        folded = 'fold' in section.model_fields
        assert (KINDS[section.model_fields['kind'].default].fold_names is not None) == folded


def test_folds_are_counted_and_named_alike():
    for protocol, _, _ in GOLDEN:
        index = index_of(clips('ravdess', 24)) if protocol.kind == 'emobox' else everything()
        names = fold_names(index, protocol, NAMES)
        assert fold_count(index, protocol, NAMES) == max(len(names), 1) and len(set(names)) == len(names)
        assert (make_split(index, protocol, NAMES).folds or 0) == len(names)


def test_an_unknown_protocol():
    with pytest.raises(SerError) as error:
        load_config(('base',), (), {'--protocol': ('protocol.kind', 'leave-one-sesion-out')})
    assert "Did you mean 'leave-one-session-out'?" in str(error.value) and '\n' not in str(error.value)
