"""Without shards the synthetic corpus is trained on, and a dry run leaves nothing of it behind."""

import contextlib
import re
import threading
from pathlib import Path

import pytest

from ser.config.load import load_config
from ser.errors import SerError
from ser.shards.publish import MANIFEST
from ser.train import main
from ser.training import demo_data
from ser.training.demo_data import data_for
from ser.training.distributed import World
from tests.shard_factory import make_shards
from tests.tiny import ASSIGNMENTS


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Folders that the corpus was made in; in empty working and temporary folders."""
    folders = []

    def ensure(folder):
        folders.append(Path(folder))
        if not (Path(folder) / MANIFEST).exists():
            make_shards(Path(folder), n_speakers=6, clips_per=2)
            (Path(folder) / MANIFEST).write_text('{}')

    monkeypatch.setattr(demo_data, 'ensure_demo_shards', ensure)
    for name in ('work', 'temporary'):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / 'work')
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path / 'temporary'))
    yield folders
    assert not list((tmp_path / 'temporary').glob('ser-*'))


def shards_of(config, **options):
    with data_for(config, World(), **options) as with_shards:
        return with_shards.data.shards


def test_shards_that_are_named_are_taken(made):
    config = load_config((), ['data.shards=[a.tar]'])
    for dry_run in (False, True):
        with data_for(config, World(), dry_run) as with_shards:
            assert with_shards is config
    assert not made


def test_without_shards_the_corpus_is_made_where_it_is_missing(made):
    assert shards_of(load_config(())) == ('data/demo',) and Path('data/demo').is_dir()
    # What is there already is also what a dry run reads.
    assert shards_of(load_config(()), dry_run=True) == ('data/demo',)
    assert made == [Path('data/demo')] * 2


def test_a_dry_run_makes_it_elsewhere_and_removes_it(made):
    with data_for(load_config(()), World(), dry_run=True) as with_shards:
        folder, = map(Path, with_shards.data.shards)
        assert list(folder.glob('*.tar')) and made == [folder]
    assert not folder.exists() and not Path('data').exists()
    with pytest.raises(ZeroDivisionError), data_for(load_config(()), World(), dry_run=True):
        raise ZeroDivisionError
    assert not made[-1].exists()


def test_shards_of_other_parts_alone_are_refused(made):
    config = load_config((), ['data.test_shards=[a.tar]'])
    with pytest.raises(SerError, match='go with --shards'), data_for(config, World()):
        pass


@pytest.mark.parametrize('more', [
    [], ['--folds', 'all', '--protocol', 'speaker-kfold'], ['--seeds', '2'], ['--leak-premium'], ['--config', 'demo']],
    ids=' '.join)
def test_a_dry_run_of_the_command_says_where_training_has_it_and_writes_nothing(made, capfd, more):
    assert main(['--dry-run', *more, '--set', *ASSIGNMENTS]) == 0
    said = capfd.readouterr()
    assert 'train' in said.out and str(made[0]) not in said.out and not list(Path().iterdir())
    if not more:
        assert re.search(r'shards:\n\s*- data/demo\n', said.out)
    assert 'dry run: nothing is made in data/demo' in said.err


class Ranks:
    """Two ranks as threads: what the first says reaches the second, and both wait for each other."""

    def __init__(self):
        self.barrier, self.told = threading.Barrier(2, timeout=20), None

    def of(self, rank):
        ranks = self

        class Rank(World):
            def from_main(self, value):
                if self.is_main:
                    ranks.told = value
                ranks.barrier.wait()
                value = ranks.told
                ranks.barrier.wait()
                return value

            def gather(self, value):
                ranks.barrier.wait()
                return [value, value]

        return Rank(rank, 2)


def test_ranks_read_one_temporary_corpus_until_all_are_done(made):
    ranks, seen = Ranks(), {}

    def rank(number):
        with contextlib.ExitStack() as stack:
            shards = stack.enter_context(data_for(load_config(()), ranks.of(number), dry_run=True)).data.shards
            seen[number] = shards, Path(shards[0]).is_dir()

    threads = [threading.Thread(target=rank, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert seen[0] == seen[1] and seen[0][1] and len(made) == 1
