"""Sessions and corpora held out: complete, disjoint, and refused in one line."""

import numpy as np
from sklearn.model_selection import LeaveOneGroupOut

from ser.config.protocol import CrossProtocol, LeaveOneCorpusOutProtocol, LeaveOneSessionOutProtocol
from ser.shards.protocols import fold_count, fold_names, make_split
from ser.shards.validation import BY_CLIP
from tests.made_index import NAMES, clips, index_of, refused, values

SESSIONS = LeaveOneSessionOutProtocol()
CORPORA = LeaveOneCorpusOutProtocol()


def iemocap():
    """Ten speakers, two in each of five sessions."""
    return clips('iemocap', 10, says=lambda number, take: {'session': f'Ses0{number // 2 + 1}'})


def three():
    return index_of(clips('b', 6), clips('a', 4), clips('c10', 8))


def test_every_session_is_tested_once():
    index = index_of(iemocap())
    groups = [row.metadata['session'] for row in index.rows]
    assert fold_names(index, SESSIONS, NAMES) == tuple(f'session Ses0{i}' for i in range(1, 6))
    for fold, (_, test) in enumerate(LeaveOneGroupOut().split(groups, groups=groups), start=1):
        split = make_split(index, LeaveOneSessionOutProtocol(fold=fold), NAMES)
        np.testing.assert_array_equal(split.parts['test'], test)
        assert split.speaker_disjoint and (split.fold, split.folds) == (fold, 5) and split.notes == ()
        assert [len(who) for who in values(index, split, lambda row: row.speaker).values()] == [6, 2, 2]
        genders = [index.rows[row].metadata['gender'] for row in split.parts['valid']]
        assert genders.count('f') == genders.count('m')


def test_sessions_are_those_of_their_corpus():
    other = clips('other', 4, says=lambda number, take: {'session': 1 + number // 2})
    index = index_of(iemocap(), other)
    assert fold_count(index, SESSIONS, NAMES) == 7
    assert fold_names(index, SESSIONS, NAMES)[-2:] == ('session other/1', 'session other/2')


def test_sessions_that_are_missing():
    half = clips('half', 4, says=lambda number, take: {'session': number or None})
    refused(index_of(half), SESSIONS, "needs sessions, but 16 of 64 clips have no 'session' in their JSON, such as "
            'half-0-neutral-0. Build the shards again')
    refused(index_of(clips('one', 3, says=lambda *_: {'session': 1})), SESSIONS, 'needs at least 2 sessions')
    refused(index_of(iemocap()), LeaveOneSessionOutProtocol(fold=6), 'protocol.fold 6 is out of range: '
            'sessions are numbered 1 to 5')


def test_sessions_without_speakers_validate_by_clip():
    index = index_of(clips('one', [None] * 6, says=lambda number, take: {'session': number}))
    split = make_split(index, SESSIONS, NAMES)
    assert BY_CLIP in split.notes and split.speaker_disjoint is None


def test_corpora_are_trained_and_tested_by_name():
    index = three()
    split = make_split(index, CrossProtocol(test=('a',)), NAMES)
    corpora = values(index, split, lambda row: row.corpus)
    assert corpora == {'train': {'b', 'c10'}, 'valid': {'b', 'c10'}, 'test': {'a'}}
    assert len(split.parts['test']) == 64 and split.speaker_disjoint and split.notes == () and split.folds is None
    speakers = values(index, split, lambda row: (row.corpus, row.speaker))
    assert not speakers['train'] & speakers['valid']
    split = make_split(index, CrossProtocol(train=('c10',), test=('a',)), NAMES)
    assert values(index, split, lambda row: row.corpus)['train'] == {'c10'}
    assert split.notes == ('in no part: b (96 clips)',)
    assert sum(map(len, split.parts.values())) == len(index.rows) - 96


def test_sets_are_corpora_by_their_given_names():
    index = index_of(clips('ravdess', 4, set_name='mine'), clips('emodb', 4, set_name='theirs'))
    split = make_split(index, CrossProtocol(train=('mine',), test=('theirs',)), NAMES)
    assert values(index, split, lambda row: row.metadata['corpus'])['test'] == {'emodb'}


def test_cross_is_refused_in_one_line():
    index = three()
    refused(index, CrossProtocol(), "needs the corpora to test: --set protocol.test='[NAME, ...]'. There are: a, b, "
            'c10')
    refused(index, CrossProtocol(test=('c1',)), "protocol.test: unknown corpus 'c1'. Did you mean 'c10'?")
    refused(index, CrossProtocol(train=('x',), test=('a',)), "protocol.train: unknown corpus 'x'. There are: a, b, c10")
    refused(index, CrossProtocol(train=('a', 'b'), test=('a',)), "'a' is in both protocol.train and protocol.test")
    refused(index, CrossProtocol(test=('a', 'b', 'c10')), 'none is left to train on')
    for protocol in (CrossProtocol(test=('a',)), CORPORA):
        refused(index_of(clips('a', 4)), protocol, 'needs at least two corpora', 'these shards are of a. Name a set',
                '--shards ravdess=data/ravdess emodb=data/emodb')
        refused(index_of(clips('a', 4), clips(None, 4), clips('b', 4)), protocol, 'are of a, b, unknown ones')
    refused(index_of(clips('a', 4, NAMES[:3]), clips('b', 4)), CrossProtocol(test=('b',)),
            "protocol 'cross': the test part has sad, of which the training part has no clip to learn from. Use the "
            'classes that all corpora share: --set data.labels=shared')
    less = make_split(index_of(clips('a', 4, NAMES[:3]), clips('b', 4)), CrossProtocol(test=('a',)), NAMES)
    assert less.notes == ('test lacks sad',)


def test_every_corpus_is_tested_once():
    index = three()
    assert fold_names(index, CORPORA, NAMES) == ('corpus a', 'corpus b', 'corpus c10')
    for fold, name in enumerate(('a', 'b', 'c10'), start=1):
        split = make_split(index, LeaveOneCorpusOutProtocol(fold=fold), NAMES)
        others = {'a', 'b', 'c10'} - {name}
        assert values(index, split, lambda row: row.corpus) == {'train': others, 'valid': others, 'test': {name}}
        cross = make_split(index, CrossProtocol(test=(name,)), NAMES)
        assert len(cross.parts['test']) == len(split.parts['test'])
    refused(index, LeaveOneCorpusOutProtocol(fold=4), 'protocol.fold 4 is out of range: corpora are numbered 1 to 3')
