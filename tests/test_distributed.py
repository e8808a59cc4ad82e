import pytest
import torch
from torch import nn

from ser.errors import SerError
from ser.files import sha256_of
from ser.training.checkpoint import load_newest_of_main, save_checkpoint
from ser.training.distributed import World, check_batch, check_sync, wrap


def test_one_process_is_a_world_of_one():
    world = World()
    assert world.is_main and world.gather(3) == [3] and world.from_main(4) == 4
    world.agree({'the split': 'x'})


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
    with pytest.raises(SerError, match='disagree on the split: rank 0 has a, rank 1 has b'):
        World(0, 2).agree({'the split': 'a'})


class OfTwo(World):
    """A rank of two; what the other one sends is given."""

    def hears(self, *values):
        self.__dict__['heard'] = list(values)
        return self

    def from_main(self, value):
        return value if self.is_main else self.heard.pop(0)

    def gather(self, value):
        return [True, value]


def refuse():
    raise SerError('the first rank cannot')


def test_what_the_first_rank_cannot_do_is_every_ranks_error():
    assert World().on_main(lambda: 3) == OfTwo(0, 2).on_main(lambda: 3) == 3
    assert OfTwo(1, 2).hears((4, None)).on_main(refuse) == 4
    for world in (World(), OfTwo(0, 2), OfTwo(1, 2).hears((None, 'the first rank cannot'))):
        with pytest.raises(SerError, match='^the first rank cannot$'):
            world.on_main(refuse)


def test_a_machine_that_sees_no_checkpoint_is_sent_the_first_ranks(tmp_path):
    here, there = tmp_path / 'here', tmp_path / 'there'
    for step in (1, 2):
        save_checkpoint(here, {'identity': {}, 'step': step}, step)
    state, name = load_newest_of_main(OfTwo(0, 2), here, {})
    assert state['step'] == 2 and name == 'step-000000002.pt'
    assert load_newest_of_main(OfTwo(0, 2), there, {}) == (None, None)
    newest = ((name, sha256_of(here / name)), None)
    # One that sees it reads it; one that does not, or sees another, is sent it.
    assert load_newest_of_main(OfTwo(1, 2).hears(newest), here, {})[0] == state
    assert load_newest_of_main(OfTwo(1, 2).hears(newest, 'sent'), there, {}) == ('sent', name)
    save_checkpoint(there, {'identity': {}, 'step': 3}, 2)
    assert load_newest_of_main(OfTwo(1, 2).hears(newest, 'sent'), there, {}) == ('sent', name)


def test_batchnorm_over_ranks_keeps_the_names_and_the_evaluation(monkeypatch):
    monkeypatch.setattr(nn.parallel, 'DistributedDataParallel', lambda network, **_: network)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    network(torch.randn(9, 3))
    state, parameters, x = network.state_dict(), [id(p) for p in network.parameters()], torch.randn(5, 3)
    before = network.eval()(x)
    assert wrap(network, World(0, 1), torch.device('cpu'), True) is network and type(network[1]) is nn.BatchNorm1d
    wrapped = wrap(network, World(0, 2), torch.device('cpu'), True)
    assert wrapped is network and type(network[1]) is nn.SyncBatchNorm
    assert list(network.state_dict()) == list(state) and [id(p) for p in network.parameters()] == parameters
    assert torch.equal(network.eval()(x), before)


def test_batchnorm_over_ranks_without_cuda_is_refused():
    for device in ('cpu', 'mps'):
        with pytest.raises(SerError, match=f'torch has it on CUDA only, and these 2 ranks are on {device}'):
            check_sync(True, World(0, 2), torch.device(device))
        check_sync(True, World(), torch.device(device))
        check_sync(False, World(0, 2), torch.device(device))
    check_sync(True, World(0, 2), torch.device('cuda', 0))
