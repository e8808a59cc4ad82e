"""What IEMOCAP's names and evaluation files say.

A turn is called `Ses01F_impro01_M003`: session 1, its woman wears the markers, improvisation 1, the man speaks. The
letter before the first `_` is the one with markers, never the speaker.

An evaluation file holds, for every turn, a line `[start - end] TURN CODE [valence, activation, dominance]` and below
it what each rater said: `C-E2: Neutral; Anger; ()` are categories by a listener, `C-F1` by the speaker in person, `A-`
lines the attributes.
"""

import re
from dataclasses import dataclass

from ser.errors import SerError
from ser.labels import canonical

EMOTIONS = {'neu': 'neutral', 'hap': 'happy', 'sad': 'sad', 'ang': 'angry', 'exc': 'excited', 'fru': 'frustrated',
            'sur': 'surprise', 'fea': 'fear', 'dis': 'disgust', 'oth': 'other'}
"""excited is a class of its own: nothing here makes happy of it."""
UNDECIDED = 'xxx'
"""The code of a turn whose raters do not agree."""
GENDERS = {'F': 'female', 'M': 'male'}

_TURN = re.compile(r'Ses0([1-5])[FM]_((impro|script)\w+)_([FM])\w+', re.IGNORECASE)
_LABEL = re.compile(r'\[\s*[\d.]+\s*-\s*[\d.]+\s*\]\s+(\S+)\s+(\S+)(?:\s+\[([^\]]*)\])?')
_RATER = re.compile(r'C-E\w*:\s*([^()]*)')


@dataclass(frozen=True)
class Turn:
    """What the name of a turn says."""

    dialog: str
    """As `Ses01F_impro01`."""
    session: str
    style: str
    """'improvised' or 'scripted'."""
    text_id: str
    """The script (`script01_1`) or the improvised scene (`impro05`); parts a and b of one are one."""
    gender: str

    @property
    def speaker(self):
        """Session and sex of who speaks, as `1M`: a session has one woman and one man."""
        return f'{self.session}{self.gender[0].upper()}'


@dataclass(frozen=True)
class Evaluation:
    """How one turn was judged."""

    code: str
    """A key of EMOTIONS, or UNDECIDED."""
    valence: float | None
    arousal: float | None
    dominance: float | None
    """Means of the raters, from 1 to 5."""
    votes: dict[str, int]
    """Canonical emotion -> listeners that named it; one who named two counts for both. Speakers' own are left out."""


def read_turn(name):
    """The Turn of a turn's name, or None where it is not one."""
    match = _TURN.fullmatch(name)
    if not match:
        return None
    session, scene, style, sex = match.groups()
    return Turn(name.rpartition('_')[0], session, 'improvised' if style.lower() == 'impro' else 'scripted',
                re.sub(r'(?<=\d)[a-z]$', '', scene.lower()), GENDERS[sex.upper()])


def read_evaluations(text, dialog, where):
    """Turn name -> Evaluation of an evaluation file.

    text: the file's content. dialog: its name without suffix, with which every turn in it must begin.
    Raises SerError for a label line that cannot be read, an unknown code, a turn of another dialog, and two labels.
    """
    found, votes = {}, {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith('['):
            name, evaluation = _label_line(line.strip(), dialog, f'{where} line {number}')
            if found.get(name, evaluation).code != evaluation.code:
                raise SerError(f"{where} line {number}: turn '{name}' has a second label '{evaluation.code}' beside "
                               f"'{found[name].code}': keep the one that is right")
            votes = found.setdefault(name, evaluation).votes
        elif rater := _RATER.match(line):
            for word in filter(None, map(str.strip, rater.group(1).split(';'))):
                votes[canonical(word)] = votes.get(canonical(word), 0) + 1
    return found


def _label_line(line, dialog, where):
    match = _LABEL.fullmatch(line)
    if not match:
        raise SerError(f"{where}: '{line}' is not a label line, [start - end] TURN CODE [V, A, D]")
    name, code, attributes = match.groups()
    turn, code = read_turn(name), code.lower()
    if not turn or turn.dialog.lower() != dialog.lower():
        raise SerError(f"{where}: turn '{name}' does not belong to dialog '{dialog}'. The labels of another dialog, or "
                       'a renamed file: put it right')
    if code not in (*EMOTIONS, UNDECIDED):
        raise SerError(f"{where}: unknown emotion code '{code}'. IEMOCAP has {', '.join(EMOTIONS)}, {UNDECIDED}")
    return name, Evaluation(code, *_numbers(attributes, where), {})


def _numbers(text, where):
    if text is None:
        return None, None, None
    try:
        valence, activation, dominance = (float(value) for value in text.split(','))
    except ValueError:
        raise SerError(f"{where}: [{text}] is not three numbers, valence, activation and dominance") from None
    return valence, activation, dominance
