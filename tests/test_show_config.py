"""The config command: what it prints is a config, under a header that is true of it."""

import json

import pytest

from ser.config.load import load_config
from ser.show_config import main


@pytest.mark.parametrize(('words', 'header'), [
    (['base'], 'Every key with its default and what it means. Other configs name only what they change.'),
    (['maxmvit-tiny'], 'Every key with its value in maxmvit-tiny and what it means.'),
    (['svm', '--set', 'run.seed=5'], 'Every key with its value in svm, changed by --set, and what it means.'),
    (['--set', 'run.seed=5'], 'Every key with its value in base, changed by --set, and what it means.')])
def test_a_config_is_shown_whole_under_a_true_header(tmp_path, capsys, words, header):
    assert main(['show', *words]) == 0
    out = capsys.readouterr().out
    assert next(line for line in out.splitlines() if not line.startswith('# presets: ')) == f'# {header}'
    (tmp_path / 'shown.yaml').write_text(out)
    name, assignments = ('base', words[1:]) if words[0] == '--set' else (words[0], words[2:])
    assert load_config((str(tmp_path / 'shown.yaml'),)) == load_config((name,), assignments)


def test_without_a_name_the_presets_come_first(capsys):
    assert main(['show']) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith('# presets: base, ') and 'maxmvit-tiny' in first
    assert second.startswith('# Every key with its default')


def test_the_schema_is_json_and_what_is_unknown_is_refused(capsys):
    assert main(['schema']) == 0
    assert json.loads(capsys.readouterr().out)['title'] == 'ser config'
    assert main(['show', 'maxmvit-tinny']) == 2
    assert "Did you mean 'maxmvit-tiny'" in capsys.readouterr().err
