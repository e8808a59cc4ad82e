import os
import time

import pytest

from ser.errors import SerError
from ser.shards.pool import cores, ordered_map


def slow_first(number):
    time.sleep(0.05 if number == 0 else 0.0)
    return number, os.getpid()


def fail_at_three(number):
    if number == 3:
        raise ValueError('three')
    return number


def die(number):
    os._exit(1)


@pytest.mark.parametrize('jobs', [1, 2])
def test_results_come_in_the_items_order(jobs):
    results = list(ordered_map(slow_first, range(100), jobs))
    assert [number for number, _ in results] == list(range(100))
    assert len({process for _, process in results}) <= jobs
    assert (os.getpid() in {process for _, process in results}) == (jobs == 1)


@pytest.mark.parametrize('jobs', [1, 2])
def test_an_exception_of_the_function_arrives(jobs):
    with pytest.raises(ValueError, match='three'):
        list(ordered_map(fail_at_three, range(10), jobs))


def test_items_are_taken_only_a_little_ahead():
    taken = []
    results = ordered_map(slow_first, (taken.append(number) or number for number in range(1000)), 2)
    next(results)
    assert len(taken) < 50
    results.close()


def test_a_process_that_dies_is_an_error_not_a_hang():
    with pytest.raises(SerError, match='died'):
        list(ordered_map(die, range(10), 2))


def test_there_is_at_least_one_core():
    assert cores() >= 1
