"""Rows as text: a block per batch, stages in their order, rivals beside ser."""

from ser.evaluation.tables import text_table

HEADER = ('stage', 'implementation', 'clips/s', 'ms/clip', 'quartiles', 'x ser', '% of step', 'peak MB', 'launches',
          'data wait', 'floor ms', 'of floor')


def table_lines(rows):
    """Lines of all blocks. A column that no row of a block fills is left out; errors follow their block."""
    lines = []
    for batch in dict.fromkeys(row.batch for row in rows):
        block = [row for row in rows if row.batch == batch]
        lines += ['', f'batch {batch}', *_block(block)]
    return lines


def _block(rows):
    cells = [_cells(row, slower_than_ser(row, rows)) for row in rows]
    used = [i for i in range(len(HEADER)) if i < 4 or any(row[i] for row in cells)]
    table = text_table([HEADER[i] for i in used], [[row[i] for i in used] for row in cells],
                       ''.join('l' if i < 2 else 'r' for i in used))
    return [*table, *_first_batches(rows), *_errors(rows)]


def _first_batches(rows):
    """What waiting for a first batch means in seconds, which clips per second do not tell."""
    for row in rows:
        seconds = row.extra.get('first_batch_seconds')
        if seconds is not None:
            unindexed = row.extra.get('first_batch_seconds_unindexed')
            more = '' if unindexed is None else f'; {short(unindexed)} s where the shards were never indexed'
            yield (f"first batch of {row.implementation} after {short(seconds)} s with {row.extra['workers']} readers"
                   f'{more}')


def _errors(rows):
    """A line per error, and what it stopped."""
    stopped = {}
    for row in rows:
        if row.error is not None:
            stopped.setdefault(row.error, {}).setdefault(row.stage, []).append(row.implementation)
    for error, stages in stopped.items():
        yield ', '.join(f"{stage} ({', '.join(names)})" for stage, names in stages.items()) + f': {error}'


def slower_than_ser(row, rows):
    """How many times slower than ser's row of the same stage, batch and length; None without one."""
    for other in rows:
        same = (other.stage, other.batch, other.seconds) == (row.stage, row.batch, row.seconds)
        if same and other.implementation == 'ser' and row.implementation != 'ser' and other.ms_per_clip:
            return row.ms_per_clip / other.ms_per_clip if row.ms_per_clip else None
    return None


def _cells(row, slower):
    if row.error is not None:
        return [row.stage, row.implementation, '', 'error'] + [''] * (len(HEADER) - 4)
    extra = row.extra
    return [row.stage, row.implementation, short(row.clips_per_second), short(row.ms_per_clip),
            _quartiles(row.spread), '' if slower is None else f'{short(slower)}x',
            _percent(extra.get('percent_of_step')), '' if row.peak_mb is None else f'{row.peak_mb:.0f}',
            '' if extra.get('launches') is None else str(extra['launches']),
            '' if extra.get('data_wait') is None else f"{100 * extra['data_wait']:.1f} %",
            short(extra.get('floor_ms')), _percent(_times(extra.get('fraction_of_floor'), 100))]


def _quartiles(spread):
    """Nothing where they say nothing, as after a single timing."""
    return '-'.join(map(short, spread)) if spread[0] < spread[1] else ''


def _times(value, factor):
    return None if value is None else value * factor


def _percent(value):
    return '' if value is None else f'{short(value)} %'


def short(value):
    """Three significant digits without an exponent; '' of None."""
    if value is None:
        return ''
    if value >= 100:
        return f'{value:,.0f}'
    if value >= 10:
        return f'{value:.1f}'
    return f'{value:.2f}' if value >= 1 else f'{value:.3f}' if value >= 0.001 else f'{value:.1g}'
