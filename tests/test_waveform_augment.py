import collections
import math
from typing import get_args

import numpy as np
import pytest
import soundfile
import torch

from ser.config.load import load_config, validate
from ser.config.schema import Config
from ser.config.waveform_augment import WaveformStep
from ser.errors import SerError
from ser.features.waveform_augment import TRANSFORMS, augmented, draw_audio, longest_of
from ser.shards.batch import draw_ids

RATE = 16000
KINDS = ['gain', 'polarity', 'shift', 'noise', 'noise_level', 'background', 'speed', 'stretch', 'pitch', 'band_limit',
         'codec']
ONE_OF = {'kind': 'one_of', 'probability': 0.7, 'weights': [0.4, 0.4, 0.2], 'steps': [
    {'kind': 'pitch', 'semitones': [-1, 1]}, {'kind': 'noise'}, {'kind': 'stretch', 'rate': [0.9, 1.1]}]}
SEQUENCE = [{'kind': 'stretch', 'probability': 0.3}, {'kind': 'pitch', 'semitones': [-2, 2], 'probability': 0.3},
            {'kind': 'shift', 'probability': 0.3}, {'kind': 'noise_level', 'probability': 0.3}]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('recordings')
    for name, samples in (('short', 700), ('long', 9000)):
        soundfile.write(path / f'{name}.wav', np.random.default_rng(samples).normal(0, 0.1, samples), RATE)
    return str(path)


def steps_of(*steps):
    return Config(augment={'waveform': steps}).augment.waveform


def step_of(kind, folder, **keys):
    return {'kind': kind, 'probability': 1.0, **({'folder': folder} if kind == 'background' else {}), **keys}


def clips(*lengths):
    samples = torch.zeros(len(lengths), max(lengths))
    for row, length in enumerate(lengths):
        samples[row, :length] = 0.1 * torch.randn(length, generator=torch.Generator().manual_seed(length))
    return samples, torch.tensor(lengths)


# --- what is drawn -------------------------------------------------------------------------------------------


def test_no_steps_draw_nothing():
    assert draw_audio((), 0, 0, [1, 2]) is None and Config().augment.waveform == ()


def test_every_kind_of_the_config_has_a_transform():
    union, _ = get_args(WaveformStep)
    kinds = {section.model_fields['kind'].default for section in get_args(union)}
    assert kinds == {*TRANSFORMS, 'one_of'} and set(KINDS) == set(TRANSFORMS)


def numbers_of(draw, ids):
    """Clip id to what it drew: {kind: {name: number}}."""
    found = collections.defaultdict(dict)
    for drawn in draw.steps:
        for place, row in enumerate(drawn.rows.tolist()):
            found[int(ids[row])][drawn.step.kind] = {name: value[place].item() for name, value in drawn.values.items()}
    return dict(found)


def test_a_clip_draws_the_same_in_any_batch_and_another_epoch_seed_or_clip_draws_anew(folder):
    steps = steps_of(*[step_of(kind, folder) for kind in KINDS], ONE_OF)
    ids = np.arange(40)
    whole = numbers_of(draw_audio(steps, 1, 0, ids), ids)
    shuffled = np.random.default_rng(0).permutation(ids)[:15]
    assert numbers_of(draw_audio(steps, 1, 0, shuffled), shuffled) == {int(n): whole[int(n)] for n in shuffled}
    for other in ((2, 0), (1, 1)):
        drawn = numbers_of(draw_audio(steps, *other, ids), ids)
        assert all(drawn[n]['gain'] != whole[n]['gain'] and drawn[n]['noise'] != whole[n]['noise'] for n in ids)
    assert len({whole[n]['noise']['key'] for n in ids} | {whole[n]['noise_level']['key'] for n in ids}) == 80


def test_copies_of_a_clip_draw_apart_and_the_first_as_a_clip_that_comes_once(folder):
    steps = steps_of(*[step_of(kind, folder) for kind in KINDS])
    ids, places = np.arange(200), np.arange(400)
    once = numbers_of(draw_audio(steps, 1, 0, ids), ids)
    twice = numbers_of(draw_audio(steps, 1, 0, draw_ids(np.tile(ids, 2), np.repeat([0, 1], 200))), places)
    assert {place: twice[place] for place in ids} == once
    for kind in KINDS:
        for name in once[0][kind]:
            first, second = (np.array([twice[place + shift][kind][name] for place in ids]) for shift in (0, 200))
            # Some numbers are given and not drawn; factors are few whole numbers.
            if len(set(first)) > 1:
                assert (first == second).mean() < 0.15 and abs(np.corrcoef(first, second)[0, 1]) < 0.25, (kind, name)
    drawn, = draw_audio(steps_of(ONE_OF['steps'][1] | {'probability': 0.5}), 1, 0,
                        draw_ids(np.tile(ids, 2), np.repeat([0, 1], 200))).steps
    picked = np.isin(places, drawn.rows.numpy())
    assert (picked[:200] == picked[200:]).mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize('kind', ['noise', 'noise_level', 'background'])
