"""What is found out about a split, whoever decided: speakers by two names, and what people are told."""

import dataclasses

from ser.config.protocol import CrossProtocol, GivenProtocol, SpeakerProtocol
from ser.shards.protocols import make_split
from ser.shards.split import speaker_identity, voices
from tests.made_index import NAMES, clips, index_of, refused


def test_speakers_go_by_their_set_and_by_their_corpus():
    row, = clips('ravdess', ['03'], ['happy'], 1, set_name='mine')
    assert speaker_identity(row) == ('mine', '03') and voices(row) == {('mine', '03'), ('ravdess', '03')}
    unnamed = dataclasses.replace(row, set_name=None)
    assert speaker_identity(unnamed) == ('ravdess', '03') and voices(unnamed) == {('ravdess', '03')}
    nobody = dataclasses.replace(row, speaker=None)
    assert speaker_identity(nobody) is None and voices(nobody) == {None}
    for said in (None, 7, ''):
        plain = dataclasses.replace(unnamed, metadata={'corpus': said})
        assert plain.corpus is None and speaker_identity(plain) == ('', '03')


def test_two_sets_of_one_corpus_are_no_unseen_speakers():
    one, other = clips('ravdess', 6, set_name='a'), clips('ravdess', 6, set_name='b')
    other = [dataclasses.replace(row, key=f'{row.key}-again', audio_sha256='0' * 63 + '1') for row in other]
    index = index_of(one, other)
    split = make_split(index, CrossProtocol(test=('b',)), NAMES)
    assert split.speaker_disjoint is False and 'speaker-dependent' in split.description
    assert 'speakers in both train and test, in sets of two names but one corpus: 5' in split.notes
    apart = index_of(one, [dataclasses.replace(row, metadata={'corpus': 'emodb'}) for row in other])
    split = make_split(apart, CrossProtocol(test=('b',)), NAMES)
    assert split.speaker_disjoint is True and not any('speakers in both' in note for note in split.notes)


def test_a_class_that_is_tested_must_be_trained():
    by = {'train': ('happy', 'sad'), 'valid': ('happy',), 'test': ('happy', 'calm', 'neutral')}
    rows = [dataclasses.replace(row, key=f'{part}-{row.key}', part=part)
            for part, emotions in by.items() for row in clips(part, ['s'], emotions, 2)]
    refused(index_of(rows), GivenProtocol(), "protocol 'given': the test part has neutral, calm, of which the training "
            "part has no clip to learn from. Put clips of it into the training part, or leave the class out: --set "
            "data.drop='[neutral, calm]'")
    lacking = [row for row in rows if row.emotion not in ('calm', 'neutral')]
    notes = make_split(index_of(lacking), GivenProtocol(), NAMES).notes
    assert 'test lacks neutral, calm, sad' in notes


def test_a_class_of_one_speaker_is_trained():
    index = index_of(clips('one', 12, NAMES[:3]), clips('one', ['only'], ['sad'], 3))
    for seed in range(8):
        split = make_split(index, SpeakerProtocol(seed=seed), NAMES)
        assert {index.rows[row].key for row in split.parts['train']} >= {f'one-0-sad-{take}' for take in range(3)}
        assert 'test lacks sad' in split.notes
