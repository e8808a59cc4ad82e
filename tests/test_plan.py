"""The plan: pinned orders, permutations in two levels, and the same global batches however they are shared out."""

from collections import Counter

import numpy as np
import pytest

from ser.errors import SerError
from ser.shards.plan import EvaluationPlan, TrainPlan, copy_numbers, epoch_order, rank_part
from ser.shards.specs import TrainSpecs

ROWS = np.arange(2, 14)
SHARD_OF = [0, 0, 0, 0, 0, 1, 2, 2, 2, 3, 3, 3, 3, 4]
GOLDEN = {
    ('all', 0, 0): [7, 3, 12, 10, 11, 13, 8, 5, 2, 4, 6, 9],
    ('all', 0, 1): [11, 6, 9, 3, 13, 4, 8, 5, 12, 7, 10, 2],
    ('all', 1, 0): [10, 4, 5, 13, 9, 8, 3, 12, 7, 6, 2, 11],
    (2, 0, 0): [3, 13, 2, 4, 11, 10, 9, 5, 12, 7, 6, 8],
    (2, 0, 1): [6, 7, 8, 5, 9, 13, 10, 11, 12, 2, 3, 4],
    (2, 1, 0): [4, 6, 3, 8, 7, 2, 13, 5, 9, 12, 10, 11],
}


@pytest.mark.parametrize('key', GOLDEN, ids=str)
def test_the_order_is_pinned(key):
    assert epoch_order(ROWS, SHARD_OF, *key).tolist() == GOLDEN[key]


@pytest.mark.parametrize('window', ['all', 1, 2, 3, 99])
def test_every_epoch_is_another_permutation_whatever_the_order_of_the_rows(window):
    orders = [epoch_order(ROWS, SHARD_OF, window, 0, epoch) for epoch in range(5)]
    assert all(sorted(order) == ROWS.tolist() for order in orders)
    assert len({tuple(order) for order in orders}) == 5
    assert epoch_order(ROWS, SHARD_OF, window, 1, 0).tolist() != orders[0].tolist()
    np.testing.assert_array_equal(epoch_order(ROWS[::-1], SHARD_OF, window, 0, 0), orders[0])
    if window == 99:
        np.testing.assert_array_equal(epoch_order(ROWS, SHARD_OF, 'all', 0, 0), orders[0])


@pytest.mark.parametrize('window', [1, 2, 3])
def test_a_window_holds_whole_shards_and_mixes_them(window):
    shard_of = np.repeat(np.arange(10), 30)
    order = epoch_order(np.arange(300), shard_of, window, 0, 0)
    pieces = [set(shard_of[piece]) for piece in np.split(order, range(30 * window, 300, 30 * window))]
    assert all(len(piece) <= window for piece in pieces)
    assert sum(map(len, pieces)) == 10
    firsts = [next(iter(set(shard_of[order[i:i + 30]])), None) for i in range(0, 300, 30)]
    assert firsts != sorted(firsts)
    if window > 1:
        assert len(set(shard_of[order[:15]])) > 1


def test_orders_are_uniform_enough():
    first = np.bincount([epoch_order(np.arange(8), [0] * 8, 'all', 0, epoch)[0] for epoch in range(4000)])
    assert abs(first - 500).max() < 110


def test_steps_drop_the_tail_and_repeat_nothing():
    plan = TrainPlan(ROWS, SHARD_OF, 2, 0, 5, 3)
    assert plan.steps_per_epoch == 2
    for epoch in (0, 2, 1):
        batches = [plan.batch(epoch, step) for step in range(2)]
        np.testing.assert_array_equal(np.concatenate(batches), epoch_order(ROWS, SHARD_OF, 2, 0, epoch)[:10])
    for step in (-1, 2):
        with pytest.raises(IndexError):
            plan.batch(0, step)


@pytest.mark.parametrize('window', ['all', 2])
def test_balanced_epochs_draw_as_many_rows_group_by_group(window):
    groups = [-1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2]
    plain, plan = (TrainPlan(ROWS, SHARD_OF, window, 0, 4, 3, groups=held) for held in (None, groups))
    assert plan.steps_per_epoch == plain.steps_per_epoch == 3
    orders = []
    for epoch in range(3):
        np.testing.assert_array_equal(np.concatenate([plain.batch(epoch, step) for step in range(3)]),
                                      epoch_order(ROWS, SHARD_OF, window, 0, epoch))
        orders.append(np.concatenate([plan.batch(epoch, step) for step in range(3)]))
        assert np.bincount(np.array(groups)[orders[-1]]).tolist() == [4, 4, 4]
        assert sorted(orders[-1]) == plan.drawn(epoch).tolist()
    assert len({tuple(order) for order in orders}) == 3
    np.testing.assert_allclose(plan.expected(), [12 / 3 / 9] * 9 + [12 / 3 / 2] * 2 + [12 / 3])
    np.testing.assert_array_equal(plain.expected(), 1)
    again = TrainPlan(ROWS[::-1], SHARD_OF, window, 0, 4, 3, groups=np.array(groups))
    np.testing.assert_array_equal(again.batch(1, 2), orders[1][8:])


