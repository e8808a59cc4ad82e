"""The audit as a whole: order, verdicts, lines for people, JSON."""

import json

import pytest

from ser.config.data import DataConfig
from ser.shards import audit as module
from ser.shards.audit import audit, audit_for_run
from tests.audit_clips import babble, clip, given, heard, indexed, louder, parts


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def audited(folder, clips=(), listen=True, **options):
    index = indexed(folder, [*parts(), *clips])
    return audit(index, given(index), ('happy', 'sad'), fingerprints=heard(index) if listen else None, **options)


def test_a_clean_split(tmp_path):
    found = audited(tmp_path)
    assert not found.leak and found.strict_failures == () and found.verdict == 'no leak found'
    assert [one.kind for one in found.findings] == ['normalisation']
    assert found.parts['test'] == {'clips': 2, 'speakers': 1, 'classes': {'happy': 1, 'sad': 1}}
    lines = list(found.lines())
    assert lines[0].startswith('given (speaker-disjoint)') and lines[-1] == found.verdict
    assert 'test: 2 clips, 1 speaker (happy 1, sad 1)' in lines


def test_findings_come_by_severity_and_the_json_holds_all(tmp_path):
    same = babble(1)
    found = audited(tmp_path, [clip('a', same, text_id='t'), clip('b', louder(same, 0.5), 'test', text_id='t'),
                               clip('c', babble(2), 'valid', speaker='train')], transductive=True)
    severities = [one.severity for one in found.findings]
    assert severities == sorted(severities, key=('leak', 'warning', 'note').index) and set(severities) == {
        'leak', 'warning', 'note'}
    said = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert said['leak'] and said['verdict'] == found.verdict and said['compared']
    assert [one['kind'] for one in said['findings']] == [one.kind for one in found.findings]
    assert said['recordings'][0]['keys'] == ['a', 'b'] and said['recordings'][0]['parts'] == ['train', 'test']
    lines = list(found.lines())
    assert lines.index('leaks:') < lines.index('warnings:') < lines.index('notes:')
    assert any(line.startswith('    a (train, happy) ~ b (test, happy)') for line in lines)
    assert found.of_severity('leak') == found.strict_failures


def test_verdicts(tmp_path):
    shared = audited(tmp_path / 'a', [clip('a', babble(1), 'train', speaker='test')])
    assert shared.leak and shared.verdict == 'LEAK: every score of a run on this split is speaker-dependent'
    copied = audited(tmp_path / 'b', [clip('a', babble(1)), clip('b', babble(1), 'test')])
    assert copied.leak and copied.verdict.startswith('LEAK: the test part holds recordings')
    between = audited(tmp_path / 'c', [clip('a', babble(1)), clip('b', babble(1), 'valid')])
    assert not between.leak
    unknown = audited(tmp_path / 'd', [clip('a', babble(1), speaker=None)], listen=False)
    assert unknown.verdict == ('no leak found, but speakers are unknown and audio was not compared, only encoded bytes')


def test_long_lists_are_cut_for_people_and_whole_in_the_json(tmp_path, monkeypatch):
    monkeypatch.setattr(module, '_LISTED', 2)
    found = audited(tmp_path, [clip(f'{part}{seed}', babble(seed), part) for seed in range(3)
                               for part in ('train', 'test')])
    assert any('and 1 more' in line for line in found.lines())
    assert len(found.to_json()['findings'][0]['examples']) == 3
    few = found.to_json(1)
    assert [len(one['examples']) for one in few['findings']] == [min(len(one.examples), 1) for one in found.findings]
    assert [one.numbers for one in found.findings] == [one['numbers'] for one in few['findings']]
    assert len(few['recordings']) == min(len(found.recordings), 1)


def test_the_audit_of_a_run_follows_its_config(tmp_path):
    index = indexed(tmp_path, [*parts(), clip('a', babble(1)), clip('b', louder(babble(1), 0.5), 'test')])
    for how, leak in (('full', True), ('quick', False)):
        found = audit_for_run(index, given(index), ('happy', 'sad'), DataConfig(audit=how))
        assert (found.leak, found.compared) == (leak, how == 'full')


def test_clips_in_no_part_are_left_out(tmp_path):
    found = audited(tmp_path, [clip('a', babble(1), emotion='fear'), clip('b', babble(1), 'test')])
    assert found.recordings == () and not found.leak
