"""Where an encoder's files are: folders, the hub's cache, and every way in which they are not there."""

import json

import huggingface_hub
import pytest
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

from ser.config.ssl import FolderSource, HubSource
from ser.errors import SerError
from ser.models.encoder_files import check_source, facts_of, files_of

WHERE = 'model.encoder.source'


def folder(path, config=None, weights='model.safetensors', **files):
    """A checkpoint's folder as far as names and JSON go."""
    path.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (path / 'config.json').write_text(json.dumps(config))
    if weights:
        (path / weights).write_bytes(b'')
    for name, content in files.items():
        (path / f'{name}.json').write_text(json.dumps(content))
    return path


def refusal(source):
    with pytest.raises(SerError) as caught:
        check_source(source, WHERE)
    text = str(caught.value)
    assert '\n' not in text
    return text


def test_a_folder_needs_a_configuration_weights_and_a_family_that_is_understood(tmp_path):
    assert "model.encoder.source.path: no such folder: ''" in refusal(FolderSource())
    assert 'no such folder' in refusal(FolderSource(path=str(tmp_path / 'none')))
    source = FolderSource(path=str(tmp_path / 'a'))
    folder(tmp_path / 'a', weights=None)
    assert 'holds no config.json' in refusal(source)
    folder(tmp_path / 'a', {'model_type': 'hubert'}, weights=None)
    assert 'holds no weights: model.safetensors' in refusal(source)
    folder(tmp_path / 'a', {'model_type': 'bert'})
    assert ("of type 'bert', which is no encoder of speech that is understood. Allowed: wav2vec2, hubert, wavlm, "
            'data2vec-audio, whisper') in refusal(source)
    (tmp_path / 'a' / 'config.json').write_text('[1]')
    assert 'a mapping is wanted' in refusal(source)
    (tmp_path / 'a' / 'config.json').write_text('{')
    assert 'cannot be read' in refusal(source)
    folder(tmp_path / 'a', {'model_type': 'hubert'}, weights='pytorch_model.bin')
    check_source(source, WHERE)
    assert files_of(source, WHERE) == tmp_path / 'a'


def test_facts_say_how_waveforms_were_prepared(tmp_path, caplog):
    config = {'model_type': 'wavlm', 'hidden_size': 4, 'id2label': {'0': 'a'}, 'transformers_version': '4', 'x': [1]}
    plain = folder(tmp_path / 'plain', config, preprocessor_config={'do_normalize': False, 'sampling_rate': 8000})
    facts = facts_of(plain, WHERE)
    assert facts.config == {'model_type': 'wavlm', 'hidden_size': 4, 'x': [1]}
    assert (facts.sample_rate, facts.standardise) == (8000, False)
    nested = folder(tmp_path / 'nested', config, processor_config={'feature_extractor': {'do_normalize': False}})
    assert facts_of(nested, WHERE).standardise is False
    whisper = folder(tmp_path / 'whisper', {'model_type': 'whisper'}, preprocessor_config={'sampling_rate': 16000})
    assert facts_of(whisper, WHERE).standardise is False
    assert not caplog.text
    silent = facts_of(folder(tmp_path / 'silent', config), WHERE)
    assert (silent.sample_rate, silent.standardise) == (16000, True)
    assert 'no preprocessor_config.json' in caplog.text and 'model.encoder.standardise' in caplog.text


class Hub:
    """In place of huggingface_hub: `cached` and `remote` are folders or None, `failure` is raised by downloads."""

    def __init__(self, monkeypatch, cached=None, remote=None, failure=None):
        self.cached, self.remote, self.failure, self.asked = cached, remote, failure, []
        monkeypatch.setattr(huggingface_hub, 'snapshot_download', self.snapshot)
        monkeypatch.setattr(huggingface_hub, 'hf_hub_download', self.file)

    def snapshot(self, name, revision=None, local_files_only=False, etag_timeout=None, allow_patterns=None):
        if local_files_only:
            if self.cached is None:
                raise LocalEntryNotFoundError('not cached')
            return str(self.cached)
        self.asked.append(allow_patterns)
        return self._from_remote()

    def file(self, name, filename, revision=None, etag_timeout=None):
        assert (filename, etag_timeout) == ('config.json', 5.0)
        self._from_remote()
        return str(self.remote / filename)

    def _from_remote(self):
        if self.failure is not None:
            raise self.failure
        return str(self.remote)


def error_of(kind, text='gone'):
    found = kind.__new__(kind)
    Exception.__init__(found, text)
    return found


def test_a_cached_checkpoint_asks_no_host(tmp_path, monkeypatch):
    cached = folder(tmp_path / 'cached', {'model_type': 'hubert'})
    hub = Hub(monkeypatch, cached=cached, failure=AssertionError('asked'))
    check_source(HubSource(), WHERE)
    assert files_of(HubSource(), WHERE) == cached
    (cached / 'model.safetensors').unlink()
    hub.failure = ConnectionError('no route')
    assert 'cannot be downloaded' in refusal(HubSource())


def test_what_is_not_cached_is_downloaded_in_the_safe_format_first(tmp_path, monkeypatch):
    remote = folder(tmp_path / 'remote', {'model_type': 'hubert'})
    hub = Hub(monkeypatch, remote=remote)
    check_source(HubSource(), WHERE)
    assert hub.asked == []
    assert files_of(HubSource(), WHERE) == remote
    assert [patterns[-1] for patterns in hub.asked] == ['model*.safetensors*']
    (remote / 'model.safetensors').unlink()
    with pytest.raises(SerError, match='publishes no weights for torch'):
        files_of(HubSource(), WHERE)
    assert [patterns[-1] for patterns in hub.asked[1:]] == ['model*.safetensors*', 'pytorch_model*.bin*']
    assert '*.py' not in str(hub.asked)


@pytest.mark.parametrize(('kind', 'said'), [
    (ConnectionError, "'facebook/wav2vec2-base' is not on this machine and cannot be downloaded (ConnectionError: "
     'gone). Download it beforehand (hf download facebook/wav2vec2-base), or set model.encoder.source to a local '
     'folder {kind: folder, path: FOLDER} or to an encoder of your own sizes {kind: config}'),
    (LocalEntryNotFoundError, 'is not on this machine and cannot be downloaded'),
    (RepositoryNotFoundError, "the hub has no checkpoint 'facebook/wav2vec2-base' that you may read"),
    (GatedRepoError, 'asks for its terms to be accepted'),
    (EntryNotFoundError, 'holds no config.json'),
])
def test_what_the_hub_refuses_is_told_in_one_line(monkeypatch, kind, said):
    Hub(monkeypatch, failure=error_of(kind))
    assert said in refusal(HubSource())


def test_a_name_that_is_none_is_refused_without_asking(monkeypatch):
    assert "the hub has no checkpoint 'a/b/c at main'" in refusal(HubSource(name='a/b/c', revision='main'))


def test_an_encoder_of_the_hub_that_is_not_audio_is_refused(tmp_path, monkeypatch):
    Hub(monkeypatch, remote=folder(tmp_path / 'remote', {'model_type': 'bert'}))
    assert "of type 'bert'" in refusal(HubSource(name='bert-base-uncased'))
