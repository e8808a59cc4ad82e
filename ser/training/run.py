"""The run directory: made once, locked while in use, written file by file."""

import csv
import logging
import os
import platform
import shlex
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path

from ser.config.load import load_resolved, to_yaml
from ser.errors import SerError, nearest
from ser.evaluation.calibration import CALIBRATION, VALIDATION
from ser.evaluation.reading import read_json
from ser.files import verifies, write_json, write_rows, write_whole
from ser.training.held import Held

TASK, AUXILIARY, ENVIRONMENT = 'task.json', 'auxiliary.json', 'environment.json'
# What ser.evaluation reads.
SCORED_FROM = ('predictions.csv', 'split.csv', 'data.json', 'labels.json', 'metrics.csv')
PACKAGES = ('serstream', 'torch', 'torchaudio', 'torchvision', 'nnAudio', 'timm', 'kornia', 'webdataset', 'soundfile',
            'soxr', 'numpy', 'scipy', 'scikit-learn', 'pydantic', 'transformers')
_HOW_MADE = ' Runs are made by python -m ser.train, or fetched by ser pull OWNER/NAME OUT'


def restarted():
    """Whether torchrun started this rank again after one of its own machine failed (--max-restarts)."""
    return int(os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)) > 0


def new_run_path(config_run, out=None):
    """The directory of a new run: `out` itself, or `<folder>/<timestamp>-<name>`.

    Raises SerError when it already holds a run. Nothing is created.
    """
    if out is None:
        stamp = datetime.now().strftime('%Y%m%d-%H%M%S')
        path = Path(config_run.folder) / f'{stamp}-{config_run.name}'
        tries = 2
        while path.exists():
            path = Path(config_run.folder) / f'{stamp}-{config_run.name}-{tries}'
            tries += 1
        return path
    path = Path(out)
    if (path / 'config.yaml').exists():
        raise SerError(f'{path}: already holds a run. Continue it with --resume {path}, or choose another --out')
    if path.exists() and not path.is_dir():
        raise SerError(f'{path}: is a file; --out is the run directory')
    return path


def metrics_row(progress, train_loss, rate, valid, improved):
    """A row of metrics.csv for the epoch that `progress` (state.Progress) has just ended; valid: a task.Validation.

    train_loss is of the batches as they were trained on, augmented and mixed; all scores are of clean clips.
    """
    seconds = max(progress.epoch_seconds, 1e-9)
    return {'epoch': progress.epoch + 1, 'steps': progress.global_step, 'train_loss': train_loss, **valid.row,
            'lr': rate, 'clips_per_second': progress.epoch_clips / seconds,
            'data_wait': progress.epoch_wait / seconds, 'seconds': progress.epoch_seconds,
            'nonfinite_steps': progress.epoch_nonfinite, 'best': int(improved)}


