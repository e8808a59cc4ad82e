"""Fitting instead of training: every training clip once, unaugmented, then one solution; files as any run's."""

import logging
import signal
import time

import torch

from ser.errors import SerError
from ser.models.fitted import Clips, FittedNetwork, changed_training
from ser.training.checkpoint import save_weights
from ser.training.evaluate import evaluate_stream
from ser.training.interrupt import Interrupted
from ser.training.prefetch import DeviceBatches
from ser.training.run import metrics_row
from ser.training.state import Progress
from ser.training.task import validate
from ser.training.trackers import NoTracker

log = logging.getLogger(__name__)


def fits_at_once(model):
    """Whether a SpeechModel is fitted to the training part at once instead of trained by steps."""
    return isinstance(model.network, FittedNetwork)


class FitOnce:
    """Stands where a Trainer would: fits `job.model`, leaves best.safetensors and one row of metrics.csv in the run."""

    def __init__(self, job, run):
        self.job, self.run, self.world, self.device = job, run, job.world, job.device
        self.model, self.tracker = job.model.to(self.device), NoTracker()

    def resume(self):
        """Nothing was kept of what was begun: the fit starts again."""
        log.info('%s is fitted at once: starting again', self.job.config.model.kind)

    def fit(self, stop):
        """Fit to the training part, choosing on validation.

        stop: a StopRequest. Raises Interrupted when it is set, SerError on every rank for what cannot be learnt.
        """
        started, kind = time.perf_counter(), self.job.config.model.kind
        idle = [f'training.{name}' for name in changed_training(self.job.config)]
        if idle:
            log.info('%s is fitted at once: %s change%s nothing', kind, ', '.join(idle), 's' * (len(idle) == 1))
        with self.job.evaluation_stream('train') as stream:
            train, waited = self._clips(stream, stop)
        valid, _ = self._clips(self.job.valid_stream, stop)
        log.info('%d clips heard in %.1f s', len(train.labels) + len(valid.labels), time.perf_counter() - started)
        self._learn(train, valid)
        # Every rank scores its share of validation with the weights that the first rank fitted.
        self.model.network.load_state_dict(self.world.from_main(self._state()))
        scored = validate(self.job.task, self._evaluated('valid'))
        if not self.world.is_main:
            return
        log.info('valid %s', scored.text)
        seconds = time.perf_counter() - started
        progress = Progress(global_step=1, epoch_seconds=seconds, epoch_clips=len(train.labels), epoch_wait=waited)
        save_weights(self.run.path / 'best.safetensors', self.model.state_dict())
        row = metrics_row(progress, self._train_loss(train), 0.0, scored, True)
        self.run.write_metrics([row])
        self.tracker.log_epoch(row)

    def _clips(self, stream, stop):
        """(the Clips of a part in index order, the same on every rank; seconds waited for readers)."""
        mine, waited = [], 0.0
        with torch.inference_mode():
            for fetched in DeviceBatches(stream, self.device):
                views = self.model.views(fetched.batch.waveforms, fetched.batch.lengths)
                real, host = fetched.host.weights > 0, fetched.host
                mine.append((host.ids[real], views[self.model.network.view].cpu()[real], host.targets['emotion'][real]))
                waited += fetched.waited
                if stop and self.world.size == 1:
                    raise Interrupted(stop.signal or signal.SIGTERM)
        whole = [rank for rank in self.world.gather([torch.cat(part) for part in zip(*mine, strict=True)]) if rank]
        ids, values, classes = (torch.cat(part) for part in zip(*whole, strict=True))
        order = torch.argsort(ids, stable=True)
        return Clips(values[order], classes[order], ids[order]), waited

    def _learn(self, train, valid):
        """Fit on the first rank; what is wrong there is raised on all."""
        fault = None
        if self.world.is_main:
            network = self.model.network.cpu()
            try:
                chosen = network.fit(train, valid)
                if chosen:
                    log.info('%s: %s', self.job.config.model.kind, chosen)
            except SerError as error:
                fault = str(error)
            network.to(self.device)
        fault = self.world.from_main(fault)
        if fault is not None:
            raise SerError(fault)

    def _state(self):
        return {name: tensor.cpu() for name, tensor in self.model.network.state_dict().items()}

    def _evaluated(self, part):
        return evaluate_stream(self.model, self.model.network, self.job.valid_stream, self.world, self.device, None,
                               self.job.split.parts[part], self.job.task.heads)

    def _train_loss(self, train):
        """Mean negative log probability of the training clips' own classes."""
        with torch.inference_mode():
            views = {self.model.network.view: train.values.to(self.device)}
            logs = self.model.network(views).logits.double().cpu().log_softmax(dim=1)
        return float(torch.nn.functional.nll_loss(torch.from_numpy(train.joined(logs.numpy())), train.labels))