def test_copies_of_a_clip_hear_other_noise(kind, folder):
    samples, lengths = clips(3000, 3000, 3000)
    draw = draw_audio(steps_of(step_of(kind, folder)), 0, 0, draw_ids([4, 4, 4], [0, 1, 2]))
    noise = augmented(samples, lengths, draw, RATE)[0] - samples
    assert torch.corrcoef(noise).sub(torch.eye(3)).abs().max() < 0.1


def test_a_second_step_of_a_kind_draws_on_its_own_and_the_first_whatever_stands_before_it():
    gain, shift = {'kind': 'gain'}, {'kind': 'shift'}
    two = draw_audio(steps_of(shift, gain, gain), 0, 0, [5, 6]).steps
    alone, = draw_audio(steps_of(gain), 0, 0, [5, 6]).steps
    assert torch.equal(two[1].values['factor'], alone.values['factor'])
    assert not torch.equal(two[2].values['factor'], alone.values['factor'])


def test_numbers_stay_within_their_bounds_and_fill_them():
    steps = steps_of({'kind': 'gain', 'db': [-3, 6]}, {'kind': 'noise', 'snr_db': [5, 9]},
                     {'kind': 'stretch', 'rate': [0.8, 1.1]})
    gain, noise, stretch = (drawn.host for drawn in draw_audio(steps, 0, 0, np.arange(2000)).steps)
    for found, low, high in ((20 * np.log10(gain['factor']), -3, 6), (noise['snr_db'], 5, 9),
                             (stretch['rate'] / 1000, 0.8, 1.1)):
        assert low <= found.min() < low + 0.02 * (high - low) and high - 0.02 * (high - low) < found.max() <= high
        assert found.mean() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))


def test_one_of_several_by_weight_and_never_two():
    draw = draw_audio(steps_of(ONE_OF), 0, 3, np.arange(8000))
    shares = {drawn.step.kind: len(drawn.rows) / 8000 for drawn in draw.steps}
    assert shares == pytest.approx({'pitch': 0.28, 'noise': 0.28, 'stretch': 0.14}, abs=0.015)
    met = torch.cat([drawn.rows for drawn in draw.steps])
    assert len(met) == len(met.unique()) == pytest.approx(5600, abs=120)


def test_without_weights_all_are_as_likely_and_an_alternative_may_hesitate():
    steps = [{'kind': 'gain'}, {'kind': 'polarity', 'probability': 0.5}]
    gain, polarity = draw_audio(steps_of({'kind': 'one_of', 'steps': steps}), 0, 0, np.arange(4000)).steps
    assert (len(gain.rows) / 4000, len(polarity.rows) / 4000) == pytest.approx((0.5, 0.25), abs=0.03)
    none = {'kind': 'one_of', 'steps': steps, 'weights': [1, 0]}
    only, = draw_audio(steps_of(none), 0, 0, np.arange(400)).steps
    assert only.step.kind == 'gain' and len(only.rows) == 400


def test_steps_in_sequence_are_drawn_apart():
    draw = draw_audio(steps_of(*SEQUENCE), 0, 0, np.arange(6000))
    assert [drawn.step.kind for drawn in draw.steps] == ['stretch', 'pitch', 'shift', 'noise_level']
    assert [len(drawn.rows) / 6000 for drawn in draw.steps] == pytest.approx([0.3] * 4, abs=0.02)
    touched = torch.cat([drawn.rows for drawn in draw.steps]).unique()
    assert 1 - len(touched) / 6000 == pytest.approx(0.7**4, abs=0.02)


def test_drawing_leaves_the_global_generators_alone():
    before = torch.get_rng_state()
    draw_audio(steps_of(ONE_OF, *SEQUENCE), 0, 0, np.arange(9))
    assert torch.equal(torch.get_rng_state(), before)


