"""What `ser shards` prints: its report, the command it offers next, and how far it has come."""

import io
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import ser.build_shards as command
from ser.build_shards import Progress, report
from ser.config.load import load_config
from ser.config.protocol import SpeakerProtocol
from ser.shards.write import Summary


def summary(speakers, emotions=None, **fields):
    """A Summary with so many clips of each speaker."""
    n = fields.pop('utterances', sum(speakers))
    return Summary(corpus='csv', out=Path('my out'), shards=('csv-00000.tar',), utterances=n, seconds=3600.0,
                   speakers=Counter({f's{i}': count for i, count in enumerate(speakers)}),
                   emotions=Counter(emotions or {'happy': n}), skips=(), clipped_samples=0, clipped_files=0,
                   official=None, renamed=(), **fields)


@pytest.mark.parametrize(('made', 'extra'), [
    (summary([60] * 24), ''),
    (summary([7] * 7), ' --set training.batch_size=28'),
    (summary([10] * 10), ''),
    (summary([4] * 10), ' --set training.batch_size=24'),
    # Of three speakers one trains.
    (summary([20, 20, 20]), ' --set training.batch_size=20'),
    (summary([1, 2, 1]), ' --set training.batch_size=2'),
    (summary([30, 70]), ' --protocol utterance'),
    (summary([10, 10]), ' --set training.batch_size=12 --protocol utterance'),
    (summary([], utterances=100), ' --protocol utterance'),
    (summary([], utterances=5), ' --set training.batch_size=2 --protocol utterance'),
    # One clip without a speaker, and no protocol by speakers is possible.
    (summary([50] * 10, utterances=501), ' --protocol utterance'),
])
def test_the_next_line_fits_a_tiny_corpus(made, extra):
    *_, audit, last = report(made)
    protocol = re.search('( --protocol utterance)?$', extra)[0]
    assert audit == f"audit: ser audit --shards 'my out'{protocol}"
    assert last == f"next: python -m ser.train --shards 'my out' --config maxmvit-tiny{extra}"


@pytest.mark.parametrize('made', [summary([1, 1, 1]), summary([], utterances=3), summary([1])])
def test_too_few_clips_to_train_on_are_offered_nothing(made):
    *others, last = report(made)
    assert last == (f'too few clips to train on: {made.utterances}, and at least 4 are needed, to train on, validate '
                    'and test')
    assert not any(line.startswith(('audit: ', 'next: ')) for line in others)


@pytest.mark.parametrize(('seconds', 'said'), [
    (0.4, '0.4 s'), (59.4, '59.4 s'), (59.6, '1 min 00 s'), (126, '2 min 06 s'), (3599, '59 min 59 s'),
    (3600, '1.00 hours'), (5330, '1.48 hours')])
def test_the_report_says_how_much_audio_there_is(seconds, said):
    assert f'audio: {said}' in list(report(replace(summary([2, 2]), seconds=seconds)))


def test_the_report_says_what_resampling_did_to_peaks():
    lines = list(report(replace(summary([2, 2]), clipped_samples=147, clipped_files=1)))
    assert 'rounded peaks beyond full scale (resampling can overshoot): 147 samples in 1 file' in lines


def test_the_next_line_knows_the_preset_and_the_protocol():
    config, protocol = load_config(('maxmvit-tiny',)), SpeakerProtocol()
    assert config.training.batch_size == command._PRESET_BATCH
    assert 1 - protocol.valid_fraction - protocol.test_fraction == pytest.approx(command._TRAIN_SHARE)


@pytest.mark.parametrize(('made', 'said'), [
    (summary([60] * 24), '24 (60 clips each)'), (summary([1, 1]), '2 (1 clip each)'),
    (summary([3, 5, 4]), '3 (3 to 5 clips each)'), (summary([], utterances=9), 'unknown'),
    (summary([2, 2], utterances=7), '2 (2 clips each; unknown of 3)')])
def test_the_report_counts_speakers(made, said):
    assert f'speakers: {said}' in list(report(made))


class Stream(list):
    """A log file: not a terminal."""

    write = list.append

    def isatty(self):
        return False

    def flush(self):
        pass


def test_progress_off_a_terminal_is_plain_lines():
    stream = Stream()
    with Progress(stream, seconds=0.0) as progress:
        progress(1, 3)
        progress(3, 3)
    assert ''.join(stream) == '1 of 3 clips\n3 of 3 clips\n'


def test_progress_of_a_file_is_in_bytes():
    stream = Stream()
    with Progress(stream, seconds=0.0, unit='B', what='a.zip') as progress:
        progress(1_500_000, 3_000_000)
        progress(2_000_000, None)
    assert ''.join(stream) == 'a.zip: 1.5 MB of 3.0 MB\na.zip: 2.0 MB\n'


def test_progress_on_a_terminal_is_a_bar():
    stream = io.StringIO()
    stream.isatty = lambda: True
    with Progress(stream, unit='B', what='a.zip') as progress:
        progress(500_000, 1_000_000)
        progress(1_000_000, 1_000_000)
    assert re.search(r'a\.zip: 100%.*1\.00M/1\.00M', stream.getvalue())
