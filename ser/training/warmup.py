"""What the first batches would otherwise wait for: CQT tables of the padded lengths that the index shows."""

import logging
import math
import time
from collections import Counter

import numpy as np

from ser.shards.batch import padded_length
from ser.shards.plan import EvaluationPlan, rank_part
from ser.shards.reader import longest

LONG_SECONDS = 1.0
"""Making tables is said from here on."""

log = logging.getLogger(__name__)


def padded_lengths(job):
    """Counter of the samples that this rank's batches are padded to: the first epoch's and one validation's.

    Clips whose length the index does not know count as the shortest.
    """
    config, world = job.config, job.world
    rate, most = config.data.sample_rate, longest(config.data.max_seconds, config.data.sample_rate)
    samples = np.array([min(math.ceil(row.frames * rate / row.sample_rate), most)
                        if row.frames and row.sample_rate else 0 for row in job.index.rows])
    valid = EvaluationPlan(job.split.parts['valid'], config.evaluation.batch_size)
    batches = [rank_part(valid.batch(step), world.rank, world.size)[0] for step in range(valid.steps)]
    for step in range(job.plan.steps_per_epoch):
        batches += rank_part(job.plan.batch(0, step), world.rank, world.size, config.training.accumulate)
    return Counter(padded_length(int(samples[batch[batch >= 0]].max(initial=0)), rate) for batch in batches)


def warm_up(job, device):
    """Make the front end's tables on `device`, the most frequent lengths first, within features.cqt.table_mb."""
    started = time.monotonic()
    lengths = [length for length, _ in padded_lengths(job).most_common()]
    made, wanted = job.model.front_end.prepare(lengths, device)
    seconds = time.monotonic() - started
    # Said where somebody waits for it, or where not all fit.
    if made < wanted or seconds >= LONG_SECONDS:
        fit = '' if made == wanted else ', as many as features.cqt.table_mb holds: the others are built when met'
        log.info('CQT tables for %d of %d padded lengths in %.1f s%s', made, wanted, seconds, fit)
