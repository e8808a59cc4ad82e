"""A run scored again: from its own files, as folds pooled, or by its model on other shards."""

import functools
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from ser.config.load import load_config
from ser.errors import SerError
from ser.evaluation import dimension_card, dimension_files, dimension_report
from ser.evaluation.calibration_run import calibration_elsewhere
from ser.evaluation.calibration_words import confidence_lines
from ser.evaluation.card import protocol_lines, score_lines
from ser.evaluation.dimension_words import of_dimensions
from ser.evaluation.gates import gate_lines, gates_of
from ser.evaluation.reading import read_json
from ser.evaluation.repeats import pool_seeds
from ser.evaluation.report import evaluate_run, pool_folds, score, write_scores
from ser.evaluation.run_files import Facts, read_history
from ser.evaluation.sides import ensemble_members, fold_runs, seed_runs
from ser.evaluation.summary import PER_CLASS_ALIGN, PER_CLASS_HEADER, per_class_rows
from ser.evaluation.tables import counted, markdown_table
from ser.files import write_json
from ser.labels import ordered
from ser.training.run import open_run

log = logging.getLogger(__name__)
# How other shards are read and scored; everything else is the run's and stays.
SETTABLE = ('data.label', 'data.classes', 'data.workers', 'data.prefetch', 'evaluation.batch_size',
            'evaluation.bootstrap', 'evaluation.confidence', 'evaluation.seed', 'evaluation.details')
KIND = 'other-shards'


def evaluate_folder(path):
    """Scores of a run directory, or of a folder whose fold-* are runs, recomputed from its files and written anew.

    Raises SerError when it is neither, and for files that are missing, broken or at odds with each other.
    """
    path = Path(path)
    if not (path / 'config.yaml').exists() and ensemble_members(path):
        raise SerError(f'{path}: is an ensemble, which is scored when it is made; evaluate its runs together again')
    seeds, folds = seed_runs(path), fold_runs(path)
    if seeds:
        return pool_seeds(seeds, path, open_run((fold_runs(seeds[0]) or seeds)[0])[0].evaluation)
    if folds:
        return pool_folds(folds, path, open_run(folds[0])[0].evaluation)
    return evaluate_run(path, open_run(path)[0].evaluation)


def evaluate_shards(run, patterns, out=None, device='auto', assignments=(), merge=None):
    """(scores, folder) of a run's model on other shards, all their clips being one test part.

    patterns: shards as data.shards. out: where the files go, nothing else's (default: RUN/evaluation-<shards>, with the
    start of their digest where others are called so). assignments: --set
    texts of SETTABLE. merge: label -> class of these shards' labels, beside the run's own data.merge. A clip over
    data.max_seconds is scored by the mean of its windows. Clips of labels that the run does not know are left out and
    counted; clips and speakers that it has heard are noted.
    Raises SerError for a folder that is no run, shards that cannot be read, an `out` with anything else in it, and when
    no clip is left.
    """
    from ser.training.device import choose_device

    run = Path(run)
    if fold_runs(run):
        raise SerError(f'{run}: holds folds, each with a model of its own. --shards goes with one of them, such as '
                       f'{fold_runs(run)[0]}')
    device, reason = choose_device(device)
    asked = ask(run, patterns, assignments, merge)
    config, names, evaluation = asked.config, asked.names, asked.evaluation
    out = _folder(asked, out)
    log.info('device %s: %s', device, reason)
    predictions, gates, facts = answer(asked, device)
    regression = config.task.kind == 'dimensions'
    metrics = (dimension_report.score if regression else score)(predictions, facts, evaluation)
    metrics |= {} if regression else calibration_elsewhere(run, predictions, evaluation)
    # First what says whose folder it is.
    write_json(out / 'data.json', provenance(asked, facts) | {'run': run.resolve().name})
    predictions.write_csv(out / 'predictions.csv')
    if gates is not None:
        gates.write(out, evaluation.details)
        metrics |= gates_of(out)
    write_json(out / 'labels.json', list(names))
    card = _card(metrics, run.resolve().name)
    if regression:
        dimension_report.write_scores(out, metrics, predictions, metrics['protocol'], card)
    else:
        write_scores(out, metrics, names, metrics['protocol'], card)
    return metrics, out


