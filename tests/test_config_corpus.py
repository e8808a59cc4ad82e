"""Configs for a corpus are not trained on another one in silence."""

import pytest

from ser.config.presets import preset_folder
from ser.corpora.config_corpus import corpus_of, refuse_without_shards
from ser.errors import SerError
from ser.train import main


@pytest.mark.parametrize(('name', 'corpus'), [
    ('emodb', 'emodb'), ('ravdess', 'ravdess'), ('iemocap', 'iemocap'), ('maxmvit-ravdess', 'ravdess'),
    ('demo', None), ('base', None), ('maxmvit-tiny', None), ('maxmvit-paper', None)])
def test_presets_for_a_corpus_are_called_after_it(name, corpus):
    found = corpus_of(name)
    assert (found and found.facts.name) == corpus


def test_a_file_is_for_the_corpus_of_what_it_extends(tmp_path):
    for text, corpus in (('extends: [svm, emodb]', 'emodb'), ('extends: [emodb, ravdess]', 'ravdess'),
                         ('extends: svm', None), ('', None)):
        # The name of a file of one's own says nothing.
        (tmp_path / 'ravdess.yaml').write_text(text)
        found = corpus_of(str(tmp_path / 'ravdess.yaml'))
        assert (found and found.facts.name) == corpus


def test_without_shards_it_is_refused_with_the_command_that_builds_them(tmp_path, monkeypatch, capsys):
    with pytest.raises(SerError) as caught:
        refuse_without_shards('emodb')
    assert str(caught.value) == (
        'config emodb is for Berlin Database of Emotional Speech (emodb); name its shards: --shards FOLDER (build '
        'them: python tools/build_shards.py emodb SOURCE FOLDER)')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.yaml').write_text('extends: [crnn-tiny, emodb]')
    for more in ([], ['--folds', 'all'], ['--seeds', '2'], ['--dry-run']):
        assert main(['--config', 'mine.yaml', *more]) == 2
        assert 'config mine.yaml is for Berlin Database' in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ['mine.yaml']


def test_only_the_preset_of_the_synthetic_corpus_is_trained_on_it_unasked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.yaml').write_text('extends: demo')
    (tmp_path / 'other.yaml').write_text('extends: maxmvit-tiny')
    for name in ('demo', 'mine.yaml', str(preset_folder() / 'demo.yaml')):
        refuse_without_shards(name)
    for name in ('crnn-tiny', 'maxmvit-tiny', 'base', 'other.yaml'):
        for more in ([], ['--seeds', '2'], ['--leak-premium'], ['--dry-run']):
            assert main(['--config', name, *more]) == 2
            assert capsys.readouterr().err == (
                f'error: no --shards given, and config {name} names none: add --shards DATA (build them: python '
                'tools/build_shards.py CORPUS SOURCE DATA). To try it on synthetic voices: --shards data/demo (python '
                'tools/build_shards.py demo - data/demo)\n')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['mine.yaml', 'other.yaml']
