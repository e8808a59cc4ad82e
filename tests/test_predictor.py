"""A run's model over files: the same numbers as the run, whatever the batch, in order."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ser.errors import SerError
from ser.evaluation.calibration import Calibration
from ser.files import write_json
from ser.inference.emotion_timeline import timeline_of
from ser.inference.predictor import BATCHES_AT_ONCE, Predictor, trained_on_synthetic_speech
from ser.inference.recordings import Named, read_recording
from ser.shards.reader import windows
from ser.training.task import Head
from tests.tiny_run import MAX_SECONDS, tiny_run  # noqa: F401


@pytest.fixture(scope='module')
def predictor(tiny_run):  # noqa: F811
    return Predictor(tiny_run.path, 'cpu', calibrated=False)


@pytest.fixture
def calibrated_run(tiny_run, tmp_path):  # noqa: F811
    shutil.copytree(tiny_run.path, tmp_path / 'calibrated')
    write_json(tmp_path / 'calibrated' / 'calibration.json', {'temperature': 0.5, 'threshold': 0.4, 'risk': 0.1})
    return tmp_path / 'calibrated'


def named(paths):
    return [Named(Path(path)) for path in paths]


def test_files_give_the_probabilities_of_predictions_csv(tiny_run, predictor):  # noqa: F811
    rows = tiny_run.predictions()
    results = list(predictor.predict(named(tiny_run.clips[row['key']] for row in rows)))
    assert len(rows) >= 8
    lengths = [len(read_recording(tiny_run.clips[row['key']], 16000)) for row in rows]
    assert any(n > MAX_SECONDS * 16000 for n in lengths) and any(n < MAX_SECONDS * 16000 for n in lengths)
    for row, result in zip(rows, results, strict=True):
        expected = [float(row[name]) for name in predictor.names]
        assert result.values == pytest.approx(expected, abs=1e-5)
        assert predictor.names[result.values.argmax()] == row['predicted']
        assert result.file == str(tiny_run.clips[row['key']])


def test_no_result_depends_on_batch_mates_or_batch_size(tiny_run, predictor):  # noqa: F811
    files = named(list(tiny_run.clips.values())[:7])
    together = list(predictor.predict(files))
    for recording, result in zip(files, together, strict=True):
        alone, = predictor.predict([recording])
        assert alone.values == pytest.approx(result.values, abs=1e-6)
    backwards = list(predictor.predict(files[::-1]))[::-1]
    for one, other in zip(together, backwards, strict=True):
        assert one.file == other.file
        assert one.values == pytest.approx(other.values, abs=1e-6)


def test_threads_that_decode_change_nothing_at_all(tiny_run, predictor):  # noqa: F811
    files = [*named(tiny_run.clips.values()), Named(Path('gone'), 'no such file')]
    alone = list(predictor.predict(files))
    assert len(alone) > predictor.config.evaluation.batch_size
    for jobs in (1, 3):
        for one, other in zip(predictor.predict(files, jobs), alone, strict=True):
            assert (one.file, one.error, one.emotion) == (other.file, other.error, other.emotion)
            assert np.array_equal(one.values, other.values)


def test_a_runs_calibration_is_applied_to_the_mean_of_the_windows(tiny_run, predictor, calibrated_run):  # noqa: F811
    files = named(list(tiny_run.clips.values())[:6])
    calibrated = Predictor(calibrated_run, 'cpu')
    assert calibrated.calibration == Calibration(0.5, 0.4, 0.1) and not predictor.calibration.fitted
    # Temperature 1/2 squares the odds.
    for raw, result in zip(predictor.predict(files), calibrated.predict(files), strict=True):
        assert result.values == pytest.approx(raw.values**2 / (raw.values**2).sum(), abs=1e-6)
        likeliest = predictor.names[raw.values.argmax()]
        assert raw.emotion == likeliest
        assert result.emotion == (likeliest if result.values.max() >= 0.4 else 'unknown')
    clip = read_recording(files[0].path, 16000)[:4000]
    assert np.array_equal(calibrated.values([clip]), predictor.values([clip]))


def test_another_threshold_keeps_the_temperature(tiny_run, calibrated_run):  # noqa: F811
    files, predictor = named(list(tiny_run.clips.values())[:3]), Predictor(calibrated_run, 'cpu')
    for threshold, emotions in ((1.0, {'unknown'}), (0.0, set(predictor.names))):
        predictor.set_threshold(threshold)
        assert predictor.calibration.temperature == 0.5
        assert {result.emotion for result in predictor.predict(files)} <= emotions
    raw = Predictor(calibrated_run, 'cpu', calibrated=False)
    assert raw.calibration == Calibration()
    raw.set_threshold(1.0)
    assert raw.calibration == Calibration(1.0, 1.0)
    assert {result.emotion for result in raw.predict(files)} == {'unknown'}


def test_further_heads_are_answered_for_each_file(tiny_run, calibrated_run, monkeypatch):  # noqa: F811
    predictor = Predictor(calibrated_run, 'cpu')
    plain = list(predictor.predict(named(list(tiny_run.clips.values())[:3])))
    assert all(result.auxiliary == {} for result in plain)
    classify = predictor.model.classify

    def with_gender(views):
        output = classify(views)
        return output._replace(auxiliary={'gender': torch.tensor([[0.0, np.log(3)]]).repeat(len(output.logits), 1)})

    monkeypatch.setattr(predictor.model, 'classify', with_gender)
    predictor._heads.append(Head('gender', ('female', 'male'), main=False))
    for result, before in zip(predictor.predict(named(list(tiny_run.clips.values())[:3])), plain, strict=True):
        assert np.array_equal(result.values, before.values)
        assert result.auxiliary == {'gender': {'female': pytest.approx(0.25), 'male': pytest.approx(0.75)}}


def test_bad_files_keep_their_place_and_long_ones_span_batches(tiny_run, predictor, tmp_path):  # noqa: F811
    (tmp_path / 'bad.wav').write_text('no')
    noise = np.random.default_rng(0).normal(0, 0.1, (int(MAX_SECONDS * 44100 * 40.5), 2))
    soundfile.write(tmp_path / 'long.wav', noise, 44100)
    clip = next(iter(tiny_run.clips.values()))
    order = [tmp_path / 'bad.wav', clip, tmp_path / 'long.wav', clip, tmp_path / 'bad.wav']
    results = list(predictor.predict([*named(order), Named(tmp_path / 'gone', 'no such file')]))
    assert [bool(result.error) for result in results] == [True, False, False, False, True, True]
    assert results[-1].error == 'no such file'
    assert results[1].values == pytest.approx(results[3].values, abs=1e-6)
    pieces = windows(read_recording(tmp_path / 'long.wav', 16000), MAX_SECONDS, 16000)
    assert len(pieces) == 41 > predictor.config.evaluation.batch_size
    mean = np.mean([predictor.values([piece])[0] for piece in pieces], axis=0)
    assert results[2].values == pytest.approx(mean, abs=1e-6)


def test_results_come_as_soon_as_they_are_known(tiny_run, predictor, tmp_path):  # noqa: F811
    read = []

    def endless():
        (tmp_path / 'bad.wav').write_text('no')
        for path in [tmp_path / 'bad.wav', *list(tiny_run.clips.values()) * 19]:
            read.append(path)
            yield Named(path)

    results = predictor.predict(endless())
    assert next(results).error and len(read) == 1
    next(results)
    assert len(read) <= 1 + BATCHES_AT_ONCE * predictor.config.evaluation.batch_size


def test_silence_and_a_single_sample_have_finite_answers(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr(predictor, 'silence_db', -200.0)
    for name, samples in (('silence.wav', np.zeros(16000)), ('click.wav', np.array([0.5]))):
        soundfile.write(tmp_path / name, samples, 16000)
        result, = predictor.predict(named([tmp_path / name]))
        assert result.values.sum() == pytest.approx(1)


def test_silence_is_told_apart_as_a_timeline_does(tiny_run, predictor, tmp_path):  # noqa: F811
    generator = np.random.default_rng(3)
    quiet, spoken = generator.normal(0, 20, 24000), generator.normal(0, 20, 24000)
    spoken[12000:14500] *= 4
    clips = {'quiet': quiet, 'spoken': spoken, 'zeros': np.zeros(24000), 'short': quiet[:300],
             'click': spoken[12000:12900]}
    for name, samples in clips.items():
        soundfile.write(tmp_path / f'{name}.wav', samples.astype(np.int16), 16000)
    good = next(iter(tiny_run.clips.values()))
    files = [good, *(tmp_path / f'{name}.wav' for name in clips), good]
    results = list(predictor.predict(named(files)))
    assert [result.silent for result in results] == [False, True, False, True, True, False, False]
    for file, result in zip(files, results, strict=True):
        heard = {segment.confidence is not None for segment in timeline_of(predictor, file).segments}
        assert result.silent is (heard == {False}), file
        assert (result.values is None) is result.silent and not (result.silent and (result.emotion or result.error))


def test_a_class_called_unknown_takes_no_threshold(tiny_run, monkeypatch):  # noqa: F811
    predictor = Predictor(tiny_run.path, 'cpu')
    monkeypatch.setattr(predictor, 'names', ('unknown', 'happy', 'sad', 'angry'))
    with pytest.raises(SerError, match="threshold 0.5: a class of this run is called 'unknown', and the two could not"):
        predictor.set_threshold(0.5)
    predictor.set_threshold(0.0)


def test_a_model_that_diverged_is_refused(predictor):
    head = predictor.model.network.head
    weight = next(head.parameters())
    kept = weight.detach().clone()
    try:
        weight.data.fill_(float('nan'))
        with pytest.raises(SerError, match='not finite'):
            predictor.values([np.ones(100, np.int16)])
    finally:
        weight.data.copy_(kept)


def test_synthetic_training_speech_is_known_from_the_run(tmp_path):
    assert not trained_on_synthetic_speech(tmp_path)
    for text, known in (('{"synthetic": true}', True), ('{"synthetic": false}', False), ('[]', False), ('{', False)):
        (tmp_path / 'data.json').write_text(text)
        assert trained_on_synthetic_speech(tmp_path) is known