@dataclass(frozen=True)
class Asked:
    """A run and the clips that it is to be scored on: a Labelled of them, the heads, and what holds their targets."""

    run: Path
    config: object
    names: tuple
    data: object
    """The config's section, with these shards."""
    evaluation: object
    labelled: object
    heads: tuple
    columns: dict

    @functools.cached_property
    def rows(self):
        """Numbers of the clips in `labelled.index`."""
        return self.labelled.rows()

    @property
    def clips(self):
        """Rows of the index: the clips."""
        return [self.labelled.index.rows[number] for number in self.rows]

    @functools.cached_property
    def heard(self):
        """The heard.Heard of the run."""
        from ser.inference.heard import heard_by

        corpora = {row.corpus for row in self.clips}
        return heard_by(self.run, self.config, self.labelled.names, {name for name in corpora if isinstance(name, str)})


def ask(run, patterns, assignments=(), merge=None):
    """The Asked of a run and shards, as `evaluate_shards`. Raises SerError where no clip is left."""
    from ser.shards.index import build_index

    config, names = open_run(run)
    data, evaluation = _settings(run, config, patterns, assignments)
    data = data.model_copy(update={'merge': {**data.merge, **(merge or {})}})
    asked = Asked(run, config, names, data, evaluation, *_wanted(run, names, build_index(data), data))
    if not asked.rows:
        raise SerError(f'no clip of these shards has a class of {run}: {", ".join(names)}. '
                       f'Their labels: {", ".join(ordered(asked.labelled.dropped))}')
    return asked


def answer(asked, device):
    """(predictions of the main head, Gates or None, Facts) of what an Asked run says of its clips."""
    predictions, gates, windowed = _predict(asked, device)
    return predictions, gates, _facts(asked, _notes(asked.labelled, windowed, asked.data))


def _wanted(run, names, index, data):
    """(Labelled, heads, columns) of the clips that a run can be scored on: of its classes, or with its dimensions."""
    from ser.shards.labelling import label_index
    from ser.shards.targets import dimension_column, stratified
    from ser.training.task import main_head

    heads = (main_head(names, dimension_files.read_task(run)),)
    if heads[0].scale is None:
        return label_index(index, data, names), heads, {}
    column = dimension_column(index, names)
    return stratified(index, column), heads, {'dimensions': column}


def _settings(run, config, patterns, assignments):
    """The data and evaluation sections to use. Raises SerError for a --set of anything else."""
    changed = load_config((str(run / 'config.yaml'),), assignments)
    old, new = config.model_dump(), changed.model_dump()
    for section, values in new.items():
        for key in values:
            dotted = f'{section}.{key}'
            if values[key] != old[section].get(key) and dotted not in SETTABLE:
                raise SerError(f'--set {dotted}: belongs to the run and cannot change here. What can: '
                               f'{", ".join(SETTABLE)}')
    shards = {'shards': tuple(patterns), 'valid_shards': (), 'test_shards': (), 'long': 'window'}
    return changed.data.model_copy(update=shards), changed.evaluation


def _folder(asked, out):
    """Where the files go. Raises SerError for a file, a run, and a folder of anything but scores of these clips."""
    digest, name = asked.labelled.digest, None if out is None else asked.run.resolve().name
    if out is None:
        out = asked.run / f'evaluation-{shards_name(asked.labelled.index.shards)}'
        # Sets of one corpus are often called alike.
        out = out if _is_free(out, digest, name) else out.with_name(f'{out.name}-{digest[:8]}')
    out = Path(out)
    if (out / 'config.yaml').exists():
        raise SerError(f'--out {out}: is a run directory; its own scores would be lost. Name another folder')
    if out.exists() and not out.is_dir():
        raise SerError(f'--out {out}: is a file. Name a folder')
    if not _is_free(out, digest, name):
        raise SerError(f'--out {out}: holds something else, which would be lost. Name another folder, or empty it')
    return out


