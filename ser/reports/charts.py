"""Line charts and scatters as SVG inside the page: crisp at any size, coloured by the style sheet, with words for ears.

Numbers are placed to a tenth of a unit; whoever wants the digits finds them in the table beside the chart.
"""

import math
from dataclasses import dataclass

import numpy as np

from ser.reports.html import element, together

WIDTH, HEIGHT, SQUARE = 360, 230, 230
LEFT, RIGHT, TOP, BOTTOM = 58, 20, 18, 38
MOST_POINTS = 240
"""A line through more points than this is drawn through so many of them, both ends included."""


@dataclass(frozen=True)
class Series:
    """A line. x, y: float (N,), NaN leaves a gap. style: 1 to 4, colour and dashes; 0: a thin grey guide."""

    name: str
    x: np.ndarray
    y: np.ndarray
    style: int = 1
    dots: bool = False
    stepped: bool = False


@dataclass(frozen=True)
class Axis:
    """One direction of a chart: words, limits, and how a number is written on it. places: numbers to mark, else nice
    ones."""

    words: str
    low: float
    high: float
    percent: bool = False
    whole: bool = False
    places: tuple = ()

    def ticks(self):
        """Numbers to mark."""
        return self.places or ticks(self.low, self.high, self.whole)

    def written(self, number):
        """A marked number as text."""
        return f'{100 * number:g} %' if self.percent else f'{number:.4g}'


@dataclass(frozen=True)
class _Frame:
    """Where numbers lie on a drawing of `width` x `height`."""

    x: Axis
    y: Axis
    width: int
    height: int

    def across(self, value):
        return LEFT + (value - self.x.low) / (self.x.high - self.x.low) * (self.width - LEFT - RIGHT)

    def up(self, value):
        return self.height - BOTTOM - (value - self.y.low) / (self.y.high - self.y.low) * (self.height - TOP - BOTTOM)


