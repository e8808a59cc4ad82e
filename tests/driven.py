"""`ser.train` with accidents on order: kills at a chosen moment, images that are NaN, losses written down step by step.

As a script it is a server that has imported everything and forks a training for each order (a line of JSON on stdin,
a line of exit codes back): sixty kills cost sixty forks, not sixty imports of torch. Under torchrun it is one rank,
with the order in the environment.
"""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ORDER = 'DRIVEN_ORDER'


def accidental(order):
    """A Trainer class that has the order's accidents.

    losses: a file for 'global step, loss so far in its epoch as hex' lines. kill: [global step, moment], the moment one
    of gradient, update, unsaved, saved. nan: global steps with a clip that becomes NaN. rank: whose accidents they are.
    once: not after a restart.
    """
    from ser.training import loop

    kill, moment = order.get('kill') or (None, None)
    mine = int(os.environ.get('RANK', 0)) == order.get('rank', 0)
    if order.get('once') and int(os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)):
        mine = False

    def now(step, here):
        if mine and (step, here) == (kill, moment):
            os.kill(os.getpid(), signal.SIGKILL)

    class Accidental(loop.Trainer):
        def settle(self):
            launched = self._update.launched
            if launched is not None:
                now(launched.global_step + 1, 'gradient')
            super().settle()
            if launched is not None:
                now(launched.global_step + 1, 'update')
                if order.get('losses') and self.world.is_main:
                    with open(order['losses'], 'a') as file:
                        file.write(f'{launched.global_step + 1} {self.progress.loss_sum.hex()}\n')

        def save(self):
            self.settle()
            now(self.progress.global_step, 'unsaved')
            super().save()
            now(self.progress.global_step, 'saved')

        def views(self, batch, host, i=0):
            views = super().views(batch, host, i)
            if mine and self.progress.global_step + 1 in order.get('nan', ()):
                for view in views.values():
                    view[0] = float('nan')
            return views

    return Accidental


def run(order):
    """The exit code of a training with the order's accidents."""
    from ser.train import main
    from ser.training import session

    session.Trainer = accidental(order)
    return main(order['argv'])


def _forked(order, rank, port):
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    with open(order['log'], 'a') as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    ranks = order.get('ranks', 1)
    if ranks > 1:
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), LOCAL_WORLD_SIZE=str(ranks),
                          MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    try:
        code = run(order)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    os._exit(code)


def _carry_out(order):
    """Exit codes of an order's ranks; when one is killed the others are, as an agent does."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    running = {_forked(order, rank, port): rank for rank in range(order.get('ranks', 1))}
    deadline = time.monotonic() + order.get('seconds', 600)
    codes = {}
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            codes[running.pop(pid)] = os.waitstatus_to_exitcode(status)
        if (pid and codes[max(codes)] < 0) or (running and time.monotonic() > deadline):
            for other in running:
                os.killpg(other, signal.SIGKILL)
        time.sleep(0.005)
    return [codes[rank] for rank in sorted(codes)]


class Driver:
    """The server as a context manager: `driver(argv=[...], ...)` runs one order and returns its exit codes."""

    def __init__(self, log):
        self.log = log

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, __file__], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def __call__(self, **order):
        order = {'log': str(self.log), **order}
        self._process.stdin.write(json.dumps(order) + '\n')
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _serve():
    # Whatever a training imports only when it wants it, too: each fork would do so anew, for seconds.
    for name in ('matplotlib.pyplot', 'sklearn.metrics', 'scipy.optimize', 'scipy.signal', 'nnAudio.features.cqt',
                 'ser.models.backbones', 'ser.training.session', 'torch._dynamo'):
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(_carry_out(json.loads(line))), flush=True)


if __name__ == '__main__':
    if ORDER in os.environ:
        sys.exit(run(json.loads(os.environ[ORDER])))
    _serve()
