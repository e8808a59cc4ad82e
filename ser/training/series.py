"""Several runs one after another in one folder: finished ones stay, interrupted ones are carried on."""

import contextlib
import gc
import logging
import re
import shlex
import traceback
from dataclasses import dataclass
from pathlib import Path

from ser.config.schema import Config
from ser.errors import SerError
from ser.shards.index import build_index
from ser.shards.protocols import make_split
from ser.training.held import Held
from ser.training.job import prepare, probe
from ser.training.run import RunDirectory, new_run_path
from ser.training.session import one_run, refuse_changes, refuse_other_data
from ser.training.task import labelled_for

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """One run of a series: what it is called, its config, its directory."""

    label: str
    config: Config
    path: Path


@dataclass(frozen=True)
class Place:
    """Where a series trains: the ranks, the device and why that one."""

    world: object
    device: object
    reason: str


def series_folder(place, config, out, pattern):
    """The folder of a series, the same on every rank; nothing is made.

    pattern: a regular expression for the names of its runs. Raises SerError when it is a run itself, or holds one of
    another name, such as folds where seeds are wanted.
    """
    folder = Path(place.world.from_main(str(new_run_path(config.run, out))))
    for path in sorted([*folder.glob('*/config.yaml'), *folder.glob('*/*/config.yaml')]):
        name = path.parent.relative_to(folder).as_posix()
        if not re.fullmatch(pattern, name):
            raise SerError(f'{folder}: holds the run {name}, which is none of these. Choose another --out')
    return folder


@contextlib.contextmanager
def holding(folder, place):
    """Keep other processes out of the folder of a series; raises SerError, on every rank, where one is in it."""
    with contextlib.ExitStack() as held:
        place.world.on_main(lambda: bool(held.enter_context(Held(folder))))
        yield


def check_started(items):
    """Raises SerError where one of the runs, all of the same shards, was begun with another config or on other data."""
    started = [item for item in items if (item.path / 'config.yaml').is_file()]
    for item in started:
        refuse_changes(item.path, item.config)
    # Finished runs are not trained again, and would be pooled with runs on data that they have not seen.
    digest = build_index(started[0].config.data).digest if started else None
    for item in started:
        refuse_other_data(item.path, digest=digest)


def train_series(items, place, after=None):
    """Train the runs of `items` in turn; returns (exit code, {label: why it failed}).

    Finished runs stay, started ones are carried on. One that fails with a SerError does not stop the others, unless
    several ranks take part: those need not have failed together. The exit code is not 0 when a signal stopped one.
    after: called after each finished run. Raises SerError where a run began with another config or on other data,
    before any is trained, and at a second run that fails just as the first did while none is finished: it is not the
    run's fault.
    """
    check_started(items)
    failed, done = {}, 0
    for item in items:
        if finished(item, place):
            log.info('%s: already done', item.label)
        else:
            log.info('%s', item.label)
            try:
                code = _train(item, place)
            except SerError as error:
                if place.world.size > 1 or (not done and str(error) in failed.values()):
                    raise
                log.warning('%s failed: %s', item.label, error)
                failed[item.label] = str(error)
                # Its frames hold the model and its readers.
                traceback.clear_frames(error.__traceback__)
                gc.collect()
                continue
            if code:
                return code, failed
        done += 1
        if after is not None:
            after()
    return 0, failed


def finished(item, place):
    """Whether the run of an Item is trained and tested; the same on every rank."""
    return place.world.from_main(RunDirectory(item.path).finished)


def _train(item, place):
    started = place.world.from_main((item.path / 'config.yaml').is_file())
    job = prepare(item.config, place.world, place.device)
    probe(job)
    return one_run(job, item.path, place.reason, resume=started)


def failure_lines(failed):
    """A line for each run that failed, with its reason."""
    return [f'failed: {label}: {reason}' for label, reason in failed.items()]


def pooled_lines(folder):
    """Where the joint scores of a series are, and commands to try on them."""
    place = shlex.quote(str(folder))
    return [f'report: {folder / "README.md"}', f'next: ser report {place}', f'      ser compare {place} OTHER']


def check_emotions(config, option):
    """Raises SerError where a config predicts dimensions. option: what then does not go."""
    if config.task.kind != 'emotion':
        raise SerError(f"{option}: goes with task.kind 'emotion'; of '{config.task.kind}' train single runs or folds")


def labelled(config):
    """(index, names of its labels) of a config's shards: what a split is drawn from."""
    found = labelled_for(build_index(config.data), config)
    return found.index, found.names


def split_lines(index, names, items):
    """(lines, failed): the parts of each run of a series without training it, and the labels of those refused.

    index, names: as `labelled` gives them.
    """
    lines, failed = [], {}
    for item in items:
        try:
            split = make_split(index, item.config.protocol, names)
        except SerError as error:
            failed[item.label] = str(error)
            continue
        lines += [f'{item.label}: {split.description}', *(f'  note: {note}' for note in split.notes)]
    return lines, failed
