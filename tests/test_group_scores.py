"""Scores of parts of a test part: each the score of those clips alone."""

import numpy as np
import pytest

from ser.config.evaluation import EvaluationConfig
from ser.evaluation.predictions import read_csv
from ser.evaluation.report import score
from ser.evaluation.run_files import Facts
from ser.evaluation.sides import taken
from ser.reports.group_scores import common_value, group_of, speaker_groups, third_groups, word_groups
from tests.test_dimension_report import make_run as make_dimensions
from tests.test_report import make_run

FAST = EvaluationConfig(bootstrap=100)


@pytest.fixture(scope='module')
def said(tmp_path_factory):
    return read_csv(make_run(tmp_path_factory.mktemp('groups') / 'run') / 'predictions.csv')


def test_a_group_scores_as_a_test_of_its_own(said):
    keys = [key for key in said.keys if key[0] in 'stuvw']
    found = group_of(said, keys, 'name', FAST)
    own = score(taken(said, keys), Facts('', 'speaker', True), FAST)
    assert (found.score, list(found.interval), found.right, found.n, found.n_speakers) == tuple(
        own[name] for name in ('ua', 'ua_interval', 'wa', 'n', 'n_speakers'))
    assert found.covers_new_speakers and found.classes == 4


def test_speakers_come_in_natural_order_and_hold_every_clip_once(said):
    found = speaker_groups(said, FAST)
    assert [one.name for one in found] == list('stuvwx') and sum(one.n for one in found) == len(said)
    assert not any(one.covers_new_speakers for one in found), 'one speaker says nothing about another'
    assert np.average([one.right for one in found], weights=[one.n for one in found]) == pytest.approx(
        np.mean(np.equal(said.labels, said.predicted)))


def test_words_divide_and_unknown_clips_are_in_no_group(said):
    value_of = {key: 'low' if key[0] in 'st' else 'high' for key in said.keys if key[0] != 'x'}
    found = word_groups(said, value_of, FAST)
    assert [(one.name, one.n, one.n_speakers) for one in found] == [('high', 60, 3), ('low', 40, 2)]
    only = word_groups(said, {key: key.split('-')[1] for key in said.keys}, FAST)
    assert [one.classes for one in only] == [1, 1, 1, 1]


def test_thirds_are_even_and_ordered(said):
    number_of = {key: float(place) for place, key in enumerate(said.keys)}
    found = third_groups(said, number_of, FAST, '{:.0f}'.format)
    assert [one.n for one in found] == [40, 40, 40]
    assert [one.name for one in found] == ['up to 40', '40 to 79', 'above 79']


def test_what_cannot_be_divided_is_not(said):
    assert third_groups(said, dict.fromkeys(said.keys, 1.0), FAST, str) == ()
    assert third_groups(said, {key: 1.0 * place for place, key in enumerate(said.keys[:8])}, FAST, str) == ()
    assert third_groups(said, {}, FAST, str) == ()


def test_dimensions_score_by_concordance(tmp_path):
    from ser.evaluation.dimension_metrics import dimension_scores
    from ser.evaluation.dimensions import read_csv as read_dimensions

    said = read_dimensions(make_dimensions(tmp_path / 'run') / 'predictions.csv')
    one = speaker_groups(said, FAST)[0]
    rows = [place for place, speaker in enumerate(said.speakers) if speaker == one.name]
    own = dimension_scores(said.truth[rows], said.predicted[rows], said.names).values()
    assert one.score == pytest.approx(np.mean([found['ccc'] for found in own])) and one.classes is None
    assert one.right == pytest.approx(np.abs(said.truth[rows] - said.predicted[rows]).mean())


def test_one_value_for_all():
    assert common_value({'a': 'x', 'b': 'x'}, 'ab') == 'x'
    assert common_value({'a': 'x'}, 'ab') is None and common_value({}, 'ab') is None
