import csv
import io
import json

import numpy as np

from ser.inference.dimension_formats import FORMATS
from ser.inference.predictor import Result

NAMES = ('arousal', 'valence')
RESULTS = [Result('a.wav', np.array([1.25, -0.5]), short=True), Result('b.wav', error='empty file'),
           Result('c.wav', silent=True)]


def test_json_lines_hold_the_numbers_by_name():
    lines = [json.loads(line) for line in FORMATS['jsonl'](RESULTS, NAMES)]
    assert lines == [{'file': 'a.wav', 'silent': False, 'short': True,
                      'dimensions': {'arousal': 1.25, 'valence': -0.5}},
                     {'file': 'b.wav', 'error': 'empty file'},
                     {'file': 'c.wav', 'silent': True, 'short': False, 'dimensions': {}}]


def test_csv_is_read_back():
    rows = list(csv.reader(io.StringIO('\n'.join(FORMATS['csv'](RESULTS, NAMES)))))
    assert rows == [['file', 'silent', 'error', *NAMES], ['a.wav', 'false', '', '1.25', '-0.5'],
                    ['b.wav', '', 'empty file', '', ''], ['c.wav', 'true', '', '', '']]


def test_the_table_lists_bad_files_last():
    lines = list(FORMATS['table'](RESULTS[::-1], NAMES))
    assert lines[0].split() == ['file', *NAMES] and lines[2].split() == ['a.wav', '1.25', '-0.50']
    assert lines[3:] == ['c.wav: silence', 'b.wav: empty file'] == list(FORMATS['table'](RESULTS[:0:-1], NAMES))


def test_a_dimension_called_as_a_column_is():
    row = next(csv.DictReader(FORMATS['csv'](RESULTS, ('error', 'valence'))))
    assert (row['error'], row['p(error)'], row['p(valence)']) == ('', '1.25', '-0.5')
