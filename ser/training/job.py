"""A config made ready to train: shards indexed, parts drawn, model built, first batch seen; nothing written yet."""

import functools
import logging
from collections import Counter
from dataclasses import dataclass

import torch

from ser.config.load import to_yaml
from ser.config.schema import Config
from ser.evaluation.tables import counted
from ser.features.augment_background import check_recordings
from ser.models import build_model, check_fit, check_weights, settled
from ser.models.contract import SpeechModel
from ser.randomness import key_of
from ser.shards.audit import SPEAKER_KINDS, Audit, audit_for_run
from ser.shards.balance import balance_groups
from ser.shards.index import PARTS, Index, build_index, named_shards
from ser.shards.plan import EvaluationPlan, TrainPlan
from ser.shards.protocols import Split, make_split, write_split_csv
from ser.shards.stream import EvaluationStream, TrainStream, resolve_workers
from ser.training.device import network_dtype
from ser.training.distributed import World, check_batch, check_sync
from ser.training.fit_once import fits_at_once
from ser.training.task import Task, labelled_for, make_task

log = logging.getLogger(__name__)
MOST_EXAMPLES = 3
# A corpus that holds every clip twice would make data.json larger than split.csv.
MOST_KEPT = 100


@dataclass
class Job:
    """Everything the loop needs, from one config on one rank."""

    config: Config
    world: World
    device: torch.device
    dtype: torch.dtype | None
    index: Index
    """Its rows are labelled with the run's classes, '' where their label is dropped."""
    task: Task
    split: Split
    plan: TrainPlan
    model: SpeechModel
    dropped: Counter
    """Clips left out by data.labels, per label."""
    digest: str
    """Of the index as it was read."""
    audit: Audit | None
    """Of the split, on the first rank."""

    @property
    def names(self):
        """Classes in index order, or dimensions."""
        return self.task.names

    @functools.cached_property
    def valid_stream(self):
        """The validation part, iterated once an epoch by readers that stay."""
        return self.evaluation_stream('valid')

    def write_split(self, path):
        """Write split.csv."""
        write_split_csv(path, self.index, self.split)

    @property
    def identity(self):
        """What a checkpoint must share with the run that resumes from it."""
        return {'index digest': self.digest, 'split': self.split.digest, 'label set': list(self.names),
                'batch size': self.config.training.batch_size}

    @property
    def class_counts(self):
        """Training clips of an epoch per label, a list in index order; with data.balance what it draws on average."""
        counts = Counter()
        for row, times in zip(self.plan.rows, self.plan.expected(), strict=True):
            counts[self.index.rows[row].emotion] += times
        return [counts[name] for name in self.task.labels]

    def train_stream(self, start, workers=None):
        """This rank's micro-batches from (epoch, step) to the end of the last epoch; workers: readers, if not auto."""
        training = self.config.training
        if workers is None:
            workers = self._workers(self.plan.steps_per_epoch * training.accumulate)
        return TrainStream(self.index, self.plan, self.config.data, self.task.labels, accumulate=training.accumulate,
                           rank=self.world.rank, world=self.world.size, seed=self.config.run.seed, start=start,
                           columns=self.task.columns, workers=workers)

    def evaluation_stream(self, part):
        """This rank's share of a part, each clip once."""
        plan = EvaluationPlan(self.split.parts[part], self.config.evaluation.batch_size)
        return EvaluationStream(self.index, plan, self.config.data, self.task.labels, rank=self.world.rank,
                                world=self.world.size, columns=self.task.columns, workers=self._workers(plan.steps))

    def _workers(self, steps):
        return resolve_workers(self.config.data.workers, steps, on_cpu=self.device.type == 'cpu')

    def facts(self):
        """What data.json says: the data, the parts, the protocol."""
        rows = self.index.rows
        parts = {}
        for part in PARTS:
            members = [rows[i] for i in self.split.parts[part]]
            counts = Counter(row.emotion for row in members)
            parts[part] = {'clips': len(members), 'classes': {name: counts[name] for name in self.task.labels},
                           'speakers': sorted({self.index.speaker_name(row) for row in members} - {None})}
        return {'digest': self.digest, 'split': self.split.digest, 'classes': list(self.names),
                'shards': [{'name': shard.name, 'sha256': shard.sha256} for shard in self.index.shards],
                'clips': len(rows), 'dropped': dict(self.dropped), 'ignored_members': dict(self.index.ignored),
                'protocol_kind': self.split.protocol, 'protocol': self.protocol_line(),
                'protocol_version': self.split.version, 'protocol_seed': self.split.seed,
                'balance': self.config.data.balance,
                # A score that owes something to a leak is not one of unseen speakers, whatever the split says of them.
                'speaker_disjoint': False if self.audit.leak else self.split.speaker_disjoint,
                'fold': self.split.fold, 'folds': self.split.folds, 'notes': self.notes(), 'parts': parts,
                'audit': self.audit.to_json(MOST_KEPT),
                'synthetic': any(row.metadata.get('corpus') == 'demo' for row in rows)}

    def protocol_line(self):
        """The split in words, with what names it: the protocol's version and seed, and the sha256 of its parts."""
        seed = '' if self.split.seed is None else f', seed {self.split.seed}'
        return f'{self.split.description}; version {self.split.version}{seed}, sha256 {self.split.digest[:12]}'

    def notes(self):
        """What a reader of the score must know of the split: its own notes, then leaks that the audit found."""
        kept = [note for note in self.split.notes if not note.startswith('leak:')]
        return kept + [f'leak: {finding.text}' for finding in self.audit.strict_failures
                       if finding.kind not in SPEAKER_KINDS]

    def audit_lines(self):
        """The audit in a few lines: its verdict, and everything above a note."""
        yield self.audit.verdict
        for severity in ('leak', 'warning'):
            for finding in self.audit.of_severity(severity):
                yield f'{severity}: {finding.text}'
                yield from (f'  {example}' for example in finding.examples[:MOST_EXAMPLES])

    def epoch_line(self):
        """How many steps the epochs have, and how many clips each leaves over."""
        batch, clips = self.config.training.batch_size, len(self.plan.rows)
        left = clips - self.plan.steps_per_epoch * batch
        spare = f'; the {left} left over are others each epoch' if left else ''
        return f"{self.config.training.epochs} of {counted(self.plan.steps_per_epoch, 'step')} of {batch} clips{spare}"

    def plan_lines(self, shapes):
        """What a dry run says: config, data, parts, parameters, steps, shapes (of `probe`)."""
        facts = self.facts()
        yield to_yaml(self.config)
        yield (f"shards: {counted(len(facts['shards']), 'file')}, {counted(facts['clips'], 'clip')}, "
               f"digest {facts['digest'][:16]}")
        yield f"protocol: {facts['protocol']}"
        yield from (f'note: {note}' for note in facts['notes'])
        yield from (f'audit: {line}' for line in self.audit_lines())
        for part, members in facts['parts'].items():
            counts = ', '.join(f'{name} {count}' for name, count in members['classes'].items())
            yield f"{part}: {counted(members['clips'], 'clip')}, {who(members)} ({counts})"
        for name, parameters in self.model.parts().items():
            yield f'parameters of {name}: {sum(p.numel() for p in parameters):,}'
        if not fits_at_once(self.model):
            yield f'epochs: {self.epoch_line()}'
        yield from (f"{name}: {' x '.join(map(str, shape))}" for name, shape in shapes.items())


