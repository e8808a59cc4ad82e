"""Every bad input is answered with one clear line and exit code 2, and nothing is left behind."""

import json
import re

import numpy as np
import pytest
import soundfile
import torch

from ser.build_shards import main as build
from ser.train import main as train
from tests.shard_factory import audio_bytes, make_shards, metadata, sample, write_tar
from tests.tiny import ASSIGNMENTS


def refused(command, arguments, capfd, *parts):
    """Run a command and assert exit code 2 and one line on stderr that holds every part; returns all of stderr."""
    assert command([str(a) for a in arguments]) == 2
    captured = capfd.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith('error')]
    assert len(lines) == 1 and lines[0].startswith('error: '), captured.err
    for part in parts:
        assert part in lines[0], lines[0]
    assert 'usage' not in captured.err and 'Traceback' not in captured.err
    return captured.err


def training(folder, *more):
    return ['--shards', folder, '--out', folder / 'run', '--set', *ASSIGNMENTS, *more]


def test_missing_shards(tmp_path, capfd):
    refused(train, training(tmp_path / 'none.tar'), capfd, 'none.tar: no such shards', 'tools/build_shards.py')


def test_empty_folder(tmp_path, capfd):
    refused(train, training(tmp_path), capfd, str(tmp_path), 'tools/build_shards.py')


def test_a_pipe_in_shards_runs_nothing(tmp_path, capfd):
    mark = tmp_path / 'ran'
    refused(train, ['--shards', f'pipe:touch {mark}'], capfd, 'pipe:')
    assert not mark.exists()


def test_unknown_corpus(tmp_path, capfd):
    refused(build, ['ravdes', tmp_path, tmp_path / 'out'], capfd, "'ravdes'", "Did you mean 'ravdess'")
    assert not (tmp_path / 'out').exists()


def test_unknown_code_in_a_named_corpus(tmp_path, capfd):
    soundfile.write(tmp_path / '03-01-09-01-01-01-01.wav', np.zeros(800), 16000)
    refused(build, ['ravdess', tmp_path, tmp_path / 'out'], capfd, '03-01-09-01-01-01-01.wav', '09')


def test_unknown_config_key_and_wrong_type(tmp_path, capfd):
    make_shards(tmp_path)
    refused(train, training(tmp_path, 'training.epoch=3'), capfd, "'training.epoch'", "Did you mean 'epochs'")
    refused(train, training(tmp_path, 'training.epochs=many'), capfd, "training.epochs is 'many'", 'whole number')
    refused(train, ['--shards', tmp_path, '--config', 'demmo'], capfd, "unknown preset 'demmo'", "'demo'")


@pytest.mark.parametrize(('command', 'arguments', 'nearest'), [
    (train, ['--shard', 'x'], '--shards'), (build, ['demo', '-', 'out', '--sample', '44100'], '--sample-rate')])
def test_unknown_option_names_the_nearest(capfd, command, arguments, nearest):
    with pytest.raises(SystemExit) as stopped:
        command(arguments)
    said = capfd.readouterr().err
    assert stopped.value.code == 2 and f"Did you mean '{nearest}'" in said and said.count('\n') == 1


def broken(folder, audio, **fields):
    """Good shards and one more whose only clip has the bytes given."""
    make_shards(folder)
    samples = np.zeros(16000, np.int16)
    write_tar(folder / 'bad.tar', [('bad-clip.flac', audio), ('bad-clip.json', json.dumps(metadata(
        audio, samples, 16000, corpus='test', speaker='s01', emotion='happy') | fields).encode())])


EVERYTHING = 'training.batch_size=2'


def refused_at_once(*arguments):
    """`refused`, with no line of progress."""
    assert not re.search(r'^epoch', refused(*arguments), re.MULTILINE)


