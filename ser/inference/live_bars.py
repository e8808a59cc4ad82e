"""Probabilities on a terminal as bars that move, and as plain lines elsewhere."""

import shutil
from dataclasses import dataclass

import numpy as np

from ser.evaluation.plots import shortened
from ser.evaluation.tables import percent, text_table
from ser.inference.emotion_formats import clock
from ser.inference.formats import shown

WIDEST_BAR, NARROWEST_BAR = 40, 5
_EIGHTHS = ' ▏▎▍▌▋▊▉'
_LONGEST_NAME = 18
_UP, _CLEAR = '\x1b[{}A', '\r\x1b[K'


@dataclass(frozen=True)
class Update:
    """What is heard at a moment."""

    seconds: float
    """Since listening began."""
    emotion: str
    """A class, 'unknown' or 'silence'."""
    confidence: float | None
    values: np.ndarray | None
    """float64 (C,) calibrated probabilities; None for silence, as confidence."""
    level_db: float


def bar(share, width, blocks=True):
    """A bar of `width` characters at share 1, to the eighth of a character; without `blocks` of '#'."""
    if not blocks:
        return '#' * round(share * width)
    whole, rest = divmod(round(8 * width * min(max(share, 0.0), 1.0)), 8)
    return '█' * whole + (_EIGHTHS[rest] if rest else '')


def head_line(update):
    """'0:12.0  angry (81.2 %)  -23 dBFS' of an Update."""
    said = shown(update.emotion)
    said += '' if update.confidence is None else f' ({percent(update.confidence)})'
    return f'{clock(update.seconds)}  {said}  {update.level_db:.0f} dBFS'


def plain_line(update, names):
    """`head_line` and each class's percentage, on one line."""
    if update.values is None:
        return head_line(update)
    shares = ' '.join(f'{"_".join(shown(name).split())}={100 * value:.1f}'
                      for name, value in zip(names, update.values, strict=True))
    return f'{head_line(update)}  {shares}'


def bar_lines(update, names, columns, lines, blocks=True):
    """The picture of an Update as lines that fit a terminal: `head_line`, then a bar per class, in index order.

    Where classes outnumber `lines` the likeliest are shown.
    """
    values = np.zeros(len(names)) if update.values is None else update.values
    kept = sorted(np.argsort(-values, kind='stable')[:max(lines - 2, 1)])
    labels = [shortened(shown(names[i]), _LONGEST_NAME) for i in kept]
    room = columns - max(map(len, labels)) - 12
    width = min(max(room, NARROWEST_BAR), WIDEST_BAR)
    rows = [(label, bar(values[i], width, blocks).ljust(width, '\u00a0' if blocks else '.'),
             '' if update.values is None else percent(values[i]))
            for label, i in zip(labels, kept, strict=True)]
    drawn = text_table(('', '', ''), rows, 'llr')[2:]
    return [line[:max(columns - 1, 1)] for line in (head_line(update), *drawn)]


class Screen:
    """Shows Updates on a text stream: in place where it is a terminal, else a line for each."""

    def __init__(self, stream, names):
        self._stream, self._names, self._drawn = stream, names, 0
        self._terminal = stream.isatty()
        self._blocks = _takes(stream, '█▏')

    def show(self, update):
        """Draw an Update over the one before it."""
        if not self._terminal:
            print(plain_line(update, self._names), file=self._stream, flush=True)
            return
        size = shutil.get_terminal_size()
        lines = bar_lines(update, self._names, size.columns, size.lines, self._blocks)
        up = _UP.format(self._drawn) if self._drawn else ''
        # A window that was made smaller leaves lines below.
        blank = max(self._drawn - len(lines), 0)
        text = up + ''.join(f'{_CLEAR}{line}\n' for line in lines) + f'{_CLEAR}\n' * blank
        self._stream.write(text + (_UP.format(blank) if blank else ''))
        self._stream.flush()
        self._drawn = len(lines)


def _takes(stream, text):
    try:
        text.encode(getattr(stream, 'encoding', None) or 'ascii')
    except (UnicodeEncodeError, LookupError):
        return False
    return True
