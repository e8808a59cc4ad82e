"""What a run has heard of other shards."""

import json
from pathlib import Path

import pytest

from ser.config.data import DataConfig
from ser.config.protocol import SpeakerProtocol
from ser.config.schema import Config
from ser.inference.heard import Heard, heard_by, overlap_notes, speakers_disjoint
from ser.shards.index import Row, build_index
from ser.shards.protocols import make_split, speaker_identity, write_split_csv
from ser.training.run import open_run
from tests.shard_factory import make_shards, sample, write_tar
from tests.tiny_run import tiny_run  # noqa: F401


def row(key, speaker='s1', corpus='test', audio=None):
    return Row(key, 0, 0, 1, '.flac', 'happy', 'happy', speaker, None, None, None, audio,
               {} if corpus is None else {'corpus': corpus})


def heard(*speakers, keys=(), audio=None):
    return Heard(frozenset(keys), audio, frozenset(speakers))


def test_a_speaker_is_the_same_only_within_a_corpus():
    assert speakers_disjoint([row('a', 's1')], heard(('test', 's2'), ('other', 's1'))) is True
    assert speakers_disjoint([row('a', 's1'), row('b', 's9')], heard(('test', 's9'))) is False


def test_what_nobody_can_tell_is_unknown():
    assert speakers_disjoint([row('a', None)], heard(('test', 's2'))) is None
    assert speakers_disjoint([row('a')], heard(('test', 's2'), None)) is None
    assert speakers_disjoint([row('a', corpus=None)], heard(('test', 's2'))) is None
    assert speakers_disjoint([row('a')], heard(('', 's2'))) is None
    assert speakers_disjoint([row('a', corpus=None)], heard(('', 's2'))) is True
    # One shared speaker settles it, whatever else is unknown.
    assert speakers_disjoint([row('a'), row('b', None)], heard(('test', 's1'), None)) is False


def test_clips_are_recognised_by_audio_and_by_key():
    rows = [row('a', audio='1'), row('b', audio='2'), row('c', audio='3')]
    note, = overlap_notes(rows, heard(keys=('b', 'a'), audio=frozenset('1')))
    assert note.startswith('LEAK: 2 of 3 clips') and '(1 by audio, 1 by key: a, b)' in note
    assert overlap_notes(rows, heard(keys=('z',), audio=frozenset('9'))) == ()
    note, doubt = overlap_notes(rows, heard(keys=('c',)))
    assert '(1 by key: c)' in note and 'by key only' in doubt
    note, _ = overlap_notes([row(key) for key in 'gfedcba'], heard(keys='abcde'))
    assert '(5 by key: e, d, c and 2 more)' in note


def test_a_run_with_its_shards_at_hand(tiny_run):  # noqa: F811
    config, names = open_run(tiny_run.path)
    found = heard_by(tiny_run.path, config, names, ())
    assert found.keys == set(tiny_run.clips) - {line['key'] for line in tiny_run.predictions()}
    assert len(found.audio) == len(found.keys)
    rows = build_index(config.data).rows
    test_rows = [line for line in rows if line.key not in found.keys]
    assert speakers_disjoint(test_rows, found) is True and overlap_notes(test_rows, found) == ()
    assert speakers_disjoint(rows, found) is False
    assert f'LEAK: {len(found.keys)} of {len(rows)} clips' in overlap_notes(rows, found)[0]


@pytest.mark.parametrize('reason', ['gone', 'changed'])
def test_a_run_without_its_shards_is_known_by_keys(tiny_run, tmp_path, reason):  # noqa: F811
    config, names = open_run(tiny_run.path)
    run = tiny_run.path
    if reason == 'gone':
        data = Config().data.model_copy(update={'shards': (str(tmp_path / 'gone'),)})
        config = config.model_copy(update={'data': data})
    else:
        run = tmp_path
        for name in ('split.csv', 'data.json'):
            (run / name).write_bytes((tiny_run.path / name).read_bytes())
        facts = json.loads((run / 'data.json').read_text())
        (run / 'data.json').write_text(json.dumps(facts | {'digest': 'another'}))
    found = heard_by(run, config, names, {'test'})
    assert found.audio is None and len(found.keys) > 8
    assert {corpus for corpus, _ in found.speakers} == {'test'}
    assert {corpus for corpus, _ in heard_by(run, config, names, ()).speakers} == {''}


def test_whoever_speaks_in_a_clip_that_was_trained_on_is_no_new_speaker():
    known = Heard(frozenset({'mine'}), frozenset({'f' * 64}), frozenset({('test', 's1')}))
    assert speakers_disjoint([row('mine', 'z9', 'other')], known) is False
    assert speakers_disjoint([row('new', 'z9', 'other', audio='f' * 64)], known) is False
    assert speakers_disjoint([row('new', 'z9', 'other')], known) is True


