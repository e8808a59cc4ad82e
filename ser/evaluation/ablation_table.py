"""An ablation as text: variants ranked by validation, as rows of ablation.csv and as ablation.md."""

from dataclasses import dataclass

from ser.evaluation.tables import counted, markdown_table, marked_ua, percent, percent_with_interval, rounded

COLUMNS = ('rank', 'variant', 'valid_ua', 'valid_loss', 'test_ua', 'test_ua_low', 'test_ua_high', 'test_wa',
           'parameters', 'gmac', 'clips_per_second', 'seconds', 'best_epoch', 'epochs', 'status', 'reason')
DONE, FAILED, WAITING = 'done', 'failed', 'waiting'
_HEADER = ('rank', 'variant', 'validation UA', 'validation loss', 'test UA', 'test WA', 'parameters', 'GMAC a clip',
           'clips/s', 'seconds', 'best epoch', 'status')


@dataclass(frozen=True)
class Variant:
    """Where a variant stands; the numbers are None until it is done."""

    name: str
    status: str = WAITING
    reason: str | None = None
    """Why it failed."""
    valid_ua: float | None = None
    """Of the best epoch, as valid_loss."""
    valid_loss: float | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    """Epochs trained."""
    clips_per_second: float | None = None
    """Of training steps, over all epochs; None for a model that is fitted at once."""
    seconds: float | None = None
    """Of training steps, over all epochs."""
    parameters: int | None = None
    gmac: float | None = None
    """1e9 multiply-accumulates of the network for one clip."""
    metrics: dict | None = None
    """test_metrics.json."""


def ranked(variants):
    """The Variants with their ranks: [(rank or None, Variant), ...], the finished ones first.

    By validation UA, then by lower validation loss; test scores have no say.
    """
    done = sorted((one for one in variants if one.status == DONE), key=lambda one: (-one.valid_ua, one.valid_loss))
    return [*enumerate(done, start=1), *((None, one) for one in variants if one.status != DONE)]


def table_rows(variants):
    """Rows of ablation.csv as dicts, in the order of `ranked`."""
    rows = []
    for rank, one in ranked(variants):
        metrics = one.metrics or {}
        low, high = metrics.get('ua_interval', (None, None))
        values = {'rank': rank, 'variant': one.name, 'test_ua': metrics.get('ua'), 'test_ua_low': low,
                  'test_ua_high': high, 'test_wa': metrics.get('wa')}
        rows.append({column: values[column] if column in values else getattr(one, column) for column in COLUMNS})
    return rows


def csv_rows(variants):
    """The rows of ablation.csv, the header first; shares in [0, 1], None as an empty cell."""
    return [COLUMNS, *(['' if row[column] is None else row[column] for column in COLUMNS]
                       for row in table_rows(variants))]


def ablation_card(variants, base, alike=()):
    """The text of ablation.md. base: what the variants are deltas of; alike: groups of names with one config."""
    done = [one for one in variants if one.status == DONE]
    waiting = sum(one.status == WAITING for one in variants)
    lines = ['# Ablation', '',
             f"{counted(len(variants), 'variant')} of `{base}`, all with one seed, one split and the same data.", '',
             *markdown_table(_HEADER, [_row(rank, one) for rank, one in ranked(variants)], 'rlrrrrrrrrrl'), '',
             *(f'- {line}' for line in _remarks(done, alike))]
    if waiting:
        lines.append(f"- {counted(waiting, 'variant')} not trained yet: the same command carries on.")
    failed = [one for one in variants if one.status == FAILED]
    if failed:
        lines += ['', '## Failed', '', *(f'- {one.name}: {one.reason}' for one in failed)]
    if done:
        lines += ['', '## Protocol', '', f"{done[0].metrics['protocol']}.", '',
                  *(f'- {note}' for note in dict.fromkeys(note for one in done for note in one.metrics['notes']))]
    return '\n'.join(lines).rstrip() + '\n'


def _row(rank, one):
    if one.status != DONE:
        return [None, one.name, *[None] * 9, one.status]
    return [rank, one.name, percent(one.valid_ua), f'{one.valid_loss:.4f}',
            marked_ua(one.metrics), percent(one.metrics['wa']),
            f'{one.parameters:,}', rounded(one.gmac), rounded(one.clips_per_second), f'{one.seconds:.1f}',
            f'{one.best_epoch} of {one.epochs}', one.status]


def _remarks(done, alike):
    yield ('Ranked by validation UA of the best epoch, of equals by lower validation loss. The test scores are '
           'reported, never ranked on: a variant chosen by them would look better than it is.')
    yield ('The best validation UA of many variants is itself optimistic, and each variant is one training: repeat '
           'close ones with other seeds before telling them apart.')
    if done:
        yield f"Intervals of test UA: {done[0].metrics['interval_method']}."
        if not done[0].metrics['covers_new_speakers']:
            yield '* after an interval: it does not cover new speakers.'
        yield f"Chance: {percent(done[0].metrics['chance'])}."
    yield ('Parameters: of the whole model, fixed ones included. GMAC: multiply-accumulates (1e9) of the network for '
           'one clip, without the front end. Clips/s and seconds: training steps alone, without validation and test.')
    for names in alike:
        yield f"One config under these settings: {', '.join(names)}."


def summary_line(one):
    """One line for a terminal: validation UA, test UA, seconds."""
    if one.status != DONE:
        return f'{one.name}: {one.status}{f", {one.reason}" if one.reason else ""}'
    return (f"{one.name}: validation UA {percent(one.valid_ua)} (epoch {one.best_epoch}), test UA "
            f"{percent_with_interval(one.metrics['ua'], one.metrics['ua_interval'])}, {one.seconds:.1f} s")
