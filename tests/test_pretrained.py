import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save, save_file

from ser.config.model import MaxMVitConfig, MvitBackbone, TimmBackbone, ViewConfig
from ser.errors import SerError
from ser.models import pretrained
from ser.models.backbones import build_backbone

NAME = 'test_vit'  # timm's smallest model with published weights
WHERE = 'model.views.cqt.backbone'
REMEDY = f'Set {WHERE}.pretrained: false, or {WHERE}.weights: FILE (a safetensors file)'


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path / 'hub'))
    return tmp_path / 'hub'


@pytest.fixture
def offline(no_cache, monkeypatch):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    return no_cache


def one_view(**backbone):
    return MaxMVitConfig(views={'cqt': ViewConfig(backbone=TimmBackbone(**backbone))})


@pytest.fixture
def file_of(tmp_path):
    """Writes a state dict as a safetensors file and returns its path."""
    def write(state, name='backbone.safetensors'):
        save_file(state, tmp_path / name)
        return str(tmp_path / name)
    return write


def test_offline_is_one_line_with_the_remedy_and_builds_nothing(offline, monkeypatch):
    monkeypatch.setattr(timm, 'create_model', None)
    with pytest.raises(SerError) as error:
        pretrained.check_pretrained(one_view(name=NAME))
    message = str(error.value)
    assert message.startswith(f"{WHERE}: the weights of '{NAME}' are not on this machine and cannot be downloaded (")
    assert message.endswith(REMEDY)
    assert '\n' not in message


@pytest.mark.slow
def test_an_unreachable_host_in_the_environment_is_refused_quickly(tmp_path):
    code = ('import time\nfrom ser.config.model import MaxMVitConfig\nfrom ser.errors import SerError\n'
            'from ser.models.pretrained import check_pretrained\nstart = time.monotonic()\n'
            'try:\n    check_pretrained(MaxMVitConfig())\nexcept SerError as error:\n'
            '    print(time.monotonic() - start, error)')
    environment = {**os.environ, 'HF_HOME': str(tmp_path), 'no_proxy': '*', 'HF_ENDPOINT': 'http://127.0.0.1:9',
                   'HF_HUB_OFFLINE': '0'}
    result = subprocess.run([sys.executable, '-c', code], env=environment, capture_output=True, text=True,
                            cwd=Path(__file__).resolve().parent.parent)
    seconds, _, message = result.stdout.strip().partition(' ')
    assert float(seconds) < 5, result.stderr
    assert "the weights of 'maxvit_base_tf_224' are not on this machine" in message
    assert message.endswith(REMEDY)


class Hub(BaseHTTPRequestHandler):
    """A weights host in miniature: one file, at any revision."""

    files: dict = {}

    def do_HEAD(self):
        content = self.files.get(self.path.rpartition('/')[2])
        self.send_response(404 if content is None else 200)
        for name, value in (('X-Repo-Commit', 'a' * 40), ('ETag', '"e"'), ('Content-Length', str(len(content or ''))),
                            *([('X-Error-Code', 'EntryNotFound')] if content is None else [])):
            self.send_header(name, value)
        self.end_headers()
        return content

    def do_GET(self):
        self.wfile.write(self.do_HEAD())

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(no_cache, monkeypatch):
    """A weights host on this machine; yields its files by name."""
    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', False)
    monkeypatch.setattr(Hub, 'files', {})
    with ThreadingHTTPServer(('127.0.0.1', 0), Hub) as server:
        endpoint = f'http://127.0.0.1:{server.server_address[1]}'
        monkeypatch.setattr('huggingface_hub.constants.ENDPOINT', endpoint)
        monkeypatch.setattr('huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE',
                            endpoint + '/{repo_id}/resolve/{revision}/{filename}')
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Hub.files
        server.shutdown()


def test_weights_are_downloaded_from_a_host_that_has_them(hub, no_cache):
    source = timm.create_model(NAME).state_dict()
    hub['model.safetensors'] = save(source)
    pretrained.check_pretrained(one_view(name=NAME))
    assert not list(no_cache.rglob('model.safetensors'))
    loaded = build_backbone(TimmBackbone(name=NAME), 160, 3, where=WHERE).body.state_dict()
    assert all(torch.equal(tensor, source[name]) for name, tensor in loaded.items())
    assert list(no_cache.rglob('model.safetensors'))


def test_a_host_may_have_the_older_kind_of_file(hub):
    hub['pytorch_model.bin'] = b'weights'
    assert pretrained.published(NAME, WHERE) == {}
    hub.clear()
    with pytest.raises(SerError, match='cannot be downloaded'):
        pretrained.published(NAME, WHERE)


def test_a_host_that_never_answers_is_given_up(no_cache, monkeypatch):
    monkeypatch.setattr(pretrained, 'HUB_SECONDS', 0.3)
    monkeypatch.setenv('no_proxy', '*')
    with socket.create_server(('127.0.0.1', 0)) as silent:
        endpoint = f'http://127.0.0.1:{silent.getsockname()[1]}'
        monkeypatch.setattr('huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE',
                            endpoint + '/{repo_id}/resolve/{revision}/{filename}')
        monkeypatch.setattr('huggingface_hub.constants.ENDPOINT', endpoint)
        start = time.monotonic()
        with pytest.raises(SerError, match='cannot be downloaded'):
            pretrained.published(NAME, WHERE)
        assert time.monotonic() - start < 3


