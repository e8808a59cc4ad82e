"""Encoders as transformers builds them: new, from folders, and from what a run keeps of them."""

import builtins
import pickle

import pytest
import torch

from ser.config.ssl import EncoderConfig, FolderSource
from ser.errors import SerError
from ser.models.encoder_loading import check_encoder, load, transformers, with_facts
from tests.tiny_encoder import FAMILIES, classifier, encoder_config, source


def from_folder(path):
    return EncoderConfig(source=FolderSource(path=str(path)))


@pytest.fixture(scope='module', params=FAMILIES)
def saved(request, tmp_path_factory):
    """(family, folder of transformers' own classifier, the classifier)."""
    model = classifier(request.param, weighted=True)
    path = tmp_path_factory.mktemp(request.param.replace('-', '_'))
    model.save_pretrained(path)
    return request.param, path, model


def test_a_checkpoint_gives_encoder_and_classifier_and_leaves_the_generator_alone(saved):
    family, path, model = saved
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    loaded = load(from_folder(path))
    assert torch.equal(before, torch.random.get_rng_state())
    theirs = model.encoder if family == 'whisper' else model.base_model
    assert loaded.family == family
    assert loaded.model.state_dict().keys() == theirs.state_dict().keys()
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name
    assert loaded.published.labels == ('happy', 'sad', 'angry')
    assert loaded.published.tensors.keys() == {'projector.weight', 'projector.bias', 'classifier.weight',
                                               'classifier.bias', 'layer_weights'}
    assert torch.equal(loaded.published.tensors['classifier.weight'], model.classifier.weight)


def test_what_a_run_keeps_builds_the_same_architecture_without_the_folder(saved, tmp_path):
    family, path, _ = saved
    (tmp_path / 'copy').symlink_to(path)
    kept = with_facts(from_folder(tmp_path / 'copy'))
    (tmp_path / 'copy').unlink()
    assert with_facts(kept) is kept
    kept = EncoderConfig.model_validate_json(kept.model_dump_json())
    rebuilt = load(kept, load_pretrained=False)
    assert rebuilt.published is None and rebuilt.family == family
    wanted = load(from_folder(path)).model.state_dict()
    assert {n: t.shape for n, t in rebuilt.model.state_dict().items()} == {n: t.shape for n, t in wanted.items()}
    with pytest.raises(SerError, match='no such folder'):
        load(kept)


def test_a_checkpoint_without_a_classifier_is_an_encoder(tmp_path):
    torch.manual_seed(0)
    model = load(encoder_config('hubert')).model
    model.save_pretrained(tmp_path)
    loaded = load(from_folder(tmp_path))
    assert all(torch.equal(t, model.state_dict()[name]) for name, t in loaded.model.state_dict().items())
    assert not loaded.published.tensors
    assert load(from_folder(tmp_path), load_pretrained=False).published is None


def test_the_encoder_of_a_whole_whisper_is_taken(tmp_path):
    made = load(encoder_config('whisper')).model.config
    for name, value in {'vocab_size': 10, 'decoder_layers': 1, 'decoder_attention_heads': 2, 'decoder_ffn_dim': 8,
                        'pad_token_id': 1, 'bos_token_id': 1, 'eos_token_id': 1, 'decoder_start_token_id': 1}.items():
        setattr(made, name, value)
    whole = transformers().WhisperForConditionalGeneration(made)
    whole.save_pretrained(tmp_path)
    loaded = load(from_folder(tmp_path))
    for name, tensor in whole.model.encoder.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor), name


def test_what_would_drop_layers_or_mask_by_chance_is_off(tmp_path):
    model = classifier('wav2vec2')
    model.config.layerdrop, model.config.mask_time_prob, model.config.apply_spec_augment = 0.5, 0.5, True
    model.save_pretrained(tmp_path)
    for found in (load(from_folder(tmp_path)).model, load(encoder_config()).model):
        assert (found.config.layerdrop, found.config.mask_time_prob, found.config.mask_feature_prob) == (0.0, 0.0, 0.0)
        assert not hasattr(found, 'masked_spec_embed')
    assert load(encoder_config('whisper')).model.config.encoder_layerdrop == 0.0


def test_new_weights_come_from_torchs_generator():
    def weights(seed):
        torch.manual_seed(seed)
        return load(encoder_config()).model.feature_projection.projection.weight

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


def test_half_precision_is_loaded_as_float32(tmp_path):
    classifier('hubert').half().save_pretrained(tmp_path)
    assert {t.dtype for t in load(from_folder(tmp_path)).model.state_dict().values()} == {torch.float32}


def test_missing_and_damaged_weights_are_refused(tmp_path):
    model = classifier('wav2vec2')
    state = model.state_dict()
    lost = [name for name in state if 'layers.1.' in name]
    model.save_pretrained(tmp_path, state_dict={name: t for name, t in state.items() if name not in lost})
    with pytest.raises(SerError, match=rf"lacks {len(lost)} of the encoder's weights, such as wav2vec2\.encoder"):
        load(from_folder(tmp_path))
    (tmp_path / 'model.safetensors').write_bytes(b'damaged')
    with pytest.raises(SerError, match='cannot be used'):
        load(from_folder(tmp_path))


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, 'w'))


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    model = classifier('wav2vec2')
    model.save_pretrained(tmp_path)
    (tmp_path / 'model.safetensors').unlink()
    torch.save(model.state_dict(), tmp_path / 'pytorch_model.bin')
    assert load(from_folder(tmp_path)).published.tensors
    with open(tmp_path / 'pytorch_model.bin', 'wb') as file:
        pickle.dump({'wav2vec2.x': Bomb(str(tmp_path / 'exploded'))}, file)
    (tmp_path / 'evil.py').write_text('raise SystemExit')
    text = (tmp_path / 'config.json').read_text()
    (tmp_path / 'config.json').write_text(text.replace('{', '{"auto_map": {"AutoModel": "evil.Model"},', 1))
    with pytest.raises(SerError, match='cannot be used'):
        load(from_folder(tmp_path))
    assert not (tmp_path / 'exploded').exists()


@pytest.mark.parametrize(('changes', 'said'), [
    ({'heads': 3}, 'source.heads: 3 does not divide hidden_size 16'),
    ({'position_groups': 5}, 'source.position_groups: 5 does not divide'),
    ({'conv_dim': (8, 8)}, 'conv_dim, conv_kernel and conv_stride have 2, 3 and 3 entries'),
])
def test_sizes_that_do_not_fit_are_refused(changes, said):
    with pytest.raises(SerError, match=said):
        load(EncoderConfig(source=source(**changes)))


def test_a_configuration_that_transformers_refuses_is_told(tmp_path):
    model = classifier('wav2vec2')
    model.save_pretrained(tmp_path)
    text = (tmp_path / 'config.json').read_text()
    (tmp_path / 'config.json').write_text(text.replace('"hidden_size": 16', '"hidden_size": "wide"'))
    with pytest.raises(SerError, match='does not take this configuration|cannot be used'):
        load(from_folder(tmp_path))


def test_without_transformers_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest, **named):
        if name == 'transformers':
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, '__import__', missing)
    with pytest.raises(SerError, match=r"not installed: pip install -e '\.\[ssl\]'"):
        check_encoder(encoder_config())
