"""A rank's work, item by item: what one reading of it is to hold, from the plan and the rank's place."""

import math

from ser.shards.plan import rank_part


class TrainSpecs:
    """(epoch, ids, copies) of a rank's micro-batches from a start to the end of the last epoch."""

    def __init__(self, plan, start, accumulate=1, rank=0, world=1):
        self.plan, self.accumulate, self.place = plan, accumulate, (rank, world)
        self.first = start[0] * plan.steps_per_epoch + start[1]
        self.clips = math.ceil(plan.batch_size / (world * accumulate))
        """Most clips of an item."""

    def __len__(self):
        return max(self.plan.epochs * self.plan.steps_per_epoch - self.first, 0) * self.accumulate

    def __getitem__(self, number):
        step, micro = divmod(number, self.accumulate)
        epoch, step = divmod(self.first + step, self.plan.steps_per_epoch)
        ids, copies = (rank_part(batch, *self.place, self.accumulate)[micro]
                       for batch in (self.plan.batch(epoch, step), self.plan.copies(epoch, step)))
        return epoch, ids, copies


class EvaluationSpecs:
    """A rank's share of each evaluation batch."""

    def __init__(self, plan, place):
        self.plan, self.place = plan, place
        self.clips = math.ceil(plan.batch_size / place[1])
        """Most clips of an item."""

    def __len__(self):
        return self.plan.steps if self.place[0] < self.plan.batch_size else 0

    def __getitem__(self, number):
        return rank_part(self.plan.batch(number), *self.place)[0]
