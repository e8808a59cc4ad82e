"""Filters that learn: the numbers they give, the gradients they get, and who owns them."""

import copy
import csv
import io
import tarfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from ser.benchmarks.model_cases import fetched, trainer_of
from ser.config.augment import AugmentConfig
from ser.config.features import ChromaConfig, CqtConfig, FeaturesConfig, ImageConfig, MelConfig
from ser.errors import SerError
from ser.features.cqt import NnAudioCqt
from ser.features.filters import mel_filters
from ser.features.frontend import FrontEnd
from ser.features.learned import LearnedFilters
from ser.features.mel import ENGINES
from ser.features.sequences import SequenceFrontEnd
from ser.models.contract import Output, SpeechModel
from ser.shards.batch import Row, collate
from ser.train import main
from ser.training.checkpoint import load_weights, save_weights
from ser.training.distributed import World
from ser.training.evaluate import evaluate_stream
from ser.training.rebuild import load_run
from ser.training.state import averaged
from ser.training.task import Head
from tests.shard_factory import make_shards
from tests.tiny import ASSIGNMENTS
from tests.tiny_benchmark import crnn_config, tiny_options

RATE = 16000
MEL = {'n_fft': 512, 'hop_length': 200, 'bins': 24}
CQT = {'engine': 'nnaudio', 'bins': 24, 'fmin_hz': 200.0, 'hop_length': 256}


def config(learning=True, **mel):
    return FeaturesConfig(sample_rate=RATE, min_samples=1024, mel=MelConfig(trainable=learning, **MEL | mel),
                          cqt=CqtConfig(trainable=learning, **CQT), mfcc={'coefficients': 13},
                          image=ImageConfig(size=32))


def images(learning=True):
    return FrontEnd(config(learning), AugmentConfig(), {'cqt': 'cqt', 'mel': 'mel', 'mfcc': 'mfcc'}, RATE)


def sequences(learning=True):
    features = config(learning).model_copy(update={'cqt': CqtConfig()})
    return SequenceFrontEnd(features, AugmentConfig(), ('mel', 'mfcc', 'chroma'), RATE)


def batch(silent=False):
    """Three clips: noise over a falling level, a short one, and silence if asked for."""
    torch.manual_seed(3)
    lengths = torch.tensor([9000, 700, 5000])
    waveforms = torch.randn(3, 9000) * torch.linspace(0.5, 0.01, 9000)
    waveforms[2] *= not silent
    return waveforms * (torch.arange(9000) < lengths[:, None]), lengths


