"""What a benchmark found, as text, JSON and picture."""

import os
from dataclasses import dataclass
from pathlib import Path

from ser.benchmarks.environment import title
from ser.benchmarks.picture import check_plot, write_picture
from ser.benchmarks.table import table_lines
from ser.errors import SerError
from ser.files import write_json


@dataclass(frozen=True)
class Result:
    """A finished benchmark."""

    environment: dict
    rows: list
    """timing.Row of each case."""
    scale: list
    """Plain dicts of scale.scale_rows; empty unless asked for."""

    @property
    def failed(self):
        """Whether any row is an error."""
        return any(row.error is not None for row in self.rows) or any(row.get('error') for row in self.scale)

    def lines(self):
        """The tables."""
        lines = table_lines(self.rows)
        if self.scale:
            from ser.benchmarks.scale import scale_lines

            lines += ['', *scale_lines(self.scale)]
        return lines

    def as_json(self):
        """The content of the JSON file."""
        content = {'environment': self.environment, 'rows': [row.as_json() for row in self.rows]}
        return {**content, 'scale': self.scale} if self.scale else content

    def write(self, json=None, plot=None):
        """Write the files that are named. Raises SerError when a disk refuses."""
        if json is not None:
            write_json(json, self.as_json())
        if plot is not None:
            write_picture(plot, self.rows, title(self.environment), self._draw_scale if self.scale else None)

    def _draw_scale(self, figure):
        from ser.benchmarks.scale import draw

        draw(figure, self.scale)


def check_targets(json=None, plot=None):
    """Raises SerError for a file that could not be written in the end: a benchmark takes minutes."""
    if plot is not None:
        check_plot(plot)
    for option, path in (('--json', json), ('--plot', plot)):
        if path is None:
            continue
        folder = Path(path).absolute().parent
        if Path(path).is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise SerError(f'{option} {path}: a file in a folder that exists and can be written is wanted')
