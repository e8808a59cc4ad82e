"""Where else a run's numbers go: nowhere, TensorBoard's event files, or Weights & Biases.

Trackers repeat what the run directory says: each row of metrics.csv with the learning rates, then the test scores.
"""

import logging
import re
import secrets
from importlib.util import find_spec

from ser.errors import SerError, install
from ser.evaluation.reading import read_json
from ser.files import write_json
from ser.models.pretrained import first_line

log = logging.getLogger(__name__)
STATE = 'tracker.json'
_PER_NAME = ('per_class', 'per_dimension')


class NoTracker:
    """Tells nobody."""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def log_epoch(self, numbers):
        """numbers: name -> number or its text, 'epoch' among them; an epoch that was told before is passed over."""

    def log_test(self, metrics, picture):
        """metrics: of test_metrics.json. picture: path of a PNG."""


class TensorBoardWriter:
    """Event files in RUN/tensorboard."""

    # Epochs from the first one on that are there already are withdrawn: they come again.
    withdraws = True

    def __init__(self, config, path, state, first):
        from torch.utils.tensorboard import SummaryWriter

        self.folder = path / 'tensorboard'
        self.writer = SummaryWriter(str(self.folder), purge_step=first)
        self.state, self.told = {}, f'tensorboard --logdir {self.folder}'

    def write(self, epoch, numbers):
        """Scalars, step `epoch`."""
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, epoch)
        self.writer.flush()

    def finish(self, epoch, numbers, picture):
        """Test scores as scalars, and the picture, step `epoch`."""
        from matplotlib.image import imread

        self.writer.add_image(picture.stem, imread(picture), epoch, dataformats='HWC')
        self.write(epoch, numbers)

    def close(self, failed):
        """Write what is left."""
        self.writer.close()


class WandbWriter:
    """A run of Weights & Biases, its files in RUN/wandb. Resuming carries on the same one (`id` of the state)."""

    withdraws = False

    def __init__(self, config, path, state, first):
        import wandb

        tracker = config.run.tracker
        self.state = {'id': state.get('id') or secrets.token_hex(4)}
        self.image = wandb.Image
        self.run = wandb.init(
            project=tracker.project, entity=tracker.entity, mode=tracker.mode, dir=str(path), id=self.state['id'],
            name=run_name(path), resume='allow', config=config.model_dump(mode='json'),
            settings=wandb.Settings(console='off', silent=True, save_code=False))
        self.told = self.run.url if tracker.mode == 'online' else f'wandb sync {path}/wandb/offline-run-*'

    def write(self, epoch, numbers):
        """A row of the history, step `epoch`."""
        self.run.log(numbers, step=epoch, commit=True)

    def finish(self, epoch, numbers, picture):
        """Test scores in the summary, and the picture."""
        self.run.summary.update(numbers)
        self.run.log({picture.stem: self.image(str(picture))})

    def close(self, failed):
        """Wait until everything is written, or sent."""
        self.run.finish(exit_code=int(failed))


WRITERS = {'tensorboard': TensorBoardWriter, 'wandb': WandbWriter}


class Tracker:
    """A writer that is told each epoch once, also over a resume, and that may fail without stopping the training.

    RUN/tracker.json remembers up to which epoch each kind was told, and the writer's own state.
    """

    def __init__(self, writer, kind, path, epoch):
        """path: the run directory. epoch: the last one that the writer knows."""
        self.writer, self.kind, self.path, self.epoch, self.failed = writer, kind, path, epoch, False
        self._remember()

    def __enter__(self):
        return self

    def __exit__(self, error, *rest):
        self._tell(self.writer.close, error is not None)

    def log_epoch(self, numbers):
        """As NoTracker.log_epoch."""
        epoch = int(numbers['epoch'])
        if epoch <= self.epoch:
            return
        self._tell(self._write, epoch, {name: float(value) for name, value in numbers.items()})

    def log_test(self, metrics, picture):
        """As NoTracker.log_test."""
        self._tell(self.writer.finish, self.epoch, score_numbers(metrics), picture)

    def _write(self, epoch, numbers):
        self.writer.write(epoch, numbers)
        self.epoch = epoch
        self._remember()

    def _tell(self, call, *arguments):
        if self.failed:
            return
        try:
            call(*arguments)
        except Exception as error:  # each version of each tracker has exceptions of its own
            self.failed = True
            log.warning('run.tracker: %s failed (%s) and is told nothing more; the run goes on, its numbers are in %s',
                        self.kind, first_line(error), self.path / 'metrics.csv')

    def _remember(self):
        write_json(self.path / STATE, _read_state(self.path) | {self.kind: {**self.writer.state, 'epoch': self.epoch}})


def check_tracker(wanted):
    """Raise SerError where the package of run.tracker is not installed."""
    spec = None if wanted.kind == 'none' else find_spec(wanted.kind)
    # A folder of this name, such as one that the tracker itself made, is found as well, but has no origin.
    if wanted.kind != 'none' and (spec is None or spec.origin is None):
        raise SerError(f"run.tracker: kind '{wanted.kind}' needs a package that is not installed: "
                       f'{install(wanted.kind)}, or set run.tracker.kind to none')


def start_tracker(config, run):
    """The tracker of a RunDirectory by its Config, told every epoch of metrics.csv that it does not know yet.

    Raises SerError where it cannot be started.
    """
    wanted = config.run.tracker
    if wanted.kind == 'none':
        return NoTracker()
    check_tracker(wanted)
    rows, state = run.read_metrics(), _read_state(run.path).get(wanted.kind, {})
    known = state.get('epoch', 0)
    withdrawn = min(known, int(rows[-1]['epoch']) if rows else 0)
    try:
        writer = WRITERS[wanted.kind](config, run.path, state, withdrawn + 1)
    except Exception as error:  # each version of each tracker has exceptions of its own
        remedy = ', run.tracker.mode to offline' if wanted.kind == 'wandb' else ''
        raise SerError(f'run.tracker: {wanted.kind} cannot be started ({first_line(error)}). Mend that{remedy}, or set '
                       'run.tracker.kind to none') from error
    log.info('tracker: %s', writer.told)
    tracker = Tracker(writer, wanted.kind, run.path, withdrawn if writer.withdraws else known)
    for row in rows:
        tracker.log_epoch(row)
    return tracker


def score_numbers(metrics):
    """The numbers of test_metrics.json by name: test_ua, test_ua_low and test_ua_high of intervals, test_recall/sad of
    a class (or dimension)."""
    found = {f'test_{name}': value for name, value in metrics.items() if _is_number(value)}
    for name, value in metrics.items():
        if name.endswith('_interval') and isinstance(value, (list, tuple)):
            base = f"test_{name.removesuffix('_interval')}"
            found |= {f'{base}_{end}': bound for end, bound in zip(('low', 'high'), value, strict=True)}
    for per_name in _PER_NAME:
        for label, scores in metrics.get(per_name, {}).items():
            found |= {f'test_{name}/{label}': value for name, value in scores.items() if _is_number(value)}
    return found


def run_name(path):
    """The run's folder, with those around it where it is a fold or a seed of theirs: 'try/seed-1/fold-02'."""
    parts = path.resolve().parts
    first = len(parts) - 1
    while first > 1 and re.fullmatch(r'(fold|seed)-\d+', parts[first]):
        first -= 1
    return '/'.join(parts[first:])


def _read_state(path):
    file = path / STATE
    return read_json(file, dict, 'Remove it: the tracker then starts afresh') if file.is_file() else {}


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
