"""The run directory: made once, locked while in use, written file by file."""

import csv
import fcntl
import io
import json
import logging
import os
import platform
import shlex
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path

from ser.config.load import load_resolved, to_yaml
from ser.errors import SerError
from ser.files import write_whole

METRICS = ('epoch', 'steps', 'train_loss', 'valid_loss', 'valid_ua', 'valid_wa', 'valid_macro_f1', 'lr',
           'clips_per_second', 'data_wait', 'seconds', 'best')
PACKAGES = ('serstream', 'torch', 'torchaudio', 'torchvision', 'nnAudio', 'timm', 'kornia', 'webdataset', 'soundfile',
            'soxr', 'numpy', 'scipy', 'scikit-learn', 'pydantic')


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


class RunDirectory:
    """A run's files. Context manager: holds a lock so that no second process writes here."""

    def __init__(self, path):
        self.path = Path(path)
        self._lock = None
        self._log_handler = None

    def __enter__(self):
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / '.lock', 'w')  # held until __exit__
        except OSError as error:
            raise SerError(f'{self.path}: cannot be made: {error.strerror}. Choose another --out') from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise SerError(f'{self.path}: another process is writing this run. Wait for it, stop it, '
                           'or choose another --out') from error
        self._log_handler = logging.FileHandler(self.path / 'train.log', encoding='utf-8')
        self._log_handler.setFormatter(logging.Formatter('%(asctime)s %(levelname)s %(message)s'))
        logging.getLogger('ser').addHandler(self._log_handler)
        return self

    def __exit__(self, *exception):
        logging.getLogger('ser').removeHandler(self._log_handler)
        self._log_handler.close()
        self._lock.close()

    def create(self, config, names, data_facts, environment):
        """Write what is known before the first step."""
        write_whole(self.path / 'labels.json', json.dumps(list(names), ensure_ascii=False) + '\n')
        write_whole(self.path / 'command.txt', shlex.join(sys.orig_argv) + '\n')
        write_whole(self.path / 'environment.json', json.dumps(environment, indent=2) + '\n')
        write_whole(self.path / 'data.json', json.dumps(data_facts, indent=2, ensure_ascii=False) + '\n')
        # Last: a directory that holds config.yaml is a run, and can be resumed.
        write_whole(self.path / 'config.yaml', to_yaml(config))

    @property
    def checkpoints(self):
        """Folder of the checkpoints."""
        return self.path / 'checkpoints'

    @property
    def finished(self):
        """Whether training and test are done."""
        return (self.path / 'test_metrics.json').is_file()

    def read_metrics(self):
        """Rows of metrics.csv as dicts of strings, oldest first."""
        path = self.path / 'metrics.csv'
        if not path.is_file():
            return []
        with open(path, newline='', encoding='utf-8') as file:
            return list(csv.DictReader(file))

    def write_metrics(self, rows):
        """Replace metrics.csv."""
        text = io.StringIO()
        writer = csv.DictWriter(text, METRICS, lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.path / 'metrics.csv', text.getvalue())

    def truncate_metrics(self, epochs):
        """Drop rows of epochs that a resumed run will do again."""
        rows = self.read_metrics()
        kept = [row for row in rows if int(row['epoch']) <= epochs]
        if len(kept) < len(rows):
            self.write_metrics(kept)


def open_run(path):
    """The config and class names of a run directory. Raises SerError when it is not one."""
    path = Path(path)
    if not (path / 'config.yaml').is_file():
        raise SerError(f'{path}: not a run directory (no config.yaml). Train one with python -m ser.train --out {path}')
    try:
        names = json.loads((path / 'labels.json').read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise SerError(f'{path / "labels.json"}: cannot be read: {error}') from error
    if not isinstance(names, list) or len(names) < 2 or not all(isinstance(name, str) for name in names):
        raise SerError(f'{path / "labels.json"}: a list of at least two class names is wanted')
    return load_resolved(path / 'config.yaml'), tuple(names)


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
