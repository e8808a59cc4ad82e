"""How things scale: each axis on points small enough for a test, what is said of them, and the picture."""

import json
import multiprocessing
from dataclasses import replace

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ser.benchmarks import index_probe, scale, scale_axes, timing
from ser.benchmarks.clips import make_shards
from ser.benchmarks.scale import draw, scale_lines, scale_rows
from ser.errors import SerError
from tests.tiny_benchmark import tiny_options

ROWS = [
    {'axis': 'batch', 'value': 1, 'stage': 'front_end', 'ms_per_clip': 4.0, 'clips_per_second': 250.0, 'peak_mb': 10.0},
    {'axis': 'batch', 'value': 256, 'stage': 'front_end', 'ms_per_clip': 2.5, 'clips_per_second': 400.0,
     'peak_mb': 870.0},
    {'axis': 'batch', 'value': 2, 'stage': 'train_step', 'ms_per_clip': 36.0, 'clips_per_second': 27.75, 'peak_mb': 0},
    {'axis': 'batch', 'value': 4, 'stage': 'train_step', 'error': 'out of memory: lower --batch'},
    {'axis': 'samples', 'value': 100000, 'stage': 'index', 'ms_per_clip': 0.06, 'clips_per_second': 16666.7,
     'index_seconds': 6.0, 'cached_index_seconds': 1.4, 'plan_seconds': 0.03, 'bytes_per_sample': 1519.4},
    {'axis': 'workers', 'value': 0, 'stage': 'read_decode', 'ms_per_clip': 2.0, 'clips_per_second': 500.0},
    {'axis': 'ranks', 'error': 'no answer within 300 s'}]


@pytest.fixture(autouse=True)
def briefly(monkeypatch):
    monkeypatch.setattr(timing, 'WARM_UP', {'cpu': (1, 0.0)})


def measured(axis, options, said=None):
    return list(scale_axes.AXES[axis](options, (said if said is not None else []).append))


def test_an_axis_that_fails_keeps_what_it_had_and_the_others_run(monkeypatch):
    def good(options, say):
        yield {'value': 1, 'stage': 'front_end', 'ms_per_clip': float('nan'), 'clips_per_second': 123456.789}

    def refused(options, say):
        yield {'value': 1, 'stage': 'index', 'ms_per_clip': 1.0}
        raise SerError('no room\nfor this')

    def broken(options, say):
        raise ValueError('odd')
        yield

    said = []
    monkeypatch.setattr(scale, 'AXES', {'samples': refused, 'workers': broken, 'batch': good})
    rows = scale_rows(None, said.append)
    assert rows == [{'axis': 'samples', 'value': 1, 'stage': 'index', 'ms_per_clip': 1.0},
                    {'axis': 'samples', 'error': 'no room for this'}, {'axis': 'workers', 'error': 'ValueError: odd'},
                    {'axis': 'batch', 'value': 1, 'stage': 'front_end', 'ms_per_clip': None,
                     'clips_per_second': 123457.0}]
    json.dumps(rows, allow_nan=False)
    assert said == ['scale: samples of the set', 'index at 1: 1.00 ms/clip', 'scale: reader processes',
                    'scale: clips a batch', 'front_end at 1: 123,457 clips/s, nan ms/clip']


def test_a_table_for_each_axis():
    lines = scale_lines(ROWS)
    assert lines[0] == 'by clips a batch'
    assert lines[1].split() == ['batch', 'stage', 'clips/s', 'ms/clip', 'peak', 'MB']
    assert lines[4].split() == ['256', 'front_end', '400', '2.50', '870']
    assert lines[6] == 'train_step at 4: out of memory: lower --batch'
    assert [line.split() for line in lines if line.startswith(' 100000')] == [
        ['100000', 'index', '16,667', '0.060', '6.00', '1.40', '0.030', '1,519']]
    assert lines[-2:] == ['by ranks', 'no answer within 300 s']
    assert all(row['axis'] in scale.VALUES for row in ROWS) and scale_lines([]) == []


def test_a_panel_for_each_figure_that_was_measured():
    figure = Figure(figsize=(11, 7), layout='constrained')
    FigureCanvasAgg(figure)
    draw(figure, ROWS)
    figure.canvas.draw()
    shown = [axes for axes in figure.axes if axes.axison]
    assert [(axes.get_xlabel(), axes.get_title()) for axes in shown] == [
        ('clips a batch', 'ms/clip'), ('clips a batch', 'peak MB'), ('samples of the set', 'index s'),
        ('samples of the set', 'bytes/sample'), ('reader processes', 'clips/s')]
    first, peak = shown[:2]
    assert first.lines[0].get_xydata().tolist() == [[1, 4.0], [256, 2.5]]
    assert first.get_xscale() == first.get_yscale() == 'log' and shown[-1].get_xscale() == 'linear'
    # Nothing needs no memory on a logarithmic axis.
    assert len(peak.lines) == 1
    assert [text.get_text() for text in figure.legends[0].texts] == ['front_end', 'train_step', 'index', 'read_decode']


def test_nothing_to_draw():
    figure = Figure()
    draw(figure, [{'axis': 'ranks', 'error': 'x'}])
    assert not figure.axes and figure.texts