@pytest.mark.parametrize('world', [1, 2, 4])
def test_a_balanced_batch_is_the_same_for_every_number_of_ranks(world):
    plan = TrainPlan(ROWS, SHARD_OF, 'all', 0, 4, 1, groups=[0] * 10 + [1] * 4)
    parts = [rank_part(plan.batch(0, 1), rank, world)[0] for rank in range(world)]
    assert sorted(np.concatenate(parts)) == sorted(plan.batch(0, 1))


@pytest.mark.parametrize('order', [[], [4], [4, 4, 4], [9, 2, 9, 9, 0, 2, 5], list(range(300)) + [7] * 300])
def test_copies_are_counted_along_the_order(order):
    met, expected = Counter(), []
    for row in order:
        expected.append(met[row])
        met[row] += 1
    copies = copy_numbers(np.array(order, dtype=np.int64))
    assert copies.tolist() == expected
    assert copies.dtype == (np.uint16 if len(order) == 600 else np.uint8)


@pytest.mark.parametrize('window', ['all', 2])
def test_an_epoch_holds_each_copy_once_and_without_balance_first_ones_alone(window):
    plain, plan = (TrainPlan(ROWS, SHARD_OF, window, 0, 5, 3, groups=held) for held in (None, [0] * 12 + [1] * 2))
    for epoch in (0, 2, 1):
        expected = copy_numbers(plan.order(epoch))
        assert expected.max() == 2
        for step in range(2):
            assert plan.copies(epoch, step).tolist() == expected[5 * step:5 * step + 5].tolist()
            assert plain.copies(epoch, step).tolist() == [0] * 5


@pytest.mark.parametrize(('world', 'accumulate'), [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1)])
def test_ranks_and_micro_batches_share_out_the_copies_too_from_any_step_on(world, accumulate):
    plan = TrainPlan(ROWS, SHARD_OF, 'all', 0, 6, 3, groups=[0] * 12 + [1] * 2)
    whole = [(epoch, *pair) for epoch in range(3) for pair in zip(plan.order(epoch), copy_numbers(plan.order(epoch)),
                                                                  strict=True)]
    assert len(set(whole)) == len(whole) == 36
    for start, missing in (((0, 0), 0), ((0, 1), 6), ((2, 1), 30)):
        items = [specs[number] for rank in range(world) for specs in [TrainSpecs(plan, start, accumulate, rank, world)]
                 for number in range(len(specs))]
        assert sorted((epoch, *pair) for epoch, *two in items for pair in zip(*two, strict=True)) == sorted(
            whole[missing:])


def test_balanced_windows_hold_whole_shards():
    shard_of, groups = np.repeat(np.arange(6), 20), np.arange(120) % 7 % 2
    order = TrainPlan(np.arange(120), shard_of, 2, 0, 120, 1, groups=groups).batch(0, 0)
    met = list(dict.fromkeys(shard_of[order].tolist()))
    windows = [set(met[i:i + 2]) for i in (0, 2, 4)]
    number = [next(i for i, window in enumerate(windows) if shard in window) for shard in shard_of[order]]
    assert number == sorted(number)


def test_fewer_rows_than_a_batch():
    with pytest.raises(SerError) as error:
        TrainPlan(ROWS, SHARD_OF, 'all', 0, 13, 1)
    assert str(error.value) == ('12 training clips are fewer than training.batch_size 13. '
                                'Set training.batch_size to 12 or less, or add shards')
    for rows, said in ((ROWS[:1], '1 training clip:'), (ROWS[:0], '0 training clips:')):
        with pytest.raises(SerError) as error:
            TrainPlan(rows, SHARD_OF, 'all', 0, 2, 1)
        assert str(error.value) == f'{said} at least 2 are needed. Add shards'


@pytest.mark.parametrize('size', [1, 5, 12, 20])
def test_evaluation_has_every_row_once_in_order(size):
    plan = EvaluationPlan(ROWS, size)
    batches = [plan.batch(step) for step in range(plan.steps)]
    assert all(batch.shape == (size,) and batch.dtype == np.int64 for batch in batches)
    ids = np.concatenate(batches)
    assert ids[ids >= 0].tolist() == ROWS.tolist()
    assert (ids >= 0).sum() + (ids[len(ROWS):] == -1).sum() == len(ids)
    assert EvaluationPlan([], 4).steps == 0
    with pytest.raises(IndexError):
        plan.batch(plan.steps)


@pytest.mark.parametrize('world', [1, 2, 3, 4])
@pytest.mark.parametrize('accumulate', [1, 2])
def test_ranks_and_micro_batches_share_out_the_batch(world, accumulate):
    batch = np.arange(24)
    parts = [part for rank in range(world) for part in rank_part(batch, rank, world, accumulate)]
    assert len({len(part) for part in parts}) == 1
    assert sorted(np.concatenate(parts)) == batch.tolist()
    np.testing.assert_array_equal(rank_part(batch, 0, world)[0], batch[::world])
