"""The emotion vocabulary: canonical names, aliases, and which label is which class of a run."""

from collections import Counter
from dataclasses import dataclass

from ser.errors import SerError, did_you_mean, nearest

CANONICAL = ('neutral', 'calm', 'happy', 'sad', 'angry', 'fear', 'disgust', 'surprise')

# What recordings are rated by in numbers.
DIMENSIONS = ('arousal', 'valence', 'dominance')

# Spellings that mean the same emotion in published corpora, model cards and CSV files: the canonical ones, then others.
ALIASES = {
    'neutral': ('neutrality', 'neu', 'neutral state'),
    'calm': ('calmness',),
    'happy': ('happiness', 'hap', 'joy', 'joyful'),
    'sad': ('sadness',),
    'angry': ('anger', 'ang'),
    'fear': ('fearful', 'fea', 'afraid', 'scared'),
    'disgust': ('disgusted', 'dis'),
    'surprise': ('surprised', 'sur', 'pleasant surprise', 'pleasant_surprise', 'pleasant surprised',
                 'pleasant_surprised'),
    'excited': ('excitement', 'exc'),
    'frustrated': ('frustration', 'fru'),
    'boredom': ('bored',),
    'contempt': ('contemptuous',),
    'other': ('oth',),
}
_CANONICAL_OF = {alias: name for name, aliases in ALIASES.items() for alias in (name, *aliases)}


def canonical(label):
    """The canonical emotion of a label where an alias is known, else the label lower-cased.

    Raises SerError for an empty label.
    """
    text = str(label).strip().lower()
    if not text:
        raise SerError('empty emotion label; every clip needs one')
    return _CANONICAL_OF.get(text, text)


def misspelt(label):
    """The canonical emotion that `label` looks like a misspelling of, or None."""
    text = canonical(label)
    if text in _CANONICAL_OF:
        return None
    match = nearest(text, _CANONICAL_OF)
    return _CANONICAL_OF[match] if match else None


def ordered(labels):
    """Distinct labels: canonical ones first in their fixed order, then the rest alphabetically."""
    present = set(labels)
    return tuple([name for name in CANONICAL if name in present] + sorted(present - set(CANONICAL)))


@dataclass(frozen=True)
class NamedSet:
    """A label set with a name of its own: classes in index order, and labels counted as one of them."""

    names: tuple[str, ...]
    merge: dict[str, str]


_SIX = ('neutral', 'happy', 'sad', 'angry', 'fear', 'disgust')
# Labels outside a set are dropped and counted. Nothing merges excited into happy: that is data.merge's to say.
NAMED_SETS = {
    'all8': NamedSet(CANONICAL, {}),
    'seven': NamedSet((*_SIX, 'surprise'), {'calm': 'neutral'}),
    'six': NamedSet(_SIX, {'calm': 'neutral'}),
    'four': NamedSet(('neutral', 'happy', 'sad', 'angry'), {}),
    'iemocap4': NamedSet(('neutral', 'happy', 'angry', 'sad'), {}),
}


@dataclass(frozen=True)
class Classes:
    """The classes of a run.

    names: in index order. class_of: every label of the data -> its class, None where it is dropped.
    """

    names: tuple[str, ...]
    class_of: dict[str, str | None]


