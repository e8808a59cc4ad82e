"""One config with several seeds, on one split, then the mean over them and how far they are apart."""

import logging

from ser.errors import SerError
from ser.evaluation.repeats import pool_seeds, refuse_same_weights, seed_lines
from ser.evaluation.report import pool_folds
from ser.training.demo_data import data_for
from ser.training.folds import SOME_FAILED, check_has_folds, dry_folds, fold_items
from ser.training.series import (
    Item,
    Place,
    check_emotions,
    failure_lines,
    finished,
    holding,
    labelled,
    pooled_lines,
    series_folder,
    split_lines,
    train_series,
)
from ser.training.session import with_world

log = logging.getLogger(__name__)


def all_seeds(config, count, out=None, folds=False, dry_run=False, say=print):
    """Train `count` runs with run.seed, run.seed + 1, ... into OUT/seed-K and pool them into OUT; returns an exit code.

    The split stays the same. folds: every fold of every seed, into OUT/seed-K/fold-NN. Finished runs stay, one that
    was interrupted is continued: the same command carries on. dry_run: only `say` the parts.
    The code is 1 when some runs failed. Raises SerError for folds of a protocol without folds, when fewer than two
    seeds are finished, and when two of them end in the same weights. count: at least 2.
    """
    check_emotions(config, '--seeds')
    if folds:
        check_has_folds(config)

    def body(world, device, reason):
        place = Place(world, device, reason)
        folder = series_folder(place, config, out, r'seed-\d+/fold-\d+' if folds else r'seed-\d+')
        with data_for(config, world, dry_run) as with_shards:
            series = _Seeds(with_shards, count, folder, folds, place)
            if dry_run:
                return series.describe(say)
            with holding(folder, place):
                return series.train()

    return with_world(config, body)


class _Seeds:
    """The seeds of one command. items: seed -> its runs."""

    def __init__(self, config, count, folder, folds, place):
        self.config, self.folder, self.folds, self.place = config, folder, folds, place
        self.index, self.names = labelled(config)
        self.items = {seed: self._of_seed(seed) for seed in range(config.run.seed, config.run.seed + count)}

    def path(self, seed):
        """The folder of a seed: a run, or its folds."""
        return self.folder / f'seed-{seed}'

    def _of_seed(self, seed):
        config = self.config.model_copy(update={'run': self.config.run.model_copy(update={'seed': seed})})
        if self.folds:
            return fold_items(config, self.index, self.names, self.path(seed), f'seed {seed}, ')
        return [Item(f'seed {seed}', config, self.path(seed))]

    def describe(self, say):
        """`say` the split, which all seeds share; returns an exit code."""
        items = self.items[self.config.run.seed]
        if self.place.world.is_main:
            say(f"{len(self.items)} seeds on one split: {', '.join(map(str, self.items))}")
        if self.folds:
            return dry_folds(self.index, self.names, items, self.place, say)
        lines, failed = split_lines(self.index, self.names, items)
        if failed:
            raise SerError(failed[items[0].label])
        if self.place.world.is_main:
            for line in lines:
                say(line)
        return 0

    def train(self):
        """Train and pool; returns an exit code."""
        items = [item for of_seed in self.items.values() for item in of_seed]
        # Two alike are enough to know, and the rest need not be trained.
        code, failed = train_series(items, self.place, lambda: refuse_same_weights(map(self.path, self.items)))
        if code:
            log.info('the same command carries on with the seeds: --seeds %d --out %s', len(self.items), self.folder)
            return code
        done = {seed: [item for item in of_seed if finished(item, self.place)] for seed, of_seed in self.items.items()}
        ready = [seed for seed, of_seed in done.items() if of_seed]
        if len(ready) < 2:
            reasons = '; '.join(line.removeprefix('failed: ') for line in failure_lines(failed))
            raise SerError(f'{self.folder}: {len(ready)} of {len(self.items)} seeds finished, so nothing is pooled; '
                           f'{reasons}')
        if self.place.world.is_main:
            self._pool(done, ready, failed)
        return SOME_FAILED if failed else 0

    def _pool(self, done, ready, failed):
        for seed in ready:
            if len(done[seed]) > 1:
                pool_folds([item.path for item in done[seed]], self.path(seed), self.config.evaluation)
        missing = [seed for seed in self.items if seed not in ready]
        metrics = pool_seeds([self.path(seed) for seed in ready], self.folder, self.config.evaluation, missing)
        for line in [*seed_lines(metrics), *pooled_lines(self.folder), *failure_lines(failed)]:
            log.info(line)
