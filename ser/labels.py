"""The emotion vocabulary: canonical names, aliases, and the label set of a run."""

from collections import Counter

from ser.errors import SerError, did_you_mean, nearest

CANONICAL = ('neutral', 'calm', 'happy', 'sad', 'angry', 'fear', 'disgust', 'surprise')

# Spellings that mean a canonical emotion in published corpora, model cards and CSV files.
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


def label_set(emotions, wanted='auto'):
    """The class names of a run and how many clips of each other label are dropped.

    emotions: one label per clip. wanted: 'auto' for every label present, or a tuple of names.
    Returns (names, dropped): names in index order, dropped a Counter of label -> clips.
    Raises SerError for a wanted class that no clip has, for a repeated one, and for fewer than two classes.
    """
    counts = Counter(emotions)
    if wanted == 'auto':
        names = ordered(counts)
    else:
        names = tuple(canonical(name) for name in wanted)
        if len(set(names)) < len(names):
            raise SerError(f"data.labels: a class is named twice in {', '.join(names)}")
        for name in names:
            if name not in counts:
                raise SerError(f"data.labels: no clip is labelled '{name}'. Labels present: "
                               f"{', '.join(ordered(counts))}.{did_you_mean(name, counts)}")
    if len(names) < 2:
        raise SerError(f"only one class ({', '.join(names) or 'none'}) among {sum(counts.values())} clips: "
                       'at least two are needed to train a classifier')
    return names, Counter({label: n for label, n in counts.items() if label not in names})
