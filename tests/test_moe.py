"""The mixture of experts: sizes, masks, what reaches what, terms of the objective, bad input."""

import csv
import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from ser.config.load import load_config
from ser.config.moe import ExpertTransformer, GateConfig, MoeConfig
from ser.config.task import EmotionTask
from ser.config.training import CrossEntropyLoss
from ser.errors import SerError
from ser.evaluation.predictions import read_csv
from ser.features.mixup import Mix
from ser.inference.evaluator import evaluate_folder, evaluate_shards
from ser.models import build_model, check_weights
from ser.models.contract import Output
from ser.models.encoders import Encoded
from ser.models.moe import MoeNetwork, spectral_features
from ser.train import main
from ser.training.objective import Objective
from ser.training.task import Head, Task
from tests.shard_factory import make_shards

ROWS = {'mel': 6, 'mfcc': 4, 'chroma': 3}
LAYER = ExpertTransformer(heads=2, feedforward=12, dropout=0.0)


class Frames(nn.Module):
    """In place of an encoder: frames of 10 samples, projected."""

    def __init__(self, width=5):
        super().__init__()
        self.width, self.outer, self.checkpointing = width, nn.Linear(10, width), None
        self.shares = None

    def forward(self, waveform, samples):
        return Encoded(self.outer(waveform.unfold(1, 10, 10)), samples // 10)

    def layer_weights(self):
        return self.shares

    def parts(self):
        return {'encoder.body': [p for p in self.parameters() if p.requires_grad]}

    def depths(self):
        return {'encoder.body': 1}

    def set_gradient_checkpointing(self, enable=True):
        self.checkpointing = enable


def config(**changes):
    return MoeConfig(**{'features': ('ssl', 'mel', 'mfcc'), 'projection': 8, 'channels': 8, 'width': 6,
                        'attention_hidden': 5, 'head_hidden': 7, 'ssl_transformer': LAYER,
                        'spectral_transformer': LAYER, 'gate': GateConfig(hidden=5), **changes})


def network(seed=0, auxiliary=None, **changes):
    torch.manual_seed(seed)
    made = config(**changes)
    return MoeNetwork(made, Frames(), {name: ROWS[name] for name in made.features if name != 'ssl'}, 3, auxiliary)


def views(samples=(90, 40), total=100, features=('mel', 'mfcc')):
    """Waveforms of so many samples, and sequences of a frame for each five, zero beyond."""
    torch.manual_seed(1)
    samples = torch.tensor(samples)
    frames = 1 + samples // 5
    found = {name: torch.randn(len(samples), ROWS[name], 1 + total // 5) for name in features}
    found = {name: x * (torch.arange(x.shape[2]) < frames[:, None])[:, None] for name, x in found.items()}
    waveform = torch.randn(len(samples), total) * (torch.arange(total) < samples[:, None])
    return {**found, 'frames': frames, 'waveform': waveform, 'samples': samples}


def cut(found, clip, samples):
    """One clip alone, without the padding of its batch."""
    frames = 1 + samples // 5
    return {name: x[clip:clip + 1, ..., :samples if name == 'waveform' else frames] if x.ndim > 1
            else x[clip:clip + 1] for name, x in found.items()}


def test_the_answer_is_the_head_of_the_gates_weighted_sum():
    model, found = network().eval(), views()
    output = model(found)
    states, frames = model.encoder(found['waveform'], found['samples'])
    vectors = [model.streams['ssl'](states, frames)[0],
               *(model.streams[name](found[name], found['frames'])[0] for name in ('mel', 'mfcc'))]
    shares = model.gate(torch.stack(vectors, 1))
    expected = sum(share[:, None] * vector for share, vector in zip(shares.T, vectors, strict=True))
    torch.testing.assert_close(output.embedding, expected)
    norm, _, inner, _, _, outer = model.head
    torch.testing.assert_close(output.logits, outer(functional.gelu(inner(norm(expected)))))
    torch.testing.assert_close(output.details['gate'], shares.detach())
    torch.testing.assert_close(shares.sum(1), torch.ones(2))
    assert model.experts == model.gated == ('ssl', 'mel', 'mfcc')


def test_details_are_gates_and_attention_over_each_streams_own_frames():
    details = network().eval()(views()).details
    assert {name: tuple(value.shape) for name, value in details.items()} == {
        'gate': (2, 3), 'attention.ssl': (2, 10), 'attention.mel': (2, 6), 'attention.mfcc': (2, 6)}
    assert not any(value.requires_grad for value in details.values())
    model = network()
    model.encoder.shares = torch.tensor([0.25, 0.75])
    assert model(views()).details['layer_weights'].tolist() == [[0.25, 0.75]] * 2
    for name, last in (('ssl', 4), ('mel', 3), ('mfcc', 3)):
        weights = details[f'attention.{name}'][1]
        assert weights.sum().item() == pytest.approx(1) and not weights[last:].any() and (weights[:last] > 0).all()


def test_a_clip_is_the_same_alone_and_padded_and_whatever_lies_beyond():
    model, found = network().eval(), views(features=('mel', 'mfcc'))
    together = model(found)
    alone = model(cut(found, 1, 40))
    torch.testing.assert_close(together.logits[1:], alone.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.details['gate'][1:], alone.details['gate'], atol=1e-5, rtol=1e-5)
    # The front end gives zeros beyond a waveform; the encoder's frames there are masked whatever they are.
    found['waveform'][1, 40:] = 1e3
    torch.testing.assert_close(model(found).logits, together.logits, atol=1e-5, rtol=1e-5)


def test_parts_hold_everything_that_learns_once():
    model = network(expert_loss=0.3, auxiliary={'gender': 2})
    parts = model.parts()
    assert list(parts) == ['encoder.body', 'experts', 'gate', 'head']
    ids = [id(p) for several in parts.values() for p in several]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    plain = network()
    head = 2 * 6 + 6 * 7 + 7 + 7 * 3 + 3
    assert sum(p.numel() for p in plain.parts()['head']) == head
    assert sum(p.numel() for p in parts['head']) == head + (6 * 3 + 3) + (2 * 6 + 6 * 7 + 7 + 7 * 2 + 2)
    assert sum(p.numel() for p in plain.parts()['gate']) == 3 * 6 * 5 + 5 + 5 * 3 + 3
    assert model(views()).auxiliary['gender'].shape == (2, 2)
    model.set_gradient_checkpointing(True)
    assert model.encoder.checkpointing is True
    plain.encoder.requires_grad_(False)
    assert plain.parts()['encoder.body'] == []


def objective(model, **loss):
    task = Task(EmotionTask(), (Head('emotion', ('a', 'b', 'c')),), ('a', 'b', 'c'))
    return Objective(task, CrossEntropyLoss(**loss), [1, 1, 1], np.arange(3), model)


def joined(model, output, targets):
    terms, weights = objective(model), torch.ones(len(targets))
    wanted = {'emotion': targets}
    return terms.joined(terms.totals(output, wanted, weights), terms.weights(wanted, weights))


def test_the_experts_own_loss_counts_with_its_weight():
    model, targets = network(expert_loss=0.3).eval(), torch.tensor([2, 0])
    output = model(views())
    main, side = (functional.cross_entropy(logits, targets) for logits in (output.logits, output.side_logits['mel']))
    torch.testing.assert_close(joined(model, output, targets), main + 0.3 * side)
    model.zero_grad()
    side.backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert reached and all(name.startswith(('streams.mel.', 'judge.')) for name in reached)
    assert {'judge.weight', 'judge.bias', 'streams.mel.convolutions.0.weight'} <= reached


def test_an_expert_that_the_gate_shuts_out_learns_by_its_own_loss_alone():
    for weight in (0.0, 0.5):
        model = network(expert_loss=weight).eval()
        nn.init.zeros_(model.gate.layers[3].weight)
        model.gate.layers[3].bias.data = torch.tensor([0.0, -1e4, 0.0])
        joined(model, model(views()), torch.tensor([2, 0])).backward()
        gradient = model.streams['mel'].convolutions[0].weight.grad
        assert bool(gradient.any()) is (weight > 0)


def test_the_experts_classifier_is_mels_or_the_first_spectral_experts():
    assert network(features=('chroma', 'ssl', 'mel'), expert_loss=1.0).side_losses == {'mel': 1.0}
    assert network(features=('ssl', 'mfcc', 'chroma'), expert_loss=1.0).side_losses == {'mfcc': 1.0}
    bare = network()
    assert bare.judge is None and bare.side_losses == bare.penalties == {} and bare(views()).side_logits == {}


def test_the_balance_of_the_gate_counts_with_its_weight():
    model, targets = network(balance_loss=0.2).eval(), torch.tensor([2, 0])
    output = model(views())
    mean = output.details['gate'].mean(0)
    expected = mean.var(unbiased=False) / mean.mean() ** 2
    torch.testing.assert_close(output.penalties['balance'], expected)
    torch.testing.assert_close(joined(model, output, targets),
                               functional.cross_entropy(output.logits, targets) + 0.2 * expected)
    assert network()(views()).penalties == {}


def test_bfloat16_gives_nearly_the_same_and_weights_stay_float32():
    model, found = network(balance_loss=0.1).eval(), views()
    expected = model(found)
    with torch.autocast('cpu', torch.bfloat16):
        output = model(found)
    torch.testing.assert_close(output.logits.float(), expected.logits, atol=0.05, rtol=0.05)
    assert output.details['gate'].dtype == output.details['attention.ssl'].dtype == torch.float32
    assert output.penalties['balance'].dtype == torch.float32


def test_mixed_views_are_mixed_before_the_experts():
    model, found = network().eval(), views()
    mix = Mix(torch.tensor([1, 0]), torch.tensor(0.25))
    mixed = {name: 0.25 * x + 0.75 * x.flip(0) if x.is_floating_point() else torch.maximum(x, x.flip(0))
             for name, x in found.items()}
    torch.testing.assert_close(model(found, mix).logits, model(mixed).logits)


def test_the_order_of_features_is_the_order_of_gates():
    output = network(features=('chroma', 'ssl'))(views(features=('chroma',)))
    assert isinstance(output, Output) and list(output.details) == ['gate', 'attention.chroma', 'attention.ssl']


@pytest.mark.parametrize(('features', 'message'), [
    ((), "model.features: no expert is left; name 'ssl' and at least one of mel, mfcc, chroma"),
    (('ssl',), "model.features: 'ssl' alone; model.kind moe needs a spectral feature beside it"),
    (('mel', 'mfcc'), "model.features: mel, mfcc without 'ssl'; model.kind moe needs that expert"),
    (('ssl', 'mel', 'ssl'), "model.features: 'ssl' is named twice"),
    (('ssl', 'mel', 'mel'), "model.features: 'mel' is named twice"),
    (('ssl', 'mell'), "model.features: no sequence is called 'mell'. Allowed: mel, mfcc, chroma.")])
def test_features_that_are_no_mixture_are_refused(features, message):
    with pytest.raises(SerError) as error:
        spectral_features(features)
    assert str(error.value).startswith(message) and '\n' not in str(error.value)


def test_features_without_ssl_keep_their_order():
    assert spectral_features(('mfcc', 'ssl', 'mel')) == ('mfcc', 'mel')


TINY = ['data.sample_rate=16000', 'features.sample_rate=16000', 'features.mel.n_fft=400', 'features.mel.hop_length=160',
        'features.mel.bins=16', 'features.mfcc.coefficients=8',
        'model={kind: moe, projection: 8, channels: 8, width: 8, head_hidden: 8, ssl_transformer: {heads: 2}, '
        'spectral_transformer: {heads: 2}, encoder: {source: {kind: config, hidden_size: 16, layers: 2, heads: 2, '
        'intermediate_size: 24, conv_dim: [8, 8], conv_kernel: [40, 16], conv_stride: [20, 16], position_kernel: 8, '
        'position_groups: 2}}}']


def built(*changes, seed=0):
    torch.manual_seed(seed)
    return build_model(load_config(assignments=[*TINY, *changes]), ('a', 'b', 'c'), load_pretrained=False)


def test_audio_gives_the_same_alone_and_in_a_batch_whatever_its_length():
    model = built().eval()
    lengths = torch.tensor([24000, 800, 9600, 16000])
    waveforms = torch.randint(-9000, 9000, (4, 24000), dtype=torch.int16)
    waveforms[3] = 0
    with torch.no_grad():
        together = model(waveforms, lengths)
        alone = torch.cat([model(waveforms[i:i + 1, :length], lengths[i:i + 1]) for i, length in enumerate(lengths)])
        long = torch.randint(-9000, 9000, (1, 60 * 16000), dtype=torch.int16)
        assert together.isfinite().all() and model(long, torch.tensor([long.shape[1]])).isfinite().all()
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_an_encoder_is_frozen_unless_told_otherwise():
    model = built().train()
    assert sorted(name for name, several in model.parts().items() if several) == ['experts', 'gate', 'head']
    found = model.views(torch.randint(-900, 900, (2, 16000), dtype=torch.int16), torch.tensor([16000, 9000]))
    # Dropout of 0.1 is in every layer of it, and none of it is drawn.
    first, again = (model.network.encoder(found['waveform'], found['samples']).frames for _ in range(2))
    assert torch.equal(first, again) and not first.requires_grad and model.network.streams.training
    model.classify(found).logits.sum().backward()
    assert all(p.grad is None for p in model.network.encoder.parameters())
    assert all(p.grad is not None for several in model.parts().values() for p in several)


def test_an_encoder_trains_as_it_does_alone():
    model = built('model.encoder.train={kind: top, layers: 1}', 'model.encoder.output=weighted').train()
    parts = model.parts()
    assert parts['encoder.layer.01'] and parts['layer_sum'] and not parts['encoder.layer.00']
    assert set(model.network.depths()) <= set(parts) and model.network.depths()['encoder.layer.00'] == 2
    output = model.classify(model.views(torch.randint(-900, 900, (2, 16000), dtype=torch.int16),
                                        torch.tensor([16000, 9000])))
    assert output.details['layer_weights'].shape == (2, 3)
    output.logits.sum().backward()
    assert all(p.grad is not None for several in parts.values() for p in several)


def test_what_does_not_fit_together_is_refused():
    for changes, message in (
            (['features.sample_rate=8000'], 'features.sample_rate: 8000, but model.encoder was trained on 16000 Hz'),
            (['model.encoder.train={kind: top, layers: 3}'], 'model.encoder.train.layers: the encoder has 2 layers'),
            (['model.features=[mel, mfcc]'], "model.features: mel, mfcc without 'ssl'"),
            (['model.spectral_transformer.heads=3'], 'model.spectral_transformer.heads: 3 does not divide the width 8'),
            (['model.projection=null', 'model.ssl_transformer.heads=3'], 'model.ssl_transformer.heads: 3 does not')):
        with pytest.raises(SerError) as error:
            built(*changes)
        assert str(error.value).startswith(message) and '\n' not in str(error.value)
    with pytest.raises(SerError, match="model.features: 'ssl' alone"):
        check_weights(load_config(assignments=[*TINY, 'model.features=[ssl]']).model)


def weights_by_key(folder):
    """key -> (label, weights) of a gates-clips.csv."""
    with open(folder / 'gates-clips.csv', newline='') as file:
        (_, _, *experts), *rows = csv.reader(file)
    assert experts == ['ssl', 'mel', 'mfcc', 'chroma']
    return {key: (label, np.array(values, dtype=float)) for key, label, *values in rows}


@pytest.mark.slow
def test_a_run_says_what_its_gate_leant_on(tmp_path):
    make_shards(tmp_path / 'shards', n_speakers=6, clips_per=1)
    run, threads = tmp_path / 'run', torch.get_num_threads()
    code = main(['--shards', str(tmp_path / 'shards'), '--out', str(run), '--set', *TINY, 'training.epochs=1',
                 'training.batch_size=8', 'data.workers=0', 'data.max_seconds=0.3', 'data.long=window', 'run.threads=1',
                 'evaluation.bootstrap=20', 'evaluation.details=clips', 'model.expert_loss=0.3',
                 'model.balance_loss=0.1', 'augment.mixup.alpha=0.3', 'augment.spec_augment={kind: masks}'])
    torch.set_num_threads(threads)
    assert code == 0
    kept, found = read_csv(run / 'predictions.csv'), weights_by_key(run)
    assert list(found) == list(kept.keys) and [label for label, _ in found.values()] == list(kept.labels)
    said = json.loads((run / 'gates.json').read_text())
    for name, part in said['per_class'].items():
        own = np.stack([weights for label, weights in found.values() if label == name])
        assert part['clips'] == len(own) and list(part['mean'].values()) == pytest.approx(own.mean(0))
        assert own.sum(1) == pytest.approx(np.ones(len(own)))
    assert evaluate_folder(run)['gates'] == said and '## Experts' in (run / 'README.md').read_text()
    metrics, out = evaluate_shards(run, [str(tmp_path / 'shards')], tmp_path / 'again', 'cpu',
                                   ['evaluation.batch_size=5'])
    again = weights_by_key(out)
    assert all(weights == pytest.approx(again[key][1], abs=1e-5) for key, (_, weights) in found.items())
    assert metrics['gates'] == json.loads((out / 'gates.json').read_text()) != said
    assert '## Experts' in (out / 'README.md').read_text()
