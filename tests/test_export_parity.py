"""Parity: what is compared with what, and what does not pass."""

import numpy as np
import pytest

from ser.errors import SerError
from ser.exporting.parity import compare, compare_alone, padded_batch

CLIPS = [np.full(length, length, dtype=np.int16) for length in (500, 3, 40, 7, 900, 11, 12)]


def say(waveforms, lengths):
    """Two probabilities that depend on a clip's mean and length alone."""
    share = waveforms.sum(1, dtype=np.float64) / lengths + lengths / 4000
    return np.stack([share, 1 - share], axis=1).astype(np.float32)


TRAINED = np.concatenate([say(*padded_batch([clip])) for clip in CLIPS]).astype(np.float64)


def off(amount, when=lambda waveforms: True):
    def wrong(waveforms, lengths):
        return say(waveforms, lengths) + np.float32(amount if when(waveforms) else 0)
    return wrong


def test_a_batch_is_padded_with_zeros():
    waveforms, lengths = padded_batch([np.array([16384, -32768], np.int16), np.array([1], np.int16)])
    assert waveforms.tolist() == [[0.5, -1.0], [1 / 32768, 0.0]] and lengths.tolist() == [2, 1]
    assert (waveforms.dtype, lengths.dtype) == (np.float32, np.int64)


def test_equal_ways_pass_and_the_order_of_clips_is_kept():
    found = compare(say, say, TRAINED, CLIPS)
    assert found['clips'] == 7 and found['changed_decisions'] == 0 and found['margins_of_changed'] == []
    for key in ('exported_against_eager', 'alone_against_padded_batch', 'exported_against_trained'):
        assert 0 <= found[key]['mean'] <= found[key]['max'] < 1e-6
    assert 0 < found['latency_ms']['median'] <= found['latency_ms']['slowest']
    assert found['latency_ms']['median_clip_samples'] == 12


@pytest.mark.parametrize(('exported', 'what'), [
    (off(2e-4), 'from the run in eager mode by 0.0002, over 0.0001: nothing was written'),
    (off(np.nan), 'from the run in eager mode by nan'),
    (off(2e-4, lambda waveforms: len(waveforms) > 1 and waveforms.any(axis=1).all()),
     'between a clip alone and in a padded batch by 0.0002'),
    (off(np.nan, lambda waveforms: not waveforms.any(axis=1).all()), 'from the run in eager mode on silence by nan')])
def test_what_differs_is_refused(exported, what):
    with pytest.raises(SerError, match=f'the exported model differs {what}'):
        compare(exported, say, TRAINED, CLIPS)


def test_what_keeps_the_trained_engine_is_compared_with_it_clip_by_clip():
    def one(waveforms, lengths):
        assert len(waveforms) == 1
        return say(waveforms, lengths)

    found = compare_alone(one, TRAINED, CLIPS)
    assert found['changed_decisions'] == 0 and found['exported_against_trained']['max'] < 1e-6
    assert 'exported_against_eager' not in found and found['latency_ms']['median'] > 0
    with pytest.raises(SerError, match='the exported model differs from the run by 0.0002, over 0.0001: nothing was'):
        compare_alone(off(2e-4), TRAINED, CLIPS)


def test_changed_decisions_are_counted_with_their_margins():
    trained = TRAINED.copy()
    trained[2] = trained[2, ::-1]
    found = compare(say, say, trained, CLIPS)
    assert found['changed_decisions'] == 1
    assert found['margins_of_changed'] == [pytest.approx(abs(trained[2, 0] - trained[2, 1]))]


def test_dimensions_are_compared_in_deviations():
    found = compare(say, off(-3e-4), TRAINED + 0.3, CLIPS, scale=np.array([10.0, 10.0]))
    assert found['exported_against_trained']['max'] == pytest.approx(0.03, rel=1e-3)
    assert 'changed_decisions' not in found
