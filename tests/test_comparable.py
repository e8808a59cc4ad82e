"""What a score may be held against follows from the run's facts."""

from dataclasses import replace

import pytest

from ser.reports.comparable import comparable_words, doubts
from ser.reports.contents import read_contents
from tests.page_runs import scored


@pytest.fixture(scope='module')
def contents(tmp_path_factory):
    facts = {'split': 'f' * 64, 'digest': 'e' * 64, 'protocol_seed': 7}
    return read_contents(scored(tmp_path_factory.mktemp('comparable') / 'run', facts=facts))


def changed(contents, kind='run', data=None, **metrics):
    return replace(contents, kind=kind, metrics=contents.metrics | metrics, data=(contents.data or {}) | (data or {}))


def words(contents, corpora=()):
    return [' '.join(side) for side in comparable_words(contents, corpora)]


def test_the_same_split_compares_by_its_digests(contents):
    yes, no = words(contents, ('ravdess',))
    assert 'digest eeeeeeeeeeee and the same split ffffffffffff' in yes and 'protocol.seed (7 here)' in yes
    assert 'on ravdess' in yes and '6 speakers here' in yes and 'chance is 25.0 % here' in no
    assert 'test speakers are in training too' in no and "another kind of protocol than 'speaker'" in no
    assert 'digest' not in words(changed(contents, data={'digest': None}))[0]


@pytest.mark.parametrize('disjoint, said', [(False, 'speaker-dependent, the easier task'), (None, 'nobody knows')])
def test_shared_speakers_are_said(contents, disjoint, said):
    assert said in words(changed(contents, speaker_disjoint=disjoint))[1]


@pytest.mark.parametrize('kind, said', [('folds', 'One fold alone'), ('seeds', 'The best of several seeds'),
                                        ('ensemble', 'A single model')])
def test_means_are_no_single_model(contents, kind, said):
    assert said in words(changed(contents, kind))[1]


def test_a_fold_alone_and_protocols_of_folds(contents):
    assert 'fold 2 of 5 alone' in words(changed(contents, data={'fold': 2, 'folds': 5}))[1]
    assert "Published scores under protocol 'emobox'" in words(changed(contents, protocol_kind='emobox'))[0]
    assert 'given test part' in words(changed(contents, protocol_kind='official'))[0]
    assert 'synthetic' in words(changed(contents, synthetic=True))[1]


def test_doubts_come_in_order_and_name_few_speakers(contents):
    assert doubts(contents)[-1].startswith('6 test speakers only')
    audit = {'leaks': ['twice the same'], 'warnings': ['other rooms']}
    found = doubts(changed(contents, notes=['synthetic speech'], audit=audit, excludes_chance=False))
    assert found[0] == 'synthetic speech' and found[1].endswith('a leak: twice the same') and 'guessing' in found[2]
    assert found[-1] == 'audit: other rooms'
    assert doubts(changed(contents, n_speakers=40)) == []