# --- what it does --------------------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', KINDS)
def test_a_clip_sounds_the_same_alone_and_among_others(kind, folder):
    steps, lengths = steps_of(step_of(kind, folder)), (8000, 5003, 12001)
    samples, counts = clips(*lengths)
    together, own = augmented(samples, counts, draw_audio(steps, 7, 1, [3, 14, 15]), RATE)
    for row, (length, clip) in enumerate(zip(lengths, (3, 14, 15), strict=True)):
        alone, count = augmented(samples[row:row + 1, :length], counts[row:row + 1],
                                 draw_audio(steps, 7, 1, [clip]), RATE)
        assert own[row] == count[0]
        apart = (together[row, :int(count)] - alone[0, :int(count)]).abs()
        # Of samples half way between two of the codec's levels the last bit decides.
        assert apart.max() < (0.01 if kind == 'codec' else 1e-5) and (apart > 1e-5).float().mean() < 0.005
        assert together[row, int(count):].abs().sum() == 0 == alone[0, int(count):].abs().sum()
        assert not torch.equal(together[row, :length], samples[row, :length])


@pytest.mark.parametrize('kind', KINDS)
def test_silence_and_the_shortest_and_longest_clips_stay_finite(kind, folder):
    steps = steps_of(step_of(kind, folder))
    for samples, lengths in (clips(800, 1, 2, 37), (torch.zeros(2, 4000), torch.tensor([4000, 0]))):
        found, own = augmented(samples, lengths, draw_audio(steps, 0, 0, range(len(samples))), RATE)
        assert found.isfinite().all() and (own[lengths > 0] > 0).all() and found.shape[1] >= own.max()
        assert (found[~(torch.arange(found.shape[1]) < own[:, None])] == 0).all()
        if samples.abs().sum() == 0 and kind != 'noise_level':
            assert found.abs().max() == 0


@pytest.mark.parametrize('kind', KINDS)
def test_no_transform_reads_from_the_device(kind, folder):
    steps = steps_of(step_of(kind, folder))
    samples, lengths = (x.to('meta') for x in clips(3000, 2000))
    draw = draw_audio(steps, 0, 0, [1, 2])
    here, own = augmented(*clips(3000, 2000), draw, RATE)
    found, counts = augmented(samples, lengths, draw.to('meta'), RATE)
    assert found.shape == here.shape and counts.shape == own.shape


def test_a_minute_stays_finite(folder):
    # At a low rate, to be quick: what matters is how many windows and turns of phase there are.
    steps = steps_of(*[step_of(kind, folder) for kind in KINDS])
    samples, lengths = clips(60 * 4000)
    found, own = augmented(samples, lengths, draw_audio(steps, 0, 0, [1]), 4000)
    assert found.isfinite().all() and 0.7 * 240000 < own[0] < 1.4 * 240000
    assert 0.01 < found.square().mean().sqrt() < 1


def test_clips_that_draw_nothing_pass_unchanged_and_batches_grow_and_shrink():
    samples, lengths = clips(6000, 6000, 6000)
    half = draw_audio(steps_of({'kind': 'speed', 'factor': [0.8, 0.8], 'probability': 0.5}), 0, 0, [0, 1, 2])
    touched = set(half.steps[0].rows.tolist())
    assert 0 < len(touched) < 3
    found, own = augmented(samples, lengths, half, RATE)
    assert found.shape == (3, 7500)
    for row in range(3):
        assert own[row] == (7500 if row in touched else 6000)
        assert row in touched or torch.equal(found[row, :6000], samples[row])
    faster, own = augmented(samples, lengths, draw_audio(steps_of({'kind': 'speed', 'factor': [1.25, 1.25]}), 0, 0,
                                                         [0, 1, 2]), RATE)
    assert faster.shape == (3, 4800) and own.tolist() == [4800] * 3


def test_what_came_in_is_left_as_it_was(folder):
    samples, lengths = clips(3000, 2000)
    before, counts = samples.clone(), lengths.clone()
    for kind in KINDS:
        augmented(samples, lengths, draw_audio(steps_of(step_of(kind, folder)), 0, 0, [1, 2]), RATE)
        assert torch.equal(samples, before) and torch.equal(lengths, counts)


def test_steps_follow_each_other_in_the_configs_order():
    loud = {'kind': 'gain', 'db': [20, 20]}
    hiss = {'kind': 'noise_level', 'deviation': [0.01, 0.01]}
    silence, lengths = torch.zeros(1, 9000), torch.tensor([9000])
    levels = []
    for order in ((loud, hiss), (hiss, loud)):
        found, _ = augmented(silence, lengths, draw_audio(steps_of(*order), 0, 0, [4]), RATE)
        levels.append(float(found.std()))
    assert levels == pytest.approx([0.01, 0.1], rel=0.03)


