"""Run by test_load_long.py: a long training whose readers are restarted, measured at the end of each epoch."""

import json
import os
import sys
import time

import torch

from ser.command import keep_freed_memory
from ser.config.load import load_config
from ser.training.distributed import World
from ser.training.interrupt import Interrupted, StopRequest
from ser.training.job import prepare
from ser.training.loop import Trainer
from ser.training.run import RunDirectory

RESTART_EPOCHS = 20


def family(pid):
    """A process and its children."""
    with open(f'/proc/{pid}/task/{pid}/children') as file:
        return [pid, *map(int, file.read().split())]


def held_bytes(pid):
    """Memory of a process, pages that several share counted in shares."""
    with open(f'/proc/{pid}/smaps_rollup') as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith('Pss:'))


def cpu_seconds():
    """Processor time of this process and of the readers that ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Measured(Trainer):
    """Writes a row for each epoch, and stops after every so many: the next fit starts readers anew."""

    def __init__(self, job, run, report):
        super().__init__(job, run)
        self.report, self.stop = report, None

    def _end_epoch(self):
        clips, seconds = self.progress.epoch_clips, self.progress.epoch_seconds
        super()._end_epoch()
        processes = family(os.getpid())
        self.report.write(json.dumps({
            'epoch': self.progress.epoch, 'time': time.monotonic(), 'cpu': cpu_seconds(), 'clips': clips,
            'clips_per_second': clips / seconds, 'processes': len(processes),
            'megabytes': sum(map(held_bytes, processes)) / 1e6, 'files': len(os.listdir('/proc/self/fd'))}) + '\n')
        self.report.flush()
        if self.progress.epoch % RESTART_EPOCHS == 0 and not self.progress.finished:
            self.stop.signal = 15


def main(shards, out, report, *assignments):
    """Train to the end."""
    keep_freed_memory()
    torch.set_num_threads(1)
    job = prepare(load_config(('base',), assignments, {'--shards': ('data.shards', [shards])}), World(),
                  torch.device('cpu'))
    with RunDirectory(out) as run, open(report, 'w') as file:
        trainer = Measured(job, run, file)
        while not trainer.progress.finished:
            with StopRequest() as trainer.stop:
                try:
                    trainer.fit(trainer.stop)
                except Interrupted:
                    # Validation's readers start anew as well.
                    job.valid_stream.close()
    job.valid_stream.close()


if __name__ == '__main__':
    main(*sys.argv[1:])
