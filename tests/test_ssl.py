"""The fine-tuned encoder: transformers' logits, masks, heads, parts, bad input, and a run that stands alone."""

import shutil

import pytest
import torch

from ser.config.load import load_config
from ser.config.schema import Config
from ser.config.ssl import EncoderConfig, FolderSource, PerceptronHead, ProjectorHead, SslConfig, TrainNone
from ser.errors import SerError
from ser.features.mixup import Mix
from ser.models import build_model, check_weights
from ser.models.encoder_loading import Published
from ser.models.encoders import build_encoder
from ser.models.ssl import SslNetwork
from ser.train import main
from ser.training.rebuild import load_run
from ser.training.session import refuse_changes
from tests.shard_factory import make_shards
from tests.tiny_encoder import FAMILIES, WAVES, batch, classifier, encoder_config, shaken

NAMES = ('happy', 'sad', 'angry')
HEAD = 'model.head={kind: projector, hidden: 12}'
TINY = ('{kind: config, hidden_size: 16, layers: 1, heads: 2, intermediate_size: 16, conv_dim: [8, 8], '
        'conv_kernel: [20, 16], conv_stride: [20, 16], position_kernel: 4, position_groups: 2}')


def network(family='wav2vec2', large=False, auxiliary=None, seed=0, output='weighted', train=None, **changes):
    torch.manual_seed(seed)
    encoder = encoder_config(family, large, output=output, **({'train': train} if train else {}))
    config = SslConfig(**{'encoder': encoder, 'head': ProjectorHead(hidden=12), 'attention_hidden': 5, **changes})
    return SslNetwork(config, build_encoder(config.encoder), 3, auxiliary)


def views(**options):
    waveform, samples = batch(**options)
    return {'waveform': waveform, 'samples': samples}


def row(views, i):
    length = int(views['samples'][i])
    return {'waveform': views['waveform'][i:i + 1, :length], 'samples': views['samples'][i:i + 1]}


def config_of(*assignments):
    return load_config(('base',), ['model.kind=ssl', 'data.sample_rate=16000', 'features.sample_rate=16000',
                                   *assignments])


@pytest.mark.parametrize(('family', 'large', 'weighted'), [
    *[(family, False, True) for family in WAVES], *[(family, True, False) for family in WAVES],
    ('wav2vec2', False, False), ('hubert', True, True)])
def test_a_checkpoints_classifier_gives_the_logits_of_transformers(family, large, weighted, tmp_path):
    theirs, inputs = classifier(family, large, weighted=weighted), views()
    theirs.save_pretrained(tmp_path)
    config = config_of(f'model.encoder.source={{kind: folder, path: {tmp_path}}}', HEAD,
                       f"model.encoder.output={'weighted' if weighted else 'last'}")
    ours = build_model(config, NAMES).network.eval()
    with torch.no_grad():
        logits = ours(inputs).logits
        for i in range(3):
            alone = theirs(row(inputs, i)['waveform']).logits
            torch.testing.assert_close(logits[i:i + 1], alone, rtol=0, atol=1e-5)
        if large and family != 'data2vec-audio':
            mask = (torch.arange(inputs['waveform'].shape[1]) < inputs['samples'][:, None]).long()
            together = theirs(inputs['waveform'], attention_mask=mask).logits
            torch.testing.assert_close(logits, together, rtol=0, atol=1e-5)