def test_a_draw_moves_as_one():
    draw = draw_audio(steps_of(*SEQUENCE), 0, 0, np.arange(9))
    moved = draw.to('cpu')
    samples, lengths = clips(*[2000] * 9)
    assert torch.equal(augmented(samples, lengths, draw, RATE)[0], augmented(samples, lengths, moved, RATE)[0])
    assert draw.to('meta').steps[0].rows.device.type == 'meta'


def test_the_longest_clip_is_read_where_that_costs_nothing():
    assert longest_of(torch.zeros(2, 9), torch.tensor([4, 7])) == 7
    assert longest_of(torch.zeros(2, 9, device='meta'), torch.zeros(2, device='meta')) == 9


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA GPU')
@pytest.mark.parametrize('kind', KINDS)
def test_a_gpu_gives_the_same_sound(kind, folder):
    steps = steps_of(step_of(kind, folder))
    samples, lengths = clips(8000, 5003)
    draw = draw_audio(steps, 0, 0, [3, 4])
    expected, own = augmented(samples, lengths, draw, RATE)
    found, counts = augmented(samples.cuda(), lengths.cuda(), draw.pin_memory().to('cuda', non_blocking=True), RATE)
    assert counts.tolist() == own.tolist()
    # A level of the codec is missed where rounding falls the other way.
    torch.testing.assert_close(found.cpu(), expected, atol=2e-3 if kind == 'codec' else 1e-4, rtol=0)


# --- what the config refuses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(('step', 'message'), [
    ({'kind': 'gain', 'db': [6, -6]}, r'augment.waveform.0.db is \[6, -6\]: should be \[lowest, highest\]'),
    ({'kind': 'gain', 'db': [6]}, r'augment.waveform.0.db is \[6\]: .*too few'),
    ({'kind': 'noise', 'snr_db': [0, math.inf]}, r'augment.waveform.0.snr_db.1 is inf: should be less than or equal'),
    ({'kind': 'noise', 'snr_db': [math.nan, 3]}, r'augment.waveform.0.snr_db.0 is nan: should be '),
    ({'kind': 'noise', 'snr_db': [True, 3]}, 'snr_db.0 is True: a number is wanted, not a boolean'),
    ({'kind': 'speed', 'factor': [0.955, 1.1]}, r'factor is \[0.955, 1.1\]: should be whole percents'),
    ({'kind': 'speed', 'factor': [0.1, 1.1]}, 'factor.0 is 0.1: should be greater than or equal to 0.5'),
    ({'kind': 'shift', 'share': [-2, 0]}, 'share.0 is -2: should be greater than or equal to -1'),
    ({'kind': 'codec', 'bits': [8, 1]}, 'bits.1 is 1: should be greater than or equal to 2'),
    ({'kind': 'codec', 'bits': [7.5, 8]}, r'bits.0 is 7.5: should be a whole number'),
    ({'kind': 'band_limit', 'low_hz': [300, 4000]}, 'high_hz should lie above low_hz, which goes up to 4000'),
    ({'kind': 'band_limit', 'low_hz': None, 'high_hz': None}, 'high_hz is None: low_hz or high_hz is needed'),
    ({'kind': 'background'}, 'has too few entries'),
    ({'kind': 'gain', 'probability': 1.5}, 'probability is 1.5: should be less than or equal to 1'),
    ({'kind': 'one_of', 'steps': [{'kind': 'gain'}], 'weights': [0]}, r'weights is \[0\]: should not all be 0'),
    ({'kind': 'one_of', 'steps': [{'kind': 'gain'}], 'weights': [1, 2]}, 'should be one for each of the 1 steps'),
    ({'kind': 'one_of', 'steps': []}, 'steps is .*: should have at least 1 item'),
])
def test_bounds_that_make_no_sense_are_refused_in_one_line(step, message):
    with pytest.raises(SerError, match=message) as refused:
        validate({'augment': {'waveform': [step]}}, {'augment.waveform': 'mine.yaml'})
    assert '\n' not in str(refused.value) and str(refused.value).startswith('mine.yaml: ')


def test_both_reference_settings_can_be_written_on_the_command_line():
    text = ('augment.waveform=[{kind: one_of, probability: 0.7, weights: [0.4, 0.4, 0.2], steps: [{kind: pitch, '
            'semitones: [-1, 1]}, {kind: noise_level}, {kind: stretch}]}]')
    step, = load_config(('base',), [text]).augment.waveform
    assert [inner.kind for inner in step.steps] == ['pitch', 'noise_level', 'stretch']
    assert step.steps[0].semitones == (-1, 1) and steps_of(*SEQUENCE)[1].probability == 0.3
