import itertools
from collections import Counter

import pytest
import torch

from ser.config.load import load_config
from ser.shards.batch import padded_length
from ser.training import warmup
from ser.training.distributed import World
from ser.training.job import prepare
from ser.training.warmup import padded_lengths, warm_up
from tests.shard_factory import make_shards
from tests.tiny import ASSIGNMENTS


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    make_shards(folder, n_speakers=8, clips_per=2, seconds=0.7)
    return folder


def job_of(folder, *more):
    view = '{backbone: {kind: mvitv2, depths: [1, 1], embed_dim: [8, 16], num_heads: [1, 2]}}'
    config = load_config((), (*ASSIGNMENTS, f'data.shards=[{folder}]', f'model.views.cqt={view}',
                              'features.cqt.bins=70', *more), {})
    return prepare(config, World(), torch.device('cpu'))


def test_lengths_are_those_of_the_batches_that_come(folder):
    job = job_of(folder, 'data.workers=0')
    seen = Counter()
    with job.train_stream((0, 0)) as stream:
        for batch in itertools.islice(stream, job.plan.steps_per_epoch):
            seen[batch.waveforms.shape[1]] += 1
    with job.valid_stream as stream:
        seen.update(batch.waveforms.shape[1] for batch in stream)
    assert padded_lengths(job) == seen


def test_a_clip_of_unknown_length_counts_as_the_shortest(folder):
    job = job_of(folder)
    for row in job.index.rows:
        object.__setattr__(row, 'frames', None)
    assert set(padded_lengths(job)) == {padded_length(1, job.config.data.sample_rate)}


def test_tables_are_there_before_the_first_batch_and_a_wait_or_what_does_not_fit_is_said(folder, caplog, monkeypatch):
    caplog.set_level('INFO')
    job = job_of(folder)
    warm_up(job, torch.device('cpu'))
    tables = job.model.front_end.cqt.tables
    assert tables.kept and 'CQT tables' not in caplog.text
    monkeypatch.setattr(warmup, 'LONG_SECONDS', 0.0)
    job = job_of(folder)
    warm_up(job, torch.device('cpu'))
    tables = job.model.front_end.cqt.tables
    assert tables.kept and f'CQT tables for {len(tables.kept)} of {len(tables.kept)} padded lengths' in caplog.text
    small = job_of(folder, 'features.cqt.table_mb=0.01')
    warm_up(small, torch.device('cpu'))
    assert 'CQT tables for 0 of' in caplog.text and 'the others are built when met' in caplog.text
