"""The spectral CRNN: documented sizes, masks, features, and what is refused."""

import pytest
import torch

from ser.config.load import load_config
from ser.errors import SerError
from ser.features.mixup import Mix
from ser.models import build_model
from ser.models.crnn import CrnnNetwork

NAMES = ('neutral', 'happy', 'sad', 'angry')
SMALL = ('data.sample_rate=16000', 'features.sample_rate=16000', 'features.min_samples=400', 'features.mel.n_fft=512',
         'features.mel.hop_length=160', 'features.mel.bins=24', 'features.mfcc.coefficients=13', 'model.kind=crnn',
         'model.features=[mel, mfcc, chroma]', 'model.channels=[4, 6]', 'model.pools=[[2, 2], [3, 2]]', 'model.width=8',
         'model.hidden=5')


def model_of(*assignments, auxiliary=None):
    config = load_config(('base',), (*SMALL, *assignments), {})
    torch.manual_seed(0)
    return build_model(config, NAMES, auxiliary=auxiliary)


def with_statistics(model):
    """The model in eval mode with normalisation that is not the identity."""
    for name, buffer in model.network.named_buffers():
        if name.endswith('running_mean'):
            buffer.normal_(generator=torch.Generator().manual_seed(1))
        if name.endswith('running_var'):
            buffer.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(2))
    return model.eval()


def clips(*seconds):
    lengths = torch.tensor([round(16000 * s) for s in seconds])
    waveforms = torch.zeros(len(seconds), int(lengths.max()), dtype=torch.int16)
    for i, length in enumerate(lengths):
        noise = torch.randn(int(length), generator=torch.Generator().manual_seed(i))
        waveforms[i, :length] = (noise * 3000).to(torch.int16)
    return waveforms, lengths


def test_parameters_are_those_of_the_documented_sizes():
    config = load_config(('base',), ('model.kind=crnn', 'model.features=[mel, mfcc, chroma]'), {}).model
    network = CrnnNetwork(config, {'mel': 128, 'mfcc': 40, 'chroma': 12}, 6)
    convolutions = 9 * (32 + 32 * 64 + 64 * 128) + 2 * (32 + 64 + 128)
    branches = 3 * convolutions + sum(width * 128 + 128 for width in (4096, 1280, 384))
    bottleneck = 384 * 192 + 192 + 2 * 192
    recurrent = 2 * 3 * (192 * 128 + 128 * 128 + 2 * 128)
    expected = branches + bottleneck + recurrent + (256 + 1) + (256 * 6 + 6)
    assert sum(p.numel() for p in network.parameters()) == expected


@pytest.mark.parametrize('pooling', ['attention', 'statistics', 'mean'])
@pytest.mark.parametrize('input_norm', [False, True])
def test_a_clip_gives_the_same_alone_and_in_a_padded_batch(pooling, input_norm):
    model = with_statistics(model_of(f'model.pooling={pooling}', f'model.input_norm={input_norm}', 'model.layers=2'))
    waveforms, lengths = clips(0.05, 0.73, 1.9, 0.21)
    with torch.no_grad():
        together = model(waveforms, lengths)
        for i, length in enumerate(lengths):
            alone = model(waveforms[i:i + 1, :length], lengths[i:i + 1])
            torch.testing.assert_close(alone[0], together[i], atol=1e-4, rtol=0)


def test_silence_the_shortest_and_a_minute_stay_finite():
    model = with_statistics(model_of())
    waveforms, lengths = clips(60.0, 0.05, 0.4)
    waveforms[2] = 0
    with torch.no_grad():
        assert torch.isfinite(model(waveforms, lengths)).all()
    model.train()
    model(waveforms[1:, :8000], lengths[1:]).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.network.parameters())


def test_attention_and_embedding_are_read_out():
    model = model_of(auxiliary={'gender': ('female', 'male')}).eval()
    output = model.classify(model.views(*clips(0.5, 1.0)))
    attention = output.details['attention']
    assert attention.shape == (2, 26) and not attention.requires_grad and not attention[0, 13:].any()
    torch.testing.assert_close(attention.sum(1), torch.ones(2))
    assert output.embedding.shape == (2, 10) and output.embedding.requires_grad
    assert output.auxiliary['gender'].shape == (2, 2)


def test_mixing_a_clip_with_itself_changes_nothing_and_with_another_takes_the_longer_length():
    model = model_of().eval()
    views = model.views(*clips(0.5, 1.0))
    with torch.no_grad():
        plain = model.classify(views).logits
        same = model.classify(views, Mix(torch.tensor([0, 1]), 0.3)).logits
        mixed = model.classify(views, Mix(torch.tensor([1, 0]), 0.5))
    torch.testing.assert_close(same, plain)
    torch.testing.assert_close(mixed.logits[0], mixed.logits[1], atol=1e-5, rtol=1e-5)
    assert mixed.details['attention'][0].ne(0).sum() == mixed.details['attention'][1].ne(0).sum() == 26


def test_every_parameter_is_in_one_part():
    model = model_of(auxiliary={'gender': ('female', 'male')})
    assert set(model.parts()) == {'branches', 'recurrent', 'head'}


@pytest.mark.parametrize(('assignment', 'message'), [
    ('model.features=[]', 'model.features: no feature is left; name at least one of mel, mfcc, chroma'),
    ('model.features=[mel, mel]', "model.features: 'mel' is named twice"),
    ('model.features=[mell]', r"model.features: no sequence is called 'mell'. Allowed: mel, mfcc, chroma. Did"),
    ('model.pools=[[2, 2]]', r'model.pools: 1 for 2 convolutions \(model.channels\)'),
])
def test_what_does_not_fit_is_refused(assignment, message):
    with pytest.raises(SerError, match=message):
        model_of(assignment)


def test_gradient_checkpointing_is_refused():
    model = model_of()
    model.set_gradient_checkpointing(False)
    with pytest.raises(SerError, match='training.gradient_checkpointing: not for model.kind crnn'):
        model.set_gradient_checkpointing(True)
