"""CUDA graphs of the front end: one launch for a batch shape that comes often, counted beside the eager rest."""

import functools
import logging
from collections import Counter

import torch

log = logging.getLogger(__name__)

EAGER_FIRST = 3
"""Batches of a shape that run eagerly before it counts as frequent."""

MOST_GRAPHS = 12
"""Shapes captured at most; each keeps its inputs, results and CQT tables in the GPU's memory."""


@functools.cache
def _pool():
    """Memory that all graphs share: they run one after the other, and their results are copied out at once."""
    return torch.cuda.graph_pool_handle()


class CudaGraph:
    """`front_end` captured for the shapes of one batch."""

    def __init__(self, front_end, waveforms, lengths, draw):
        # A graph reads and writes fixed addresses, so inputs are copied in; what it reads must not be freed.
        self.waveforms, self.lengths = waveforms.clone(), lengths.clone()
        self.draw = draw.clone() if draw is not None else None
        self._warm_up(front_end)
        self.held = front_end.kept_tables(waveforms.shape[1], waveforms.device)
        if self.held is None:
            raise RuntimeError('the CQT tables of this length exceed features.cqt.table_mb')
        self.graph, present = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(self.graph, pool=_pool()):
                self.images = front_end(self.waveforms, self.lengths, self.draw)
        finally:
            # A capture that fails leaves its own stream the current one.
            torch.cuda.set_stream(present)

    def _warm_up(self, front_end):
        """FFT plans and CQT tables are made now, on a stream beside the one at work, and not in the capture."""
        present, beside = torch.cuda.current_stream(), torch.cuda.Stream()
        beside.wait_stream(present)
        with torch.cuda.stream(beside):
            front_end(self.waveforms, self.lengths, self.draw)
        present.wait_stream(beside)

    def __call__(self, waveforms, lengths, draw):
        """The images of a batch of the same shapes: view to float32 (B, C, size, size), nobody else's memory."""
        self.waveforms.copy_(waveforms, non_blocking=True)
        self.lengths.copy_(lengths, non_blocking=True)
        if draw is not None:
            self.draw.copy_(draw)
        self.graph.replay()
        return {view: image.clone() for view, image in self.images.items()}


class GraphedFrontEnd:
    """`front_end(waveforms, lengths, draw)`, replayed for frequent shapes and eager for the rest.

    replayed, eager: batches so far. A shape whose capture fails is said once and eager from then on.
    """

    def __init__(self, front_end, capture=CudaGraph):
        self.front_end, self._capture = front_end, capture
        self.graphs, self._met = {}, Counter()
        self.replayed = self.eager = 0
        self._failed = set()

    def __call__(self, waveforms, lengths, draw=None):
        """As the front end's own call."""
        if draw is not None and draw.audio is not None:
            # What changes the length of clips is decided on the host, for this batch alone.
            self.eager += 1
            return self.front_end(waveforms, lengths, draw)
        key = tuple(waveforms.shape), waveforms.dtype, draw.parts if draw is not None else None
        if key not in self.graphs and self._frequent(key):
            try:
                self.graphs[key] = self._capture(self.front_end, waveforms, lengths, draw)
            except RuntimeError as error:
                self._failed.add(key)
                # What goes wrong inside a capture is the context of the error that ends it.
                told = ' '.join(str(error.__context__ or error).split())
                log.warning('no CUDA graph of the front end for batches of %d x %d samples, they run eagerly: %s',
                            *key[0], told)
        if key in self.graphs:
            self.replayed += 1
            return self.graphs[key](waveforms, lengths, draw)
        self.eager += 1
        return self.front_end(waveforms, lengths, draw)

    def _frequent(self, key):
        self._met[key] += 1
        return self._met[key] > EAGER_FIRST and len(self.graphs) < MOST_GRAPHS and key not in self._failed

    def line(self):
        """How many batches went which way."""
        return f'front end: {self.replayed} batches by {len(self.graphs)} CUDA graphs, {self.eager} eagerly'
