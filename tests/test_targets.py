import math
from collections import Counter

import numpy as np
import pytest

from ser.config.data import DataConfig
from ser.errors import SerError
from ser.shards.index import build_index
from ser.shards.labelling import label_index
from ser.shards.targets import (
    STRATA,
    auxiliary_column,
    auxiliary_values,
    dimension_column,
    dimension_names,
    stratified,
    vote_column,
    with_votes,
)
from tests.shard_factory import sample, write_tar


def index_of(folder, clips):
    """An Index of clips, each a dict of JSON fields."""
    members = [member for i, clip in enumerate(clips) for member in sample(f'k{i:02d}', i, seconds=0.05, **clip)]
    write_tar(folder / 'a.tar', members)
    return build_index(DataConfig(shards=(str(folder / 'a.tar'),)))


def clip(emotion='happy', **fields):
    return {'emotion': emotion, 'raw_label': emotion, **fields}


def test_auxiliary_values_are_those_of_the_training_rows_in_natural_order(tmp_path):
    index = index_of(tmp_path, [clip(accent='North'), clip(accent='south'), clip(accent=None), clip(accent='mid')])
    values = auxiliary_values(index, [0, 1, 2], 'accent', 'accent')
    assert values == ('north', 'south')
    # Unknown, and met in no training clip: nothing is learnt or scored of either.
    assert auxiliary_column(index, 'accent', values).tolist() == [0, 1, -1, -1]


@pytest.mark.parametrize(('key', 'message'), [
    ('acent', "JSON 'acent' is in no training clip.*Did you mean 'accent'"), ('gender', "'gender' is always female"),
    ('votes', "JSON 'votes' is a dict"),
])
def test_a_target_without_two_values_is_refused(tmp_path, key, message):
    index = index_of(tmp_path, [clip(accent=name, gender='female', votes={}) for name in ('north', 'south')])
    with pytest.raises(SerError, match=message):
        auxiliary_values(index, [0, 1], key, key)


def test_votes_become_shares_of_the_classes_that_the_run_has(tmp_path):
    index = index_of(tmp_path, [
        clip('happy', votes={'happy': 3, 'sad': 1}), clip('sad', votes={'excited': 1, 'sad': 1}),
        clip('happy', votes={'boredom': 4}), clip('sad'),
        clip('excited', votes={'Sadness': 2, 'exc': 2, 'boredom': 4})])
    labelled = label_index(index, DataConfig(labels=('happy', 'sad'), merge={'excited': 'happy'}))
    shares = vote_column(labelled.index, labelled.names, labelled.class_of)
    # Dropped votes do not count; nothing left is the label alone; merged labels count where they go.
    assert shares.tolist() == [[.75, .25], [.5, .5], [1, 0], [0, 1], [.5, .5]]
    assert with_votes(index) == 4


@pytest.mark.parametrize('votes', [['happy'], {'happy': 'two'}, {'happy': -1}, {'happy': True}])
def test_votes_that_are_no_counts_are_refused(tmp_path, votes):
    index = index_of(tmp_path, [clip(votes=votes), clip('sad')])
    with pytest.raises(SerError, match="k00: JSON 'votes' must be an object of label: count"):
        vote_column(index, ('happy', 'sad'), {})


def test_dimensions_are_read_and_unknown_ones_are_not_numbers(tmp_path):
    index = index_of(tmp_path, [clip(arousal=1, valence=2.5), clip(arousal=3.0, valence=None), clip(arousal=2)])
    column = dimension_column(index, ('arousal', 'valence'))
    assert column[:, 0].tolist() == [1, 3, 2] and column[0, 1] == 2.5 and np.isnan(column[1:, 1]).all()


@pytest.mark.parametrize(('value', 'message'), [
    ('high', "k00: JSON 'arousal' is 'high'; task.dimensions needs numbers"),
    (None, "no clip has a number under the JSON key 'arousal'. Keys with numbers: .*valence"),
])
def test_a_dimension_that_is_no_number_is_refused(tmp_path, value, message):
    index = index_of(tmp_path, [clip(arousal=value, valence=1.0), clip(arousal=value, valence=2.0)])
    with pytest.raises(SerError, match=message):
        dimension_column(index, ('arousal',))


def test_strata_are_thirds_of_the_known_rows_in_the_order_of_their_values(tmp_path):
    values = [5, 1, 3, 2, 4, 6, None]
    index = index_of(tmp_path, [clip(arousal=value, valence=10 * (value or 0)) for value in values])
    labelled = stratified(index, dimension_column(index, ('arousal', 'valence')))
    named = [row.emotion for row in labelled.index.rows]
    assert named == ['high', 'low', 'middle', 'low', 'middle', 'high', '']
    assert (labelled.names, labelled.dropped, labelled.digest) == (
        STRATA, Counter({'without a number for every dimension': 1}), index.digest)
    assert labelled.rows() == [0, 1, 2, 3, 4, 5]
    assert list(labelled.left_out()) == ['1 clip without a number for every dimension']


def test_too_few_known_rows_cannot_be_divided(tmp_path):
    index = index_of(tmp_path, [clip(arousal=1.0), clip(arousal=2.0), clip(arousal=None)])
    with pytest.raises(SerError, match='2 clips have all of them; too few'):
        stratified(index, dimension_column(index, ('arousal',)))


def test_a_value_that_json_cannot_hold_is_no_number():
    from ser.shards.targets import _is_number

    assert not any(map(_is_number, (math.nan, math.inf, True, '1', None))) and _is_number(0)


def test_the_dimensions_are_those_that_clips_have(tmp_path):
    index = index_of(tmp_path, [clip(arousal=1.0, dominance=None), clip(valence=2, pitch=3.0)])
    assert dimension_names(index, 'auto') == ('arousal', 'valence') and dimension_names(index, ('pitch',)) == ('pitch',)
    index = index_of(tmp_path, [clip(pitch=1.0)])
    with pytest.raises(SerError, match='no clip has a number for arousal, valence, .* Keys with numbers: pitch;'):
        dimension_names(index, 'auto')
