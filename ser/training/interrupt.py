"""Ctrl-C and SIGTERM as a wish to stop after the step at hand."""

import signal


class StopRequest:
    """Context manager that turns the first SIGINT or SIGTERM into a flag; a second SIGINT stops at once."""

    def __init__(self):
        self.signal = None

    def __bool__(self):
        return self.signal is not None

    def __enter__(self):
        self._before = {s: signal.signal(s, self._received) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _received(self, number, frame):
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number


class Interrupted(Exception):
    """Training stopped on a signal after saving; carries the signal's number."""

    def __init__(self, number):
        super().__init__(f'stopped by signal {number}')
        self.number = number
