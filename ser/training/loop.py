"""The training loop: step, validate, select, save; resumable from two integers."""

import logging
import signal
import time
from collections import Counter

import torch

from ser.evaluation.tables import counted
from ser.features.draw import draw_views
from ser.features.mixup import draw_mix
from ser.randomness import key_of
from ser.training.best import check_best
from ser.training.checkpoint import load_newest_of_main, save_checkpoint, save_weights
from ser.training.contrastive import check_contrastive
from ser.training.distributed import wrap
from ser.training.evaluate import autocast, evaluate_stream
from ser.training.interrupt import Interrupted
from ser.training.nonfinite import Guard
from ser.training.objective import Objective
from ser.training.optim import build_optimizers
from ser.training.prefetch import DeviceBatches
from ser.training.progress_line import progress_line, reading_line, seconds_left
from ser.training.run import metrics_row
from ser.training.schedules import Schedule
from ser.training.state import Progress, averaged, restore, scored_state, snapshot
from ser.training.task import validate
from ser.training.trackers import NoTracker
from ser.training.update import Arriving, Launched, Update
from ser.training.warmup import warm_up

log = logging.getLogger(__name__)


class Trainer:
    """Trains `job.model` on `job.streams` and leaves best.safetensors, metrics.csv and checkpoints in the run."""

    def __init__(self, job, run, after_first_step=None):
        """after_first_step: called once with the seconds that the first step suggests are left."""
        self.job, self.run, self.config, self.after_first_step = job, run, job.config, after_first_step
        self.world, self.device, self.dtype = job.world, job.device, job.dtype
        training = self.config.training
        self.model = job.model.to(self.device)
        if self.device.type == 'cuda' and self.config.run.cuda_graphs:
            self.model.capture_views()
        self.model.set_gradient_checkpointing(training.gradient_checkpointing)
        self.plain_network = self.model.network
        network = wrap(self.plain_network, self.world, self.device, training.sync_batchnorm)
        self.synchronised = network if self.world.size > 1 else None
        self.network = torch.compile(network) if training.compile else network
        self.ema = averaged(self.plain_network, training.ema)
        self.objective = Objective(job.task, training.loss, job.class_counts, job.plan.rows, self.plain_network,
                                   job.plan.expected()).to(self.device)
        check_contrastive(self.config, self.model, self.device)
        depths = getattr(self.plain_network, 'depths', None)
        self.optimizers = build_optimizers(training.optimizer, self.model.parts(), depths() if depths else None)
        self.steps_per_epoch = job.plan.steps_per_epoch
        self.schedule = Schedule(training.schedule, self.optimizers, self.steps_per_epoch, training.epochs)
        self.progress, self.tracker = Progress(), NoTracker()
        self._steps_here, self._seconds_here = 0, 0.0
        self._met = Counter()
        self._saved_at = self._logged_at = time.monotonic()
        guard = Guard(training, self.world, run.path, self.plain_network)
        self._update = Update(self.config, self.plain_network, self.optimizers, self.ema, guard)

    # --- resuming -----------------------------------------------------------------------------------------

    def resume(self):
        """Load the newest good checkpoint of the run, or start from step 0 when there is none."""
        state, name = load_newest_of_main(self.world, self.run.checkpoints, self.job.identity)
        if state is None:
            log.info('no checkpoint yet: starting from step 0')
        else:
            self.progress = restore(state, self.plain_network, self.ema, self.optimizers, self.schedule)
            log.info('resuming from %s: epoch %d, step %d', name, self.progress.epoch + 1, self.progress.step)
        if self.world.is_main:
            self.run.truncate_metrics(self.progress.epoch)
            check_best(self.run, self.progress)

    # --- the loop -----------------------------------------------------------------------------------------

    def fit(self, stop):
        """Train to the last epoch or until validation stops improving.

        stop: a StopRequest. Raises Interrupted after saving when it is set, SerError for a loss that is not finite
        (training.on_nonfinite).
        """
        progress = self.progress
        if progress.finished:
            return
        stream = self.job.train_stream((progress.epoch, progress.step))
        try:
            # Readers fork here, before the first step keeps the device and the threads busy; they use neither.
            stream.start()
            self.job.valid_stream.start()
            warm_up(self.job, self.device)
            batches = iter(self.device_batches(stream))
            while not progress.finished:
                started = time.perf_counter()
                while progress.step < self.steps_per_epoch:
                    stopped = self.launch([next(batches) for _ in range(self.config.training.accumulate)], stop)
                    now = time.perf_counter()
                    progress.epoch_seconds += now - started
                    self._seconds_here, started = self._seconds_here + now - started, now
                    if stopped:
                        self.save()
                        raise Interrupted(stop.signal or signal.SIGTERM)
                    self._log_now_and_then()
                self._end_epoch()
                if any(self.world.gather(bool(stop))):
                    raise Interrupted(stop.signal or signal.SIGTERM)
        finally:
            stream.close()

    def step(self, fetched, stop=None):
        """One whole optimiser step, as `launch` and `settle`."""
        stopped = self.launch(fetched, stop)
        self.settle()
        return stopped

    def launch(self, fetched, stop=None):
        """One optimiser step over all ranks, up to its gradient; returns whether any rank was asked to stop.

        The update follows when the next step, a line or a checkpoint wants it: by then the device has said whether the
        loss is finite, and nothing waited for that. fetched: the Fetched of each micro-batch. stop: a StopRequest.
        """
        self.settle()
        progress = self.progress
        self._update.guard.remember()
        self.network.train()
        self.schedule.before_step(progress.global_step)
        mixes = []
        for i, micro in enumerate(fetched):
            mix = self._mix(micro.host, i)
            mixes.append(mix.to(self.device, non_blocking=True) if mix is not None else None)
            self._count(micro)
        weights = sum(self.objective.weights(micro.batch.targets, micro.batch.weights, mix)
                      for micro, mix in zip(fetched, mixes, strict=True))
        weights, stopped, save = self._over_ranks(weights, bool(stop), self._save_due())
        made = [self._micro_step(i, micro, mixes[i], weights) for i, micro in enumerate(fetched)]
        logits, losses = zip(*made, strict=True)
        numbers = torch.cat([self.world.sum(sum(losses)), self._update.gradient_norm()[None], weights[:1]])
        self._update.launched = Launched(progress.epoch, progress.step, progress.global_step,
                                         [micro.host for micro in fetched], logits, Arriving(numbers))
        progress.step += 1
        progress.global_step += 1
        if save and not stopped and progress.step < self.steps_per_epoch:
            self.save()
        return stopped

    def _over_ranks(self, weights, stop, save):
        """The step's weight of each head summed over ranks, and whether any rank wishes to stop or to save."""
        if self.world.size == 1:
            return weights, stop, save
        total = self.world.sum(torch.cat([weights, weights.new_tensor([float(stop), float(save)])]))
        return total[:-2], *(total[-2:] > 0).tolist()

    def _count(self, micro):
        self.progress.epoch_wait += micro.waited
        self.progress.epoch_clips += len(micro.host.keys) * self.world.size
        self._met.update(micro.host.counters)

    def _place(self, micro):
        """A number for (rank, micro-batch), so that no two of a step draw alike."""
        return self.world.rank * self.config.training.accumulate + micro

    def _mix(self, host, i):
        return draw_mix(self.config.augment.mixup, host.weights.numpy(), self.config.run.seed,
                        self.progress.global_step, self._place(i))

    def device_batches(self, stream):
        """The DeviceBatches of a training stream; on CUDA with views, unless many were held or steps change them."""
        ahead = self.views if self.config.training.accumulate == 1 and not self.model.learns_filters else None
        return DeviceBatches(stream, self.device, ahead)

    def views(self, batch, host, i=0):
        """The augmented views of a step's i-th batch, on the device (SpeechModel.views)."""
        draw = draw_views(self.config, tuple(self.model.front_end.views), self.progress.epoch, host.draw_ids,
                          self._mix(host, i))
        if self.device.type == 'cuda':
            draw = draw.pin_memory()
        return self.model.views(batch.waveforms, batch.lengths, draw.to(self.device, non_blocking=True))

    def _micro_step(self, i, micro, mix, weights):
        config, progress, batch = self.config, self.progress, micro.batch
        views = micro.views if micro.views is not None else self.views(batch, micro.host, i)
        torch.manual_seed(key_of(config.run.seed, 'step', progress.global_step, self._place(i)))
        if self.synchronised is not None:
            self.synchronised.require_backward_grad_sync = i + 1 == config.training.accumulate
        with autocast(self.device, self.dtype):
            output = self.network(views, mix if config.augment.mixup.mixes == 'views' else None)
        totals = self.objective.totals(output, batch.targets, batch.weights, mix)
        joined = self.objective.joined(totals, weights)
        # DDP averages gradients over ranks; the step's loss is a sum over ranks divided by all weights.
        (joined * self.world.size).backward()
        # What is logged is the main head's loss, as validation's is.
        return output.logits.detach(), torch.stack([totals[0].detach(), joined.detach()])

    def settle(self):
        """Make the update of the step that was launched last, if its numbers allow it."""
        self._update.settle(self.progress)

    # --- once in a while ----------------------------------------------------------------------------------

    def _save_due(self):
        """Whether this rank's clock or the step count asks for a checkpoint after the step at hand."""
        training = self.config.training
        if training.checkpoint_steps and (self.progress.global_step + 1) % training.checkpoint_steps == 0:
            return True
        return self.world.is_main and time.monotonic() - self._saved_at >= 60 * training.checkpoint_minutes

    def _log_now_and_then(self):
        now = time.monotonic()
        self._steps_here += 1
        if self._steps_here == 1 and self.after_first_step is not None:
            self.after_first_step(seconds_left(self.progress, self.config.training.epochs, self.steps_per_epoch,
                                               self._pace()))
        # The epoch's last step is in the line that ends the epoch.
        last = self.progress.step == self.steps_per_epoch
        if not last and now - self._logged_at >= self.config.run.log_seconds:
            self._logged_at = now
            log.info(self._line())

    def _mean_loss(self):
        self.settle()
        return self.progress.loss_sum / max(self.progress.loss_weight, 1e-12)

    def _line(self):
        return progress_line(self.progress, self.config.training.epochs, self.steps_per_epoch, self._mean_loss(),
                             self.schedule.rate(), self._pace(), self.device)

    def _pace(self):
        """Seconds a step of this process took on average."""
        return self._seconds_here / max(self._steps_here, 1)

    def _end_epoch(self):
        p = self.progress
        train_loss, rates, line = self._mean_loss(), self.schedule.rates(), self._line()
        valid = self.validate()
        improved = p.improves(valid.value, valid.loss)
        self.schedule.after_epoch(valid.loss)
        left_out = f' | {counted(p.epoch_nonfinite, "step")} left out' if p.epoch_nonfinite else ''
        log.info('%s | valid %s%s%s', line, valid.text, ' (best)' if improved else '', left_out)
        row = metrics_row(p, train_loss, rates['lr'], valid, improved)
        p.stale_epochs = 0 if improved else p.stale_epochs + 1
        if improved:
            p.best_score, p.best_loss, p.best_epoch = valid.value, valid.loss, p.epoch + 1
        keep = self.config.training.keep_best
        p.top = sorted([*p.top, [valid.value, -valid.loss, p.global_step]], reverse=True)[:keep]
        patience = self.config.training.patience
        stale = patience is not None and p.stale_epochs >= patience
        p.start_epoch(p.epoch + 1)
        p.finished = stale or p.epoch >= self.config.training.epochs
        if self.world.is_main:
            if improved:
                p.best_sha256 = save_weights(self.run.path / 'best.safetensors', self._scored_state())
            self.run.write_metrics([r for r in self.run.read_metrics() if int(r['epoch']) < row['epoch']] + [row])
            self.tracker.log_epoch({**row, **rates})
        self.save()
        if stale:
            log.info('stopped early: validation no better for %d epochs', patience)

    def validate(self):
        """The Validation of the weights that would be saved."""
        self.world.broadcast_buffers(self.plain_network)
        network = self.ema.module if self.ema is not None else self.plain_network
        if self.ema is not None:
            self.world.broadcast_buffers(network)
        evaluated = evaluate_stream(self.model, network, self.job.valid_stream, self.world, self.device, self.dtype,
                                    self.job.split.parts['valid'], self.job.task.heads)
        return validate(self.job.task, evaluated)

    def _scored_state(self):
        return scored_state({'network': self.plain_network.state_dict(),
                             'ema': self.ema.state_dict() if self.ema is not None else None})

    def save(self):
        """Write a checkpoint; every rank calls it, rank 0 writes. Raises SerError as `fit` does."""
        self.settle()
        self.world.broadcast_buffers(self.plain_network)
        self._report_met()
        self._saved_at = time.monotonic()
        p = self.progress
        if self.world.is_main:
            state = snapshot(p, self.plain_network, self.ema, self.optimizers, self.schedule, self.job.identity)
            save_checkpoint(self.run.checkpoints, state, p.global_step, {step for _, _, step in p.top})

    def _report_met(self):
        """Add what the readers of all ranks met to the totals; say so where something is new, and at the end."""
        met = sum(self.world.gather(self._met), Counter())
        self._met = Counter()
        if self.model.graphed is not None:
            log.info(self.model.graphed.line())
        new = met.keys() - self.progress.counters.keys()
        self.progress.counters = dict(Counter(self.progress.counters) + met)
        if new or (self.progress.counters and self.progress.finished):
            log.info(reading_line(self.progress.counters))
