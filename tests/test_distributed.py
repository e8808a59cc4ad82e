import pytest

from ser.errors import SerError
from ser.training.distributed import World, check_batch


def test_one_process_is_a_world_of_one():
    world = World()
    assert world.is_main and world.gather(3) == [3] and world.from_main(4) == 4
    world.agree(digest='x')


@pytest.mark.parametrize('good', [(16, 1, 1), (16, 4, 2), (2, 1, 1)])
def test_batches_that_divide_are_accepted(good):
    assert check_batch(*good) is None


@pytest.mark.parametrize('bad', [(16, 3, 1), (16, 4, 3), (4, 4, 1), (16, 16, 1)])
def test_batches_that_do_not_divide_name_one_that_does(bad):
    with pytest.raises(SerError, match='use a multiple of') as caught:
        check_batch(*bad)
    suggested = int(str(caught.value).rsplit(' ', 1)[1])
    assert check_batch(suggested, *bad[1:]) is None


def test_ranks_that_see_different_data_are_refused(monkeypatch):
    monkeypatch.setattr(World, 'gather', lambda self, value: ['a', 'b'])
    with pytest.raises(SerError, match='disagree on digest: rank 0 has a, rank 1 has b'):
        World(0, 2).agree(digest='a')
