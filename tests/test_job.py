"""What is made ready before a run: few clips are enough for what is fitted at once, and refused in words elsewhere."""

import pytest
import torch

from ser.config.load import load_config
from ser.errors import SerError
from ser.training.distributed import World
from ser.training.job import prepare, probe
from tests.shard_factory import make_shards

FEW = ['data.sample_rate=16000', 'features.sample_rate=16000', 'data.audit=quick', 'training.batch_size=16']


@pytest.fixture(scope='module')
def few(tmp_path_factory):
    """Shards of twelve clips, of which a split by clips leaves fewer than 16 to train on."""
    folder = tmp_path_factory.mktemp('few')
    make_shards(folder, n_speakers=6, emotions=('happy', 'sad'), clips_per=1)
    return folder


def job_of(shards, name, *assignments):
    options = {'--shards': ('data.shards', [str(shards)]), '--protocol': ('protocol.kind', 'utterance')}
    config = load_config((name,), [*FEW, *assignments], options)
    return prepare(config, World(), torch.device('cpu'))


@pytest.mark.parametrize('name', ['svm', 'majority'])
def test_what_is_fitted_at_once_needs_no_whole_batch(few, name):
    job = job_of(few, name)
    assert 0 < len(job.plan.rows) < 16 and sum(job.class_counts) == len(job.plan.rows)
    shapes = probe(job)
    assert shapes['logits'] == (len(job.plan.rows), 2)
    assert not any(line.startswith('epochs: ') for line in job.plan_lines(shapes))


def test_what_is_trained_by_steps_needs_one(few):
    with pytest.raises(SerError, match=r'^\d training clips are fewer than training.batch_size 16. Set'):
        job_of(few, 'crnn-tiny')
    job = job_of(few, 'crnn-tiny', 'training.batch_size=4')
    assert any(line.startswith('epochs: ') for line in job.plan_lines({}))
