"""From windows to segments: probabilities smoothed step by step, runs of one answer, short ones merged."""

import heapq
from dataclasses import dataclass

import numpy as np

SILENCE = 'silence'
"""What people are told of a stretch in which nobody speaks. A class may be called that too: what is silence has no
confidence, and among the answers here it is None."""


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording with one answer."""

    start: float
    """Seconds from the recording's start, as is `end`."""
    end: float
    emotion: str
    """A class, 'unknown' or 'silence'."""
    confidence: float | None
    """Mean of the class's smoothed probability over the segment's steps with sound (of 'unknown': of the likeliest
    class's); None for silence."""


def smoothed(spans, values, edges, hop):
    """Probabilities of each step: the mean of those of the windows that cover it, weighted by how much each covers.

    spans: int (W, 2), first sample and end of the windows. values: float64 (W, C), NaN rows for windows that nothing
    was said of. edges: int (S + 1,) samples, `hop` apart but for the last. Returns float64 (S, C), NaN where no window
    with values lies.
    """
    sums, weights = np.zeros((len(edges) - 1, values.shape[1])), np.zeros(len(edges) - 1)
    for (start, end), row in zip(np.asarray(spans).tolist(), values, strict=True):
        if np.isnan(row[0]):
            continue
        first, last = start // hop, -(-end // hop)
        covered = np.minimum(edges[first + 1:last + 1], end) - np.maximum(edges[first:last], start)
        sums[first:last] += covered[:, None] * row
        weights[first:last] += covered
    with np.errstate(invalid='ignore'):
        return sums / weights[:, None]


def answers_of(values, names, calibration):
    """(answer, confidence) of each row of values (N, C) by a Calibration: (None, None) of a row of NaN, silence."""
    return [(None, None) if np.isnan(row[0]) else calibration.answer(row, names) for row in values]


def segments_of(edges, answers, values, names, sample_rate, shortest):
    """The Segments of a recording, a tuple: they cover it from 0 to its end, in order, without gap or overlap.

    edges: int (S + 1,) samples. answers: S, None for silence. values: float64 (S, C) smoothed probabilities, NaN rows
    for silence. shortest: samples; see `merged`.
    """
    numbers = {name: number for number, name in enumerate(names)}
    runs = merged([(start, end, answer) for start, end, answer in
                   zip(edges[:-1].tolist(), edges[1:].tolist(), answers, strict=True)], shortest)
    found = []
    for start, end, answer in runs:
        rows = values[np.searchsorted(edges, start):np.searchsorted(edges, end)]
        rows = rows[~np.isnan(rows[:, 0])]
        confidence = None
        if answer is not None:
            # A class may be called 'unknown'; its run then has no threshold.
            confidence = float((rows[:, numbers[answer]] if answer in numbers else rows.max(axis=1)).mean())
        found.append(Segment(start / sample_rate, end / sample_rate, SILENCE if answer is None else answer, confidence))
    return tuple(found)


@dataclass(eq=False)
class _Run:
    start: int
    end: int
    answer: str | None
    before: '_Run | None' = None
    after: '_Run | None' = None
    gone: bool = False

    def place(self):
        """Shortest first, of equals the earliest."""
        return self.end - self.start, self.start


def merged(pieces, shortest):
    """Runs of equal answers, list of (start, end, answer); those shorter than `shortest` are taken over where they can.

    pieces: (start, end, answer) that follow each other, the answer None for silence. The shortest run below the bound
    that has a neighbour with sound (of equals the earliest) is taken over by that neighbour, the longer of two (of
    equals the earlier); runs of one answer that meet become one; and so on. A short pause so goes into the speech
    around it, but silence takes over nothing: a short word between silences stays.
    """
    runs = _joined(pieces)
    heap = [(*run.place(), number, run) for number, run in enumerate(runs)]
    heapq.heapify(heap)
    number, current = len(heap), runs[0]
    while heap:
        length, start, _, run = heapq.heappop(heap)
        if run.gone or (length, start) != run.place():
            continue
        takers = [near for near in (run.before, run.after) if near and near.answer is not None]
        if length >= shortest or not takers:
            continue
        run.answer = max(takers, key=lambda near: near.end - near.start).answer
        if run.before and run.before.answer == run.answer:
            run = _take_over(run.before)
        if run.after and run.after.answer == run.answer:
            run = _take_over(run)
        # Neighbours too: what only silence surrounded may have somewhere to go now.
        for changed in filter(None, (run, run.before, run.after)):
            heapq.heappush(heap, (*changed.place(), number, changed))
            number += 1
    found = []
    # What is taken over goes into the run before it or grows in place: the first one stays the first.
    while current:
        found.append((current.start, current.end, current.answer))
        current = current.after
    return found


def _joined(pieces):
    """Linked runs of equal answers."""
    runs = []
    for start, end, answer in pieces:
        if runs and runs[-1].answer == answer:
            runs[-1].end = end
        else:
            runs.append(_Run(start, end, answer, runs[-1] if runs else None))
            if len(runs) > 1:
                runs[-2].after = runs[-1]
    return runs


def _take_over(run):
    """`run` grown by the one after it, which is gone."""
    after = run.after
    run.end, run.after, after.gone = after.end, after.after, True
    if run.after:
        run.after.before = run
    return run
