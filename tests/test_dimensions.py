"""predictions.csv of dimensions: written, read back exactly, and refused with the place of the fault."""

import numpy as np
import pytest

from ser.errors import SerError
from ser.evaluation.dimensions import DimensionPredictions, read_csv

NAMES = ('arousal', 'valence', 'dominance')


def make(n=40, names=NAMES):
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 7, (n, len(names))).astype(np.float32)
    predicted = truth + rng.normal(size=truth.shape) * 10.0**rng.integers(-12, 12, truth.shape)
    speakers = [None if i % 3 == 0 else f'speaker {i % 2}' for i in range(n)]
    return DimensionPredictions([f'clip-{i}' for i in range(n)], speakers, truth, predicted, names)


@pytest.mark.parametrize('names', [NAMES, ('valence',), ('key', 'key_predicted'), ('a,b', 'say "no"', 'two\nlines'),
                                   ('愤怒', 'très')])
def test_a_written_file_reads_back_exactly(tmp_path, names):
    before = make(names=names)
    before.write_csv(tmp_path / 'predictions.csv')
    after = read_csv(tmp_path / 'predictions.csv')
    assert all(getattr(before, field) == getattr(after, field) for field in ('keys', 'speakers', 'names'))
    assert np.array_equal(before.truth, after.truth) and np.array_equal(before.predicted, after.predicted)
    assert after.truth.dtype == after.predicted.dtype == np.float64 and len(after) == 40
    assert [path.name for path in tmp_path.iterdir()] == ['predictions.csv']


def test_the_file_has_the_promised_columns(tmp_path):
    DimensionPredictions(['k', 'l'], [None, 's'], [[0.1, 2], [3, -4]], [[0.5, 1e-9], [1 / 3, 0]],
                         ('arousal', 'valence')).write_csv(tmp_path / 'p.csv')
    assert (tmp_path / 'p.csv').read_text() == ('key,speaker,arousal,arousal_predicted,valence,valence_predicted\n'
                                                'k,,0.1,0.5,2.0,1e-09\nl,s,3.0,0.3333333333333333,-4.0,0.0\n')


def test_numbers_are_a_copy_that_nobody_can_change():
    given = np.array([[0.2, 0.5]])
    made = DimensionPredictions(['a'], ['s'], given, given, ('x', 'y'))
    given[0, 0] = 9
    assert made.truth[0, 0] == made.predicted[0, 0] == 0.2
    with pytest.raises(ValueError, match='read-only'):
        made.predicted[0, 0] = 9


HEADER = 'key,speaker,arousal,arousal_predicted'


@pytest.mark.parametrize(('text', 'line', 'message'), [
    ('', None, 'empty'),
    (HEADER, None, 'no clip below the header'),
    ('key,arousal,arousal_predicted\nk,1,2', 1, "column 2 must be 'speaker'; wanted: key, speaker, then NAME and "
     'NAME_predicted of each dimension'),
    ('key,speaker\nk,s', 1, "dimensions ''; at least one is wanted after speaker"),
    ('key,speaker,label,predicted,a,b\nk,s,a,a,1,0', 1, "column 4 must be 'label_predicted'"),
    (f'{HEADER},valence\nk,s,1,2,3', 1, "column 6 must be 'valence_predicted'"),
    (f'{HEADER},arousal,arousal_predicted\nk,s,1,2,3,4', 1, "dimensions 'arousal, arousal'"),
    (f'{HEADER}\nk,s,1,2\nj,s,1,high', 3, "arousal_predicted is 'high', a finite number is wanted"),
    (f'{HEADER}\nk,s,,2', 2, "arousal is '', a finite number is wanted"),
    (f'{HEADER}\nk,s,1,nan', 2, "arousal_predicted is 'nan', a finite number"),
    (f'{HEADER}\nk,s,inf,1', 2, "arousal is 'inf', a finite number"),
    (f'{HEADER}\nk,s,1,2\n\nk,s,1,2', 4, 'clip k is in line 2 already'),
    (f'{HEADER}\nk,s,1', 2, '3 cells, the header has 4'),
])
def test_a_broken_file_is_refused_with_file_line_and_remedy(tmp_path, text, line, message):
    path = tmp_path / 'predictions.csv'
    path.write_text(text)
    with pytest.raises(SerError) as error:
        read_csv(path, remedy='Do this.')
    told = str(error.value)
    assert told.startswith(f'{path}:{line}: ' if line else f'{path}: ')
    assert message in told and told.endswith('Do this.') and '\n' not in told


@pytest.mark.parametrize(('change', 'message'), [
    ({'keys': ('a', 'a')}, 'clip a was predicted 2 times; every clip counts once'),
    ({'names': ('valence', 'valence')}, 'dimensions valence, valence: at least one is wanted, and different names'),
    ({'names': ('valence', '')}, 'different names'),
    ({'names': (), 'truth': np.zeros((2, 0)), 'predicted': np.zeros((2, 0))}, r'dimensions \(none\): at least one'),
    ({'predicted': [[0, 0], [np.inf, 0]]}, 'clip b: the prediction of arousal is inf, not a finite number. Did the '
     'training diverge'),
    ({'truth': [[0, np.nan], [0, 0]]}, 'clip a: the label of valence is nan, not a finite number. Every test clip'),
    ({'keys': (), 'speakers': (), 'truth': np.zeros((0, 2)), 'predicted': np.zeros((0, 2))}, 'no predictions'),
])
def test_impossible_predictions_are_refused(change, message):
    fields = {'keys': ('a', 'b'), 'speakers': (None, None), 'truth': [[1, 2], [3, 4]], 'predicted': [[1, 2], [3, 4]],
              'names': ('arousal', 'valence')}
    with pytest.raises(SerError, match=message):
        DimensionPredictions(**fields | change)


def test_lengths_that_differ_are_a_programming_error():
    for speakers, truth in (((None,), [[1.0], [2.0]]), ((None, None), [1.0, 2.0])):
        with pytest.raises(ValueError, match='2 keys and 1 dimensions'):
            DimensionPredictions(('a', 'b'), speakers, truth, [[1.0], [2.0]], ('x',))
