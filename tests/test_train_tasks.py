"""The real commands on small shards with further targets: second heads, votes, dimensions."""

import csv
import json
import shutil

import pytest
import torch

from ser.cli import main
from ser.training.rebuild import load_run
from tests.shard_factory import sample, write_tar
from tests.tiny import ASSIGNMENTS

EMOTIONS, ACCENTS = ('happy', 'sad', 'calm'), ('north', 'south', None)


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder, members = tmp_path_factory.mktemp('tasks'), []
    for number in range(72):
        speaker, emotion = number // 9, EMOTIONS[number % 3]
        members += sample(
            f'test-s{speaker}-{number}', number, emotion=emotion, raw_label=emotion, speaker=f's{speaker}',
            gender='female' if speaker % 2 else 'male', accent=ACCENTS[number // 3 % 3], votes={emotion: 3, 'sad': 1},
            arousal=float(number % 5), valence=None if number % 12 == 0 else number % 7 / 2)
    write_tar(folder / 'a-00000.tar', members)
    return folder


def train(shards, out, *assignments):
    threads = torch.get_num_threads()
    try:
        return main(['train', '--shards', str(shards), '--out', str(out), '--set', *ASSIGNMENTS, 'training.epochs=1',
                     *assignments])
    finally:
        torch.set_num_threads(threads)


def rows(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_second_heads_and_votes_from_training_to_scores(shards, tmp_path, capsys):
    run = tmp_path / 'run'
    assert train(shards, run, 'task.auxiliary={gender: {weight: 0.5}, accent: {}}', 'task.soft_labels=true') == 0
    assert json.loads((run / 'auxiliary.json').read_text()) == {'gender': ['female', 'male'],
                                                                'accent': ['north', 'south']}
    tested = rows(run / 'predictions.csv')
    assert {row['key'] for row in rows(run / 'predictions-gender.csv')} == {row['key'] for row in tested}
    assert len(rows(run / 'predictions-accent.csv')) == len(tested) * 2 // 3
    metrics = json.loads((run / 'test_metrics.json').read_text())
    assert set(metrics['auxiliary']) == {'gender', 'accent'}
    assert 'auxiliary gender (18 clips): UA' in (run / 'README.md').read_text()
    _, names, model = load_run(run)
    output = model.classify(model.views(torch.zeros(2, 16000, dtype=torch.int16), torch.tensor([16000, 8000])))
    assert {name: tuple(logits.shape) for name, logits in output.auxiliary.items()} == {'gender': (2, 2),
                                                                                      'accent': (2, 2)}
    assert names == ('calm', 'happy', 'sad')
    capsys.readouterr()
    assert main(['evaluate', str(run)]) == 0 and 'auxiliary accent' in capsys.readouterr().out


def test_dimensions_from_training_to_predictions(shards, tmp_path, capsys):
    run = tmp_path / 'run'
    assert train(shards, run, 'task.kind=dimensions', 'task.dimensions=[arousal, valence]') == 0
    task = json.loads((run / 'task.json').read_text())
    assert task['names'] == ['arousal', 'valence'] == json.loads((run / 'labels.json').read_text())
    # Six of seventy-two clips lack their valence.
    assert len(rows(run / 'split.csv')) == 66 and {row['label'] for row in rows(run / 'split.csv')} == {
        'low', 'middle', 'high'}
    metrics = json.loads((run / 'test_metrics.json').read_text())
    assert metrics['task'] == 'dimensions' and -1 <= metrics['mean_ccc'] <= 1
    assert list(rows(run / 'metrics.csv')[0])[:4] == ['epoch', 'steps', 'train_loss', 'valid_loss']
    assert (run / 'scatter.png').stat().st_size > 1000
    # Numbers have no confidence.
    assert not (run / 'calibration.json').exists() and not (run / 'predictions-validation.csv').exists()
    capsys.readouterr()
    assert main(['train', '--resume', str(run)]) == 0
    assert main(['evaluate', str(run), '--shards', str(shards), '--out', str(tmp_path / 'other')]) == 0
    assert 'CCC arousal' in capsys.readouterr().out
    assert json.loads((tmp_path / 'other' / 'test_metrics.json').read_text())['n'] == 66
    clip = tmp_path / 'clip.flac'
    clip.write_bytes(sample('k', 1)[0][1])
    assert main(['predict', str(clip), '--model', str(run), '--format', 'jsonl']) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said['dimensions']) == {'arousal', 'valence'}


@pytest.mark.slow
def test_merged_labels_go_with_the_run_to_other_shards(shards, tmp_path, capsys):
    run = tmp_path / 'run'
    assert train(shards, run, 'data.merge={calm: happy}') == 0
    assert json.loads((run / 'labels.json').read_text()) == ['happy', 'sad']
    assert main(['evaluate', str(run), '--shards', str(shards), '--out', str(tmp_path / 'other')]) == 0
    labels = [row['label'] for row in rows(tmp_path / 'other' / 'predictions.csv')]
    assert (labels.count('happy'), labels.count('sad')) == (48, 24)


def test_files_of_further_heads_that_say_nothing_are_refused(shards, tmp_path, capsys):
    run = tmp_path / 'run'
    assert train(shards, run, 'task.auxiliary={gender: {}}') == 0
    shutil.copytree(run, tmp_path / 'broken')
    (tmp_path / 'broken' / 'auxiliary.json').write_text('{"gender": ["female"]}')
    clip = tmp_path / 'clip.flac'
    clip.write_bytes(sample('k', 1)[0][1])
    capsys.readouterr()
    assert main(['predict', str(clip), '--model', str(tmp_path / 'broken')]) == 2
    assert "auxiliary.json: 'gender' must be a list of at least two values" in capsys.readouterr().err


@pytest.mark.slow
def test_recordings_with_numbers_alone_from_their_table_to_a_run(tmp_path, capsys):
    lines = ['path,speaker,arousal,valence']
    for number in range(48):
        name = f'{number:02d}.flac'
        (tmp_path / name).write_bytes(sample(f'k{number}', number)[0][1])
        lines.append(f'{name},s{number // 6},{number % 5},{number % 7 / 2}')
    (tmp_path / 'table.csv').write_text('\n'.join(lines))
    assert main(['shards', 'csv', str(tmp_path), str(tmp_path / 'shards'), '--jobs', '1']) == 0
    assert 'emotions: none 48 (dimensions only: train with task.kind=dimensions)' in capsys.readouterr().out
    assert train(tmp_path / 'shards', tmp_path / 'run', 'task.kind=dimensions') == 0
    assert json.loads((tmp_path / 'run' / 'labels.json').read_text()) == ['arousal', 'valence']
    capsys.readouterr()
    assert train(tmp_path / 'shards', tmp_path / 'other') == 2
    assert '48 have no label: numbers are learnt with --set task.kind=dimensions' in capsys.readouterr().err