class Slopes(nn.Module):
    """Two classes from how every view rises over time."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 2)

    def forward(self, views, mix=None):
        found = sum((view.tanh() * torch.linspace(-1, 1, view.shape[-1])).flatten(1).sum(1, keepdim=True) / 100
                    for view in views.values() if view.is_floating_point())
        return Output(self.head(found), {}, {})

    def parts(self):
        return {'head': list(self.head.parameters())}


def test_filters_start_from_their_definition_and_stay_within_it():
    definition = torch.tensor([[0.0, 2.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.5, -0.25, 0.0, 0.0]])
    filters = LearnedFilters(definition)
    assert filters.initial.abs().amax(1).tolist() == [1, 0, 1] and not filters.state_dict()
    assert torch.equal(filters(filters.initial), definition)
    assert torch.equal(filters(torch.ones(3, 4)) != 0, definition != 0)


@pytest.mark.parametrize('engine', ENGINES)
@pytest.mark.parametrize('shown', [None, torch.tensor([[0, 7, 3], [9, 9, 1], [0, 0, 40]])], ids=['all', 'shown'])
def test_mel_by_its_initial_filters_is_the_mel(engine, shown):
    # Three frames at once: the last of many chunks may not overwrite what the first ones keep.
    mel = MelConfig(trainable=True, chunk_mb=0.02, **MEL)
    banks = ENGINES[engine](mel, ChromaConfig(), RATE, ('mel', 'chroma'))
    waveforms, filters = batch()[0], banks.learned.initial.clone().requires_grad_()
    plain, learned = banks(waveforms, shown), banks(waveforms, shown, filters)
    assert torch.equal(learned['chroma'], plain['chroma']) and not learned['chroma'].requires_grad
    torch.testing.assert_close(learned['mel'], plain['mel'], rtol=1e-5, atol=1e-6)
    weights = torch.linspace(0.1, 1, learned['mel'].numel()).view_as(learned['mel'])
    found, = torch.autograd.grad((learned['mel'] * weights).sum(), filters)
    # Power is linear in the filters, so the gradient is what each bin of the spectrum adds.
    spectrum = torch.stft(waveforms, MEL['n_fft'], MEL['hop_length'], window=torch.hann_window(MEL['n_fft']),
                          pad_mode='constant', return_complex=True).abs().square()
    if shown is not None:
        spectrum = spectrum.gather(2, shown[:, None].expand(-1, spectrum.shape[1], -1))
    expected = torch.einsum('bmn,bfn->mf', weights, spectrum) * banks.learned.scale
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_mel_filters_count_as_0_below_0():
    banks = ENGINES['banded'](MelConfig(trainable=True, **MEL), ChromaConfig(), RATE, ('mel',))
    filters = banks.learned.initial.clone()
    filters[5] *= -1
    filters.requires_grad_()
    power = banks(batch()[0], None, filters)['mel']
    power.sum().backward()
    assert (power[:, 5] == 0).all() and (filters.grad[5] == 0).all() and (power[:, 6] > 0).any()


def difference(call, filters, place, step):
    """The slope of call(filters) along one value, by two calls."""
    shift = torch.zeros_like(filters)
    shift[place] = step
    return (call(filters + shift) - call(filters - shift)) / (2 * step)


def test_gradients_are_finite_differences_in_float64():
    waveforms = batch()[0].double()
    banks = ENGINES['torchaudio'](MelConfig(trainable=True, **MEL), ChromaConfig(), RATE, ('mel',)).double()
    cqt = NnAudioCqt(CqtConfig(trainable=True, **CQT), RATE).double()
    band, atom = banks.learned.initial[6].argmax(), cqt.learned.initial[0, 3].abs().argmax()
    for call, filters, place in (
            (lambda x: banks(waveforms, None, x)['mel'].log1p().sum(), banks.learned.initial, (6, band)),
            (lambda x: cqt(waveforms, None, x).log1p().sum(), cqt.learned.initial, (0, 3, atom)),
            (lambda x: cqt(waveforms, None, x).log1p().sum(), cqt.learned.initial, (1, 3, atom + 5))):
        filters = filters.double().requires_grad_()
        found, = torch.autograd.grad(call(filters), filters)
        assert found[place] != 0
        assert difference(call, filters.detach(), place, 1e-5).item() == pytest.approx(found[place].item(), rel=1e-6)


def test_the_cqt_by_its_initial_kernels_is_the_cqt():
    cqt, waveforms = NnAudioCqt(CqtConfig(trainable=True, **CQT), RATE), batch()[0]
    torch.testing.assert_close(cqt(waveforms, None, cqt.learned.initial), cqt(waveforms), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('build', [images, sequences])
def test_a_front_end_with_its_initial_filters_is_the_one_without(build):
    front, plain, given = build(), build(learning=False), batch()
    filters = {name: tensor.clone().requires_grad_() for name, tensor in front.initial_filters().items()}
    assert plain.initial_filters() == {} and not front.state_dict() and not list(front.parameters())
    assert list(filters) == (['cqt', 'mel'] if build is images else ['mel'])
    expected = plain(*given)
    for name, view in front(*given, filters=filters).items():
        torch.testing.assert_close(view, expected[name], rtol=1e-5, atol=1e-4)
    for name, view in front(*given).items():
        assert torch.equal(view, expected[name]) and not view.requires_grad
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert all(view.dtype != torch.bfloat16 for view in front(*given, filters=filters).values())


@pytest.mark.parametrize('build', [images, sequences])
def test_gradients_of_a_loss_are_finite_also_at_silence_and_a_step_lowers_the_loss(build):
    torch.manual_seed(0)
    model = SpeechModel(build(), Slopes())
    assert list(model.parts()) == ['head', 'front_end']
    waveforms, lengths = batch(silent=True)
    targets = torch.tensor([0, 1, 0])

    def loss():
        return nn.functional.cross_entropy(model.classify(model.views(waveforms, lengths)).logits, targets)

    before = {name: tensor.detach().clone() for name, tensor in model.network.filters.items()}
    first = loss()
    first.backward()
    for tensor in model.network.filters.values():
        assert torch.isfinite(tensor.grad).all() and tensor.grad.abs().max() > 0
    torch.optim.Adam(model.parts()['front_end'], lr=1e-3).step()
    for name, tensor in model.network.filters.items():
        moved = tensor.detach() != before[name]
        assert moved.any() and (before[name][moved] != 0).all()
    with torch.no_grad():
        assert loss() < first
    model.network.filters.requires_grad_(False)
    assert 'front_end' not in model.parts() and not model.views(waveforms, lengths)['mel'].requires_grad


def test_weights_carry_the_filters_and_a_rebuilt_model_gives_the_same_logits(tmp_path):
    model, again = SpeechModel(sequences(), Slopes()), SpeechModel(sequences(), Slopes())
    plain = SpeechModel(sequences(learning=False), Slopes())
    with torch.no_grad():
        model.network.filters['mel'].mul_(torch.linspace(0.2, 1.5, MEL['bins'])[:, None])
    save_weights(tmp_path / 'best.safetensors', model.state_dict())
    load_weights(tmp_path / 'best.safetensors', again)
    with torch.no_grad():
        assert torch.equal(again(*batch()), model(*batch()))
    assert set(model.state_dict()) - set(plain.state_dict()) == {'network.filters.mel'}
    with pytest.raises(SerError, match='weights of another model'):
        load_weights(tmp_path / 'best.safetensors', plain)


def test_the_averaged_networks_own_filters_are_validated():
    model = SpeechModel(sequences(), Slopes())
    ema = averaged(model.network, 0.5)
    ema.update_parameters(model.network)
    with torch.no_grad():
        model.network.filters['mel'][:12] *= 0.1
    ema.update_parameters(model.network)
    waveforms = (batch()[0] * 32768).clamp(-32768, 32767).to(torch.int16).numpy()
    rows = [Row(i, clip[:length], i % 2, 1.0, f'k{i}')
            for i, (clip, length) in enumerate(zip(waveforms, (9000, 1100, 5000), strict=True))]

    def scored(network):
        found = evaluate_stream(model, network, [collate(rows, 3, 9000)], World(), torch.device('cpu'), None,
                                np.arange(3), (Head('emotion', ('a', 'b')),))
        return found.probabilities

    lone = SpeechModel(sequences(), copy.deepcopy(ema.module))
    lone.network.filters = copy.deepcopy(ema.module.filters)
    with torch.no_grad():
        logits = lone(torch.from_numpy(np.stack(waveforms)), torch.tensor([9000, 1100, 5000]))
    np.testing.assert_allclose(scored(ema.module), logits.softmax(1), atol=1e-5)
    assert np.abs(scored(ema.module) - scored(model.network)).max() > 1e-6


def test_a_training_step_makes_its_own_views_and_changes_the_filters_and_their_average():
    config = crnn_config('features.mel.trainable=true', 'training.ema=0.9')
    options = tiny_options(['train_step'], config=config)
    with ExitStack() as stack:
        trainer = trainer_of(options, 4, stack)
        # Views made ahead of their step would be of the filters before the last one.
        assert trainer.device_batches([]).views is None
        trainer.step([fetched(options, 4, trainer)])
        started = trainer.plain_network.filters['mel'].detach().clone()
        trainer.step([fetched(options, 4, trainer)])
        learned, mean = trainer.plain_network.filters['mel'], trainer.ema.module.filters['mel']
        assert (learned != started).any()
        torch.testing.assert_close(mean, 0.9 * started + 0.1 * learned)


def test_what_cannot_learn_is_refused():
    with pytest.raises(SerError, match=r"features.cqt.trainable: engine 'folded' works with tables, which cannot "
                                       'learn; set features.cqt.engine: nnaudio'):
        FrontEnd(FeaturesConfig(cqt=CqtConfig(trainable=True)), AugmentConfig(), {'cqt': 'cqt'}, 44100)
    features = FeaturesConfig(mel=MelConfig(trainable=True), cqt=CqtConfig(trainable=True, engine='nnaudio'))
    for front, name in ((FrontEnd(features, AugmentConfig(), {'mel': 'mel'}, 44100), 'cqt'),
                        (FrontEnd(features, AugmentConfig(), {'cqt': 'cqt', 'chroma': 'chroma'}, 44100), 'mel'),
                        (SequenceFrontEnd(features, AugmentConfig(), ('chroma',), 44100), 'cqt'),
                        (SequenceFrontEnd(features, AugmentConfig(), (), 44100, audio='plain'), 'cqt')):
        with pytest.raises(SerError, match=rf'features.{name}.trainable: the model sees nothing that is made with '
                                           rf'these filters.*give the model {name}'):
            SpeechModel(front, Slopes())


def test_the_definition_is_the_shared_one():
    banks = ENGINES['banded'](MelConfig(trainable=True, **MEL), ChromaConfig(), RATE, ('mel',))
    torch.testing.assert_close(banks.learned(banks.learned.initial), mel_filters(MelConfig(**MEL), RATE))


@pytest.mark.slow
def test_a_run_with_filters_that_learn_gives_from_its_directory_what_it_scored(tmp_path):
    make_shards(tmp_path / 'shards', n_speakers=8, clips_per=2)
    options = [*ASSIGNMENTS, 'features.mel.trainable=true', 'training.epochs=1', 'training.optimizer={kind: parts, '
               'parts: {front_end: {kind: adam, lr: 0.01}}, rest: {kind: adamw}}']
    assert main(['--shards', str(tmp_path / 'shards'), '--out', str(tmp_path / 'run'), '--set', *options]) == 0
    config, names, model = load_run(tmp_path / 'run')
    started = LearnedFilters(mel_filters(config.features.mel, RATE)).initial
    assert (model.network.filters['mel'] != started).any()
    clips = {}
    for path in (tmp_path / 'shards').glob('*.tar'):
        with tarfile.open(path) as tar:
            clips |= {Path(member.name).stem: soundfile.read(io.BytesIO(tar.extractfile(member).read()), dtype='int16')
                      for member in tar if member.name.endswith('.flac')}
    with open(tmp_path / 'run' / 'predictions.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 8
    for row in rows:
        samples = torch.from_numpy(clips[row['key']][0])[None]
        found = model(samples, torch.tensor([samples.shape[1]])).softmax(1)[0].tolist()
        assert found == pytest.approx([float(row[name]) for name in names], abs=1e-4)
