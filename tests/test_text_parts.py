"""Sentences held out, alone and with speakers."""

from ser.config.protocol import SpeakerTextProtocol, TextProtocol
from ser.shards.protocols import fold_count, fold_names, make_split
from tests.made_index import NAMES, clips, index_of, keys, refused, values


def spoken(corpus='one', speakers=8, texts=10):
    return clips(corpus, speakers, each=texts, says=lambda number, take: {'text_id': f't{take}'})


def text(row):
    return row.corpus, row.metadata['text_id']


def test_sentences_are_in_one_part_only_and_every_clip_is_in_one():
    index = index_of(spoken(), spoken('two', 3, 5))
    for seed in range(3):
        split = make_split(index, TextProtocol(seed=seed), NAMES)
        texts = values(index, split, text)
        assert sum(map(len, texts.values())) == len(set().union(*texts.values())) == 15
        assert sum(map(len, split.parts.values())) == len(index.rows)
        assert all({corpus for corpus, _ in held} == {'one', 'two'} for held in texts.values())
        assert split.speaker_disjoint is False
        assert 'speakers in both train and test: 11' in split.notes
    assert (fold_count(index, TextProtocol(), NAMES), fold_names(index, TextProtocol(), NAMES)) == (1, ())


def test_unseen_speakers_say_unseen_sentences():
    index = index_of(spoken())
    for seed in range(3):
        split = make_split(index, SpeakerTextProtocol(seed=seed), NAMES)
        speakers, texts = values(index, split, lambda row: row.speaker), values(index, split, text)
        seen = texts['train'] | texts['valid']
        assert split.speaker_disjoint and not texts['test'] & seen
        assert not speakers['train'] & speakers['valid'] and len(texts['test']) == 2
        tested = {row.key for row in index.rows if row.speaker in speakers['test'] and text(row) in texts['test']}
        assert keys(index, split)['test'] == tested
        said = sum(row.speaker in speakers['test'] and text(row) in seen for row in index.rows)
        heard = sum(row.speaker not in speakers['test'] and text(row) in texts['test'] for row in index.rows)
        assert split.notes == (f'in no part: {said} clips of test speakers with other sentences, {heard} clips of '
                               'other speakers with test sentences',)
        assert said + heard + sum(map(len, split.parts.values())) == len(index.rows)


def test_two_sentences_are_enough_beside_speakers():
    index = index_of(spoken(texts=2))
    split = make_split(index, SpeakerTextProtocol(), NAMES)
    assert [len(held) for held in values(index, split, text).values()] == [1, 1, 1]
    refused(index, TextProtocol(), "protocol 'text' needs at least 3 sentences; there are 2 (t0, t1). "
            'Use --protocol speaker+text or speaker')
    refused(index_of(spoken(texts=1)), SpeakerTextProtocol(), 'needs at least 2 sentences; there is 1 (t0). '
            'Use --protocol speaker')


def test_what_is_missing():
    for protocol in (TextProtocol(), SpeakerTextProtocol()):
        refused(index_of(clips('one', 4)), protocol, f"protocol '{protocol.kind}' needs to know which sentence is "
                "spoken, but 64 of 64 clips have no 'text_id' in their JSON, such as one-0-neutral-0")
    refused(index_of(spoken(speakers=[None] * 4)), SpeakerTextProtocol(), 'needs speakers')
    refused(index_of(spoken()), TextProtocol(valid_fraction=0.6, test_fraction=0.4), 'leave nothing to train on')


def test_a_corpus_of_two_sentences_is_trained_on_beside_others():
    index = index_of(spoken(), spoken('two', 20, 2))
    split = make_split(index, TextProtocol(), NAMES)
    assert values(index, split, lambda row: row.corpus) == {'train': {'one', 'two'}, 'valid': {'one'}, 'test': {'one'}}
    assert "only trained on, having fewer than 3 to divide: 'two'" in split.notes
    both = make_split(index, SpeakerTextProtocol(), NAMES)
    assert values(index, both, lambda row: row.corpus)['test'] == {'one', 'two'}
