import numpy as np
import pytest
import torch
from torch import nn

from ser.errors import SerError
from ser.models.contract import Output, SpeechModel
from ser.shards.batch import Row, collate
from ser.training.distributed import World
from ser.training.evaluate import Evaluated, _join, evaluate_stream
from ser.training.task import Head

CPU = torch.device('cpu')


class Loudness(nn.Module):
    """Logits that tell how loud a clip is, so that every clip's probability is its own."""

    def forward(self, views, mix=None):
        return Output(torch.stack([views['x'], -views['x']], 1), {}, {})


class First(nn.Module):
    def forward(self, waveforms, lengths, draw=None):
        return {'x': waveforms.float().mean(1) / 100}


def rows(ids):
    return [Row(i, np.full(1000, i, np.int16), i % 2, 1.0, f'k{i}') for i in ids]


def evaluated(batches, expected):
    model = SpeechModel(First(), Loudness())
    return evaluate_stream(model, model.network, batches, World(), CPU, None, np.array(expected),
                           (Head('emotion', ('quiet', 'loud')),))


def test_padding_does_not_count_and_rows_come_in_id_order():
    found = evaluated([collate(rows([5, 3]), 4, 2000), collate(rows([4]), 4, 2000)], [3, 4, 5])
    assert found.ids.tolist() == [3, 4, 5] and found.targets.tolist() == [1, 0, 1]
    assert np.allclose(found.probabilities.sum(1), 1) and len(set(found.probabilities[:, 0])) == 3
    expected = -np.log(found.probabilities[np.arange(3), found.targets]).mean()
    assert found.loss == pytest.approx(expected)


def test_windows_of_one_clip_are_averaged():
    windows = [Row(7, np.full(1000, level, np.int16), 1, 1.0, 'k') for level in (-100, 300)]
    found = evaluated([collate(windows, 2, 2000)], [7])
    each = [evaluated([collate([window], 1, 2000)], [7]).probabilities[0] for window in windows]
    assert np.allclose(found.probabilities[0], np.mean(each, 0))


def test_a_missing_another_or_doubled_clip_is_an_error():
    with pytest.raises(SerError, match='saw 2 clips in 2 places where 3 are wanted'):
        evaluated([collate(rows([1, 2]), 2, 2000)], [1, 2, 3])
    with pytest.raises(SerError, match='saw 2 clips in 2 places where 2 are wanted'):
        evaluated([collate(rows([1, 2]), 2, 2000)], [1, 3])
    with pytest.raises(SerError, match='saw 2 clips in 3 places where 2 are wanted'):
        evaluated([collate(rows([1, 2]), 2, 2000), collate(rows([1]), 2, 2000)], [1, 2])
    both = (np.array([0, 1]), np.array([0, 1]), np.full((2, 2), .5))
    with pytest.raises(SerError, match='saw 2 clips in 4 places'):
        _join([both, both], np.array([0, 1]))


def test_an_empty_part_and_a_diverged_network_are_errors():
    empty = (np.empty(0), np.empty(0), np.empty(0))
    with pytest.raises(SerError, match='saw no clip at all'):
        _join([empty], np.array([1]))
    with pytest.raises(SerError, match='output is not finite'):
        _join([(np.array([0]), np.array([0]), np.array([[np.nan, np.nan]]))], np.array([0]))


def test_ranks_join_as_one():
    part = [(np.array([2, 0]), np.array([0, 1]), np.array([[.5, .5], [.1, .9]])),
            (np.array([1]), np.array([1]), np.array([[.3, .7]]))]
    joined = _join(part, np.array([0, 1, 2]))
    assert joined.ids.tolist() == [0, 1, 2] and joined.probabilities[:, 0].tolist() == [.1, .3, .5]
    assert isinstance(joined, Evaluated)


class Weighed(Loudness):
    """The same with a detail of fixed width."""

    def forward(self, views, mix=None):
        return super().forward(views)._replace(details={'gate': torch.stack([views['x'], 1 - views['x']], 1)})


def test_details_asked_for_follow_the_clips_and_average_over_windows():
    model = SpeechModel(First(), Weighed())
    windows = [Row(7, np.full(1000, level, np.int16), 1, 1.0, 'k') for level in (100, 300)]
    batches = [collate([*rows([5]), *windows], 4, 2000), collate(rows([3]), 4, 2000)]
    found = evaluate_stream(model, model.network, batches, World(), CPU, None, np.array([3, 5, 7]),
                            (Head('emotion', ('quiet', 'loud')),), details=('gate',))
    assert found.details['gate'] == pytest.approx(np.array([[.03, .97], [.05, .95], [2., -1.]]))
    assert evaluated([collate(rows([5]), 4, 2000)], [5]).details == {}


def test_details_of_ranks_join_as_one():
    part = [(np.array([2, 0]), np.array([0, 1]), np.array([[.5, .5], [.1, .9]]), np.array([[2.], [0.]])),
            (np.array([1]), np.array([1]), np.array([[.3, .7]]), np.array([[1.]])), (np.empty(0),)]
    joined = _join(part, np.array([0, 1, 2]), ('gate',))
    assert joined.details['gate'][:, 0].tolist() == [0, 1, 2] and joined.targets.tolist() == [1, 1, 0]


def test_scores_are_of_clean_clips_whatever_training_does_to_them():
    seen = []

    class Draws(First):
        def forward(self, waveforms, lengths, draw=None):
            seen.append(draw)
            return super().forward(waveforms, lengths)

    class Mixes(Loudness):
        def forward(self, views, mix=None):
            seen.append(mix)
            return super().forward(views)

    model = SpeechModel(Draws(), Mixes()).train()
    evaluate_stream(model, model.network, [collate(rows([1, 2]), 2, 2000)], World(), CPU, None, np.array([1, 2]),
                    (Head('emotion', ('quiet', 'loud')),))
    assert seen == [None, None] and not model.network.training