def test_corrupt_flac(tmp_path, capfd):
    audio = bytearray(audio_bytes(np.random.default_rng(0).integers(-9000, 9000, 16000).astype(np.int16)))
    audio[len(audio) // 2] ^= 0x40
    broken(tmp_path, bytes(audio))
    refused_at_once(train, training(tmp_path, EVERYTHING), capfd, 'bad.tar', 'bad-clip')


def test_not_audio_at_all(tmp_path, capfd):
    broken(tmp_path, b'this is text, not sound')
    refused_at_once(train, training(tmp_path, EVERYTHING), capfd, 'bad.tar', 'bad-clip')


def test_zero_length_clip(tmp_path, capfd):
    broken(tmp_path, audio_bytes(np.zeros(0, np.int16), suffix='wav'), frames=0)
    refused_at_once(train, training(tmp_path, EVERYTHING), capfd, 'bad-clip')


def test_truncated_tar(tmp_path, capfd):
    path = make_shards(tmp_path)[-1]
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    refused(train, training(tmp_path), capfd, path.name)


def test_fewer_clips_than_the_batch(tmp_path, capfd):
    make_shards(tmp_path)
    refused(train, training(tmp_path, 'training.batch_size=1000'), capfd, 'batch_size 1000')


def test_one_class_only(tmp_path, capfd):
    make_shards(tmp_path, emotions=('happy',))
    refused(train, training(tmp_path), capfd, 'only one class (happy)')


def test_one_speaker_only(tmp_path, capfd):
    make_shards(tmp_path, n_speakers=1, clips_per=20)
    refused(train, training(tmp_path), capfd, 'speaker', '--protocol utterance')


def test_no_speakers_at_all(tmp_path, capfd):
    write_tar(tmp_path / 'a.tar', [member for n in range(40) for member in
                                   sample(f'clip{n}', n, speaker=None, emotion=('happy', 'sad')[n % 2])])
    refused(train, training(tmp_path), capfd, 'speaker', '--protocol utterance')


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
def test_gpu_asked_for_and_absent(tmp_path, capfd):
    make_shards(tmp_path)
    refused(train, [*training(tmp_path), '--device', 'cuda'], capfd, 'cuda was asked for')


def test_run_directory_taken(tmp_path, capfd):
    make_shards(tmp_path)
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'config.yaml').write_text('{}')
    refused(train, training(tmp_path), capfd, 'already holds a run')


def test_resuming_what_is_no_run(tmp_path, capfd):
    refused(train, ['--resume', tmp_path], capfd, 'not a run directory')


def test_contradicting_options(tmp_path, capfd):
    refused(train, [*training(tmp_path, 'run.device=cuda'), '--device', 'cpu'], capfd, 'contradict')


def test_nothing_is_created_when_the_run_is_refused(tmp_path, capfd):
    make_shards(tmp_path)
    refused(train, training(tmp_path, 'features.image.size=33', 'model.views.mel.backbone={kind: timm, '
                            'name: maxvit_pico_rw_256, pretrained: false}'), capfd, 'features.image.size')
    assert not (tmp_path / 'run').exists()


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, capfd):
    make_shards(tmp_path)
    refused(train, training(tmp_path, 'training.optimizer={kind: adam, lr: 1e30}', 'training.clip_norm=null'), capfd,
            'the loss is not finite')


@pytest.mark.parametrize('assignment', ['training.loss.class_weights={hapy: 2}', 'training.optimizer={kind: parts, '
                                        'parts: {mell: {kind: adam}}}'])
def test_what_only_the_trainer_knows_is_refused_before_the_first_file(tmp_path, capfd, assignment):
    make_shards(tmp_path)
    refused(train, training(tmp_path, assignment), capfd, 'Did you mean')
    assert not (tmp_path / 'run').exists()


def test_a_test_clip_that_cannot_be_read_is_found_before_the_first_epoch(tmp_path, capfd):
    for number, part in enumerate(('train', 'valid')):
        make_shards(tmp_path / part, n_speakers=3, first_speaker=3 * number + 1)
    (tmp_path / 'test').mkdir()
    broken(tmp_path / 'test', b'this is text, not sound')
    refused_at_once(train, [*training(tmp_path / 'train', EVERYTHING), '--valid-shards', tmp_path / 'valid',
                            '--test-shards', tmp_path / 'test' / 'bad.tar'], capfd, 'bad-clip')
    assert not (tmp_path / 'train' / 'run').exists()


def test_a_test_clip_over_the_longest_length_is_refused_before_the_first_epoch(tmp_path, capfd):
    make_shards(tmp_path, seconds=1.0)
    refused_at_once(train, training(tmp_path, 'data.max_seconds=0.5'), capfd, 'data.max_seconds',
                    'data.long=window')
    assert not (tmp_path / 'run').exists()


def test_valid_shards_without_shards(tmp_path, capfd):
    make_shards(tmp_path)
    refused(train, ['--valid-shards', tmp_path, '--test-shards', tmp_path], capfd, 'go with --shards')
