"""Counters of the server as Prometheus reads them (text exposition format 0.0.4)."""

import bisect
import itertools
import os
import threading
from collections import Counter

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
CLIPS = (1, 2, 4, 8, 16, 32, 64)


class Histogram:
    """Counts of values up to each bound, as Prometheus wants them."""

    def __init__(self, bounds):
        self.bounds, self.counts, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value):
        """Count one value."""
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name, labels=''):
        """The lines of a histogram; labels: such as 'route="/predict"'."""
        comma = ',' if labels else ''
        edges = [*(f'{bound:g}' for bound in self.bounds), '+Inf']
        counted = list(itertools.accumulate(self.counts))
        lines = [f'{name}_bucket{{{labels}{comma}le="{edge}"}} {count}'
                 for edge, count in zip(edges, counted, strict=True)]
        around = f'{{{labels}}}' if labels else ''
        return [*lines, f'{name}_sum{around} {self.total:.9g}', f'{name}_count{around} {counted[-1]}']


class Metrics:
    """What has happened since the server started; may be told from any thread."""

    def __init__(self):
        self._lock = threading.Lock()
        self.requests = Counter()
        self.dropped = 0
        self._batches = Histogram(CLIPS)
        self._seconds = {}

    def request(self, route, status, seconds):
        """Count a request that has ended. route: one of the server's own, or 'other'."""
        with self._lock:
            self.requests[route, status] += 1
            self._seconds.setdefault(route, Histogram(SECONDS)).add(seconds)

    def batch(self, clips):
        """Count a batch of `clips` clips that the model has heard."""
        with self._lock:
            self._batches.add(clips)

    def drop(self):
        """Count a job that was given up before the model heard all of it."""
        with self._lock:
            self.dropped += 1

    def counts(self):
        """(requests, answered ones, clips) so far."""
        with self._lock:
            answered = sum(count for (_, status), count in self.requests.items() if status < 400)
            return self.requests.total(), answered, int(self._batches.total)

    def text(self, **gauges):
        """The page for Prometheus. gauges: name -> (value, help)."""
        with self._lock:
            lines = _head('ser_requests_total', 'counter', 'Requests by route and HTTP status; 499: the client left.')
            lines += [f'ser_requests_total{{route="{route}",status="{status}"}} {count}'
                      for (route, status), count in sorted(self.requests.items())]
            lines += _head('ser_clips_total', 'counter', 'Clips and windows that the model has heard.')
            lines.append(f'ser_clips_total {int(self._batches.total)}')
            lines += _head('ser_dropped_total', 'counter', 'Jobs given up before the model had heard them.')
            lines.append(f'ser_dropped_total {self.dropped}')
            lines += _head('ser_batch_clips', 'histogram', 'Clips that the model heard at once.')
            lines += self._batches.lines('ser_batch_clips')
            lines += _head('ser_request_seconds', 'histogram', 'Seconds from a request to the end of its answer.')
            for route, histogram in sorted(self._seconds.items()):
                lines += histogram.lines('ser_request_seconds', f'route="{route}"')
        for name, (value, words) in gauges.items():
            lines += [*_head(name, 'gauge', words), f'{name} {value:g}']
        resident = resident_bytes()
        if resident is not None:
            lines += [*_head('ser_resident_bytes', 'gauge', 'Memory that the process holds.'),
                      f'ser_resident_bytes {resident}']
        return '\n'.join(lines) + '\n'


def _head(name, kind, words):
    return [f'# HELP {name} {words}', f'# TYPE {name} {kind}']


def resident_bytes():
    """Bytes of memory that this process holds, or None where the system does not say."""
    try:
        with open('/proc/self/statm') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
    except OSError:
        return None
