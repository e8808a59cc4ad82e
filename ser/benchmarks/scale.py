"""How time and memory grow: rows of every axis, as tables and as small multiples."""

import logging
import math

from matplotlib.ticker import FuncFormatter, NullLocator

from ser.benchmarks.scale_axes import AXES
from ser.benchmarks.table import short
from ser.benchmarks.timing import plain
from ser.errors import SerError
from ser.evaluation.tables import text_table

log = logging.getLogger(__name__)

FIGURES = {'clips_per_second': 'clips/s', 'ms_per_clip': 'ms/clip', 'peak_mb': 'peak MB', 'index_seconds': 'index s',
           'cached_index_seconds': 'cached s', 'plan_seconds': 'plan s', 'bytes_per_sample': 'bytes/sample'}
"""Names in rows and the heads of their columns."""

VALUES = {'batch': 'clips a batch', 'seconds': 'seconds a clip', 'samples': 'samples of the set',
          'workers': 'reader processes', 'ranks': 'ranks'}

PANELS = (('batch', 'ms_per_clip', True), ('batch', 'peak_mb', True), ('seconds', 'ms_per_clip', True),
          ('seconds', 'peak_mb', True), ('samples', 'index_seconds', True), ('samples', 'bytes_per_sample', False),
          ('workers', 'clips_per_second', False), ('ranks', 'clips_per_second', False))
"""(axis, figure, whether both go by factors)."""

COLUMNS = 4

COLOURS = {'front_end': '#0072B2', 'train_step': '#D55E00', 'index': '#009E73', 'read_decode': '#E69F00',
           'train_from_shards': '#CC79A7'}


def scale_rows(options, say):
    """Plain dicts of axis, value, stage and figures; an axis that fails ends with a row of axis and error.

    options: BenchmarkOptions. say: called with a line about what is being measured.
    """
    rows = []
    for axis, measured in AXES.items():
        say(f'scale: {VALUES[axis]}')
        try:
            for row in measured(options, say):
                rows.append({'axis': axis, **row})
                say(f"{row['stage']} at {row['value']:g}: {_said(row)}")
        except Exception as error:
            log.debug('scale: %s', axis, exc_info=True)
            text = ' '.join(str(error).split())[:300]
            rows.append({'axis': axis, 'error': text if isinstance(error, SerError) else
                         f'{type(error).__name__}: {text}'})
    return [{name: plain(value) for name, value in row.items()} for row in rows]


def _said(row):
    return row.get('error') or ', '.join(f'{short(row[name])} {head}' for name, head in FIGURES.items()
                                         if row.get(name) is not None)


def scale_lines(rows):
    """Lines: a table per axis, columns that hold something; what failed below it."""
    lines = []
    for axis in dict.fromkeys(row['axis'] for row in rows):
        members = [row for row in rows if row['axis'] == axis]
        good = [row for row in members if not row.get('error')]
        used = [name for name in FIGURES if any(row.get(name) is not None for row in good)]
        cells = [[row['value'] if axis != 'seconds' else f"{row['value']:g}", row['stage'],
                  *(short(row.get(name)) for name in used)] for row in good]
        lines += [''] if lines else []
        lines += [f'by {VALUES[axis]}']
        if good:
            lines += text_table([axis, 'stage', *(FIGURES[name] for name in used)], cells, 'rl' + 'r' * len(used))
        for row in members:
            if row.get('error'):
                where = f"{row['stage']} at {row['value']:g}: " if 'stage' in row else ''
                lines.append(f"{where}{row['error']}")
    return lines


def draw(figure, rows):
    """Small multiples of `rows` on a matplotlib figure; a panel that has nothing to show is left out."""
    panels = [(*panel, points) for panel in PANELS if (points := _points(rows, *panel[:2]))]
    if not panels:
        figure.text(0.5, 0.5, 'nothing was measured', ha='center')
        return
    columns = min(COLUMNS, len(panels))
    grid = figure.subplots(math.ceil(len(panels) / columns), columns, squeeze=False).ravel()
    for axes in grid[len(panels):]:
        axes.set_axis_off()
    for axes, (axis, name, by_factors, points) in zip(grid, panels, strict=False):
        _panel(axes, points)
        axes.set_xlabel(VALUES[axis])
        axes.set_title(FIGURES[name], fontsize=10)
        if by_factors or axis == 'samples':
            axes.set_xscale('log')
        axes.set_yscale('log' if by_factors else 'linear')
        if not by_factors:
            axes.set_ylim(bottom=0)
        values = sorted({value for series in points.values() for value, _ in series})
        axes.set_xticks(_ticks(values), [f'{value:g}' if value < 1000 else f'{value / 1000:g}k'
                                         for value in _ticks(values)])
        axes.xaxis.set_minor_locator(NullLocator())
        for kind in ('major', 'minor'):
            getattr(axes.yaxis, f'set_{kind}_formatter')(FuncFormatter(_tick if kind == 'major' or _narrow(points)
                                                                       else lambda *_: ''))
    names = dict.fromkeys(stage for *_, points in panels for stage in points)
    handles = [grid[0].plot([], [], color=COLOURS.get(stage, '#6E6E6E'), marker='o', label=stage)[0]
               for stage in names]
    figure.legend(handles=handles, loc='outside lower center', ncols=len(handles), frameon=False, fontsize=9)


def _points(rows, axis, name):
    """Stage -> [(value, figure)] in the order of the values."""
    points = {}
    for row in rows:
        # A logarithmic axis has no place for 0.
        if row['axis'] == axis and not row.get('error') and (row.get(name) or 0) > 0:
            points.setdefault(row['stage'], []).append((row['value'], row[name]))
    return {stage: sorted(series) for stage, series in points.items()}


def _panel(axes, points):
    for stage, series in points.items():
        axes.plot(*zip(*series, strict=True), color=COLOURS.get(stage, '#6E6E6E'), marker='o', markersize=4,
                  linewidth=1.6)
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(color='#DDDDDD', linewidth=0.7)
    axes.set_axisbelow(True)


def _ticks(values):
    """At most six of the values."""
    return values[::math.ceil(len(values) / 6)]


def _narrow(points):
    """Whether the figures span less than a factor of ten: then labels between the powers of ten are wanted."""
    heights = [height for series in points.values() for _, height in series]
    return max(heights) < 10 * min(heights)


def _tick(value, _):
    return f'{value:g}'
