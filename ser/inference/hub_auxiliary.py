"""What a hub is told of auxiliary heads: their classes may be people, whose names go along only when that is wanted."""

from pathlib import Path

from ser.evaluation.reading import read_table
from ser.evaluation.run_files import read_config
from ser.training.run import auxiliary_of

_SHOWN = 6


def sent_classes(run, with_speakers):
    """Target -> classes of each auxiliary head of a run as they are sent: numbers where they name speakers.

    They do where the JSON key is 'speaker' or a class is called like a speaker of split.csv. with_speakers: the names
    go along all the same.
    """
    people = {} if with_speakers else _people(run)
    return {target: tuple(str(number) for number in range(1, len(names) + 1)) if target in people else names
            for target, names in auxiliary_of(run).items()}


def with_sent_classes(metrics, run, with_speakers):
    """A test_metrics.json dict whose auxiliary scores call the classes as `sent_classes` does."""
    scored = dict(metrics.get('auxiliary') or {})
    known, sent = auxiliary_of(run), sent_classes(run, with_speakers)
    for target, found in scored.items():
        if found is not None and target in sent:
            called = dict(zip(known[target], sent[target], strict=True))
            scored[target] = found | {'per_class': {called.get(name, name): values
                                                    for name, values in found['per_class'].items()}}
    return metrics | ({'auxiliary': scored} if scored else {})


def class_notes(run, with_speakers):
    """A line for each auxiliary head of a run: what its classes give away."""
    people = _people(run)
    for target, names in auxiliary_of(run).items():
        if target not in people:
            more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
            yield f"auxiliary {target}: its classes are told: {', '.join(names[:_SHOWN])}{more}"
        elif with_speakers:
            yield f'auxiliary {target}: its {len(names)} classes name speakers and are told, as --with-predictions says'
        else:
            yield (f'auxiliary {target}: its {len(names)} classes name speakers and are sent as numbers '
                   '(--with-predictions tells their names)')


def _people(run):
    """Targets whose classes name speakers."""
    split = Path(run) / 'split.csv'
    speakers = {row['speaker'].strip().lower() for _, row in read_table(split, ('speaker',))} - {''} \
        if split.is_file() else set()
    keys = (read_config(run).get('task') or {}).get('auxiliary') or {}
    return {target for target, names in auxiliary_of(run).items()
            if 'speaker' in (target, (keys.get(target) or {}).get('key')) or speakers & set(names)}
