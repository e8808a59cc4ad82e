"""A run's model over files: the same numbers as the run, whatever the batch, in order."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.errors import SerError
from ser.inference.predictor import Predictor, trained_on_synthetic_speech
from ser.inference.recordings import Named, read_recording
from ser.shards.reader import windows
from tests.tiny_run import MAX_SECONDS, tiny_run  # noqa: F401


@pytest.fixture(scope='module')
def predictor(tiny_run):  # noqa: F811
    return Predictor(tiny_run.path, 'cpu')


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
        for path in [tmp_path / 'bad.wav', *list(tiny_run.clips.values()) * 9]:
            read.append(path)
            yield Named(path)

    results = predictor.predict(endless())
    assert next(results).error and len(read) == 1
    next(results)
    assert len(read) <= 1 + predictor.config.evaluation.batch_size


def test_silence_and_a_single_sample_have_finite_answers(predictor, tmp_path):
    for name, samples in (('silence.wav', np.zeros(16000)), ('click.wav', np.array([0.5]))):
        soundfile.write(tmp_path / name, samples, 16000)
        result, = predictor.predict(named([tmp_path / name]))
        assert result.values.sum() == pytest.approx(1)


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
