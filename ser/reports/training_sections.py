"""How training went: learning curves, throughput, clips per class and part. From metrics.csv and split.csv."""

from collections import Counter

import numpy as np

from ser.evaluation.run_files import CLASS_SCORE, DIMENSION_SCORE
from ser.evaluation.tables import counted, percent
from ser.reports.charts import Axis, Series, around, bar, line_chart, side_by_side
from ser.reports.html import Section, Value, details, paragraph, pointer, table, unseen
from ser.shards.index import PARTS
from ser.shards.targets import STRATA

FILE = 'metrics.csv'
_SHARES = ('valid_ua', 'valid_wa', 'valid_macro_f1', 'data_wait')
_OF_FOLDS = 'Each run inside has its own; make a page of it with ser report.'


def curves_section(contents):
    """Learning curves, with the kept epoch marked."""
    title, history = 'Learning curves', contents.history
    if history is None:
        return Section(title, missing=_no_history(contents))
    epochs, kept = history['epoch'], _kept(history)
    if len(epochs) == 1:
        words = 'One row: the model was trained for one epoch, or fitted at once. There is no curve to draw.'
        return Section(title, (paragraph(words), _epoch_table(history)))
    score = DIMENSION_SCORE if contents.of_dimensions else CLASS_SCORE
    across = Axis('epoch', float(epochs[0]), float(epochs[-1]), whole=True)
    marks = () if kept is None else ((kept, f'kept: {kept:g}'),)
    figures = [
        _chart('Loss', 'loss', history, {'train_loss': 'training', 'valid_loss': 'validation'}, across, marks),
        _chart('Validation', 'mean CCC' if contents.of_dimensions else 'UA', history, {score: score}, across, marks),
        _chart('Learning rate', 'learning rate', history, {'lr': 'learning rate'}, across, ())]
    best = _column(history, score)
    said = None if kept is None or best is None else paragraph(
        f'Epoch {kept:g} of {epochs[-1]:g} was kept, validation ', Value(
            percent(_at(history, kept, score)) if score == CLASS_SCORE else f'{_at(history, kept, score):z.2f}',
            _at(history, kept, score), pointer(FILE, f'{kept:g}', score)),
        '. The training loss is of clips as they were trained on (augmented, mixed), so it may lie above that of '
        'validation.')
    return Section(title, (said, side_by_side(*[one for one in figures if one is not None]), _epoch_table(history)))


def _no_history(contents):
    return _OF_FOLDS if contents.kind in ('folds', 'seeds') else \
        'metrics.csv is missing.' if contents.kind == 'run' else 'Nothing was trained for this score.'


def _column(history, name):
    values = history.get(name)
    return None if values is None or not np.isfinite(values).any() else values


def _kept(history):
    best = history.get('best')
    kept = history['epoch'][best == 1] if best is not None else ()
    return float(kept[-1]) if len(kept) else None


def _at(history, epoch, name):
    return float(history[name][np.flatnonzero(history['epoch'] == epoch)[-1]])


def _chart(title, words, history, columns, across, marks):
    series = [Series(said, history['epoch'], history[name], style, dots=len(history['epoch']) <= 40)
              for style, (name, said) in enumerate(columns.items(), start=1) if _column(history, name) is not None]
    if not series:
        return None
    low, high = around(*(one.y for one in series), least=0.0 if title == 'Learning rate' else None)
    last = '; '.join(f'{one.name} from {one.y[0]:.4g} to {one.y[-1]:.4g}' for one in series)
    return line_chart(title, f'{words} over {counted(len(series[0].x), "epoch")}: {last}. The numbers are in the '
                             'table below.', series,
                      (across, Axis(words, low, high, percent=words == 'UA')), marks)


def _epoch_table(history):
    names = list(history)
    rows = [[_number(name, values[row], history['epoch'][row]) for name, values in history.items()]
            for row in range(len(history['epoch']))]
    return details(f"Numbers of {counted(len(rows), 'epoch')}",
                   table('metrics.csv, a row per epoch; data_wait is the share of time that the device waited for data',
                         names, rows, 'r' * len(names)))


def _number(name, value, epoch):
    if not np.isfinite(value):
        return Value('')
    value = float(value)
    text = percent(value) if name in _SHARES else f'{value:g}' if value == int(value) else f'{value:.4g}'
    return Value(text, value, pointer(FILE, f'{epoch:g}', name))


def throughput_section(contents):
    """Clips a second, waiting for data, seconds per epoch."""
    title, history = 'Throughput', contents.history
    if history is None:
        return Section(title, missing=_no_history(contents))
    wanted = {'clips_per_second': ('clips a second', '{:,.1f}'), 'data_wait': ('time spent waiting for data', None),
              'seconds': ('seconds of an epoch', '{:,.1f}')}
    rows = []
    for name, (words, form) in wanted.items():
        values = _column(history, name)
        if values is not None:
            values = values[np.isfinite(values)]
            rows.append((words, *(Value(form.format(found) if form else percent(found), found, FILE) for found in
                                  (float(np.median(values)), float(values.min()), float(values.max())))))
    if not rows:
        return Section(title, missing='metrics.csv says nothing about time.')
    seconds = history.get('seconds')
    total = float(np.nansum(seconds)) if seconds is not None else None
    device = (contents.environment or {}).get('device')
    where = f" on {device}, {contents.environment.get('device_reason')}" if device else ''
    said = None if total is None else paragraph(
        'Training steps took ', Value(_duration(total), total, FILE), f'{where}; validation and test are not counted.')
    return Section(title, (said, table('Over the epochs', ('', 'median', 'least', 'most'), rows)))


def _duration(seconds):
    if seconds < 120:
        return counted(round(seconds), 'second')
    return f'{seconds / 60:.0f} minutes' if seconds < 7200 else f'{seconds / 3600:.1f} hours'


def distribution_section(contents):
    """Clips per class and part, and who speaks in which part."""
    title = 'Clips per part' if contents.of_dimensions else 'Clips per class and part'
    if contents.members is None:
        reason = {'run': 'split.csv is missing.', 'folds': _OF_FOLDS, 'seeds': _OF_FOLDS}
        return Section(title, missing=reason.get(contents.kind, 'There is no split: all clips were tested.'))
    counts = Counter((member.part, member.label) for member in contents.members if member.part)
    names = STRATA if contents.of_dimensions else contents.names
    most = max(counts.values(), default=1)
    rows = [[name, *(cell for style, part in enumerate(PARTS, start=1)
                     for cell in _counted(counts[part, name], most, style))] for name in names]
    totals = [sum(counts[part, name] for name in names) for part in PARTS]
    foot = [['all', *(cell for total in totals for cell in (Value(f'{total:,}', total, 'split.csv'), None))]]
    header = ('third' if contents.of_dimensions else 'class',
              *(words for part in PARTS for words in (part, unseen(f'{part}, drawn'))))
    left = sum(1 for member in contents.members if not member.part)
    speakers = [len({member.speaker for member in contents.members if member.part == part}) if all(
        member.speaker for member in contents.members if member.part == part) else None for part in PARTS]
    foot.append(['speakers', *(cell for found in speakers for cell in (
        'unknown' if found is None else Value(str(found), found, 'split.csv'), None))])
    return Section(title, (
        table('Clips, from split.csv', header, rows, 'lrlrlrl', foot),
        paragraph(f'{counted(left, "clip")} of the shards in no part.') if left else None))


def _counted(count, most, style):
    return Value(f'{count:,}', count, 'split.csv'), bar(count / most, style)
