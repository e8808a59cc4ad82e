"""Each rule of the audit finds what was planted, says how bad it is, and is silent about a clean split."""

import pytest

from ser.shards import audit_rules
from ser.shards.audit_subject import make_subject
from tests.audit_clips import babble, clip, given, heard, indexed, louder, parts
from tests.shard_factory import audio_bytes


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def found(folder, rule, clips, listen=True, names=('happy', 'sad')):
    index = indexed(folder, [*parts(), *clips])
    subject = make_subject(index, given(index, names), names, heard(index) if listen else None)
    return list(getattr(audit_rules, f'{rule}_findings')(subject))


def test_a_clean_split_has_no_finding(tmp_path):
    for number, rule in enumerate(('recording', 'speaker', 'session', 'sentence', 'class', 'corpus', 'sound')):
        assert found(tmp_path / str(number), rule, []) == []


@pytest.mark.parametrize(('first', 'second', 'severity'), [
    ('train', 'test', 'leak'), ('valid', 'test', 'leak'), ('train', 'valid', 'warning'), ('test', 'test', 'note')])
@pytest.mark.parametrize('how', ['identical', 'near-identical'])
def test_recordings_by_the_parts_that_hold_them(tmp_path, first, second, severity, how):
    samples = babble(1)
    other = samples if how == 'identical' else louder(samples, 0.5)
    one, = found(tmp_path, 'recording', [clip('a', samples, first), clip('b', other, second, suffix='wav')])
    assert (one.kind, one.severity) == (f'{how}-recordings', severity)
    assert one.numbers == {'recordings': 1, 'clips': 2}
    sign = '=' if how == 'identical' else '~'
    assert one.examples[0].startswith(f'a ({first}, happy) {sign} b ({second}, happy)')
    assert ('correlation 1.00' in one.examples[0]) == (how != 'identical')


def test_a_recording_under_two_labels_is_warned_of(tmp_path):
    samples = babble(1)
    _, torn = found(tmp_path, 'recording', [clip('a', samples), clip('b', samples, emotion='sad', raw_label='sad')])
    assert (torn.kind, torn.severity) == ('labels-disagree', 'warning')
    assert torn.examples == ('a (train, happy) = b (train, sad)',)


def test_chains_of_copies_are_one_recording(tmp_path):
    samples = babble(1)
    clips = [clip('a', samples), clip('b', louder(samples, 0.5)), clip('c', samples),
             clip('d', louder(samples, 0.2), 'test')]
    identical, near = sorted(found(tmp_path, 'recording', clips), key=lambda one: one.kind)
    assert identical.severity == 'note' and 'a (train, happy) = c' in identical.examples[0]
    assert near.severity == 'leak' and near.numbers == {'recordings': 1, 'clips': 4}


def test_without_decoding_only_the_same_bytes_are_found(tmp_path):
    samples = babble(1)
    clips = [clip('a', samples), clip('b', samples, 'test'), clip('c', samples, 'test', suffix='wav'),
             clip('d', louder(samples, 0.5), 'test')]
    one, = found(tmp_path, 'recording', clips, listen=False)
    assert one.severity == 'leak' and one.examples == ('a (train, happy) = b (test, happy)',)


def test_speakers_that_parts_share(tmp_path):
    extra = [clip('a', babble(1), 'train', speaker='test'), clip('b', babble(2), 'valid', speaker='test'),
             clip('c', babble(3), 'valid', speaker='s10'), clip('d', babble(4), 'train', speaker='s10'),
             clip('e', babble(5), 'train', speaker='s9'), clip('f', babble(6), 'valid', speaker='s9'),
             clip('g', babble(7), 'test', speaker=None)]
    trained, validated, between, unknown = found(tmp_path, 'speaker', extra, listen=False)
    assert (trained.kind, trained.severity) == ('speakers-shared', 'leak')
    assert trained.numbers == {'shared': 1, 'speakers': 1} and trained.examples == ('test',)
    assert (validated.kind, validated.severity) == ('validation-from-test-speakers', 'leak')
    assert (between.kind, between.severity) == ('validation-speakers-shared', 'warning')
    assert between.examples == ('s9, s10, test',) and between.numbers['shared'] == 3
    assert (unknown.kind, unknown.severity, unknown.examples) == ('unknown-speakers', 'warning', ('g',))
    assert '1 of 13 clips have no speaker' in unknown.text


def test_corpora_may_number_their_speakers_sessions_and_sentences_alike(tmp_path):
    extra = [clip('a', babble(1), 'train', speaker='1', corpus='one', session='1', text_id='1'),
             clip('b', babble(2), 'test', speaker='1', corpus='two', session='1', text_id='1')]
    for number, rule in enumerate(('speaker', 'session', 'sentence')):
        assert found(tmp_path / str(number), rule, extra, listen=False) == []


def test_sessions_and_sentences_that_test_shares(tmp_path):
    extra = [clip('a', babble(1), 'valid', session=3, text_id='w1'),
             clip('b', babble(2), 'test', session=3, text_id='w1'),
             clip('c', babble(3), 'test', session=None, text_id='w2')]
    session, = found(tmp_path / 'a', 'session', extra, listen=False)
    assert (session.kind, session.severity, session.examples) == ('sessions-shared', 'warning', ('test/3',))
    sentence, = found(tmp_path / 'b', 'sentence', extra, listen=False)
    assert (sentence.kind, sentence.severity) == ('sentences-shared', 'note')
    assert sentence.numbers == {'shared': 1, 'sentences': 2} and 'nothing about unseen text' in sentence.text


def test_classes_that_a_part_or_all_corpora_but_one_lack(tmp_path):
    extra = [clip('a', babble(1), 'train', emotion='fear', corpus='other'), clip('b', babble(2), 'test', emotion='fear',
                                                                                corpus='other')]
    names = ('happy', 'sad', 'fear')
    lacking, = found(tmp_path / 'a', 'class', extra, False, names)
    assert (lacking.kind, lacking.severity) == ('classes-missing', 'warning')
    assert lacking.numbers == {'part': 'valid', 'classes': ['fear']}
    alone, = found(tmp_path / 'b', 'corpus', extra, False, names)
    assert (alone.kind, alone.severity) == ('class-is-corpus', 'warning')
    assert alone.numbers['classes'] == {'happy': 'test', 'sad': 'test', 'fear': 'other'}


def test_clips_that_cannot_be_decoded_or_hold_no_sound(tmp_path):
    broken = [('broken.flac', audio_bytes(babble(1), 16000)[:900]),
              ('broken.json', b'{"emotion": "sad", "part": "test", "speaker": "test", "corpus": "test"}')]
    bad, silent = found(tmp_path, 'sound', [broken, clip('silent', 0 * babble(1))])
    assert (bad.kind, bad.severity) == ('undecodable', 'warning')
    assert bad.text == '1 clip could not be decoded, so not compared'
    assert bad.examples[0].startswith('broken cannot be decoded as flac')
    assert (silent.kind, silent.examples) == ('silent', ('silent',))


def test_normalisation_says_whether_other_clips_enter():
    own, = audit_rules.normalisation_findings(False)
    assert (own.severity, own.text) == ('note', 'per clip, nothing from other test clips')
    others, = audit_rules.normalisation_findings(True)
    assert others.severity == 'warning' and others.text.startswith('transductive')