def test_a_whisper_classifier_gives_the_logits_of_transformers_on_clips_without_padding(tmp_path):
    theirs, inputs = classifier('whisper', weighted=True), views(lengths=(8000, 8000))
    theirs.save_pretrained(tmp_path)
    config = config_of(f'model.encoder.source={{kind: folder, path: {tmp_path}}}', HEAD,
                       'model.encoder.output=weighted', 'data.max_seconds=0.5')
    ours = build_model(config, NAMES).network.eval()
    with torch.no_grad():
        logits = theirs(ours.encoder.body.mel(inputs['waveform'])).logits
        torch.testing.assert_close(ours(inputs).logits, logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize(('family', 'pooling', 'head'), [
    *[(family, 'statistics', PerceptronHead(hidden=(9, 8))) for family in FAMILIES],
    ('wav2vec2', 'mean', ProjectorHead(hidden=12)), ('wavlm', 'attention', ProjectorHead(hidden=12))])
def test_a_clip_gives_the_same_logits_alone_and_in_a_padded_batch(family, pooling, head):
    made, inputs = shaken(network(family, pooling=pooling, head=head, auxiliary={'gender': 2})).eval(), views()
    with torch.no_grad():
        together = made(inputs)
        for i in range(3):
            alone = made(row(inputs, i))
            torch.testing.assert_close(alone.logits, together.logits[i:i + 1], rtol=0, atol=1e-4)
            torch.testing.assert_close(alone.embedding, together.embedding[i:i + 1], rtol=0, atol=1e-4)
            torch.testing.assert_close(alone.auxiliary['gender'], together.auxiliary['gender'][i:i + 1], rtol=0,
                                       atol=1e-4)


def test_what_is_read_out():
    made = network(pooling='statistics')
    output = made.eval()(views())
    assert output.embedding.shape == (3, 24) and output.embedding.requires_grad
    assert not output.details['attention'].requires_grad
    torch.testing.assert_close(output.details['layer_weights'], torch.full((3, 3), 1 / 3))
    torch.testing.assert_close(output.details['attention'].sum(dim=1), torch.ones(3))
    assert network(output='last').eval()(views()).details == {}


def test_parts_are_all_that_learns_and_depths_name_them():
    made = network(auxiliary={'gender': 2}, pooling='attention')
    parts = made.parts()
    listed = [id(p) for parameters in parts.values() for p in parameters]
    assert len(listed) == len(set(listed))
    assert set(listed) == {id(p) for p in made.parameters() if p.requires_grad}
    assert list(parts) == ['encoder.front', 'encoder.input', 'encoder.layer.00', 'encoder.layer.01', 'layer_sum',
                           'head']
    assert made.depths().keys() == parts.keys() and made.depths()['head'] == 0
    alone = network(train=TrainNone(), output='last', head=PerceptronHead()).parts()
    assert [name for name, parameters in alone.items() if parameters] == ['head']


def test_mixed_waveforms_are_as_long_as_the_longer():
    made, inputs = network().eval(), views()
    mix = Mix(torch.tensor([1, 0, 2]), 0.25)
    mixed = 0.25 * inputs['waveform'][1] + 0.75 * inputs['waveform'][0]
    with torch.no_grad():
        logits = made({'waveform': mixed[None], 'samples': inputs['samples'][:1]}).logits
        torch.testing.assert_close(made(inputs, mix).logits[1:2], logits)


def test_a_perceptron_refuses_to_train_on_one_clip():
    made = network(head=PerceptronHead(hidden=(6,))).train()
    assert made(views()).logits.shape == (3, 3)
    with pytest.raises(SerError, match="'mlp' cannot train on a batch of 1 clip"):
        made(row(views(), 0))


def test_bfloat16_keeps_pooling_and_trains():
    for family in ('hubert', 'wavlm', 'whisper'):
        made, inputs = network(family, pooling='statistics').train(), views()
        with torch.autocast('cpu', torch.bfloat16):
            output = made(inputs)
        assert output.embedding.dtype == torch.float32 and output.logits.isfinite().all()
        output.logits.float().square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters() if p.requires_grad)


def test_a_classifiers_rows_follow_our_classes():
    made = network(output='last')
    tensors = {'classifier.weight': torch.arange(3.0)[:, None].expand(3, 12), 'projector.bias': torch.ones(12),
               'layer_weights': torch.ones(3), 'projector.weight': torch.ones(2, 2)}
    taken = made.take_head(Published(tensors, ('Anger', 'hap', 'SAD')), NAMES)
    assert taken == ['classifier.weight', 'projector.bias']
    assert made.classifier.weight[:, 0].tolist() == [1.0, 2.0, 0.0]
    made.take_head(Published(tensors, ('LABEL_0', 'LABEL_1', 'LABEL_2')), NAMES)
    assert made.classifier.weight[:, 0].tolist() == [0.0, 1.0, 2.0]
    assert made.take_head(Published({'classifier.weight': torch.ones(4, 12)}, tuple('abcd')), NAMES) == []


@pytest.mark.parametrize(('assignments', 'said'), [
    (['features.sample_rate=44100'], r'features\.sample_rate: 44100, but model\.encoder was trained on 16000 Hz'),
    (['features.min_samples=100'], r'features\.min_samples: 100, but one frame of model\.encoder'),
    (['model.encoder.train={kind: top, layers: 9}'], r'the encoder has 1 layers, not 9'),
    (['model.encoder.source.family=whisper', 'data.max_seconds=60'], r'data\.max_seconds: 60, but .* hears 30 s'),
])
def test_what_does_not_fit_is_refused_before_any_audio(assignments, said):
    with pytest.raises(SerError, match=said):
        build_model(config_of(f'model.encoder.source={TINY}', *assignments), NAMES)


