"""Encoders for any system: alone as in a batch, what learns, under which names, what they refuse to hear."""

import pytest
import torch

from ser.config.data import DataConfig
from ser.config.features import FeaturesConfig
from ser.config.ssl import TrainAll, TrainLora, TrainNone, TrainTop, TrainTransformer
from ser.config.waveform import FixedLength, WaveformConfig
from ser.errors import SerError
from ser.models.encoders import LayerSum, build_encoder, check_heard
from tests.tiny_encoder import FAMILIES, batch, encoder_config, shaken

LAYER = 16  # parameters of a layer of wav2vec2


def made(family='wav2vec2', large=False, seed=0, **changes):
    torch.manual_seed(seed)
    return build_encoder(encoder_config(family, large, **changes))


@pytest.mark.parametrize('large', [False, True])
@pytest.mark.parametrize('family', FAMILIES)
def test_a_clip_gives_the_same_alone_and_in_a_padded_batch(family, large):
    output = 'last' if large else 'weighted'
    encoder, (waveform, samples) = shaken(made(family, large, output=output)).eval(), batch()
    with torch.no_grad():
        frames, counts = encoder(waveform, samples)
        for row, length in enumerate(samples):
            alone, count = encoder(waveform[row:row + 1, :length], samples[row:row + 1])
            assert count == counts[row]
            torch.testing.assert_close(alone[0, :count], frames[row, :count], rtol=0, atol=1e-5)


def test_the_layer_sum_starts_even_and_is_a_softmax():
    layer_sum, states = LayerSum(3), [torch.full((1, 2), float(i)) for i in (1, 2, 6)]
    torch.testing.assert_close(layer_sum(iter(states)), torch.full((1, 2), 3.0))
    with torch.no_grad():
        layer_sum.layer_weights.copy_(torch.tensor([0.0, 1.0, -torch.inf]))
    share = torch.tensor(1.0).sigmoid()
    torch.testing.assert_close(layer_sum(states), (1 - share) * states[0] + share * states[1])
    with pytest.raises(ValueError, match='shorter'):
        layer_sum(states[:2])


@pytest.mark.parametrize(('train', 'learning'), [
    (TrainAll(), {'front': 5, 'input': 9, 'layer.00': LAYER, 'layer.01': LAYER}),
    (TrainTransformer(), {'front': 0, 'input': 9, 'layer.00': LAYER, 'layer.01': LAYER}),
    (TrainTop(layers=1), {'front': 0, 'input': 0, 'layer.00': 0, 'layer.01': LAYER}),
    (TrainNone(), {'front': 0, 'input': 0, 'layer.00': 0, 'layer.01': 0}),
    (TrainLora(), {'front': 0, 'input': 0, 'layer.00': 4, 'layer.01': 4}),
], ids=lambda case: getattr(case, 'kind', ''))
def test_what_learns_gets_a_gradient_and_the_rest_stays_in_eval_mode(train, learning):
    encoder, (waveform, samples) = made(train=train, output='weighted').train(), batch()
    parts = encoder.parts()
    assert {name: len(parameters) for name, parameters in parts.items()} == {
        **{f'encoder.{name}': count for name, count in learning.items()}, 'layer_sum': 1}
    listed = {id(p) for parameters in parts.values() for p in parameters}
    assert listed == {id(p) for p in encoder.parameters() if p.requires_grad}
    encoder(waveform, samples).frames.square().sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in encoder.parameters())
    for name, modules in encoder.body.groups().items():
        assert all(module.training == bool(learning.get(name)) for module in modules)
    assert not any(module.training for module in encoder.eval().modules())


def test_the_last_norm_learns_with_the_top_layers():
    for family in ('wav2vec2', 'whisper'):
        parts = made(family, large=True, train=TrainTop(layers=1)).parts()
        assert [name for name, parameters in parts.items() if parameters] == ['encoder.layer.01', 'encoder.norm']


def test_more_layers_than_there_are_is_refused():
    with pytest.raises(SerError, match=r'train\.layers: the encoder has 2 layers, not 3\. Allowed: 1 to 2, or'):
        made(train=TrainTop(layers=3))


