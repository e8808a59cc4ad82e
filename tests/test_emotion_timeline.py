"""Timelines against windows cut by hand, and of a real network; silence, confidence, memory."""

import io
import json
import tracemalloc

import numpy as np
import pytest
import soundfile

from ser.errors import SerError
from ser.evaluation.calibration import Calibration
from ser.inference.emotion_timeline import timeline_of
from ser.inference.predictor import Predictor
from ser.inference.recordings import BadRecording, read_recording
from tests.listener import NAMES, RATE, Listener, noise
from tests.shard_factory import audio_bytes
from tests.tiny_run import MAX_SECONDS, tiny_run  # noqa: F401


def as_file(*parts):
    return io.BytesIO(audio_bytes(np.concatenate(parts), RATE, 'wav'))


def quiet(seconds):
    return np.zeros(round(seconds * RATE), np.int16)


def test_levels_become_segments_where_they_change():
    recording = as_file(noise(8, 1000), quiet(4), noise(6, 4000), noise(5.5, 12000))
    timeline = timeline_of(Listener(), recording, name='talk')
    assert (timeline.file, timeline.seconds) == ('talk', 23.5)
    assert timeline_of(Listener(), recording).file == 'recording'
    found = [(segment.start, segment.end, segment.emotion) for segment in timeline.segments]
    assert found == [(0, 8, 'low'), (8, 12, 'silence'), (12, 18, 'middle'), (18, 23.5, 'high')]
    assert timeline.segments[1].confidence is None
    assert all(0.5 < segment.confidence <= 1 for segment in timeline.segments if segment.emotion != 'silence')
    # A window inside the silence was never heard; those at its borders were.
    assert [window['start'] for window in timeline.windows() if window['silent']] == [8, 9]


def test_facts_are_json_and_as_others_read_them():
    predictor = Listener()
    predictor.calibration = Calibration(2.0, 0.5, 0.1, {'temperature': 2.0})
    facts = timeline_of(predictor, as_file(noise(4, 1000), quiet(4)), 2.0, 0.5).facts()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert list(facts) == ['file', 'seconds', 'window_seconds', 'hop_seconds', 'classes', 'calibrated', 'windows',
                           'segments']
    assert facts['classes'] == list(NAMES) and facts['calibrated'] is True
    assert (facts['seconds'], facts['window_seconds'], facts['hop_seconds']) == (8.0, 2.0, 0.5)
    for window in facts['windows']:
        assert list(window) == ['start', 'end', 'silent', 'emotion', 'confidence', 'probabilities']
        if window['silent']:
            assert (window['emotion'], window['confidence'], window['probabilities']) == ('silence', None, {})
        else:
            assert sum(window['probabilities'].values()) == pytest.approx(1)
            assert window['confidence'] == max(window['probabilities'].values())
            assert window['emotion'] == ('unknown' if window['confidence'] < 0.5 else 'low')
    assert [list(segment) for segment in facts['segments']] == [['start', 'end', 'emotion', 'confidence']] * 2
    assert len(facts['windows']) == 13


def test_probabilities_are_calibrated_and_doubt_is_unknown():
    recording = as_file(noise(5, 2000))
    raw, warm = Listener(), Listener()
    warm.calibration = Calibration(3.0, 0.6)
    before, after = timeline_of(raw, recording), timeline_of(warm, recording)
    assert after.window_values == pytest.approx(warm.calibration.apply(before.window_values))
    assert not before.calibrated and {segment.emotion for segment in after.segments} == {'unknown'}
    assert after.segments[0].confidence == pytest.approx(after.step_values.max(1).mean())


