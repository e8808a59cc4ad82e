"""`ser export`: a run becomes one file or a folder of transformers, or one line says why not."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch

from ser.config.load import load_config, to_yaml
from ser.export import main
from ser.exporting import export, folder, subject
from ser.exporting.weights import load_one_file
from ser.files import write_json
from ser.inference.predictor import Predictor
from ser.inference.recordings import read_recording
from ser.models import build_model
from ser.training.checkpoint import save_weights
from tests.export_cases import CRNN, made_run
from tests.tiny_encoder import shaken, source
from tests.tiny_run import tiny_run  # noqa: F401

NAMES = ['happy', 'sad']


@pytest.fixture
def run(tmp_path):
    """A run directory of a small encoder, with random weights."""
    config = load_config(('base',), ['model.kind=ssl', 'data.sample_rate=16000', 'features.sample_rate=16000',
                                     'model.head={kind: projector, hidden: 12}',
                                     f'model.encoder.source={source().model_dump_json()}'])
    torch.manual_seed(0)
    model = shaken(build_model(config, NAMES))
    path = tmp_path / 'run'
    path.mkdir()
    (path / 'config.yaml').write_text(to_yaml(config))
    (path / 'labels.json').write_text(json.dumps(NAMES))
    save_weights(path / 'best.safetensors', model.state_dict())
    return path, model.eval()


def test_the_folder_gives_the_logits_of_the_run(run, capsys):
    from transformers import AutoModelForAudioClassification

    path, model = run
    out = path.parent / 'out'
    assert main([str(path), '--format', 'transformers', '--out', str(out)]) == 0
    told = capsys.readouterr().out
    assert f'{out}: written' in told and 'note: this encoder normalises over time without a mask' in told
    assert '16000 Hz, uncalibrated' in told and 'parity on 20 clips of the synthetic demo voice' in told
    waveform = torch.randn(1, 3000, generator=torch.Generator().manual_seed(1))
    views = {'waveform': waveform, 'samples': torch.tensor([3000])}
    with torch.no_grad():
        theirs = AutoModelForAudioClassification.from_pretrained(out).eval()(waveform).logits
        torch.testing.assert_close(theirs, model.classify(views).logits, atol=1e-5, rtol=0)
    assert main([str(path), '--format', 'transformers', '--out', str(out)]) == 2
    assert 'exists' in capsys.readouterr().err


def test_the_folder_comes_with_what_was_measured_and_its_calibration(run, capsys):
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    path, _ = run
    write_json(path / 'calibration.json', {'temperature': 1.5, 'threshold': 0.4, 'risk': 0.25})
    assert main([str(path), '--format', 'transformers']) == 0
    out, made = capsys.readouterr().out, path / 'export' / 'transformers'
    assert 'logits to be divided by the temperature 1.500' in out and 'decisions changed: 0 of 20' in out
    parity = json.loads((path / 'export' / 'transformers.parity.json').read_text())
    facts = json.loads((made / 'ser.json').read_text())
    assert parity['facts'] == facts and (facts['temperature'], facts['threshold']) == (1.5, 0.4)
    assert (facts['output'], facts['sample_rate'], facts['class_names']) == ('logits', 16000, NAMES)
    assert facts['summary'].endswith('16000 Hz to logits')
    assert parity['bytes'] == sum(file.stat().st_size for file in made.iterdir())
    assert parity['exported_against_trained']['max'] < 1e-5 and parity['latency_ms']['median'] > 0
    assert set(parity['versions']) == {'torch', 'transformers'}
    clip, predictor = (np.sin(np.arange(9000) / 7) * 9000).astype(np.int16), Predictor(path, 'cpu')
    inputs = AutoFeatureExtractor.from_pretrained(made)(clip / 32768, sampling_rate=16000, return_tensors='pt')
    with torch.no_grad():
        logits = AutoModelForAudioClassification.from_pretrained(made).eval()(inputs['input_values'].float()).logits
    np.testing.assert_allclose((logits / facts['temperature']).softmax(1),
                               predictor.calibration.apply(predictor.values([clip])), rtol=0, atol=1e-5)


def test_a_folder_that_differs_is_not_there(run, capsys, monkeypatch):
    path, _ = run
    true = folder._reader
    monkeypatch.setattr(folder, '_reader', lambda *given: lambda *batch: true(*given)(*batch) + 2e-4)
    assert main([str(path), '--format', 'transformers']) == 2
    error = capsys.readouterr().err
    assert 'the exported model differs from the run by 0.0002, over 0.0001: nothing was written' in error
    assert error.startswith('writing ') and error.count('\n') == 2 and not list((path / 'export').iterdir())


def test_another_system_is_refused(tiny_run, tmp_path, capsys):  # noqa: F811
    assert main([str(tiny_run.path), '--format', 'transformers', '--out', str(tmp_path / 'out')]) == 2
    assert 'model.kind maxmvit cannot be exported to transformers' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_a_safetensors_file_says_what_the_run_says(tiny_run, tmp_path, capsys):  # noqa: F811
    run = tmp_path / 'run'
    shutil.copytree(tiny_run.path, run)
    assert main([str(run), '--format', 'safetensors']) == 0
    out, file = capsys.readouterr().out, run / 'export' / 'model.safetensors'
    assert f'{file}: written' in out and "clips of the run's test part" in out and 'decisions changed: 0 of' in out
    parity = json.loads((run / 'export' / 'model.safetensors.parity.json').read_text())
    assert parity['bytes'] == file.stat().st_size and parity['changed_decisions'] == 0
    assert parity['facts'] == load_one_file(file).facts
    assert parity['exported_against_trained']['max'] < 1e-6
    loaded, clip = load_one_file(file), read_recording(next(iter(tiny_run.clips.values())), 16000)[:8000]
    predictor = Predictor(run, 'cpu')
    values = predictor.values([clip])
    values = predictor.calibration.apply(values) if predictor.calibration else values
    found = loaded.values(torch.from_numpy(clip)[None], torch.tensor([len(clip)]))
    np.testing.assert_allclose(found, values, rtol=0, atol=1e-6)
    assert loaded.facts['class_names'] == list(predictor.names) and loaded.facts['score'].startswith('test (')
    assert main([str(run), '--format', 'safetensors']) == 2
    assert 'model.safetensors: exists already; delete it, or choose another --out' in capsys.readouterr().err


def no_file(folder):
    """Whether a run holds no export at all."""
    return not (folder / 'export').exists() and not list(folder.rglob('*.partial'))


def test_what_differs_leaves_nothing(tmp_path, capsys, monkeypatch):
    run = made_run(tmp_path / 'run', CRNN, calibration={'temperature': 1.5, 'threshold': 0.4, 'risk': 0.25})
    true = export.unpack

    def wrong(data, path):
        loaded = true(data, path)
        loaded.model.network.head.bias.add_(torch.tensor([0.0, np.nan, 0.0]))
        return loaded

    monkeypatch.setattr(export, 'unpack', wrong)
    assert main([str(run), '--format', 'safetensors']) == 2
    assert 'the exported model differs from the run in eager mode by nan' in capsys.readouterr().err
    assert no_file(run)


def test_a_changed_decision_is_said_loudly(tmp_path, capsys, monkeypatch):
    run = made_run(tmp_path / 'run', CRNN, calibration={'temperature': 1.5, 'threshold': 0.4, 'risk': 0.25})
    true = subject.trained_values
    monkeypatch.setattr(subject, 'trained_values', lambda *given: true(*given)[:, ::-1])
    assert main([str(run), '--format', 'safetensors']) == 1
    out = capsys.readouterr().out
    assert 'calibrated, temperature 1.500' in out and 'of the synthetic demo voice' in out
    assert 'WARNING: ' in out and "decisions differ from the trained engine's (margins there: " in out
    assert (run / 'export' / 'model.safetensors').is_file()


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--format', 'onnxx'], "argument --format: invalid choice: 'onnxx'"),
    (['--format', 'onnx', '--clips', 'none.wav'], 'none.wav: no such file'),
    (['--format', 'transformers'], 'model.kind crnn cannot be exported to transformers')])
def test_bad_arguments_are_refused(arguments, message, tmp_path, capsys):
    run = made_run(tmp_path / 'run', CRNN)
    try:
        assert main([str(run), *arguments]) == 2
    except SystemExit as stopped:
        assert stopped.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1 and no_file(run)


def test_bad_runs_are_refused(tmp_path, capsys, monkeypatch):
    run = made_run(tmp_path / 'folds' / 'fold-01', CRNN)
    assert main([str(run.parent), '--format', 'onnx']) == 2
    assert 'not a run directory (no config.yaml). It holds runs: name one of them, such as' in capsys.readouterr().err
    svm = made_run(tmp_path / 'svm', ['model.kind=svm', 'data.sample_rate=16000', 'features.sample_rate=16000'])
    assert main([str(svm), '--format', 'torch-export']) == 2
    assert 'model.kind svm cannot be exported as a graph' in capsys.readouterr().err
    monkeypatch.setattr(export, 'find_spec', lambda name: None if name == 'onnxscript' else True)
    assert main([str(run), '--format', 'onnx']) == 2
    assert "--format onnx needs onnxscript: pip install -e '.[export]'" in capsys.readouterr().err
    (run / 'best.safetensors').write_bytes(b'\0' * 20)
    assert main([str(run), '--format', 'safetensors']) == 2
    assert 'best.safetensors: damaged' in capsys.readouterr().err
    assert no_file(run) and no_file(svm)


@pytest.mark.slow
def test_an_archive_by_the_command(tiny_run, tmp_path, capsys):  # noqa: F811
    assert main([str(tiny_run.path), '--format', 'torch-export', '--out', str(tmp_path / 'a.pt2')]) == 0
    assert 'decisions changed: 0 of' in capsys.readouterr().out
    parity = json.loads((tmp_path / 'a.pt2.parity.json').read_text())
    assert parity['exported_against_eager']['max'] <= 1e-4 and parity['latency_ms']['median'] > 0


@pytest.mark.slow
def test_onnx_by_the_command_answers_as_predict_does(tiny_run, tmp_path, capsys):  # noqa: F811
    import onnxruntime

    run, files = tmp_path / 'run', []
    shutil.copytree(tiny_run.path, run)
    for number, clip in enumerate(tiny_run.clips.values()):
        # Shorter than data.max_seconds: predict takes the mean over windows of longer ones.
        files.append(tmp_path / f'{number}.wav')
        soundfile.write(files[-1], read_recording(clip, 16000)[:7000], 16000, subtype='PCM_16')
    write_json(run / 'calibration.json', {'temperature': 0.3, 'threshold': 0.0, 'risk': 0.25})
    before = predicted(run, files, capsys)
    threshold = float(np.median([line['confidence'] for line in before]))
    write_json(run / 'calibration.json', {'temperature': 0.3, 'threshold': threshold, 'risk': 0.25})
    assert main([str(run), '--format', 'onnx']) == 0
    assert 'calibrated, temperature 0.300' in capsys.readouterr().out
    session = onnxruntime.InferenceSession(run / 'export' / 'model.onnx')
    facts = session.get_modelmeta().custom_metadata_map
    assert (float(facts['temperature']), float(facts['threshold'])) == (0.3, threshold)
    parity = json.loads((run / 'export' / 'model.onnx.parity.json').read_text())
    assert parity['exported_against_eager']['max'] <= 1e-4 and parity['changed_decisions'] == 0
    assert json.loads(facts['class_names']) == parity['facts']['class_names']
    answers = []
    for file, line in zip(files, predicted(run, files, capsys), strict=True):
        samples, _ = soundfile.read(file, dtype='float32')
        values, = session.run(None, {'waveforms': samples[None], 'lengths': np.array([len(samples)])})
        found = dict(zip(json.loads(facts['class_names']), values[0].tolist(), strict=True))
        assert found == pytest.approx(line['probabilities'], abs=1e-4)
        if abs(line['confidence'] - threshold) > 1e-4:
            likeliest = max(found, key=found.get)
            answers.append(likeliest if found[likeliest] >= float(facts['threshold']) else 'unknown')
            assert answers[-1] == line['emotion']
    assert 'unknown' in answers and set(answers) - {'unknown'}


def predicted(run, files, capsys):
    """What `ser predict` prints of files, as dicts."""
    from ser.predict import main as predict

    assert predict([*map(str, files), '--model', str(run), '--device', 'cpu']) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
