"""Whole groups to parts: against exhaustive search, and what always holds."""

import itertools

import numpy as np
import pytest

from ser.shards.assign import _Cost, assign_groups

SHARES = (0.65, 0.15, 0.2)


def best_cost(counts, weights, shares):
    cost = _Cost(np.asarray(counts, float), np.asarray(weights, float), np.asarray(shares))
    every = (np.array(parts) for parts in itertools.product(range(len(shares)), repeat=len(counts)))
    return cost, min(total(cost, counts, parts) for parts in every if len(set(parts)) == len(shares))


def total(cost, counts, parts):
    return cost.of(np.arange(3), np.stack([counts[parts == part].sum(0) for part in range(3)])).sum()


@pytest.mark.parametrize('seed', range(8))
def test_it_finds_what_exhaustive_search_finds(seed):
    counts = np.random.default_rng(seed).poisson(6, (8, 4)).astype(float)
    weights = np.array([1, 1, 1, 0.25])
    cost, best = best_cost(counts, weights, SHARES)
    parts = assign_groups(counts, weights, SHARES, 'key', seed)
    assert total(cost, counts, parts) <= best * 1.02 + 1e-6


@pytest.mark.parametrize('n', [3, 4, 24, 250])
def test_no_part_is_empty_and_the_answer_is_repeatable(n):
    counts = np.random.default_rng(n).integers(0, 9, (n, 5)) + 1
    parts = assign_groups(counts, np.ones(5), SHARES, 'a')
    assert set(parts) == {0, 1, 2}
    np.testing.assert_array_equal(parts, assign_groups(counts, np.ones(5), SHARES, 'a'))
    if n >= 24:
        held = np.array([counts[parts == p].sum() for p in range(3)]) / counts.sum()
        np.testing.assert_allclose(held, SHARES, atol=0.05 if n == 24 else 0.01)


def test_ties_are_drawn_by_the_key():
    counts = np.full((24, 8), 8)
    answers = {tuple(assign_groups(counts, np.ones(8), SHARES, 'k', seed)) for seed in range(6)}
    assert len(answers) == 6
    assert {tuple(np.bincount(answer)) for answer in answers} == {(15, 4, 5)}


def test_a_rare_class_goes_to_every_part_when_it_can():
    counts = np.zeros((9, 2))
    counts[:, 0] = 20
    counts[[0, 1, 2], 1] = 1
    for seed in range(5):
        parts = assign_groups(counts, np.ones(2), SHARES, seed)
        assert {parts[0], parts[1], parts[2]} == {0, 1, 2}