def test_other_speakers_of_the_same_corpus_are_new(tiny_run, tmp_path):  # noqa: F811
    make_shards(tmp_path, n_speakers=2, clips_per=1, first_speaker=40)
    config, names = open_run(tiny_run.path)
    rows = build_index(Config().data.model_copy(update={'shards': (str(Path(tmp_path)),)})).rows
    found = heard_by(tiny_run.path, config, names, {'test'})
    assert speakers_disjoint(rows, found) is True and overlap_notes(rows, found) == ()


def two_corpora(folder, first_speaker=1, n_speakers=4):
    """Shards of the corpora `one` and `two`, whose speakers have the same names; returns the folder."""
    for corpus in ('one', 'two'):
        write_tar(folder / f'{corpus}.tar', [
            member for speaker in range(first_speaker, first_speaker + n_speakers) for emotion in ('happy', 'sad')
            for member in sample(f'{corpus}-{speaker:02d}-{emotion}-{first_speaker}', hash_of(corpus, speaker, emotion),
                                 corpus=corpus, speaker=f'{speaker:02d}', emotion=emotion, raw_label=emotion)])
    return folder


def hash_of(*words):
    return sum(ord(letter) * (i + 1) for i, letter in enumerate(repr(words)))


def split_run(run, shards):
    """The files of a run on `shards` that heard_by reads; returns (its config, class names, split)."""
    config = Config().model_copy(update={'data': DataConfig(shards=(str(shards),))})
    index = build_index(config.data)
    split = make_split(index, SpeakerProtocol(valid_fraction=0.25, test_fraction=0.25), ('happy', 'sad'))
    run.mkdir()
    write_split_csv(run / 'split.csv', index, split)
    (run / 'data.json').write_text(json.dumps({'digest': index.digest}))
    return config, ('happy', 'sad'), {part: {speaker_identity(index.rows[i]) for i in rows}
                                      for part, rows in split.parts.items()}


@pytest.mark.parametrize('moved', [False, True])
@pytest.mark.parametrize('corpora', [{'one'}, {'one', 'two'}])
def test_a_run_on_two_corpora_knows_its_speakers_with_and_without_its_shards(tmp_path, moved, corpora):
    config, names, speakers = split_run(tmp_path / 'run', two_corpora(tmp_path / 'shards'))
    assert '/' in (tmp_path / 'run' / 'split.csv').read_text()
    if moved:
        (tmp_path / 'shards').rename(tmp_path / 'elsewhere')
    found = heard_by(tmp_path / 'run', config, names, corpora)
    assert (found.audio is None) is moved and found.speakers == speakers['train'] | speakers['valid']
    # New clips, of speakers that it was trained on, of one that it was not, and of the other corpus' namesakes.
    for corpus, speaker in speakers['train']:
        assert speakers_disjoint([row('new', speaker, corpus)], found) is False
    for corpus, speaker in speakers['test']:
        assert speakers_disjoint([row('new', speaker, corpus)], found) is True
        assert speakers_disjoint([row('new', speaker, 'third')], found) is True


@pytest.mark.parametrize(('key', 'speaker', 'known', 'expected'), [
    ('one-a', '03', {'one'}, {('one', '03')}),
    ('one-a', 'one/03', {'one'}, {('one', '03')}),
    ('two-a', 'two/03', {'one'}, {('two', '03')}),
    ('clip7', 'one/03', {'one'}, {('one', '03')}),
    ('clip7', 'None/03', {'one'}, {('', '03')}),
    ('clip7', '03', {'one'}, {('', '03')}),
    ('03-a', '03', {'one'}, {('', '03')}),
    ('clip7', 'team/03', {'one'}, {('', 'team/03')}),
    ('one-a', 'team/03', {'one'}, {('one', 'team/03')}),
    ('one-a', 'two/03', {'one', 'two'}, {('one', 'two/03'), ('two', '03')}),
    ('one-b-a', 'one-b/03', {'one', 'one-b'}, {('one-b', '03')}),
    ('clip7', '/03', {'one'}, {('', '/03')}),
    ('one-a', None, {'one'}, {None}),
])
def test_how_a_speaker_of_split_csv_is_read(tmp_path, key, speaker, known, expected):
    (tmp_path / 'split.csv').write_text(f'key,speaker,label,part\n{key},{speaker or ""},happy,train\n')
    config = Config().model_copy(update={'data': DataConfig(shards=(str(tmp_path / 'gone'),))})
    assert heard_by(tmp_path, config, ('happy', 'sad'), known).speakers == expected