def choose_classes(emotions, corpora, wanted='auto', merge=None, drop=()):
    """The Classes of a run.

    emotions, corpora: the canonical label ('' for none) and the corpus (or None) of every clip. wanted: 'auto' (every
    label present), a key of NAMED_SETS, 'shared' (labels that every corpus has), a tuple of classes, or a mapping
    label -> class (None drops). merge: label -> label, first of all. drop: labels left out whatever else is said.
    Raises SerError for a class that no clip has, a repeated one, a label that a mapping does not mention, a name in
    merge or drop that is neither known nor present, and for fewer than two classes.
    """
    counts = Counter(label for label in emotions if label)
    merge = {_named(label, counts, 'data.merge'): canonical(name) for label, name in (merge or {}).items()}
    dropped = {_named(label, counts, 'data.drop') for label in drop}
    merged = {label: None if label in dropped else merge.get(label, label) for label in counts}
    present = {name for name in merged.values() if name is not None}
    if isinstance(wanted, dict):
        names, final = _mapped(wanted, merged, counts + Counter(present))
    elif isinstance(wanted, str):
        names, final = _of_set(wanted, present, _labels_by_corpus(emotions, corpora, merged))
    else:
        names, final = _listed(wanted, present), {}
    class_of = {label: final.get(name, name) if name is not None else None for label, name in merged.items()}
    class_of = {label: name if name in names else None for label, name in class_of.items()}
    class_of |= {'': None} if '' in emotions else {}
    names = tuple(name for name in names if name in class_of.values())
    if len(names) < 2:
        had = ', '.join(f'{label} {counts[label]}' for label in ordered(counts)) or 'none'
        what = f'only one class ({names[0]})' if names else 'no class is left'
        bare = emotions.count('')
        numbers = f'. {bare} have no label: numbers are learnt with --set task.kind=dimensions' if bare else ''
        raise SerError(f'{what} among {len(emotions)} clips: at least two are needed to train a classifier. '
                       f'Labels present: {had}{numbers}')
    return Classes(names, class_of)


def _named(label, counts, option):
    """A label of data.merge or data.drop. One that is unknown and that no clip has is a slip of the pen."""
    name = canonical(label)
    if name not in counts and name not in ALIASES:
        raise SerError(f"{option}: no clip is labelled '{name}'. Labels present: {', '.join(ordered(counts))}."
                       f'{did_you_mean(name, counts)}')
    return name


def _labels_by_corpus(emotions, corpora, merged):
    found = {}
    for label, corpus in dict.fromkeys(zip(emotions, corpora, strict=True)):
        if label:
            found.setdefault(corpus, set()).add(merged[label])
    return found


def _of_set(wanted, present, by_corpus):
    """(names, label -> class) of 'auto', 'shared' or a named set."""
    if wanted == 'auto':
        return ordered(present), {}
    if wanted == 'shared':
        if len(by_corpus) < 2:
            raise SerError('data.labels shared: takes the labels that several corpora have in common, and there is '
                           f'only one ({next(iter(by_corpus), None) or "unnamed"}). Name more: --shards one=A two=B')
        names = ordered(set.intersection(*by_corpus.values()) - {None})
        if len(names) < 2:
            each = '; '.join(f'{corpus}: {", ".join(ordered(labels - {None}))}' for corpus, labels in by_corpus.items())
            raise SerError(f'data.labels shared: the corpora have {", ".join(names) or "no label"} in common, at least '
                           f'two classes are needed ({each}). Bring names together with data.merge')
        return names, {}
    chosen = NAMED_SETS[wanted]
    if not present & {*chosen.names, *chosen.merge}:
        raise SerError(f"data.labels {wanted}: none of {', '.join(chosen.names)} is among the labels present: "
                       f"{', '.join(ordered(present)) or 'none'}. Map them: --set 'data.labels={{LABEL: CLASS, ...}}'")
    return chosen.names, chosen.merge


def _listed(wanted, present):
    names = tuple(canonical(name) for name in wanted)
    if len(set(names)) < len(names):
        raise SerError(f"data.labels: a class is named twice in {', '.join(names)}")
    for name in names:
        if name not in present:
            raise SerError(f"data.labels: no clip is labelled '{name}'. Labels present: "
                           f"{', '.join(ordered(present))}.{did_you_mean(name, present)}")
    return names


def _mapped(wanted, merged, counts):
    """(names, label -> class) of a mapping, which must speak of every label."""
    mapping = {_named(label, counts, 'data.labels'): None if name is None else canonical(name)
               for label, name in wanted.items()}
    missing = {name for name in merged.values() if name is not None and name not in mapping}
    if missing:
        turned = ' Was it turned round?' if missing & {name for name in mapping.values() if name} else ''
        raise SerError(f'data.labels: says nothing of {", ".join(ordered(missing))}. It maps labels to classes: map '
                       f'each to one, or to null to drop it.{turned}')
    return ordered({name for name in mapping.values() if name}), mapping