@pytest.mark.slow
def test_batches_and_lengths(monkeypatch):
    monkeypatch.setattr(scale_axes, 'BATCHES', (1, 2))
    monkeypatch.setattr(scale_axes, 'CLIP_SECONDS', (0.3, 0.6, 100.0))
    options = tiny_options([], against=['torchaudio'])
    rows = measured('batch', options)
    assert [(row['stage'], row['value']) for row in rows] == [('front_end', 1), ('front_end', 2), ('train_step', 2)]
    rows += measured('seconds', options)
    # 100 s is over data.max_seconds.
    assert [(row['stage'], row['value']) for row in rows[3:]] == [('front_end', 0.3), ('front_end', 0.6)]
    for row in rows:
        assert row['ms_per_clip'] * row['clips_per_second'] == pytest.approx(1000, rel=1e-4)
        assert row.keys() <= {'value', 'stage', 'ms_per_clip', 'clips_per_second', 'peak_mb'}


def test_an_axis_ends_where_it_would_take_too_long_or_fails(monkeypatch):
    monkeypatch.setattr(scale_axes, 'CLIP_SECONDS', (0.3, 0.4, 20.0))
    monkeypatch.setattr(scale_axes, 'LONGEST_SECONDS', 10.0)
    took = iter([0.0, 1.0, 1.0, 2.5, 3.0, 4.0])
    monkeypatch.setattr(scale_axes.time, 'perf_counter', lambda: next(took, 5.0))
    monkeypatch.setattr(scale_axes, 'measure', lambda cases, *_: [timing.Row('front_end', 'ser', 4, 0.3, 4, 1.0)])
    said = []
    # 1.5 s for clips of 0.4 s: 75 s for 20 s.
    assert [row['value'] for row in measured('seconds', tiny_options([]), said)] == [0.3, 0.4]
    assert said == ['front_end at 20 and beyond is left out: it would take more than 10 s']
    failed = timing.Row('front_end', 'ser', 4, 0.3, error='out of memory')
    monkeypatch.setattr(scale_axes, 'measure', lambda cases, *_: [failed])
    assert measured('seconds', tiny_options([])) == [{'value': 0.3, 'stage': 'front_end', 'error': 'out of memory'}]


@pytest.mark.slow
def test_workers(monkeypatch, tmp_path):
    make_shards(tmp_path, 24, 0.1, 16000)
    options = tiny_options([], shards=(str(tmp_path),))
    monkeypatch.setattr(scale_axes, 'cores', lambda: 1)
    rows = measured('workers', options)
    assert [(row['stage'], row['value']) for row in rows] == [('read_decode', 0), ('read_decode', 1)]
    assert not multiprocessing.active_children()
    monkeypatch.setattr(scale_axes, 'cores', lambda: 12)
    monkeypatch.setattr(scale_axes, '_growing', lambda points, *_: [value for value, _ in points])
    assert measured('workers', options) == [0, 1, 2, 4, 8, 12]


def test_the_index_is_weighed(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    for name, count in (('first', 3), ('set', 40)):
        make_shards(tmp_path / name, count, 0.02, 16000, distinct=2)
    index_probe.main(str(tmp_path / 'first'), str(tmp_path / 'set'))
    said = json.loads(capsys.readouterr().out)
    assert said['clips_per_second'] == pytest.approx(40 / said['index_seconds'])
    assert said['ms_per_clip'] * said['clips_per_second'] == pytest.approx(1000)
    assert min(said['cached_index_seconds'], said['plan_seconds']) > 0 and said['bytes_per_sample'] >= 0


def test_a_process_that_fails_says_why(tmp_path, monkeypatch):
    with pytest.raises(SerError, match='failed and said: .*No module named ser.nowhere'):
        scale_axes._probe(['ser.nowhere'], {})
    (tmp_path / 'loud.py').write_text('import sys\nprint("torch.Error: no", file=sys.stderr) or 1 / 0')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    with pytest.raises(SerError, match='failed and said: torch.Error: no$'):
        scale_axes._probe(['loud'], {})


def test_a_process_that_hangs_is_given_up(tmp_path, monkeypatch):
    (tmp_path / 'slow.py').write_text('import time\ntime.sleep(60)')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    monkeypatch.setattr(scale_axes, 'PROBE_SECONDS', 0.2)
    with pytest.raises(SerError, match='no answer within 0.2 s'):
        scale_axes._probe(['slow'], {})


def test_ranks_that_no_device_has(monkeypatch):
    monkeypatch.setattr(scale_axes, '_probe', lambda *_: {'clips_per_second': 1.0})
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    for device, why in (('cuda', '2 ranks are left out: 1 GPU'), ('mps', 'one rank alone')):
        options, said = replace(tiny_options([]), device=torch.device(device), shards=('x',)), []
        monkeypatch.setattr(scale_axes, 'with_shards', lambda options, *_: options)
        assert [row['value'] for row in measured('ranks', options, said)] == [1]
        assert said[-1].startswith(why)


@pytest.mark.slow
def test_ranks_train_over_shards_and_samples_are_indexed_in_processes_of_their_own(monkeypatch, tmp_path):
    make_shards(tmp_path, 48, 0.2, 16000)
    rows = measured('ranks', tiny_options([], batches=(5,), shards=(str(tmp_path),)))
    assert [(row['value'], row['stage']) for row in rows] == [(1, 'train_from_shards'), (2, 'train_from_shards')]
    assert all(row['ms_per_clip'] * row['clips_per_second'] == pytest.approx(1000) for row in rows)
    monkeypatch.setattr(scale_axes, 'SAMPLES', (50,))
    row, = measured('samples', tiny_options([]))
    assert (row['value'], row['stage']) == (50, 'index') and row['index_seconds'] > 0
    # Too few clips for a batch: the cause comes through, not the launcher's report of it.
    make_shards(tmp_path / 'few', 8, 0.2, 16000)
    with pytest.raises(SerError, match='failed and said: ser.errors.SerError: '):
        measured('ranks', tiny_options([], batches=(64,), shards=(str(tmp_path / 'few'),)))