@pytest.mark.parametrize('suffix', ['wav', 'flac', 'ogg', 'mp3'])
def test_windows_are_what_the_predictor_says_of_the_cut_clips(tiny_run, tmp_path, suffix):  # noqa: F811
    predictor = Predictor(tiny_run.path, 'cpu', calibrated=False)
    clips = [soundfile.read(path, dtype='int16')[0] for path in list(tiny_run.clips.values())[:8]]
    both = np.stack([np.concatenate(clips), np.concatenate(clips[::-1])], axis=1)
    path = tmp_path / f'long.{suffix}'
    path.write_bytes(audio_bytes(both, 44100, suffix))
    timeline = timeline_of(predictor, path, hop_seconds=0.2, silence_db=-90)
    assert timeline.window_seconds == MAX_SECONDS and timeline.file == str(path)
    samples = read_recording(path, 16000)
    assert timeline.seconds == len(samples) / 16000
    assert len(timeline.window_values) == 1 + -(-(len(samples) - 8000) // 3200)
    for (start, end), row in zip(np.rint(timeline.window_times * 16000).astype(int), timeline.window_values,
                                 strict=True):
        assert row == pytest.approx(predictor.values([samples[start:end]])[0], abs=1e-5)
    assert not timeline.calibrated


def test_a_recording_shorter_than_a_window_is_one_window():
    timeline = timeline_of(Listener(), as_file(noise(0.01, 4000)))
    assert len(timeline.window_values) == len(timeline.segments) == 1
    assert (timeline.segments[0].start, timeline.segments[0].end) == (0, 0.01)
    alone = timeline_of(Listener(), as_file(np.array([5], np.int16)))
    assert alone.segments[0].emotion == 'silence' and alone.segments[0].end == 1 / RATE


def test_silence_is_never_heard_and_its_level_is_a_choice():
    predictor = Listener()
    timeline = timeline_of(predictor, as_file(quiet(20)))
    assert not predictor.heard and [segment.emotion for segment in timeline.segments] == ['silence']
    whisper = as_file(noise(6, 60))
    assert timeline_of(predictor, whisper).segments[0].emotion == 'low'
    assert timeline_of(predictor, whisper, silence_db=-50).segments[0].emotion == 'silence'


def test_windows_go_to_the_device_in_full_batches_and_progress_is_told():
    predictor, done = Listener(batch_size=4), []
    timeline_of(predictor, as_file(noise(5, 1000), quiet(30), noise(7.5, 1000)), progress=done.append)
    assert predictor.heard[:-1] == [4] * (len(predictor.heard) - 1) and sum(predictor.heard) == 5 + 8
    assert done == sorted(done) and done[-1] == 42.5 and len(done) == len(predictor.heard)


def test_short_segments_are_merged_where_asked():
    recording = as_file(noise(6, 1000), noise(2, 12000), noise(6, 1000))
    several = timeline_of(Listener(), recording, 1.0, 0.5, 0.0)
    one = timeline_of(Listener(), recording, 1.0, 0.5, 5.0)
    assert len(several.segments) > 2 and [segment.emotion for segment in one.segments] == ['low']


def test_refusals(tmp_path):
    with pytest.raises(SerError, match="window is 11 s. Allowed are 0.1 s to 10 s, the run's data.max_seconds"):
        timeline_of(Listener(), as_file(noise(1, 9)), 11.0)
    with pytest.raises(SerError, match='min-segment is -1 s'):
        timeline_of(Listener(), as_file(noise(1, 9)), min_segment_seconds=-1)
    with pytest.raises(BadRecording, match='allowed: 2 s'):
        timeline_of(Listener(), as_file(noise(3, 9)), max_seconds=2)
    with pytest.raises(BadRecording, match='No such file'):
        timeline_of(Listener(), tmp_path / 'gone.wav')
    regression = Listener()
    regression.classifies, regression.names = False, ('arousal', 'valence')
    with pytest.raises(SerError, match=r'predicts dimensions \(arousal, valence\)'):
        timeline_of(regression, as_file(noise(1, 9)))


def test_memory_grows_with_the_answers_alone(tmp_path):
    peaks = []
    for minutes in (2, 10):
        path = tmp_path / f'{minutes}.flac'
        soundfile.write(path, np.tile(noise(60, 3000), minutes), RATE)
        tracemalloc.start()
        timeline = timeline_of(Listener(batch_size=32), path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(timeline.window_values) == 60 * minutes - 2
    # Eight minutes more are 7.7 MB of samples, and 480 windows.
    assert peaks[1] - peaks[0] < 1e6
