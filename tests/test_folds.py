"""Every fold and the pooled score: what is missing, what failed, what each tests; and the parts alone."""

import json

import pytest

from ser.errors import SerError
from ser.train import main
from ser.training import series
from tests.pretend import pretender
from tests.shard_factory import EMOTIONS, make_shards, sample, write_tar
from tests.test_held import another
from tests.tiny import ASSIGNMENTS


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=8, clips_per=2)
    return folder


def arguments(shards, out, *more, folds=4):
    return ['--shards', str(shards), '--out', str(out), '--folds', 'all', '--set', *ASSIGNMENTS,
            f'protocol={{kind: speaker-kfold, folds: {folds}}}', *more]


def test_a_fold_that_fails_loses_none_of_the_others(shards, tmp_path, monkeypatch, capfd):
    out = tmp_path / 'folds'
    monkeypatch.setattr(series, '_train', pretender(failing={'fold 2': SerError('the disk is full')}))
    assert main(arguments(shards, out)) == 1
    said = capfd.readouterr().err.splitlines()
    assert said[-1].startswith('failed: fold 2 of 4 (speakers s') and said[-1].endswith(': the disk is full')
    assert 'incomplete: fold 2 missing' in said
    metrics = json.loads((out / 'test_metrics.json').read_text())
    assert metrics['missing_folds'] == [2] and metrics['notes'][0] == 'incomplete: fold 2 missing'
    assert metrics['protocol'] == 'speaker-kfold, 3 of 4 folds pooled (incomplete: fold 2 missing)'
    assert metrics['n'] == 48 and metrics['n_speakers'] == 6
    card = (out / 'README.md').read_text()
    assert '**incomplete: fold 2 missing**' in card and '| fold-03 | speakers s' in card
    assert '(6 unseen speakers, 48 clips)' in card
    trained = []
    monkeypatch.setattr(series, '_train', pretender(trained=trained))
    assert main(arguments(shards, out)) == 0
    assert capfd.readouterr().err.splitlines()[-2:] == [f'next: ser report {out}', f'      ser compare {out} OTHER']
    assert len(trained) == 1 and json.loads((out / 'test_metrics.json').read_text())['missing_folds'] == []


@pytest.mark.slow
def test_one_finished_fold_alone_is_not_pooled(shards, tmp_path, monkeypatch, capfd):
    failing = {f'fold {fold}': SerError(f'reason {fold}') for fold in (1, 2, 4)}
    monkeypatch.setattr(series, '_train', pretender(failing=failing))
    assert main(arguments(shards, tmp_path / 'x')) == 1
    assert capfd.readouterr().err.count('failed: fold') == 3 and not (tmp_path / 'x' / 'test_metrics.json').exists()


@pytest.mark.slow
def test_when_every_fold_fails_it_is_an_error(shards, tmp_path, monkeypatch, capfd):
    failing = {f'fold {fold}': SerError(f'reason {fold}') for fold in (1, 2, 3, 4)}
    monkeypatch.setattr(series, '_train', pretender(failing=failing))
    assert main(arguments(shards, tmp_path / 'x')) == 2
    assert 'every fold failed; fold 1 of 4 (speakers' in capfd.readouterr().err


def test_a_stopped_fold_says_how_to_carry_on(shards, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(series, '_train', pretender(codes={'fold 2': 130}))
    assert main(arguments(shards, tmp_path / 'x')) == 130
    assert f'carries on with the folds: --folds all --out {tmp_path / "x"}' in capfd.readouterr().err


def test_two_processes_do_not_train_the_same_folds(shards, tmp_path, monkeypatch, capfd):
    trained = []
    monkeypatch.setattr(series, '_train', pretender(trained=trained))
    with another(tmp_path / 'x'):
        assert main(arguments(shards, tmp_path / 'x')) == 2
    assert 'another process is writing there' in capfd.readouterr().err and not trained


def test_a_class_that_a_fold_does_not_test_is_said(tmp_path, monkeypatch, capfd):
    clips = [(f's{speaker}', emotion, take) for speaker in range(6) for emotion in EMOTIONS for take in range(2)
             if emotion != 'angry' or speaker in (0, 1)]
    write_tar(tmp_path / 'shards' / 'a-0.tar', [
        member for number, (speaker, emotion, take) in enumerate(clips)
        for member in sample(f'{speaker}-{emotion}-{take}', number, speaker=speaker, emotion=emotion,
                             raw_label=emotion)])
    monkeypatch.setattr(series, '_train', pretender())
    assert main(arguments(tmp_path / 'shards', tmp_path / 'x', folds=3)) == 0
    note, = [line for line in capfd.readouterr().err.splitlines() if line.startswith('no test clip is angry in')]
    assert note.endswith('the UA of such a fold is over the classes it tests')
    folds = json.loads((tmp_path / 'x' / 'test_metrics.json').read_text())['folds']
    lacking = [fold['run'] for fold in folds if any('test lacks angry' in line for line in fold['notes'])]
    assert lacking and all(run in note for run in lacking)


def test_a_dry_run_shows_the_parts_of_every_fold_and_trains_nothing(shards, tmp_path, capfd):
    assert main([*arguments(shards, tmp_path / 'x'), '--dry-run']) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == 'classes: neutral, happy, sad, angry'
    assert [line.split(' (')[0] for line in lines[1:]] == [f'fold {fold} of 4' for fold in range(1, 5)]
    assert all('speaker-kfold, fold' in line and 'in train/valid/test' in line for line in lines[1:])
    tested = [speaker for line in lines[1:]
              for speaker in line.split('(speakers ')[1].split(')')[0].split(', ')]
    assert sorted(tested) == [f's{n:02d}' for n in range(1, 9)] and not (tmp_path / 'x').exists()


def test_a_dry_run_names_the_folds_that_cannot_be_split(tmp_path, capfd):
    # Only one speaker is angry: the fold that tests it has nobody to learn it from.
    write_tar(tmp_path / 'shards' / 'a-0.tar', [
        member for number, (speaker, emotion) in enumerate(
            [(f's{n}', name) for n in range(5) for name in ('happy', 'sad')] + [('s0', 'angry')])
        for member in sample(f'{speaker}-{emotion}', number, speaker=speaker, emotion=emotion, raw_label=emotion)])
    code = main([*arguments(tmp_path / 'shards', tmp_path / 'x', folds=5), '--dry-run'])
    out = capfd.readouterr().out
    assert code == 1 and out.count('failed: fold') == 1 and 'angry' in out


def test_a_protocol_without_folds_is_refused_with_those_that_have_some(shards, tmp_path, capfd):
    assert main(['--shards', str(shards), '--folds', 'all', '--out', str(tmp_path / 'x')]) == 2
    said = capfd.readouterr().err
    assert "protocol 'speaker' has no folds" in said and 'speaker-kfold, leave-one-speaker-out' in said


def test_folds_do_not_go_into_a_folder_of_seeds(shards, tmp_path, capfd):
    (tmp_path / 'x' / 'seed-0').mkdir(parents=True)
    (tmp_path / 'x' / 'seed-0' / 'config.yaml').touch()
    assert main(arguments(shards, tmp_path / 'x')) == 2
    assert 'holds the run seed-0, which is none of these' in capfd.readouterr().err