def test_cached_weights_are_used_without_asking_any_host(offline):
    source = timm.create_model(NAME)
    hub_id = timm.get_pretrained_cfg(NAME).hf_hub_id.rstrip('/')
    folder = offline / f"models--{hub_id.replace('/', '--')}"
    (folder / 'snapshots' / 'abc').mkdir(parents=True)
    (folder / 'refs').mkdir()
    (folder / 'refs' / 'main').write_text('abc')
    save_file(source.state_dict(), folder / 'snapshots' / 'abc' / 'model.safetensors')
    pretrained.check_pretrained(one_view(name=NAME))
    backbone = build_backbone(TimmBackbone(name=NAME), 160, 3, where=WHERE)
    state = source.state_dict()
    for name, tensor in backbone.body.state_dict().items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=0)


def test_models_without_published_weights(offline):
    with pytest.raises(SerError, match="timm publishes no weights for 'maxvit_pico_rw_256'") as error:
        pretrained.check_pretrained(one_view(name='maxvit_pico_rw_256'))
    assert str(error.value).endswith(REMEDY)


def test_names_are_checked_with_their_tag():
    with pytest.raises(SerError, match=r"no model 'maxvit_base_tf_225'\. Did you mean 'maxvit_base_tf_224'\?"):
        pretrained.published('maxvit_base_tf_225', WHERE)
    with pytest.raises(SerError, match=r'Invalid pretrained tag \(foo\).* Allowed: test_vit\.r160_in1k$'):
        pretrained.published('test_vit.foo', WHERE)


def test_published_weights_that_do_not_fit_the_options(offline, monkeypatch, file_of):
    path = file_of(timm.create_model(NAME).state_dict())
    monkeypatch.setattr('ser.models.backbones.published', lambda name, where: {'file': path})
    with pytest.raises(SerError, match="the published weights of 'test_vit' cannot be loaded"):
        build_backbone(TimmBackbone(name=NAME, options={'mlp_ratio': 2}), 160, 3, where=WHERE)


def test_nothing_is_asked_for_where_nothing_is_wanted(offline):
    pretrained.check_pretrained(one_view(name=NAME, pretrained=False))
    pretrained.check_pretrained(MaxMVitConfig(views={'cqt': ViewConfig(backbone=MvitBackbone()), 'mel': None}))
    build_backbone(TimmBackbone(name=NAME), 160, 3, where=WHERE, load_pretrained=False)


def from_file(path, size=160, channels=3, **options):
    return build_backbone(TimmBackbone(name=NAME, weights=path, **options), size, channels, where=WHERE)


def test_weights_file_is_loaded_with_or_without_timms_classifier(offline, file_of):
    for classes in (0, 1000):
        source = timm.create_model(NAME, num_classes=classes).state_dict()
        loaded = from_file(file_of(source)).body.state_dict()
        assert all(torch.equal(tensor, source[name]) for name, tensor in loaded.items())


def test_weights_file_is_adapted_to_image_size_and_channels(offline, file_of):
    source = timm.create_model(NAME).state_dict()
    loaded = from_file(file_of(source), size=96, channels=1).body.state_dict()
    torch.testing.assert_close(loaded['patch_embed.proj.weight'],
                               source['patch_embed.proj.weight'].sum(1, keepdim=True))
    assert loaded['pos_embed'].shape[1] == 36 + source['pos_embed'].shape[1] - 100
    assert torch.equal(loaded['blocks.0.attn.qkv.weight'], source['blocks.0.attn.qkv.weight'])


def test_weights_file_missing_or_not_safetensors(tmp_path):
    with pytest.raises(SerError, match=r'model\.views\.cqt\.backbone\.weights: no such file: nowhere\.safetensors'):
        pretrained.check_pretrained(one_view(name=NAME, weights='nowhere.safetensors'))
    other = tmp_path / 'other.safetensors'
    other.write_bytes(b'not weights')
    with pytest.raises(SerError, match='is not a safetensors file'):
        pretrained.check_pretrained(one_view(name=NAME, weights=str(other)))


def test_weights_file_with_wrong_names_or_shapes(file_of):
    state = timm.create_model(NAME, num_classes=0).state_dict()
    tensor = state.pop('norm.bias')
    with pytest.raises(SerError, match=r'does not fit this backbone: it lacks norm\.bias\. Give the weights'):
        from_file(file_of(state))
    with pytest.raises(SerError, match=r'it lacks norm\.bias and has unknown x\.norm\.bias'):
        from_file(file_of({**state, 'x.norm.bias': tensor}))
    with pytest.raises(SerError, match=r'it has unknown a, b, c and 1 more'):
        from_file(file_of({**state, 'norm.bias': tensor, **{name: tensor.clone() for name in 'abcd'}}))
    with pytest.raises(SerError, match=r'does not fit this backbone \(norm\.bias is \(3,\), the backbone has \(64,\)'):
        from_file(file_of({**state, 'norm.bias': torch.zeros(3)}))


def test_weights_file_of_mvitv2_is_strict(file_of):
    config = MvitBackbone(depths=(1, 1), embed_dim=(8, 16), num_heads=(1, 2))
    source = build_backbone(config, 32, 3, where=WHERE).body.state_dict()
    path = file_of(source)
    loaded = build_backbone(config.model_copy(update={'weights': path}), 32, 3, where=WHERE).body.state_dict()
    assert all(torch.equal(tensor, source[name]) for name, tensor in loaded.items())
    with pytest.raises(SerError, match=r'patch_embed\.proj\.weight is \(8, 3, 11, 11\), the backbone has \(8, 1'):
        build_backbone(config.model_copy(update={'weights': path}), 32, 1, where=WHERE)
