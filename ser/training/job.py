"""A config made ready to train: shards indexed, parts drawn, model built, first batch seen; nothing written yet."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch

from ser.errors import SerError
from ser.labels import label_set
from ser.models import build_model, check_pretrained
from ser.randomness import key_of
from ser.shards.index import build_index
from ser.shards.plan import EvaluationPlan, TrainPlan
from ser.shards.protocols import make_split
from ser.shards.stream import EvaluationStream, TrainStream, resolve_workers
from ser.training.device import network_dtype
from ser.training.distributed import check_batch

log = logging.getLogger(__name__)
PARTS = ('train', 'valid', 'test')


@dataclass
class Job:
    """Everything the loop needs, from one config on one rank."""

    config: Any
    world: Any
    device: torch.device
    dtype: torch.dtype | None
    index: Any
    names: tuple
    split: Any
    plan: Any
    model: Any
    dropped: Counter = field(default_factory=Counter)
    offer_small_model: bool = False

    def __post_init__(self):
        self.valid_stream = self.evaluation_stream('valid')

    @property
    def identity(self):
        """What a checkpoint must share with the run that resumes from it."""
        return {'index digest': self.index.digest, 'split': self.split.digest, 'label set': list(self.names),
                'batch size': self.config.training.batch_size}

    @property
    def class_counts(self):
        """Training clips per class, a list in index order."""
        counts = Counter(self.index.rows[i].emotion for i in self.split.parts['train'])
        return [counts[name] for name in self.names]

    def train_stream(self, start):
        """This rank's micro-batches from (epoch, step) to the end of the last epoch."""
        training = self.config.training
        return TrainStream(self.index, self.plan, self.config.data, self.names, accumulate=training.accumulate,
                           rank=self.world.rank, world=self.world.size, seed=self.config.run.seed, start=start,
                           workers=self._workers(self.plan.steps_per_epoch * training.accumulate))

    def evaluation_stream(self, part):
        """This rank's share of a part, each clip once."""
        plan = EvaluationPlan(self.split.parts[part], self.config.evaluation.batch_size)
        return EvaluationStream(self.index, plan, self.config.data, self.names, rank=self.world.rank,
                                world=self.world.size, workers=self._workers(plan.steps))

    def _workers(self, steps):
        return resolve_workers(self.config.data.workers, steps)

    def after_first_steps(self, seconds_left):
        """Called once, when a few steps have shown how long the run will take."""
        if self.offer_small_model and self.device.type == 'cpu' and seconds_left > 1800:
            log.info('on this CPU the run would take about %.0f hours; --config maxmvit-tiny trains in minutes',
                     seconds_left / 3600)

    def facts(self):
        """What data.json says: the data, the parts, the protocol."""
        rows = self.index.rows
        parts = {}
        for part in PARTS:
            members = [rows[i] for i in self.split.parts[part]]
            counts = Counter(row.emotion for row in members)
            parts[part] = {'clips': len(members), 'classes': {name: counts[name] for name in self.names},
                           'speakers': sorted({self.index.speaker_name(row) for row in members} - {None})}
        return {'digest': self.index.digest, 'split': self.split.digest,
                'shards': [{'name': shard.name, 'sha256': shard.sha256} for shard in self.index.shards],
                'clips': len(rows), 'dropped': dict(self.dropped), 'ignored_members': dict(self.index.ignored),
                'protocol_kind': self.split.protocol, 'protocol': self.split.description,
                'speaker_disjoint': self.split.speaker_disjoint, 'fold': self.split.fold, 'folds': self.split.folds,
                'notes': list(self.split.notes), 'parts': parts,
                'synthetic': any(row.metadata.get('corpus') == 'demo' for row in rows)}


def prepare(config, world, device):
    """A Job. Raises SerError for anything that would stop the run later; writes nothing.

    The order is deliberate: what is cheap to refuse comes first, pretrained weights before any audio.
    """
    training = config.training
    dtype = network_dtype(training.precision, device)
    check_batch(training.batch_size, world.size, training.accumulate)
    check_pretrained(config.model)
    index = build_index(config.data)
    names, dropped = label_set([row.emotion for row in index.rows], config.data.labels)
    for label, count in sorted(dropped.items()):
        log.warning('data.labels drops %d clips labelled %s', count, label)
    torch.manual_seed(key_of(config.run.seed, 'weights'))
    model = build_model(config, names)
    split = make_split(index, config.protocol, names)
    plan = TrainPlan(split.parts['train'], [row.shard for row in index.rows], config.data.shuffle_window_shards,
                     config.run.seed, training.batch_size, training.epochs)
    world.agree(digest=index.digest, split=split.digest, steps=plan.steps_per_epoch, batch=training.batch_size)
    return Job(config, world, device, dtype, index, names, split, plan, model, dropped)


def probe(job):
    """One batch through the views and the network: shapes per view and of the logits.

    Raises SerError where audio, features and backbones do not fit together.
    """
    for part in PARTS:
        if not len(job.split.parts[part]):
            raise SerError(f'the {part} part is empty: {job.split.description}')
    stream = TrainStream(job.index, job.plan, job.config.data, job.names, accumulate=job.config.training.accumulate,
                         rank=job.world.rank, world=job.world.size, seed=job.config.run.seed, start=(0, 0), workers=0)
    batch = next(iter(stream))
    stream.close()
    model = job.model.to(job.device).eval()
    batch = batch.to(job.device)
    with torch.no_grad():
        views = model.views(batch.waveforms[:2], batch.lengths[:2])
        logits = model.classify(views).logits
    shapes = {'waveforms': tuple(batch.waveforms.shape)}
    shapes |= {f'view {name}': (len(batch.keys), *view.shape[1:]) for name, view in views.items()}
    return shapes | {'logits': (len(batch.keys), *logits.shape[1:])}
