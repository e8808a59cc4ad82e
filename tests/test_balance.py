"""Balance: counts that are exact, rows in turn, and a function of nothing but its arguments."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from ser.config.data import DataConfig
from ser.config.load import load_config
from ser.errors import SerError
from ser.shards.balance import balance_groups, balanced_rows, expected_draws
from ser.training.distributed import World
from ser.training.job import prepare
from ser.training.loop import Trainer
from ser.training.run import RunDirectory
from tests.made_index import NAMES, clips, index_of
from tests.shard_factory import EMOTIONS, sample, write_tar
from tests.tiny import ASSIGNMENTS

SIZES = [(40, 7, 1), (5, 5, 5, 5), (100,), (1, 1, 1), (33, 2, 19, 64, 8), (1000, 3)]


def grouped(sizes):
    """(rows, group of every row of the index): group by group, with rows of no part between."""
    group_of = np.concatenate([np.full(size + 1, number) for number, size in enumerate(sizes)])
    ends = np.cumsum(np.array(sizes) + 1) - 1
    return np.setdiff1d(np.arange(len(group_of)), ends), group_of


@pytest.mark.parametrize('sizes', SIZES)
def test_every_epoch_has_every_group_equally_often(sizes):
    rows, group_of = grouped(sizes)
    share = len(rows) / len(sizes)
    for epoch in range(7):
        drawn = balanced_rows(rows, group_of, 3, epoch)
        assert len(drawn) == len(rows) and set(drawn) <= set(rows) and (np.diff(drawn) >= 0).all()
        counts = Counter(group_of[drawn].tolist())
        assert all(abs(counts[group] - share) < 1 for group in range(len(sizes)))
        copies = Counter(drawn.tolist())
        for row in rows:
            expected = share / sizes[group_of[row]]
            assert math.floor(expected) <= copies[row] <= math.ceil(expected)


def test_large_groups_come_in_turn():
    rows, group_of = grouped((90, 10))
    seen = Counter()
    for epoch in range(9):
        seen.update(balanced_rows(rows, group_of, 0, epoch).tolist())
    # 9 epochs of 50 draws: each of the 90 rows 5 times, each of the 10 45 times.
    assert {seen[row] for row in rows[:90]} == {5} and {seen[row] for row in rows[90:]} == {45}


def test_draws_are_those_expected():
    rows, group_of = grouped((45, 10, 5))
    drawn = np.concatenate([balanced_rows(rows, group_of, 0, epoch) for epoch in range(9)])
    counts = np.array([(drawn == row).sum() for row in rows])
    np.testing.assert_allclose(expected_draws(rows, group_of), counts / 9)
    assert expected_draws(rows, group_of).sum() == pytest.approx(len(rows))


def test_epochs_and_seeds_differ_and_nothing_else_does():
    rows, group_of = grouped((50, 9, 30))
    first = [tuple(balanced_rows(rows, group_of, 0, epoch)) for epoch in range(6)]
    assert len(set(first)) == 6
    assert tuple(balanced_rows(rows, group_of, 1, 0)) != first[0]
    assert [tuple(balanced_rows(rows[::-1], group_of, 0, epoch)) for epoch in reversed(range(6))] == first[::-1]


def test_groups_of_an_index():
    index = index_of(clips('one', 2, NAMES[:2], 2), clips('two', 1, NAMES[:1], 3, set_name='b'))
    rows = np.array([0, 2, 3, 5, 8, 10])
    assert balance_groups(index, rows, DataConfig()) is None
    for balance, expected in (('class', [0, 1, 1, 0, 0, 0]), ('corpus', [0, 0, 0, 0, 1, 1]),
                              ('speaker', [0, 0, 0, 1, 2, 2])):
        groups = balance_groups(index, rows, DataConfig(balance=balance))
        assert groups.dtype == np.int64 and groups[rows].tolist() == expected
        assert (np.delete(groups, rows) == -1).all() and len(groups) == len(index.rows)


def test_groups_that_cannot_be_told():
    index = index_of(clips('one', ['a', None], NAMES[:1], 2))
    with pytest.raises(SerError) as error:
        balance_groups(index, np.arange(4), DataConfig(balance='speaker'))
    assert str(error.value) == ('data.balance speaker: 2 of 4 training clips have no speaker, such as one-1-neutral-0. '
                                'Use data.balance class, corpus or none')
    with pytest.raises(SerError, match='data.balance corpus: all training clips are of one corpus'):
        balance_groups(index, np.arange(4), DataConfig(balance='corpus'))


def test_copies_of_a_rare_clip_are_augmented_each_on_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    # Of the second emotion each speaker says one clip, of the first five.
    members = [member for speaker in range(6) for take in range(6) for member in sample(
        f's{speaker}-{take}', 10 * speaker + take, speaker=f's{speaker}', emotion=EMOTIONS[take == 0])]
    shard = str(write_tar(tmp_path / 'x.tar', members))
    images = {}
    for balance in ('none', 'class'):
        config = load_config(('base',), [*ASSIGNMENTS, f'data.balance={balance}', 'augment.waveform=[{kind: noise}]'],
                             {'--shards': ('data.shards', [shard])})
        job = prepare(config, World(), torch.device('cpu'))
        trainer = Trainer(job, RunDirectory(tmp_path / balance))
        with job.train_stream((0, 0)) as stream:
            hosts = [batch for batch, _ in zip(stream, range(job.plan.steps_per_epoch), strict=False)]
        job.valid_stream.close()
        images[balance] = {(int(number), int(copy)): image for host in hosts for number, copy, image in zip(
            host.ids, host.copies, trainer.views(host, host)['mel'], strict=True)}
    once, often = images['none'], images['class']
    assert not any(copy for _, copy in once) and max(copy for _, copy in often) >= 2
    # A first copy is what it is in an epoch that holds the clip once.
    both = once.keys() & often.keys()
    assert both and all(torch.equal(once[which], often[which]) for which in both)
    assert len({image.numpy().tobytes() for image in often.values()}) == len(often)
