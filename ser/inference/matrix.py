"""A matrix of corpora: one training per row, scored on every set, written anew after every cell, carried on at will."""

import logging
from dataclasses import replace

from ser.errors import SerError
from ser.evaluation.matrix_plot import plot_matrix
from ser.evaluation.matrix_table import csv_rows, matrix_card, summary_line, table_row
from ser.evaluation.run_files import read_history
from ser.files import write_json, write_rows, write_whole
from ser.inference.matrix_cells import DONE, FAILED, Cell, kept_cell, make_cell
from ser.inference.matrix_plan import BETWEEN, make_plan
from ser.models import check_fit, check_weights, settled
from ser.training.device import choose_device
from ser.training.run import RunDirectory, new_run_path
from ser.training.study import MATRIX, Study, attempt, computed, refuse_ranks, train_in_study

log = logging.getLogger(__name__)


def run_matrix(config, shards, out=None, protocol='cross', combinations=None):
    """Train every row and score every cell into `out`; returns 0, 1 (something failed), or 128 + a signal.

    shards: `name=PATH` texts; protocol, combinations: as matrix_plan.make_plan. What is finished stays, what was
    interrupted is continued: the same command carries on. A row or cell that fails is recorded with its reason.
    Raises SerError, before anything is trained, for what make_plan refuses, parts that are folds or given as shards,
    a device or weights that cannot be had, and an `out` that holds something else.
    """
    refuse_ranks('ser matrix')
    _refuse_parts(config)
    plan = make_plan(shards, config.data, protocol, combinations)
    choose_device(config.run.device)
    check_weights(config.model)
    check_fit(settled(config))
    out = out or new_run_path(config.run.model_copy(update={'name': f'{config.run.name}-matrix'}))
    with Study(out, MATRIX, _description(plan, config)) as study:
        return _Matrix(plan, config, study).run()


def _refuse_parts(config):
    if hasattr(config.protocol, 'fold'):
        raise SerError(f"a matrix trains each row once, but protocol '{config.protocol.kind}' of the config has folds. "
                       "Use --set protocol.kind=speaker")
    if config.task.kind != 'emotion':
        raise SerError(f"ser matrix compares UA, which task.kind '{config.task.kind}' has not. Use task.kind: emotion")
    if config.data.valid_shards or config.data.test_shards:
        raise SerError('a matrix draws the parts of each corpus itself: leave out data.valid_shards and '
                       'data.test_shards')


def _description(plan, config):
    sets = {one.name: {'digest': one.index.digest, 'clips': len(one.index.rows)} for one in plan.sets.values()}
    return {'protocol': plan.protocol, 'trained_together': len(plan.rows[0].train), 'sets': sets,
            'classes': plan.names, 'config': computed(config)}


class _Matrix:
    """The work on one matrix."""

    def __init__(self, plan, config, study):
        self.plan, self.config, self.study, self.out = plan, config, study, study.path
        self.failures = {}
        self.cells = {(row.name, test): Cell(row.name, test, test in row.train) for row in plan.rows
                      for test in plan.sets}

    def run(self):
        """Make what is missing; returns the exit code."""
        for row in self.plan.rows:
            self._keep(row)
        self._write()
        code = None
        try:
            for row in self.plan.rows:
                code = None
                code = self._row(row)
                if code:
                    return code
        finally:
            if code != 0:
                log.info('the same command carries on with the matrix: --out %s', self.out)
        log.info('matrix: %s, %s', self.out / 'matrix.md', self.out / 'matrix.png')
        return int(any(cell.status == FAILED for cell in self.cells.values()))

    def _run(self, row):
        return self.out / 'rows' / row.name

    def _folder(self, cell):
        return self.out / 'cells' / f'{cell.train}{BETWEEN}{cell.test}'

    def _keep(self, row):
        """Take what earlier sessions have left of a row."""
        if RunDirectory(self._run(row)).finished:
            for test in self.plan.sets:
                cell = self.cells[row.name, test]
                # One that cannot be read is made again.
                kept, _ = attempt(lambda cell=cell: kept_cell(cell, self._folder(cell), self._run(row)))
                self._set(kept or cell)

    def _row(self, row):
        """Train a row and make its cells; returns an exit code that ends the session, or 0."""
        log.info('row %s: trained on %s', row.name, ', '.join(row.train))
        config = self._row_config(row)
        code, reason = attempt(lambda: train_in_study(config, self._run(row)))
        if reason:
            log.error('row %s failed: %s', row.name, reason)
            self.failures[row.name] = reason
            for test in self.plan.sets:
                self._set(replace(self.cells[row.name, test], status=FAILED, reason=f'training failed: {reason}'))
        if code or reason:
            self._write()
            return code or 0
        for test in self.plan.sets:
            self._cell(self.cells[row.name, test], config)
        return 0

    def _row_config(self, row):
        run = self.config.run.model_copy(update={'name': row.name})
        return self.config.model_copy(update={'data': self.plan.row_data(row, self.config.data), 'run': run})

    def _cell(self, cell, config):
        if cell.status == DONE:
            return
        folder, run = self._folder(cell), self.out / 'rows' / cell.train
        tested, merge = self.plan.sets[cell.test], self.plan.merge
        made, reason = attempt(lambda: make_cell(cell, folder, run, tested, config, merge))
        made = made or replace(cell, status=FAILED, reason=reason)
        self._set(made)
        log.log(logging.ERROR if reason else logging.INFO, '%s', summary_line(made))
        self._write()

    def _set(self, cell):
        self.cells[cell.train, cell.test] = cell

    def _write(self):
        """matrix.csv, .md, .png and .json of what is there."""
        cells, names = list(self.cells.values()), self.plan.names
        write_json(self.out / MATRIX, {
            'description': self.study.description, 'rows': [self._row_facts(row) for row in self.plan.rows],
            'cells': [{**table_row(cell, names), 'notes': (cell.metrics or {}).get('notes', []),
                       'reason': cell.reason} for cell in cells]})
        write_rows(self.out / 'matrix.csv', csv_rows(cells, names))
        write_whole(self.out / 'matrix.md', matrix_card(self.plan, cells, self.failures))
        plot_matrix(self.plan, cells, self.out / 'matrix.png')

    def _row_facts(self, row):
        facts = {'name': row.name, 'train': row.train, 'failed': self.failures.get(row.name)}
        if RunDirectory(self._run(row)).finished:
            history = read_history(self._run(row))
            facts |= {'best_epoch': history.best_epoch, 'epochs': len(history.columns['epoch']),
                      'training_seconds': _training_seconds(self._run(row))}
        return facts


def _training_seconds(run):
    """Seconds of training steps over all epochs, interruptions not counted."""
    return round(sum(float(row['seconds'] or 0) for row in RunDirectory(run).read_metrics()), 3)