def ticks(low, high, whole=False, most=6):
    """At most `most` numbers in [low, high], steps of 1, 2 or 5 times a power of ten; whole: integers alone."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(step * factor for factor in (1, 2, 5, 10, 20) if (high - low) / (step * factor) <= most - 1)
    step = max(step, 1.0) if whole else step
    first = math.ceil(low / step - 1e-9)
    return tuple(round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1))


def around(*arrays, least=None, most=None):
    """(low, high) that hold all finite numbers of some arrays, never equal. least, most: taken in too."""
    values = np.concatenate([np.asarray(one, dtype=np.float64).ravel() for one in arrays])
    values = values[np.isfinite(values)]
    ends = [*([values.min(), values.max()] if len(values) else []), *(end for end in (least, most) if end is not None)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    gap = (high - low) * 0.04 or max(abs(high), 1.0) * 0.1
    return (low if low == least else low - gap), (high if high == most else high + gap)


def line_chart(title, described, series, axes, marks=(), square=False, legend=True):
    """A figure with lines. described: what it shows, for those who cannot see it. axes: (x, y). marks: (x, words) of
    vertical lines. square: as high as wide, for two shares against each other. legend: where there are several."""
    frame = _Frame(*axes, SQUARE + LEFT + RIGHT - TOP - BOTTOM if square else WIDTH, SQUARE if square else HEIGHT)
    lines = [_line(one, frame) for one in series]
    drawn = [_axes(frame), *(_mark(frame, *mark) for mark in marks), *lines]
    return _figure(title, described, drawn, frame, _legend(series) if legend and len(series) > 1 else None)


def scatter(title, described, points, axes):
    """A figure with points. points: (x, y), float (N,) each; the diagonal is where they would be equal."""
    frame = _Frame(*axes, SQUARE + LEFT + RIGHT - TOP - BOTTOM, SQUARE)
    ends = np.array([max(axes[0].low, axes[1].low), min(axes[0].high, axes[1].high)])
    dots = [element('circle', cx=f'{frame.across(x):.1f}', cy=f'{frame.up(y):.1f}', r='2')
            for x, y in zip(*points, strict=True)]
    drawn = [_axes(frame), _line(Series('', ends, ends, 0), frame), element('g', dots, class_='points')]
    return _figure(title, described, drawn, frame, None)


def _figure(title, described, drawn, frame, legend):
    svg = element('svg', element('title', title), element('desc', described), *drawn, role='img',
                  viewBox=f'0 0 {frame.width} {frame.height}', width=str(frame.width), height=str(frame.height))
    return element('figure', element('figcaption', title), svg, legend)


def _axes(frame):
    bottom, right = frame.height - BOTTOM, frame.width - RIGHT
    parts = []
    for value in frame.y.ticks():
        y = f'{frame.up(value):.1f}'
        parts += [element('line', x1=str(LEFT), x2=str(right), y1=y, y2=y, class_='grid'),
                  element('text', frame.y.written(value), x=str(LEFT - 6), y=y, dy='0.32em', text_anchor='end')]
    for value in frame.x.ticks():
        x = f'{frame.across(value):.1f}'
        parts += [element('line', x1=x, x2=x, y1=str(bottom), y2=str(bottom + 4), class_='axis'),
                  element('text', frame.x.written(value), x=x, y=str(bottom + 16), text_anchor='middle')]
    parts.append(element('line', x1=str(LEFT), x2=str(right), y1=str(bottom), y2=str(bottom), class_='axis'))
    middle = (TOP + bottom) / 2
    parts.append(element('text', frame.x.words, x=f'{(LEFT + right) / 2:.1f}', y=str(frame.height - 4),
                         text_anchor='middle', class_='words'))
    parts.append(element('text', frame.y.words, x=f'{-middle:.1f}', y='10', text_anchor='middle', class_='words',
                         transform='rotate(-90)'))
    return element('g', parts, aria_hidden='true')


def _mark(frame, x, words):
    place = frame.across(x)
    late = place > (LEFT + frame.width - RIGHT) / 2
    return element('g', element('line', x1=f'{place:.1f}', x2=f'{place:.1f}', y1=str(TOP),
                                y2=str(frame.height - BOTTOM), class_='mark'),
                   element('text', words, x=f'{place + (4 if late else -4):.1f}', y=str(TOP - 6),
                           text_anchor='end' if late else 'start', class_='words'), aria_hidden='true')


def _line(one, frame):
    x, y = (np.asarray(values, dtype=np.float64) for values in (one.x, one.y))
    kept = _thinned(len(x))
    x, y = x[kept], y[kept]
    path, pen, before = [], False, None
    for across, up in zip(x, y, strict=True):
        if not (math.isfinite(across) and math.isfinite(up)):
            pen = False
            continue
        place = f'{frame.across(across):.1f}', f'{frame.up(up):.1f}'
        if pen and one.stepped:
            path.append(f'H{place[0]}V{place[1]}')
        elif not pen or place != before:
            path.append(f"{'L' if pen else 'M'}{place[0]} {place[1]}")
        pen, before = True, place
    line = element('path', d=''.join(path), class_=f'line s{one.style}')
    if not one.dots:
        return line
    return together(line, element('g', [
        element('circle', cx=f'{frame.across(a):.1f}', cy=f'{frame.up(b):.1f}', r='2.5')
        for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)], class_=f'dots s{one.style}'))


def _thinned(count):
    """Indices of at most MOST_POINTS of `count` points, evenly spread, both ends included."""
    if count <= MOST_POINTS:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, MOST_POINTS).round().astype(int))


def _legend(series):
    items = [element('li', element('svg', element('path', d='M1 5H21', class_=f'line s{one.style}'), width='22',
                                   height='10', viewBox='0 0 22 10', aria_hidden='true'), one.name) for one in series]
    return element('ul', items, class_='legend')


def side_by_side(*figures, class_='charts'):
    """Figures beside each other where there is room, below each other where there is none."""
    return element('div', *figures, class_=class_)


def bar(share, style=1):
    """A bar of a share of 1, to stand beside its number in a table."""
    return _glyph(element('rect', x='0', y='3', width=f'{100 * min(max(share, 0), 1):.1f}', height='8',
                          class_=f'fill s{style}'))


def interval(value, low, high, reference=None):
    """A dot with its interval on a scale from 0 to 1, to stand beside its numbers in a table. reference: a tick, such
    as chance or the score of all clips."""
    parts = [element('line', x1='0', x2='100', y1='7', y2='7', class_='grid')]
    if reference is not None:
        at = f'{100 * reference:.1f}'
        parts.append(element('line', x1=at, x2=at, y1='1', y2='13', class_='mark'))
    if low is not None:
        parts.append(element('line', x1=f'{100 * low:.1f}', x2=f'{100 * high:.1f}', y1='7', y2='7', class_='range'))
    parts.append(element('circle', cx=f'{100 * value:.1f}', cy='7', r='3.5', class_='dot'))
    return _glyph(parts)


def _glyph(*parts):
    return element('svg', *parts, class_='glyph', viewBox='-4 0 108 14', width='108', height='14', aria_hidden='true')


def heat(share):
    """The class of the style sheet for a cell of this share, 'h0' to 'h20'."""
    return f'h{round(20 * min(max(share, 0), 1))}'


def picture(name, source):
    """A picture given as a data URI, described by its name."""
    return element('img', src=source, alt=name)
