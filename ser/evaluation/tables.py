"""Tables as lines of text: aligned for a terminal, or Markdown."""

import unicodedata


def _width(text):
    """Terminal columns of `text`: East Asian wide characters take two, combining marks none."""
    wide = sum(unicodedata.east_asian_width(c) in 'WF' for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def _pad(text, width, align):
    gap = ' ' * (width - _width(text))
    return gap + text if align == 'r' else text + gap


def _cell(value):
    # A line break inside a cell would break the table.
    return ' '.join(str('' if value is None else value).split())


def text_table(header, rows, align=None):
    """Lines of a table with aligned columns, two spaces apart, a rule under the header.

    header: column titles; rows: cells (None is empty); align: a letter per column, 'l' or 'r' (default: all 'l').
    """
    cells = [[_cell(value) for value in row] for row in [header, *rows]]
    align = align or 'l' * len(header)
    widths = [max(_width(row[i]) for row in cells) for i in range(len(header))]
    lines = ['  '.join(_pad(*cell) for cell in zip(row, widths, align, strict=True)).rstrip() for row in cells]
    return [lines[0], '  '.join('-' * width for width in widths), *lines[1:]]


def markdown_table(header, rows, align=None):
    """Lines of a Markdown table; header, rows and align as in text_table. '|' inside a cell is escaped."""
    align = align or 'l' * len(header)
    rule = ['---:' if letter == 'r' else '---' for letter in align]
    lines = [[_cell(value).replace('|', '\\|') for value in row] for row in [header, *rows]]
    lines.insert(1, rule)
    return ['| ' + ' | '.join(line) + ' |' for line in lines]


def rounded(number):
    """'1.23' of 1.2345, '12,345' of 12345.6, or 'n/a' of None: three digits, more before the point."""
    if number is None:
        return 'n/a'
    return f'{number:,.0f}' if abs(number) >= 1000 else f'{number:.3g}'


def percent(share):
    """'63.2 %' of 0.632, or 'n/a' of None."""
    return 'n/a' if share is None else f'{100 * share:.1f} %'


def percent_with_interval(share, interval):
    """'63.2 % [55.1, 70.4]' of 0.632 and (0.551, 0.704)."""
    return f'{percent(share)} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]'


def mean_of(runs):
    """What an ensemble of so many runs is called wherever its score is said."""
    return f'mean of the probabilities of {runs} runs'


CLIPS_ONLY = '*'
"""Marks an interval that resamples clips alone, and so does not cover new speakers."""


def marked_ua(metrics):
    """UA of a test_metrics.json dict with its interval, marked where that does not cover new speakers."""
    mark = '' if metrics['covers_new_speakers'] else CLIPS_ONLY
    return f"{percent_with_interval(metrics['ua'], metrics['ua_interval'])}{mark}"


def clips_only(metrics):
    """What the mark means, for a picture that stands alone; '' where nothing is marked."""
    return '' if metrics['covers_new_speakers'] else f' ({CLIPS_ONLY} clips alone: does not cover new speakers)'


def counted(n, noun):
    """'1 clip', '2 clips'."""
    return f'{n} {noun}' if n == 1 else f'{n} {noun}s'
