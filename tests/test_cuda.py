"""The same program on a CUDA GPU; everything here skips without one."""

import json
import signal

import pytest
import torch

from ser.config.load import load_config
from ser.files import sha256_of
from ser.models import build_model
from ser.train import main
from tests.shard_factory import make_shards
from tests.test_train import kill_at_step, resumable
from tests.tiny import ASSIGNMENTS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')
GPU = ['run.device=cuda', 'data.workers=2']


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=8, clips_per=2)
    return folder


def train(shards, out, *more):
    return main(['--shards', str(shards), '--out', str(out), '--set', *ASSIGNMENTS, *GPU, *more])


def test_features_and_logits_equal_the_cpus():
    config = load_config(('maxmvit-tiny',))
    torch.manual_seed(0)
    model = build_model(config, ('a', 'b', 'c')).eval()
    waveforms = torch.randint(-9000, 9000, (4, 60000), dtype=torch.int16)
    lengths = torch.tensor([60000, 31000, 5000, 1000])
    with torch.no_grad():
        on_cpu, logits = model.views(waveforms, lengths), model(waveforms, lengths)
        model.cuda()
        on_gpu, gpu_logits = model.views(waveforms.cuda(), lengths.cuda()), model(waveforms.cuda(), lengths.cuda())
    for view, image in on_cpu.items():
        assert (image - on_gpu[view].cpu()).abs().max() < 5e-3, view
    assert (logits - gpu_logits.cpu()).abs().max() < 2e-2


@pytest.mark.parametrize('more', [[], ['training.compile=true'],
                                  ['training.precision=float32', 'training.accumulate=2'],
                                  ['training.gradient_checkpointing=true', 'augment.mixup.alpha=0']])
def test_training_runs_to_its_scores(shards, tmp_path, more):
    assert train(shards, tmp_path / 'run', *more) == 0
    assert 0 <= json.loads((tmp_path / 'run' / 'test_metrics.json').read_text())['ua'] <= 1


def test_deterministic_runs_are_equal(shards, tmp_path):
    digests = set()
    for name in ('a', 'b'):
        assert train(shards, tmp_path / name, 'run.deterministic=true') == 0
        digests.add(sha256_of(tmp_path / name / 'best.safetensors'))
    assert len(digests) == 1


def test_killed_in_mid_epoch_and_resumed(shards, tmp_path):
    out = tmp_path / 'run'
    code, _ = kill_at_step(resumable(shards, out, *GPU), out, 3, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert main(['--resume', str(out)]) == 0
    assert (out / 'test_metrics.json').is_file()