def _is_free(folder, digest, name):
    """Whether there is nothing, or scores of the same clips by the run of that name (None: by any)."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return True
    try:
        facts = read_json(folder / 'data.json', dict)
    except SerError:
        return False
    return facts.get('digest') == digest and name in (None, facts.get('run'))


def shards_name(shards):
    """A short name for shards (index.Shard): what their file names share before the number, such as 'emodb'."""
    stems = dict.fromkeys(re.sub(r'[-_.]?\d+$', '', Path(shard.name).stem) or Path(shard.path).resolve().parent.name
                          for shard in shards)
    name = re.sub(r'[^A-Za-z0-9_+.-]', '_', '+'.join(stems))
    return name if len(name) <= 60 else f'{name[:50]}-and-more'


class _Counting:
    """A stream that remembers how many long clips were cut into windows."""

    def __init__(self, stream):
        self.stream, self.windowed = stream, 0

    def __iter__(self):
        for batch in self.stream:
            self.windowed += batch.counters.get('windowed', 0)
            yield batch


def _predict(asked, device):
    """(predictions of the main head, Gates or None, clips cut into windows) of the run's model for its clips."""
    from ser.shards.plan import EvaluationPlan
    from ser.shards.stream import EvaluationStream, resolve_workers
    from ser.training.device import network_dtype
    from ser.training.distributed import World
    from ser.training.finish import predict_part
    from ser.training.rebuild import load_run

    config, _, model = load_run(asked.run)
    index, rows, heads = asked.labelled.index, asked.rows, asked.heads
    plan = EvaluationPlan(rows, asked.evaluation.batch_size)
    workers = resolve_workers(asked.data.workers, plan.steps, on_cpu=device.type == 'cpu')
    with EvaluationStream(index, plan, asked.data, asked.labelled.names, workers=workers,
                          columns=asked.columns) as stream:
        # Before the model goes to the device: workers fork.
        stream.start()
        counting = _Counting(stream)
        predictions, gates = predict_part(model.to(device), index, rows, heads, counting, World(), device,
                                          network_dtype(config.training.precision, device))
    return predictions[heads[0].target], gates, counting.windowed


def _notes(labelled, windowed, data):
    notes = [f'{line} left out: no class of this run' if labelled.class_of else f'{line} left out'
             for line in labelled.left_out()]
    if windowed:
        notes.append(f'{counted(windowed, "clip")} over {data.max_seconds:g} s scored by the mean of windows')
    return [*notes, *labelled.index.notes]


def _facts(asked, notes):
    from ser.inference.heard import overlap_notes, speakers_disjoint

    clips, tars = asked.clips, [shard.name for shard in asked.labelled.index.shards]
    listed = ', '.join(tars) if len(tars) <= 4 else f'{tars[0]} ... {tars[-1]}, {len(tars)} files'
    return Facts(protocol=f'other shards: {listed}', protocol_kind=KIND,
                 speaker_disjoint=speakers_disjoint(clips, asked.heard),
                 notes=(*overlap_notes(clips, asked.heard), *notes),
                 synthetic=any(row.corpus == 'demo' for row in clips), best_epoch=read_history(asked.run).best_epoch)


def provenance(asked, facts):
    """What data.json says of scores on other shards."""
    index = asked.labelled.index
    return {'digest': asked.labelled.digest,
            'shards': [{'name': shard.name, 'sha256': shard.sha256} for shard in index.shards],
            'clips': len(asked.rows), 'dropped': dict(asked.labelled.dropped), 'ignored_members': dict(index.ignored),
            'protocol_kind': facts.protocol_kind, 'protocol': facts.protocol,
            'speaker_disjoint': facts.speaker_disjoint, 'notes': list(facts.notes), 'synthetic': facts.synthetic}


def _card(metrics, run_name):
    if of_dimensions(metrics):
        scores = [*dimension_card.score_lines(metrics), '', '![Labels and predictions](scatter.png)']
    else:
        table = markdown_table(PER_CLASS_HEADER, per_class_rows(metrics), PER_CLASS_ALIGN)
        scores = [*score_lines(metrics), '', *table, '', '![Confusion matrix](confusion_matrix.png)']
    lines = [f'# {run_name} on other shards', '', '## Score', '', *scores, '', *gate_lines(metrics),
             *confidence_lines(metrics), '## Protocol', '', *protocol_lines(metrics)]
    return '\n'.join(lines) + '\n'