class RunDirectory:
    """A run's files. Context manager: holds a lock so that no second process writes here."""

    def __init__(self, path):
        self.path = Path(path)
        self._held = Held(path)
        self._log_handler = None

    def __enter__(self):
        self._held.__enter__()
        self._log_handler = logging.FileHandler(self.path / 'train.log', encoding='utf-8')
        self._log_handler.setFormatter(logging.Formatter('%(asctime)s %(levelname)s %(message)s'))
        logging.getLogger('ser').addHandler(self._log_handler)
        return self

    def __exit__(self, *exception):
        logging.getLogger('ser').removeHandler(self._log_handler)
        self._log_handler.close()
        self._held.__exit__(*exception)

    def write_facts(self, task, data_facts, write_split):
        """Write what follows from the data: labels.json, data.json and split.csv (by calling write_split(path)).

        task: a task.Task. Of a regression task.json says what the numbers mean; auxiliary.json names the values of
        further heads.
        """
        write_json(self.path / 'labels.json', list(task.names))
        for name, facts in ((TASK, task.facts()), (AUXILIARY, task.auxiliary)):
            if facts:
                write_json(self.path / name, facts)
        write_json(self.path / 'data.json', data_facts)
        write_split(self.path / 'split.csv')

    def create(self, config, environment):
        """Write command, environment and config. Call it last: a directory with config.yaml is a run."""
        write_whole(self.path / 'command.txt', shlex.join(sys.orig_argv) + '\n')
        write_json(self.path / ENVIRONMENT, environment)
        write_whole(self.path / 'config.yaml', to_yaml(config))

    @property
    def checkpoints(self):
        """Folder of the checkpoints."""
        return self.path / 'checkpoints'

    @property
    def finished(self):
        """Whether training and test are done and the weights are whole."""
        return (self.path / 'test_metrics.json').is_file() and verifies(self.path / 'best.safetensors')

    @property
    def unfinished(self):
        """Whether training was begun here and its test is not done; a run that was fetched was begun elsewhere."""
        return (self.path / ENVIRONMENT).is_file() and not (self.path / 'test_metrics.json').is_file()

    @property
    def scorable(self):
        """Whether every file that the scores are computed from is there."""
        # Runs of earlier versions have no calibration, and nothing to fit one to.
        calibrated = (VALIDATION,) if (self.path / CALIBRATION).is_file() else ()
        return all((self.path / name).is_file() for name in (*SCORED_FROM, *calibrated))

    def read_metrics(self):
        """Rows of metrics.csv as dicts of strings, oldest first."""
        path = self.path / 'metrics.csv'
        if not path.is_file():
            return []
        with open(path, newline='', encoding='utf-8') as file:
            return list(csv.DictReader(file))

    def write_metrics(self, rows):
        """Replace metrics.csv; the columns are those of any of the rows, empty where a row has none."""
        # The first rows of a run that is carried on may be of an earlier version.
        columns = list(dict.fromkeys(name for row in rows for name in row))
        write_rows(self.path / 'metrics.csv', [columns, *([row.get(name, '') for name in columns] for row in rows)])

    def truncate_metrics(self, epochs):
        """Drop rows of epochs that a resumed run will do again."""
        rows = self.read_metrics()
        kept = [row for row in rows if int(row['epoch']) <= epochs]
        if len(kept) < len(rows) and kept:
            self.write_metrics(kept)
        elif len(kept) < len(rows):
            (self.path / 'metrics.csv').unlink()


def open_run(path):
    """The config and class names of a run directory. Raises SerError when it is not one."""
    path = Path(path)
    check_folder(path)
    if not (path / 'config.yaml').is_file():
        raise SerError(f'{path}: not a run directory (no config.yaml).{_what_instead(path)}')
    config, names = load_resolved(path / 'config.yaml'), read_json(path / 'labels.json', list)
    fewest, what = (1, 'one dimension') if config.task.kind == 'dimensions' else (2, 'two class names')
    if len(names) < fewest or not all(isinstance(name, str) for name in names):
        raise SerError(f'{path / "labels.json"}: a list of at least {what} is wanted')
    return config, tuple(names)


def check_folder(path):
    """Raises SerError where there is nothing at the path of a run, with the run that may have been meant."""
    path = Path(path)
    if path.exists():
        return
    runs = _runs_in(path.parent) or _runs_in(path.parent / 'runs')
    near = nearest(path.name, [run.name for run in runs])
    meant = next((run for run in runs if run.name == near), None)
    raise SerError(f'{path}: no such folder.' + (
        f" Did you mean '{meant}'?" if meant else
        f' There are runs near it, such as {runs[-1]}' if runs else _HOW_MADE))


def auxiliary_of(path):
    """Auxiliary target -> its values of a run directory. Raises SerError for a file that says something else."""
    path = Path(path) / AUXILIARY
    if not path.is_file():
        return {}
    found = read_json(path, dict)
    for name, values in found.items():
        if not isinstance(values, list) or len(values) < 2 or not all(isinstance(value, str) for value in values):
            raise SerError(f"{path}: '{name}' must be a list of at least two values")
    return {name: tuple(values) for name, values in found.items()}


def _what_instead(path):
    """What a folder that is no run may be, and what to name instead."""
    if (path / 'shards.json').is_file() or any(path.glob('*.tar')):
        return ' It holds shards; a run is what python -m ser.train --shards makes of them'
    runs = _runs_in(path)
    return f' It holds runs: name one of them, such as {runs[-1]}' if runs else _HOW_MADE


def _runs_in(folder):
    """The run directories in a folder, the newest last."""
    return sorted((found.parent for found in folder.glob('*/config.yaml')), key=lambda run: run.stat().st_mtime)


def environment(device, reason, world_size):
    """Versions and machine facts, for environment.json."""
    return {'python': platform.python_version(), 'platform': platform.platform(), 'cores': os.cpu_count(),
            'device': str(device), 'device_reason': reason, 'ranks': world_size,
            'packages': {name: _version(name) for name in PACKAGES}}


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
