"""The table: blocks by batch, columns that have something to say, errors once."""

import pytest

from ser.benchmarks.table import short, slower_than_ser, table_lines
from ser.benchmarks.timing import Row


def row(stage='cqt', implementation='ser', batch=16, ms=2.0, **more):
    return Row(stage, implementation, batch, 3.5, batch, ms, (ms * 0.9, ms * 1.1), **more)


def broken(stage='cqt', implementation='ser', error='what was wrong'):
    return Row(stage, implementation, 16, 3.5, error=error)


def test_a_block_for_each_batch_with_rivals_beside_ser():
    rows = [row(), row(implementation='librosa', ms=24.0, peak_mb=3.4), row(batch=64, extra={'launches': 7})]
    lines = [line.split() for line in table_lines(rows)]
    assert lines[1] == ['batch', '16'] and lines[7] == ['batch', '64']
    assert lines[2] == ['stage', 'implementation', 'clips/s', 'ms/clip', 'quartiles', 'x', 'ser', 'peak', 'MB']
    assert lines[4] == ['cqt', 'ser', '500', '2.00', '1.80-2.20']
    assert lines[5] == ['cqt', 'librosa', '41.7', '24.0', '21.6-26.4', '12.0x', '3']
    assert lines[8] == ['stage', 'implementation', 'clips/s', 'ms/clip', 'quartiles', 'launches']
    assert lines[10] == ['cqt', 'ser', '500', '2.00', '1.80-2.20', '7']


def test_every_column():
    extra = {'percent_of_step': 12.5, 'data_wait': 0.004, 'floor_ms': 0.05, 'fraction_of_floor': 0.025}
    lines = table_lines([row(extra=extra)])
    for cell in ('12.5 %', '0.4 %', '0.050', '2.50 %', '% of step', 'data wait', 'of floor'):
        assert any(cell in line for line in lines), cell


def test_an_error_is_said_once_for_all_that_it_stopped():
    lines = table_lines([broken(), broken('front_end'), broken('front_end', 'librosa'), row('mel')])
    assert lines[-1] == 'cqt (ser), front_end (ser, librosa): what was wrong'
    assert [line.split() for line in lines[4:7]] == [['cqt', 'ser', 'error'], ['front_end', 'ser', 'error'],
                                                     ['front_end', 'librosa', 'error']]
    assert lines[7].split()[:2] == ['mel', 'ser']


def test_the_first_batch_in_seconds():
    rows = [row('first_batch', extra={'workers': 2, 'first_batch_seconds': 0.31, 'first_batch_seconds_unindexed': 1.2}),
            row('first_batch', 'webdataset', extra={'workers': 2, 'first_batch_seconds': 0.5})]
    assert table_lines(rows)[-2:] == [
        'first batch of ser after 0.310 s with 2 readers; 1.20 s where the shards were never indexed',
        'first batch of webdataset after 0.500 s with 2 readers']


def test_slower_than_ser_of_the_same_stage_batch_and_length():
    rival = row(implementation='librosa', ms=24.0)
    assert slower_than_ser(rival, [row('mel', ms=1.0), row(batch=1, ms=1.0), row(), rival]) == 12.0
    assert slower_than_ser(row(), [row()]) is None
    assert slower_than_ser(rival, [broken(), rival]) is None


@pytest.mark.parametrize(('value', 'text'), [
    (None, ''), (12345.6, '12,346'), (99.96, '100.0'), (12.34, '12.3'), (1.234, '1.23'), (0.1234, '0.123'),
    (0.001234, '0.001'), (0.000123, '0.0001'), (0.0, '0')])
def test_numbers_are_short(value, text):
    assert short(value) == text
