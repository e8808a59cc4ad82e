"""What a run directory says besides its predictions: classes, parts, protocol, epochs."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from ser.errors import SerError
from ser.evaluation.reading import read_json, read_table, run_remedy
from ser.evaluation.tables import counted
from ser.shards.index import PARTS

# What validation scored: classes, or dimensions (a run that has task.json).
CLASS_SCORE, DIMENSION_SCORE = 'valid_ua', 'valid_ccc'


@dataclass(frozen=True)
class Facts:
    """What a score depends on and predictions.csv does not say."""

    protocol: str
    """The split in words, with the fold."""
    protocol_kind: str
    """The kind in the config, such as 'speaker'."""
    speaker_disjoint: bool | None
    """Whether no test speaker is in training; None where speakers are unknown."""
    notes: tuple = ()
    """Remarks of the split."""
    synthetic: bool = False
    """Whether the audio is synthesised."""
    best_epoch: int | None = None
    """The epoch whose weights were kept."""


@dataclass(frozen=True)
class Member:
    """One row of split.csv; part is 'train', 'valid', 'test' or '' for a clip in no part."""

    key: str
    speaker: str | None
    label: str
    part: str


@dataclass(frozen=True)
class History:
    """metrics.csv: `columns` (CLASS_SCORE or DIMENSION_SCORE is one) maps a name to float64 (E,), NaN: empty."""

    columns: dict
    best_epoch: int
    """The last epoch marked best."""


def read_names(run):
    """Class names of a run in index order, from labels.json (a list of at least two different names)."""
    path = Path(run) / 'labels.json'
    names = read_json(path, list)
    if len(names) < 2 or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise SerError(f'{path}: holds {names}; a list of at least two different class names is wanted. '
                       f'{run_remedy(path)}')
    return tuple(names)


def read_facts(run, best_epoch=None):
    """The Facts of a run's data.json. Raises SerError for a missing key and for one of the wrong type."""
    path = Path(run) / 'data.json'
    data = read_json(path, dict)
    kinds = {'protocol': str, 'protocol_kind': str, 'speaker_disjoint': (bool, type(None)), 'notes': list,
             'synthetic': bool}
    for key, kind in kinds.items():
        if key not in data:
            raise SerError(f"{path}: no key '{key}'; wanted: {', '.join(kinds)}. {run_remedy(path)}")
        if not isinstance(data[key], kind):
            wanted = 'true, false or null' if isinstance(kind, tuple) else kind.__name__
            raise SerError(f"{path}: '{key}' is {data[key]!r}; {wanted} is wanted. {run_remedy(path)}")
    return Facts(data['protocol'], data['protocol_kind'], data['speaker_disjoint'],
                 tuple(str(note) for note in data['notes']), data['synthetic'], best_epoch)


def read_split(run, names):
    """The Members of a run's split.csv. Raises SerError for an unknown part or class, and for a repeated key."""
    path = Path(run) / 'split.csv'
    members, line_of = [], {}
    for line, row in read_table(path, ('key', 'speaker', 'label', 'part')):
        if row['key'] in line_of:
            raise SerError(f"{path}:{line}: clip {row['key']} is in line {line_of[row['key']]} already. "
                           f'{run_remedy(path)}')
        line_of[row['key']] = line
        part, label = row['part'], row['label']
        if part not in (*PARTS, ''):
            raise SerError(f"{path}:{line}: part '{part}'; allowed: {', '.join(PARTS)}, or empty. {run_remedy(path)}")
        if part and label not in names:
            raise SerError(f"{path}:{line}: label '{label}'; allowed: {', '.join(names)}. {run_remedy(path)}")
        members.append(Member(row['key'], row['speaker'] or None, label, part))
    return members


def read_history(run):
    """The History of a run's metrics.csv. Raises SerError for a cell that is no number and when no epoch is best."""
    path = Path(run) / 'metrics.csv'
    score = DIMENSION_SCORE if (Path(run) / 'task.json').exists() else CLASS_SCORE
    wanted = ('epoch', 'train_loss', 'valid_loss', score, 'lr', 'best')
    rows = read_table(path, wanted)
    columns = {name: np.array([_number(path, line, name, row[name]) for line, row in rows]) for name in wanted}
    best = columns['epoch'][columns['best'] == 1]
    if not len(best) or math.isnan(best[-1]):
        raise SerError(f'{path}: no epoch is marked best (column best = 1). {run_remedy(path)}')
    return History(columns, int(best[-1]))


def _number(path, line, name, cell):
    if not cell.strip():
        return math.nan
    try:
        return float(cell)
    except ValueError:
        raise SerError(f"{path}:{line}: {name} is '{cell}', a number is wanted. {run_remedy(path)}") from None


def read_config(run):
    """The run's resolved config.yaml as nested dicts."""
    path = Path(run) / 'config.yaml'
    try:
        config = yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        raise SerError(f'{path}: no such file; is this a run directory? {run_remedy(path)}') from None
    except OSError as error:
        raise SerError(f'{path}: cannot be read ({error.strerror}). {run_remedy(path)}') from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SerError(f"{path}: not YAML ({' '.join(str(error).split())}). {run_remedy(path)}") from None
    if not isinstance(config, dict) or not isinstance(config.get('model'), dict):
        raise SerError(f"{path}: no section 'model'. {run_remedy(path)}")
    return config


def check_test_part(path, predictions, members, facts):
    """`check_clips` of Predictions, and that their labels are those of split.csv. Raises SerError naming `path`."""
    check_clips(path, predictions, members, facts)
    label_of = {member.key: member.label for member in members}
    for key, label in zip(predictions.keys, predictions.labels, strict=True):
        if label != label_of[key]:
            raise SerError(f'{path}: clip {key} is {label}, split.csv says {label_of[key]}. {run_remedy(path)}')


def check_clips(path, predictions, members, facts):
    """Check that predictions (keys, speakers) cover the test part of split.csv exactly once, with its speakers.

    Also that no test speaker is in training when the facts promise it. Raises SerError naming `path`.
    """
    test = {member.key: member for member in members if member.part == 'test'}
    keys = set(predictions.keys)
    for fault, wrong in (('missing', set(test) - keys), ('too many', keys - set(test))):
        if wrong:
            raise SerError(f'{path}: {counted(len(wrong), "clip")} {fault}, for one {min(wrong)}; split.csv has '
                           f'{len(test)} in the test part. {run_remedy(path)}')
    for key, speaker in zip(predictions.keys, predictions.speakers, strict=True):
        if speaker != test[key].speaker:
            raise SerError(f'{path}: clip {key} is by {speaker or "unknown"}, split.csv says '
                           f'{test[key].speaker or "unknown"}. {run_remedy(path)}')
    heard = {member.speaker for member in members if member.part in ('train', 'valid')} - {None}
    shared = sorted(heard & {member.speaker for member in test.values()})
    if shared and facts.speaker_disjoint:
        raise SerError(f'{Path(path).parent / "data.json"}: speaker_disjoint is true, but in split.csv test speaker '
                       f'{shared[0]} is in training or validation too. Start a new run')
