"""What a matrix trains and tests: named sets of shards, their common classes, rows and columns."""

import itertools
from dataclasses import dataclass, replace

from ser.errors import SerError
from ser.files import natural
from ser.labels import ALIASES, choose_classes
from ser.shards.index import Index, build_index
from ser.shards.paths import set_of

PROTOCOLS = ('cross', 'leave-one-corpus-out')
BETWEEN = '--'
_LONGEST_FOLDER = 200
_FORM = 'Name each corpus: --shards ravdess=data/ravdess emodb=data/emodb'


@dataclass(frozen=True)
class ShardSet:
    """A corpus of the matrix."""

    name: str
    entries: tuple[str, ...]
    """What data.shards takes for it."""
    index: Index

    @property
    def keys(self):
        """Keys of its clips."""
        return frozenset(row.key for row in self.index.rows)


@dataclass(frozen=True)
class MatrixRow:
    """One training: a name fit for a folder, and the names of the sets it is trained on."""

    name: str
    train: tuple[str, ...]


@dataclass(frozen=True)
class MatrixPlan:
    """Everything a matrix is made of. sets: by name, in natural order. names: the classes of every cell."""

    protocol: str
    sets: dict[str, ShardSet]
    rows: tuple[MatrixRow, ...]
    names: tuple[str, ...]
    class_of: dict
    """Label -> class over all sets, None where it is dropped."""

    @property
    def merge(self):
        """Label -> class of the labels of any set that are another class."""
        return {label: name for label, name in self.class_of.items() if name not in (None, label)}

    def row_data(self, row, data):
        """The data section of a row's training."""
        sets = [self.sets[name] for name in row.train]
        labels = {line.emotion for one in sets for line in one.index.rows} | set(ALIASES)
        # Labels that neither the vocabulary nor these sets know are refused there.
        merge = {label: name for label, name in self.merge.items() if label in labels}
        drop = tuple(label for label, name in self.class_of.items() if name is None and label in self.names)
        entries = tuple(entry for one in sets for entry in one.entries)
        return data.model_copy(update={'shards': entries, 'labels': self.names, 'merge': merge, 'drop': drop})


def make_plan(texts, data, protocol='cross', combinations=None):
    """The MatrixPlan of `name=PATH` texts under a config's data section.

    protocol: of PROTOCOLS. combinations: how many sets each row is trained on, with 'cross' (default 1).
    Raises SerError for fewer than two sets, one without a name, a protocol or number that is not allowed, shards that
    cannot be read, and sets that do not share two classes.
    """
    if protocol not in PROTOCOLS:
        raise SerError(f"--protocol '{protocol}': allowed are {' and '.join(PROTOCOLS)}")
    if combinations is not None and protocol != 'cross':
        raise SerError(f'--combinations goes with --protocol cross: {protocol} trains on all sets but one')
    patterns = parse_sets(texts)
    size = len(patterns) - 1 if protocol != 'cross' else 1 if combinations is None else combinations
    rows = matrix_rows(tuple(patterns), protocol, size)
    sets = _indexed(patterns, data)
    names, class_of = common_classes(sets.values(), data)
    return MatrixPlan(protocol, sets, rows, names, class_of)


def _indexed(patterns, data):
    """The ShardSets of {name: patterns}, each indexed by itself."""
    sets = [ShardSet(name, given, build_index(data.model_copy(update={'shards': given})))
            for name, given in patterns.items()]
    if not all(row.origin for one in sets for row in one.index.rows):
        # Somebody's clips do not say their corpus: the names of the sets must tell their speakers apart.
        named = {one.name: tuple(f'{one.name}={pattern}' for pattern in one.entries) for one in sets}
        sets = [replace(one, entries=named[one.name],
                        index=build_index(data.model_copy(update={'shards': named[one.name]}))) for one in sets]
    return {one.name: one for one in sets}


def parse_sets(texts):
    """{name: patterns} of `name=PATH` texts, in natural order of the names; a name may come several times."""
    found = {}
    for text in texts:
        name, pattern = set_of(text)
        if name is None:
            raise SerError(f"--shards '{text}': has no name. {_FORM}")
        if '+' in name or BETWEEN in name:
            raise SerError(f"--shards '{text}': a name has no '+' and no '{BETWEEN}', which join names here")
        # A path with a '=' of its own must not be taken for another set.
        found.setdefault(name, []).append(pattern if set_of(pattern)[0] is None else f'./{pattern}')
    if len(found) < 2:
        raise SerError(f"a matrix needs at least two sets of shards, {', '.join(found) or 'none'} given. {_FORM}")
    return {name: tuple(found[name]) for name in sorted(found, key=natural)}


def matrix_rows(names, protocol, size):
    """The MatrixRows of sets: every combination of `size` of them. Raises SerError for a size out of range."""
    if not 1 <= size <= len(names):
        raise SerError(f'--combinations {size}: a row is trained on 1 to {len(names)} of the {len(names)} sets')
    chosen = list(itertools.combinations(names, size))
    if protocol == 'leave-one-corpus-out':
        left = {train: next(name for name in names if name not in train) for train in chosen}
        rows = [MatrixRow(f'without-{left[train]}', train) for train in sorted(chosen, key=lambda t: natural(left[t]))]
    else:
        rows = [MatrixRow('+'.join(train), train) for train in chosen]
    longest = max(len(f'{row.name}{BETWEEN}{name}') for row in rows for name in names)
    if longest > _LONGEST_FOLDER:
        raise SerError(f'--shards: the names of {size} sets are together {longest} characters, too long for a folder '
                       f'(at most {_LONGEST_FOLDER}). Take shorter names')
    return tuple(rows)


def common_classes(sets, data):
    """(classes, label -> class) for all sets: the labels that every set has, or what data.labels says.

    Raises SerError where fewer than two are shared, and for a class of data.labels that some set lacks.
    """
    clips = [(row.emotion, one.name) for one in sets for row in one.index.rows]
    wanted = 'shared' if data.labels == 'auto' else data.labels
    classes = choose_classes([label for label, _ in clips], [name for _, name in clips], wanted, data.merge, data.drop)
    for one in sets:
        present = {classes.class_of[row.emotion] for row in one.index.rows}
        lacking = [name for name in classes.names if name not in present]
        if lacking:
            raise SerError(f"data.labels: set '{one.name}' has no clip of class {', '.join(lacking)}, and every cell "
                           'has the same classes. Leave data.labels out to take those that all sets share')
    return classes.names, classes.class_of
