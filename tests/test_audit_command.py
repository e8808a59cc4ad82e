"""`ser audit` as people run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ser.audit import main
from tests.audit_clips import babble, clip, louder, parts
from tests.shard_factory import audio_bytes, make_shards, sample, write_tar

ROOT = Path(__file__).resolve().parent.parent
GIVEN = ('--protocol', 'given', '--set', 'protocol.column=part')


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def shards(folder, *clips):
    return str(write_tar(folder / 'clips.tar', [member for one in (*parts(), *clips) for member in one]))


def test_a_clean_split_and_a_leaking_one(tmp_path, capsys):
    clean = shards(tmp_path / 'a')
    assert main(['--shards', clean, *GIVEN, '--strict', '--jobs', '1']) == 0
    assert capsys.readouterr().out.splitlines()[-1] == 'no leak found'
    leaking = shards(tmp_path / 'b', clip('a', babble(1)), clip('b', louder(babble(1), 0.4), 'test'))
    for options, code in (((), 0), (('--strict',), 2)):
        assert main(['--shards', leaking, *GIVEN, *options, '--json', str(tmp_path / 'audit.json')]) == code
        out = capsys.readouterr().out
        assert 'a (train, happy) ~ b (test, happy)' in out and out.splitlines()[-1].startswith('LEAK: ')
        assert json.loads((tmp_path / 'audit.json').read_text())['leak']
    assert main(['--shards', leaking, *GIVEN, '--strict', '--quick']) == 0
    assert 'audio was not compared' in capsys.readouterr().out


def test_every_fold(tmp_path, capsys):
    make_shards(tmp_path, n_speakers=5, clips_per=1)
    path = tmp_path / 'audit.json'
    options = ['--protocol', 'speaker-kfold', '--set', 'protocol.folds=4', '--folds', 'all', '--quick']
    assert main(['--shards', str(tmp_path), *options, '--json', str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == '0 of 4 folds leak' and sum('fold 3 of 4' in line for line in lines) == 1
    assert [len(fold['parts']) for fold in json.loads(path.read_text())['folds']] == [3] * 4


def test_a_fold_that_cannot_be_split_does_not_hide_the_others(tmp_path, capsys):
    members = [member for speaker in range(1, 5) for emotion in ('happy', 'sad', *(['fear'] if speaker == 4 else []))
               for member in sample(f'{speaker}-{emotion}', 10 * speaker + len(emotion), speaker=f's{speaker}',
                                    emotion=emotion, raw_label=emotion)]
    tars, path = str(write_tar(tmp_path / 'clips.tar', members)), tmp_path / 'audit.json'
    options = ['--protocol', 'leave-one-speaker-out', '--folds', 'all', '--quick']
    assert main(['--shards', tars, *options, '--json', str(path)]) == 1
    *_, said, last = capsys.readouterr().out.splitlines()
    assert said.startswith("fold 4 cannot be split: protocol 'leave-one-speaker-out': the test part has fear, of which")
    assert last == '0 of 3 folds leak'
    found = json.loads(path.read_text())
    assert len(found['folds']) == 3 and found['refused'] == {'4': said.removeprefix('fold 4 cannot be split: ')}


def test_utterances_leak_speakers_and_labels_are_chosen_as_in_training(tmp_path, capsys):
    make_shards(tmp_path, n_speakers=3, clips_per=3)
    options = ['--protocol', 'utterance', '--quick', '--strict', '--set', 'data.drop=[sad]']
    assert main(['--shards', str(tmp_path), *options]) == 2
    out = capsys.readouterr().out
    assert 'left out: 9 clips, sad' in out and 'sad' not in out.split('left out: 9 clips, sad')[1]
    assert out.splitlines()[-1] == 'LEAK: every score of a run on this split is speaker-dependent'


def test_parts_with_shards_of_their_own(tmp_path, capsys):
    named = [str(make_shards(tmp_path / part, n_speakers=2, first_speaker=first)[0].parent)
             for part, first in (('train', 1), ('valid', 3), ('test', 5))]
    for number, path in enumerate(named):
        for tar in Path(path).iterdir():
            tar.rename(tar.with_name(f'{number}-{tar.name}'))
    assert main(['--shards', named[0], '--valid-shards', named[1], '--test-shards', named[2], '--quick']) == 0
    assert capsys.readouterr().out.startswith('given (speaker-disjoint): 16/16/16 clips')


def test_a_damaged_clip_is_named_and_not_fatal(tmp_path, capsys):
    broken = [('broken.flac', audio_bytes(babble(1), 16000)[:900]),
              ('broken.json', b'{"emotion": "sad", "part": "test", "speaker": "test", "corpus": "test"}')]
    assert main(['--shards', shards(tmp_path, broken), *GIVEN, '--strict']) == 0
    out = capsys.readouterr().out
    assert '1 clip could not be decoded' in out and 'broken cannot be decoded as flac' in out
    assert out.splitlines()[-1] == 'no leak found, but some clips could not be decoded'


@pytest.mark.parametrize(('arguments', 'message'), [
    ([], 'no shards are named'),
    (['--shards', 'nowhere'], 'no such shards'),
    (['--shards', 'SHARDS', '--protocol', 'speakr'], 'speakr'),
    (['--shards', 'SHARDS', '--protocol', 'utterance', '--folds', 'all'], "protocol 'utterance' has no folds"),
    (['--shards', 'SHARDS', '--jobs', '0'], '--jobs 0'),
    (['--shards', 'SHARDS', *GIVEN, '--json', 'SHARDS/x.json'], 'cannot be written')])
def test_refusals_are_one_line(tmp_path, capsys, arguments, message):
    tar = shards(tmp_path)
    assert main([argument.replace('SHARDS', tar) for argument in arguments]) == 2
    *_, last = lines = capsys.readouterr().err.splitlines()
    assert last.startswith('error: ') and message in last and sum(line.startswith('error') for line in lines) == 1


def test_as_a_process_it_needs_no_torch(tmp_path):
    code = (f'import sys\nfrom ser.audit import main\nassert main({["--shards", shards(tmp_path), *GIVEN]!r}) == 0\n'
            'assert "torch" not in sys.modules')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=120,
                          env=os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == 'no leak found'