def test_depths_count_from_the_head():
    encoder = made(large=True, output='weighted')
    assert encoder.depths() == {'layer_sum': 0, 'encoder.norm': 0, 'encoder.layer.01': 1, 'encoder.layer.00': 2,
                                'encoder.input': 3, 'encoder.front': 4}
    assert encoder.depths().keys() == encoder.parts().keys()


@pytest.mark.parametrize(('family', 'train'), [
    ('wav2vec2', TrainAll()), ('wavlm', TrainAll()), ('whisper', TrainAll()), ('data2vec-audio', TrainTransformer()),
    ('wavlm', TrainLora(dropout=0.2))])
def test_gradient_checkpointing_changes_no_gradient(family, train):
    encoder, (waveform, samples) = made(family, train=train, output='weighted').train(), batch()

    def gradients(recompute):
        encoder.set_gradient_checkpointing(recompute)
        encoder.zero_grad()
        torch.manual_seed(3)  # dropout
        encoder(waveform, samples).frames.square().sum().backward()
        return [p.grad.clone() for p in encoder.parameters() if p.requires_grad]

    for plain, recomputed in zip(gradients(False), gradients(True), strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_what_is_frozen_gives_the_same_in_training():
    for family in ('wav2vec2', 'whisper'):
        encoder, (waveform, samples) = made(family, train=TrainNone()), batch()
        torch.testing.assert_close(encoder.train()(waveform, samples).frames, encoder.eval()(waveform, samples).frames)


def test_audio_is_standardised_as_the_checkpoint_was_or_as_told():
    assert [made(family).audio for family in ('wav2vec2', 'whisper')] == ['standard', 'plain']
    assert made(standardise=False).audio == 'plain'


def test_silence_and_the_shortest_and_a_long_clip_are_finite():
    for family in FAMILIES:
        encoder = made(family).eval()
        waveform = torch.zeros(2, 30000)
        waveform[1, :encoder.shortest] = 0.5
        frames, counts = encoder(waveform, torch.tensor([30000, encoder.shortest]))
        assert frames.isfinite().all() and counts[1] == 1


def check(encoder, max_seconds=30.0, length=None, **features):
    waveform = WaveformConfig() if length is None else WaveformConfig(length=length)
    encoder.check_audio(FeaturesConfig(**{'sample_rate': 16000, 'waveform': waveform, **features}),
                        DataConfig(max_seconds=max_seconds))


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('train', [TrainLora(), TrainTop(layers=1)])
def test_what_fits_passes_the_check_without_weights_and_draws_nothing(family, train):
    before = torch.get_rng_state()
    check_heard(encoder_config(family, train=train), FeaturesConfig(sample_rate=16000), DataConfig(max_seconds=0.5))
    assert torch.equal(torch.get_rng_state(), before)


def test_other_rates_and_lengths_than_it_hears_are_refused():
    encoder, whisper = made(), made('whisper')
    check(encoder)
    with pytest.raises(SerError, match=r'features\.sample_rate: 44100, but model\.encoder was trained on 16000'):
        check(encoder, sample_rate=44100)
    with pytest.raises(SerError, match=r'features\.min_samples: 59, but one frame .* from 60 samples; set it to 60'):
        check(encoder, min_samples=59)
    check(whisper, max_seconds=0.5)
    check(whisper, length=FixedLength(seconds=0.5))
    with pytest.raises(SerError, match=r'data\.max_seconds: 30, but model\.encoder hears 0\.5 s at most; set it to'):
        check(whisper)
    with pytest.raises(SerError, match=r'data\.max_seconds: 30'):
        check(whisper, length=FixedLength(seconds=0.5, evaluate='whole'))
    with pytest.raises(SerError, match=r'length\.seconds: 0\.6, but model\.encoder hears 0\.5 s'):
        check(whisper, length=FixedLength(seconds=0.6))
    with pytest.raises(SerError, match=r'features\.min_samples: 9000, but model\.encoder hears 8000 samples'):
        check(whisper, max_seconds=0.5, min_samples=9000)
