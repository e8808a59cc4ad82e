"""A folder of runs that belong together: described once, held by one process, carried on by the same command."""

import json
import logging
import os
from pathlib import Path

from ser.errors import SerError
from ser.evaluation.reading import read_json
from ser.training.held import Held
from ser.training.job import prepare, probe
from ser.training.run import RunDirectory
from ser.training.session import RESUMABLE, one_run, refuse_changes, with_world

log = logging.getLogger(__name__)
MATRIX, ABLATION = 'matrix.json', 'ablation.json'
_KINDS = {MATRIX: 'matrix', ABLATION: 'ablation'}
_REMEDY = 'Name another --out, or delete it'


class Study:
    """A study's folder; context manager: no second process writes there, nor a study that is described otherwise."""

    def __init__(self, path, file, description):
        """file: MATRIX or ABLATION, which keeps the description.

        description: plain data that the same command gives again. Raises SerError when the folder holds something else.
        """
        self.path, self.file, self.description = Path(path), file, json.loads(json.dumps(description))
        self._held = Held(path)
        self._check()

    def _check(self):
        if self.path.exists() and not self.path.is_dir():
            raise SerError(f'--out {self.path}: is a file. Name a folder')
        for name, kind in {'config.yaml': 'run', **_KINDS}.items():
            if name != self.file and (self.path / name).exists():
                raise SerError(f'--out {self.path}: holds a {kind} already. Name another folder')
        if (self.path / self.file).exists():
            began = read_json(self.path / self.file, dict, _REMEDY).get('description')
            found = difference(began, self.description)
            if found:
                where, old, new = found
                raise SerError(f'--out {self.path}: holds another {_KINDS[self.file]}: {where} is {old} there and '
                               f'{new} here. Repeat its command to carry on, or name another folder')

    def __enter__(self):
        self._held.__enter__()
        return self

    def __exit__(self, *exception):
        self._held.__exit__(*exception)


def difference(old, new, where=''):
    """(dotted place, old, new) of the first difference between two pieces of plain data, or None."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            found = difference(old.get(key), new.get(key), f'{where}.{key}' if where else key)
            if found:
                return found
        return None
    return None if old == new else (where or 'its description', _short(old), _short(new))


def _short(value):
    text = json.dumps(value, ensure_ascii=False) if value is not None else 'missing'
    return text if len(text) <= 80 else f'{text[:77]}...'


def computed(config):
    """The config as plain data without what a resume may change: where data lies and how the machine is used."""
    return {section: {key: value for key, value in values.items() if f'{section}.{key}' not in RESUMABLE}
            for section, values in config.model_dump(mode='json').items()}


def refuse_ranks(command):
    """Raises SerError under torchrun: a study trains one run after another in one process."""
    if int(os.environ.get('WORLD_SIZE', 1)) > 1:
        raise SerError(f'{command} runs in one process; start it without torchrun')


def train_in_study(config, path):
    """Train a run into `path`, continue it, or leave it when it is finished; returns an exit code.

    Raises SerError for whatever stops the run, and when it began with another config.
    """
    started = (path / 'config.yaml').is_file()
    if started:
        refuse_changes(path, config)
    if RunDirectory(path).finished:
        log.info('%s: already done', path)
        return 0

    def body(world, device, reason):
        job = prepare(config, world, device)
        probe(job)
        return one_run(job, path, reason, resume=started)

    return with_world(config, body)


def attempt(body):
    """(what body() returns, None), or (None, why it failed).

    A failure is one line. What is no SerError goes to the log with its traceback: the rest of a study goes on.
    """
    try:
        return body(), None
    except SerError as error:
        return None, ' '.join(str(error).split())
    except Exception as error:
        log.exception('unexpected error')
        return None, ' '.join(f'{type(error).__name__}: {error}'.split())
