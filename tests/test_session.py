from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ser.config.schema import Config
from ser.errors import SerError
from ser.models.fitted import FittedNetwork
from ser.training.distributed import World
from ser.training.run import open_run
from ser.training.session import _for_people, _launcher, _next_lines, _run_of, _size, with_world
from tests.tiny_run import tiny_run  # noqa: F401

CONFIG = Config(run={'device': 'cpu'})


def raising(error):
    def body(world, device, reason):
        raise error
    return body


def test_out_of_memory_names_what_to_lower():
    with pytest.raises(SerError, match=r'out of memory: lower training\.batch_size'):
        with_world(CONFIG, raising(torch.OutOfMemoryError('CUDA out of memory')))


def test_a_dead_reader_is_an_error_for_people():
    error = RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed.')
    with pytest.raises(SerError, match='a reader process died'):
        with_world(CONFIG, raising(error))


def test_other_errors_pass_unchanged():
    with pytest.raises(RuntimeError, match='shapes') as caught:
        with_world(CONFIG, raising(RuntimeError('shapes do not match')))
    assert not isinstance(caught.value, SerError)


def test_a_lost_rank_is_said_only_where_there_are_ranks():
    error = RuntimeError('[gloo] Connection closed by peer')
    assert 'rank 1 lost another rank' in str(_for_people(error, World(1, 2)))
    assert _for_people(error, World()) is error


def test_the_result_of_the_body_comes_back_with_its_device():
    assert with_world(CONFIG, lambda world, device, reason: (world.size, device.type)) == (1, 'cpu')


def test_a_model_is_described_by_what_is_trained_of_it():
    def size(count, network=None):
        return _size(SimpleNamespace(network=network, parameters=lambda: [torch.zeros(count)]))

    assert [size(count) for count in (1_260_000, 99_999)] == ['1.3 M parameters', '99,999 parameters']
    assert size(0, object.__new__(FittedNetwork)) == 'fitted at once: no parameters to be trained'


def test_the_last_lines_are_commands_to_try():
    assert _next_lines(Path('runs/my run')) == (
        "next: ser report 'runs/my run'", "      ser predict FILE.wav --model 'runs/my run'")


def test_a_stopped_run_is_continued_by_as_many_ranks_on_as_many_machines(monkeypatch):
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '2')
    assert [_launcher(World(0, size)) for size in (1, 2, 4)] == [
        'python', 'torchrun --nproc-per-node 2', 'torchrun --nnodes 2 --nproc-per-node 2']


def test_a_run_is_carried_on_only_where_ranks_were_restarted(tiny_run):  # noqa: F811
    config, _ = open_run(tiny_run.path)
    assert _run_of(config, tiny_run.path, True) == (tiny_run.path, True)
    with pytest.raises(SerError, match='already holds a run. Continue it with --resume'):
        _run_of(config, tiny_run.path, False)
    with pytest.raises(SerError, match=r'training.epochs is .* and cannot change to 99'):
        _run_of(config.model_copy(update={'training': config.training.model_copy(update={'epochs': 99})}),
                tiny_run.path, True)