def test_the_check_comes_before_anything_is_built(tmp_path):
    (tmp_path / 'config.json').write_text('{"model_type": "bert"}')
    (tmp_path / 'model.safetensors').write_bytes(b'')
    section = SslConfig(encoder=EncoderConfig(source=FolderSource(path=str(tmp_path))))
    with pytest.raises(SerError, match="of type 'bert'"):
        check_weights(section)
    check_weights(SslConfig(encoder=encoder_config()))


@pytest.mark.parametrize(('source', 'assignments', 'said'), [
    (TINY, ['model.encoder.train={kind: top, layers: 9}'], 'the encoder has 1 layers, not 9'),
    (TINY, ['features.sample_rate=44100'], 'features.sample_rate: 44100, but model.encoder was trained on 16000 Hz'),
    (TINY, ['augment.spec_augment={kind: masks}'], 'augment.spec_augment: model.kind ssl hears waveforms alone'),
    ('{kind: config, family: whisper, hidden_size: 16, heads: 2}', ['data.max_seconds=60'], 'data.max_seconds: 60'),
    ('{kind: config, family: wavlm, hidden_size: 16, heads: 2}', ['model.encoder.train={kind: top, layers: 4}'],
     'the encoder has 3 layers, not 4')])
def test_what_does_not_fit_is_refused_before_shards_are_read(source, assignments, said, tmp_path, capfd):
    # A file that is no tar: reading it would say so first.
    (tmp_path / 'no.tar').write_bytes(b'nothing')
    given = ['model.kind=ssl', 'data.sample_rate=16000', 'features.sample_rate=16000',
             f'model.encoder.source={source}', *assignments]
    assert main(['--shards', str(tmp_path / 'no.tar'), '--dry-run', '--set', *given]) == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1 and said in errors[0]


def test_silence_and_clips_from_a_twentieth_of_a_second_to_a_minute_are_finite():
    model = build_model(config_of(f'model.encoder.source={TINY}', 'data.max_seconds=60'), NAMES).eval()
    lengths = torch.tensor([960000, 800, 1])
    waveforms = torch.zeros(3, 960000, dtype=torch.int16)
    waveforms[0] = (torch.randn(960000) * 3000).short()
    with torch.no_grad():
        assert model(waveforms, lengths).isfinite().all()


def test_a_run_is_trained_and_rebuilt_from_itself_alone(tmp_path):
    classifier('wav2vec2', labels=('neutral', 'happy', 'sad', 'angry')).save_pretrained(tmp_path / 'checkpoint')
    make_shards(tmp_path / 'shards', n_speakers=6, clips_per=1)
    threads = torch.get_num_threads()
    code = main(['--shards', str(tmp_path / 'shards'), '--out', str(tmp_path / 'run'), '--set', 'model.kind=ssl',
                 f'model.encoder.source={{kind: folder, path: {tmp_path / "checkpoint"}}}', HEAD,
                 'model.encoder.train={kind: lora, rank: 2}', 'data.sample_rate=16000', 'features.sample_rate=16000',
                 'data.workers=0', 'data.max_seconds=0.5', 'data.long=window', 'training.epochs=1',
                 'training.batch_size=8', 'run.threads=1', 'evaluation.bootstrap=50'])
    torch.set_num_threads(threads)
    assert code == 0
    # As a fold or a repeat that is continued: the study's config names the checkpoint alone.
    named = load_run(tmp_path / 'run')[0].model_dump()
    assert named['model']['encoder']['source'].pop('facts')
    refuse_changes(tmp_path / 'run', Config.model_validate(named))
    shutil.rmtree(tmp_path / 'checkpoint')
    shutil.rmtree(tmp_path / 'shards')
    config, names, model = load_run(tmp_path / 'run')
    assert config.model.encoder.source.facts.config['hidden_size'] == 16 and len(names) == 4
    assert model.network.encoder.audio == 'standard'
    waveforms = torch.randint(-3000, 3000, (1, 8000), dtype=torch.int16)
    assert model(waveforms, torch.tensor([8000])).shape == (1, 4)