def who(members):
    """'4 speakers' of a part of `Job.facts`."""
    return counted(len(members['speakers']), 'speaker') if members['speakers'] else 'speakers unknown'


def prepare(config, world, device):
    """A Job. Raises SerError for anything that would stop the run later; writes nothing.

    The order is deliberate: what is cheap to refuse comes first, pretrained weights before any audio.
    """
    training = config.training
    dtype = network_dtype(training.precision, device)
    check_batch(training.batch_size, world.size, training.accumulate)
    check_sync(training.sync_batchnorm, world, device)
    named_shards(config.data)
    check_weights(config.model)
    check_recordings(config.augment.waveform, config.features.sample_rate)
    config = settled(config)
    check_fit(config)
    labelled = labelled_for(build_index(config.data), config)
    index = labelled.index
    for line in labelled.left_out():
        log.warning('left out: %s', line)
    split = make_split(index, config.protocol, labelled.names)
    task = make_task(labelled, config, split.parts['train'])
    torch.manual_seed(key_of(config.run.seed, 'weights'))
    model = build_model(config, task.names, auxiliary=task.auxiliary)
    batch_size = training.batch_size
    if fits_at_once(model):
        # It has no batches: one of fewer clips is all that is looked at beforehand.
        batch_size = max(1, min(batch_size, len(split.parts['train'])))
    plan = TrainPlan(split.parts['train'], [row.shard for row in index.rows], config.data.shuffle_window_shards,
                     config.run.seed, batch_size, training.epochs,
                     groups=balance_groups(index, split.parts['train'], config.data))
    audit = audit_for_run(index, split, labelled.names, config.data) if world.is_main else None
    world.agree({'the samples and their labels (digest)': labelled.digest, 'the split (digest)': split.digest,
                 'the steps of an epoch': plan.steps_per_epoch, 'training.batch_size': training.batch_size})
    return Job(config, world, device, dtype, index, task, split, plan, model, labelled.dropped, labelled.digest, audit)


def probe(job):
    """One batch through the views and the network: shapes per view and of the logits.

    Reads every validation and test clip once as well: one that cannot be decoded is found now, not after the last
    epoch. Raises SerError where audio, features and backbones do not fit together, and for a training clip that is too
    long for a model that is fitted at once, which crops none.
    """
    for part in ('valid', 'test'):
        with job.evaluation_stream(part) as stream:
            for _ in stream:
                pass
    if fits_at_once(job.model):
        job.evaluation_stream('train').close()
    with job.train_stream((0, 0), workers=0) as stream:
        batch = next(iter(stream)).to(job.device)
    model = job.model.to(job.device).eval()
    with torch.no_grad():
        views = model.views(batch.waveforms[:2], batch.lengths[:2])
        logits = model.classify(views).logits
    shapes = {'waveforms': tuple(batch.waveforms.shape)}
    shapes |= {f'view {name}': (len(batch.keys), *view.shape[1:]) for name, view in views.items()}
    return shapes | {'logits': (len(batch.keys), *logits.shape[1:])}
