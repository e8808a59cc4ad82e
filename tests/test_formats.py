"""Results as text that programs and people can read, bad files and odd names among them."""

import csv
import io
import json

import numpy as np

from ser.inference.formats import FORMATS
from ser.inference.predictor import Result

NAMES = ('neutral', 'key, or "file"')
RESULTS = [Result('a.wav', np.array([0.25, 0.75])), Result('b\n.wav', error='empty file'),
           Result('c\udcff.wav', np.array([0.875, 0.125]))]


def test_json_lines():
    lines = [json.loads(line) for line in FORMATS['jsonl'](RESULTS, NAMES)]
    assert lines[0] == {'file': 'a.wav', 'emotion': NAMES[1], 'confidence': 0.75,
                        'probabilities': {'neutral': 0.25, NAMES[1]: 0.75}}
    assert lines[1] == {'file': 'b\n.wav', 'error': 'empty file'}
    assert lines[2]['emotion'] == 'neutral'
    assert all('\n' not in line and line.isascii() for line in FORMATS['jsonl'](RESULTS, NAMES))


def test_csv_is_read_back():
    text = '\n'.join(FORMATS['csv'](RESULTS, NAMES)) + '\n'
    rows = list(csv.reader(io.StringIO(text, newline='')))
    assert rows[0] == ['file', 'emotion', 'confidence', 'error', *NAMES]
    assert rows[1] == ['a.wav', NAMES[1], '0.75', '', '0.25', '0.75']
    assert rows[2] == ['b\n.wav', '', '', 'empty file', '', '']
    assert rows[3][0] == 'c\\udcff.wav'
    text.encode('utf-8')


def test_the_table_lists_bad_files_after_the_good():
    lines = list(FORMATS['table'](RESULTS, NAMES))
    assert lines[0].split()[:3] == ['file', 'emotion', 'confidence']
    assert lines[2].split()[-3:] == ['%', '25.0', '75.0']
    assert lines[3].startswith('c\\udcff.wav  neutral')
    assert lines[4:] == ['b .wav: empty file']
    assert list(FORMATS['table'](RESULTS[1:2], NAMES)) == ['b .wav: empty file']
