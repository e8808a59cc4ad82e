"""predictions.csv: written, read back exactly, and refused with the place of the fault."""

import numpy as np
import pytest

from ser.errors import SerError
from ser.evaluation.predictions import Predictions, read_csv

NAMES = ('angry', 'sad', 'happy')


def make(n=7, names=NAMES, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, len(names))).astype(np.float32) * 3
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    speakers = [None if i % 3 == 0 else f'speaker {i % 2}' for i in range(n)]
    return Predictions.from_probabilities([f'clip-{i}' for i in range(n)], speakers,
                                          rng.integers(0, len(names), n), probabilities, names)


def same(a, b):
    return all(getattr(a, field) == getattr(b, field) for field in ('keys', 'speakers', 'labels', 'predicted', 'names')
               ) and np.array_equal(a.probabilities, b.probabilities)


@pytest.mark.parametrize('names', [
    NAMES, ('key', 'speaker', 'label', 'predicted'), ('a,b', 'say "no"', 'two\nlines', 'back\r'),
    ('愤怒', 'très', '\u2028')])
def test_a_written_file_reads_back_exactly(tmp_path, names):
    before = make(40, names)
    before.write_csv(tmp_path / 'predictions.csv')
    after = read_csv(tmp_path / 'predictions.csv')
    assert same(before, after)
    assert after.probabilities.dtype == np.float64
    assert [path.name for path in tmp_path.iterdir()] == ['predictions.csv']


def test_the_file_has_the_promised_columns(tmp_path):
    Predictions(['k'], [None], ['sad'], ['angry'], [[0.5, 0.25, 0.25]], NAMES).write_csv(tmp_path / 'p.csv')
    assert (tmp_path / 'p.csv').read_text() == ('key,speaker,label,predicted,angry,sad,happy\n'
                                                'k,,sad,angry,0.5,0.25,0.25\n')


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / 'p.csv'
    path.write_bytes('\ufeffkey,speaker,label,predicted,a,b\r\nk,s,a,b,0.25,0.75\r\n'.encode())
    assert read_csv(path).names == ('a', 'b')


def test_from_probabilities_takes_the_likeliest_class():
    given = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
    made = Predictions.from_probabilities(['a', 'b'], ['s', 's'], [2, 0], given, NAMES)
    assert made.labels == ('happy', 'angry') and made.predicted == ('sad', 'angry')
    assert made.label_ids.tolist() == [2, 0] and made.predicted_ids.tolist() == [1, 0]
    assert len(made) == 2


def test_probabilities_are_a_copy_that_nobody_can_change():
    given = np.array([[0.2, 0.5, 0.3]])
    made = Predictions.from_probabilities(['a'], ['s'], [2], given, NAMES)
    given[0, 0] = 9
    assert made.probabilities[0, 0] == 0.2
    with pytest.raises(ValueError, match='read-only'):
        made.probabilities[0, 0] = 9


HEADER = 'key,speaker,label,predicted,angry,sad'


@pytest.mark.parametrize(('text', 'line', 'message'), [
    ('', None, 'empty'),
    (HEADER, None, 'no clip below the header'),
    ('key,label,predicted,angry,sad\nk,sad,sad,0,1', 1, "column 2 must be 'speaker'"),
    ('key,speaker,label', 1, "column 4 must be 'predicted'"),
    ('key,speaker,label,predicted,angry\nk,s,angry,angry,1', 1, "class columns 'angry'; at least two"),
    ('key,speaker,label,predicted,a,a\nk,s,a,a,1,0', 1, "class columns 'a, a'"),
    (f'{HEADER}\nk,s,sad,sad,0,1\nj,s,sad,sad,half,1', 3, "probability of angry: 'half' is not a number"),
    (f'{HEADER}\nk,s,sad,sad,,1', 2, "probability of angry: '' is not a number"),
    (f'{HEADER}\nk,s,sad,sad,nan,1', 2, 'a probability is not finite'),
    (f'{HEADER}\nk,s,sad,sad,0.3,0.5', 2, 'probabilities sum to 0.8000, not 1'),
    (f'{HEADER}\nk,s,sad,sad,-0.5,1.5', 2, 'probabilities between -0.5 and 1.5'),
    (f'{HEADER}\nk,s,sadd,sad,0,1', 2, "unknown class 'sadd'; classes: angry, sad. Did you mean 'sad'?"),
    (f'{HEADER}\nk,s,sad,joy,0,1', 2, "unknown class 'joy'"),
    (f'{HEADER}\nk,s,sad,sad,0,1\n\nk,s,sad,sad,0,1', 4, 'clip k is in line 2 already'),
    (f'{HEADER}\nk,s,sad,sad,0', 2, '5 cells, the header has 6'),
    (f'{HEADER}\nk,"s,sad,sad,0,1', 2, 'not CSV'),
])
def test_a_broken_file_is_refused_with_file_line_and_remedy(tmp_path, text, line, message):
    path = tmp_path / 'predictions.csv'
    path.write_text(text)
    with pytest.raises(SerError) as error:
        read_csv(path, remedy='Do this.')
    told = str(error.value)
    assert told.startswith(f'{path}:{line}: ' if line else f'{path}: ')
    assert message in told and told.endswith('Do this.') and '\n' not in told


def test_a_missing_file_a_folder_and_binary_are_refused(tmp_path):
    with pytest.raises(SerError, match=r'no such file\. A finished run has it'):
        read_csv(tmp_path / 'predictions.csv')
    with pytest.raises(SerError, match='cannot be read'):
        read_csv(tmp_path)
    (tmp_path / 'p.csv').write_bytes(b'key\xff\xfe')
    with pytest.raises(SerError, match='not UTF-8 text'):
        read_csv(tmp_path / 'p.csv')


@pytest.mark.parametrize(('change', 'message'), [
    ({'keys': ('a', 'a')}, 'clip a was predicted 2 times'),
    ({'labels': ('sad', 'fear')}, "unknown class 'fear'"),
    ({'probabilities': [[1, 0, 0], [np.nan, 0, 0]]}, 'clip b: a probability is not finite. Did the training diverge'),
    ({'names': ('sad', 'sad', 'angry')}, 'at least two different ones'),
    ({'keys': (), 'speakers': (), 'labels': (), 'predicted': (), 'probabilities': np.zeros((0, 3))}, 'no predictions'),
])
def test_impossible_predictions_are_refused(change, message):
    fields = {'keys': ('a', 'b'), 'speakers': (None, None), 'labels': ('sad', 'sad'), 'predicted': ('sad', 'sad'),
              'probabilities': [[0, 1, 0], [0, 1, 0]], 'names': NAMES}
    with pytest.raises(SerError, match=message):
        Predictions(**fields | change)


def test_lengths_that_differ_are_a_programming_error():
    with pytest.raises(ValueError, match='2 keys and 3 classes'):
        Predictions(('a', 'b'), (None,), ('sad', 'sad'), ('sad', 'sad'), [[0, 1, 0], [0, 1, 0]], NAMES)
