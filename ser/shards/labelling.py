"""An index under the classes of a run: labels merged, dropped and counted."""

import dataclasses
from collections import Counter
from dataclasses import dataclass

from ser.labels import NAMED_SETS, canonical, choose_classes, misspelt
from ser.shards.index import Index


@dataclass(frozen=True)
class Labelled:
    """An Index whose rows say the class of the run.

    index: `emotion` of a row is its class, or '' where its label is dropped. names: classes in index order.
    dropped: label (or another reason) -> clips. class_of: label -> class, None where it is dropped.
    digest: of the Index as it was read.
    """

    index: Index
    names: tuple[str, ...]
    dropped: Counter
    class_of: dict
    digest: str

    def left_out(self):
        """A line per reason that clips have no class: '2 clips labelled calm'."""
        for label, count in sorted(self.dropped.items()):
            clips = f'{count} clip' if count == 1 else f'{count} clips'
            yield f'{clips} {"labelled " if label in self.class_of else ""}{label}'

    def rows(self):
        """Numbers of the rows that have a class."""
        return [number for number, row in enumerate(self.index.rows) if row.emotion]


def label_index(index, data, names=None):
    """The Labelled of an Index by a DataConfig (`labels`, `merge`, `drop`).

    names: the classes of a run that is there already; then labels that it does not know are dropped, whatever
    `labels` says. Raises SerError as labels.choose_classes; with `names` never.
    """
    emotions = [row.emotion for row in index.rows]
    if names is None:
        classes = choose_classes(emotions, [row.corpus for row in index.rows], data.labels, data.merge,
                                 data.drop)
        names, class_of = classes.names, classes.class_of
    else:
        class_of = known_classes(emotions, names, data)
    return Labelled(_noted(_renamed(index, class_of), names), names,
                    Counter(label or 'without a label' for label in emotions if class_of[label] is None), class_of,
                    index.digest)


def known_classes(emotions, names, data):
    """Label -> class of a run's classes `names` by its DataConfig; None for a label that the run does not know.

    The labels are of other data than the run's: what its options say about labels that are not there does not matter.
    """
    merge = {canonical(label): canonical(name) for label, name in data.merge.items()}
    drop = {canonical(label) for label in data.drop}
    final = {}
    if isinstance(data.labels, dict):
        final = {canonical(label): None if name is None else canonical(name) for label, name in data.labels.items()}
    elif data.labels in NAMED_SETS:
        final = NAMED_SETS[data.labels].merge
    found = {}
    for label in set(emotions):
        merged = merge.get(label, label)
        name = None if label in drop else final.get(merged, merged)
        found[label] = name if name in names else None
    return found


def _renamed(index, class_of):
    """The index with each row's class in place of its label; the index itself where that changes nothing."""
    if all(label == name for label, name in class_of.items()):
        return index
    rows = tuple(row if row.emotion == class_of[row.emotion] else
                 dataclasses.replace(row, emotion=class_of[row.emotion] or '') for row in index.rows)
    return dataclasses.replace(index, rows=rows)


def _noted(index, names):
    """The index with a note for each class that looks like a slip of the pen; the index itself where none does."""
    counts = Counter(row.emotion for row in index.rows)
    notes = [f"label '{name}' ({counts[name]} clips) looks like '{misspelt(name)}' misspelt; it is a class of its own "
             f"(--set 'data.merge={{{name}: {misspelt(name)}}}' makes it {misspelt(name)})"
             for name in names if counts[name] and misspelt(name)]
    return dataclasses.replace(index, notes=(*index.notes, *notes)) if notes else index
