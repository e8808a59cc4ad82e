"""Results as text that programs and people can read, bad files and odd names among them."""

import csv
import io
import json

import numpy as np
import pytest

from ser.inference.formats import FIXED_COLUMNS, FORMATS, columns_of
from ser.inference.predictor import Result

NAMES = ('neutral', 'key, or "file"')
RESULTS = [Result('a.wav', np.array([0.25, 0.75])), Result('b\n.wav', error='empty file'),
           Result('c\udcff.wav', np.array([0.875, 0.125])),
           Result('d.wav', np.array([0.375, 0.625]), emotion='unknown', auxiliary={'gender': {'female': 0.5}},
                  short=True),
           Result('e.wav', silent=True)]


def test_json_lines():
    lines = [json.loads(line) for line in FORMATS['jsonl'](RESULTS, NAMES)]
    assert lines[0] == {'file': 'a.wav', 'emotion': NAMES[1], 'likeliest': NAMES[1], 'confidence': 0.75,
                        'silent': False, 'short': False, 'probabilities': {'neutral': 0.25, NAMES[1]: 0.75}}
    assert lines[1] == {'file': 'b\n.wav', 'error': 'empty file'}
    assert lines[2]['emotion'] == 'neutral'
    assert lines[3] == {'file': 'd.wav', 'emotion': 'unknown', 'likeliest': NAMES[1], 'confidence': 0.625,
                        'silent': False, 'short': True, 'probabilities': {'neutral': 0.375, NAMES[1]: 0.625},
                        'auxiliary': {'gender': {'female': 0.5}}}
    assert lines[4] == {'file': 'e.wav', 'emotion': 'silence', 'likeliest': None, 'confidence': None, 'silent': True,
                        'short': False,
                        'probabilities': {}}
    assert all('\n' not in line and line.isascii() for line in FORMATS['jsonl'](RESULTS, NAMES))


def test_csv_is_read_back():
    text = '\n'.join(FORMATS['csv'](RESULTS, NAMES)) + '\n'
    rows = list(csv.reader(io.StringIO(text, newline='')))
    assert rows[0] == ['file', 'emotion', 'likeliest', 'confidence', 'silent', 'error', *NAMES]
    assert rows[1] == ['a.wav', NAMES[1], NAMES[1], '0.75', 'false', '', '0.25', '0.75']
    assert rows[2] == ['b\n.wav', '', '', '', '', 'empty file', '', '']
    assert rows[3][0] == 'c\\udcff.wav'
    assert rows[4] == ['d.wav', 'unknown', NAMES[1], '0.625', 'false', '', '0.375', '0.625']
    assert rows[5] == ['e.wav', 'silence', '', '', 'true', '', '', '']
    text.encode('utf-8')


def test_the_table_lists_bad_files_after_the_good():
    lines = list(FORMATS['table'](RESULTS, NAMES))
    assert lines[0].split()[:3] == ['file', 'emotion', 'confidence']
    assert lines[2].split()[-3:] == ['%', '25.0', '75.0']
    assert lines[3].startswith('c\\udcff.wav  neutral')
    assert lines[4].split()[:2] == ['d.wav', 'unknown'] and f'({NAMES[1]}?)  ' in lines[4]
    assert lines[5].split() == ['e.wav', 'silence'] and lines[6:] == ['b .wav: empty file']
    assert list(FORMATS['table'](RESULTS[1:2], NAMES)) == ['b .wav: empty file']


@pytest.mark.parametrize('top', [1, 2, 9])
def test_the_likeliest_classes_alone(top):
    ranked = [(NAMES[1], 0.75), ('neutral', 0.25)][:top]
    line, fault, *_ = map(json.loads, FORMATS['jsonl'](RESULTS, NAMES, top))
    assert list(line['probabilities'].items()) == ranked and fault == {'file': 'b\n.wav', 'error': 'empty file'}
    header, row, fault, *_ = csv.reader(io.StringIO('\n'.join(FORMATS['csv'](RESULTS, NAMES, top)), newline=''))
    assert header[6:] == ['top1', 'p1', 'top2', 'p2'][:2 * len(ranked)]
    assert row[6:] == [cell for name, share in ranked for cell in (name, str(share))]
    assert fault[5] == 'empty file' and fault[6:] == [''] * 2 * len(ranked)
    header, _, row, *_ = FORMATS['table'](RESULTS, NAMES, top)
    assert header.split() == ['file', 'emotion', 'confidence', '1', '2'][:3 + len(ranked)]
    assert row.endswith(f'%  {NAMES[1]} 75.0' + ('  neutral 25.0' if top > 1 else ''))


def test_a_class_called_silence_is_no_silence():
    names, results = ('silence', 'unknown'), [Result('a.wav', np.array([0.75, 0.25]), emotion='silence'),
                                              Result('b.wav', silent=True)]
    for top in (None, 1):
        spoken, silent = map(json.loads, FORMATS['jsonl'](results, names, top))
        assert (spoken['emotion'], spoken['silent'], spoken['likeliest']) == ('silence', False, 'silence')
        assert (silent['emotion'], silent['silent'], silent['likeliest']) == ('silence', True, None)
        rows = list(csv.DictReader(FORMATS['csv'](results, names, top)))
        assert [(row['emotion'], row['silent'], row['likeliest']) for row in rows] == [
            ('silence', 'false', 'silence'), ('silence', 'true', '')]
        lines = list(FORMATS['table'](results, names, top))
        assert lines[2].split()[2:4] == ['75.0', '%'] and lines[3].split() == ['b.wav', 'silence']


def test_of_equals_the_first_comes_first():
    even = [Result('a.wav', np.array([0.2, 0.4, 0.4]))]
    line = json.loads(next(FORMATS['jsonl'](even, ('a', 'b', 'c'), 3)))
    assert (line['likeliest'], list(line['probabilities'])) == ('b', ['b', 'c', 'a'])


def test_a_class_called_as_a_column_is_has_a_column_of_its_own():
    names = ('silent', 'p(error)')
    said = [Result('a.wav', np.array([0.75, 0.25]))]
    row, = csv.DictReader(FORMATS['csv'](said, names))
    assert (row['silent'], row['p(silent)'], row['p(p(error))']) == ('false', '0.75', '0.25')
    assert columns_of(('sad', 'angry'), FIXED_COLUMNS) == ['sad', 'angry']
    assert 'p(' not in next(FORMATS['csv'](said, names, 1))
