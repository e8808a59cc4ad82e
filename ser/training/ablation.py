"""An ablation: variants of one config trained in turn on one split, the table written anew after each."""

import json
import logging
from dataclasses import replace

from ser.errors import SerError
from ser.evaluation.ablation_table import (
    DONE,
    FAILED,
    Variant,
    ablation_card,
    csv_rows,
    ranked,
    summary_line,
    table_rows,
)
from ser.evaluation.reading import read_json
from ser.evaluation.run_files import read_history
from ser.files import write_json, write_rows, write_whole
from ser.shards.index import build_index
from ser.training.cost import network_cost, training_speed
from ser.training.device import choose_device
from ser.training.run import RunDirectory, new_run_path
from ser.training.study import ABLATION, Study, attempt, computed, refuse_ranks, train_in_study

log = logging.getLogger(__name__)


def run_ablation(common, variants, base, out=None):
    """Train every variant into `out`/runs and rank them; returns 0, 1 (one failed), or 128 + a signal.

    common, variants: of config.variants.load_variants. base: the name of the config they are deltas of.
    What is finished stays, what was interrupted is continued: the same command carries on. Raises SerError, before
    anything is trained, for shards that cannot be read, a device that is not there, a task without classes, and an
    `out` that holds something else.
    """
    refuse_ranks('ser ablate')
    if common.task.kind != 'emotion':
        raise SerError(f"ser ablate ranks by UA, which task.kind '{common.task.kind}' has not. Use task.kind: emotion")
    choose_device(common.run.device)
    index = build_index(common.data)
    out = out or new_run_path(common.run.model_copy(update={'name': f'{common.run.name}-ablation'}))
    description = {'digest': index.digest,
                   'variants': {name: computed(config) for name, config in variants.items()}}
    with Study(out, ABLATION, description) as study:
        return _Ablation(variants, base, study).run()


def read_variant(name, run):
    """The finished Variant of a run directory. Raises SerError for files that are missing or broken."""
    history = read_history(run)
    columns, best = history.columns, history.columns['epoch'] == history.best_epoch
    clips_per_second, seconds, epochs = training_speed(run)
    parameters, gmac = network_cost(run)
    return Variant(name, DONE, None, float(columns['valid_ua'][best][-1]), float(columns['valid_loss'][best][-1]),
                   history.best_epoch, epochs, clips_per_second, round(seconds, 3), parameters, gmac,
                   read_json(run / 'test_metrics.json', dict))


class _Ablation:
    """The work on one ablation."""

    def __init__(self, configs, base, study):
        self.configs, self.base, self.study, self.out = configs, base, study, study.path
        self.variants = {name: Variant(name) for name in configs}
        self.alike = _alike(study.description['variants'])

    def run(self):
        """Train what is missing; returns the exit code."""
        for name in self.configs:
            if RunDirectory(self._run(name)).finished:
                self._read(name)
        self._write()
        code = None
        try:
            for number, (name, config) in enumerate(self.configs.items(), start=1):
                code = None
                log.info('variant %d of %d: %s', number, len(self.configs), name)
                code = self._variant(name, config)
                if code:
                    return code
        finally:
            if code != 0:
                log.info('the same command carries on with the ablation: --out %s', self.out)
        for _, one in ranked(self.variants.values()):
            log.info(summary_line(one))
        log.info('ablation: %s', self.out / 'ablation.md')
        return int(any(one.status == FAILED for one in self.variants.values()))

    def _run(self, name):
        return self.out / 'runs' / name

    def _variant(self, name, config):
        """Train a variant; returns an exit code that ends the session, or 0."""
        code, reason = attempt(lambda: train_in_study(config, self._run(name)))
        if code:
            return code
        if not reason and self.variants[name].status != DONE:
            reason = self._read(name)
        if reason:
            log.error('variant %s failed: %s', name, reason)
            self.variants[name] = replace(self.variants[name], status=FAILED, reason=reason)
        self._write()
        return 0

    def _read(self, name):
        """Take the results of a finished run; returns why they cannot be read, or None."""
        read, reason = attempt(lambda: read_variant(name, self._run(name)))
        self.variants[name] = read or self.variants[name]
        return reason

    def _write(self):
        """ablation.csv, .md and .json of what is there."""
        variants = list(self.variants.values())
        write_json(self.out / ABLATION, {'description': self.study.description, 'base': self.base,
                                         'variants': table_rows(variants)})
        write_rows(self.out / 'ablation.csv', csv_rows(variants))
        write_whole(self.out / 'ablation.md', ablation_card(variants, self.base, self.alike))


def _alike(described):
    """Groups of names whose configs are the same."""
    groups = {}
    for name, config in described.items():
        groups.setdefault(json.dumps(config, sort_keys=True), []).append(name)
    return [names for names in groups.values() if len(names) > 1]
