"""Completion scripts: they parse, they name every option there is, and bash, asked, gives the right words."""

import argparse
import importlib
import shutil
import subprocess

import pytest

from ser.cli import COMMANDS
from ser.completion import SHELLS, kind_of, main, protocols, script, slots_of
from ser.config.presets import preset_names

DRIVER = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(( $# - 1 ))
_ser
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope='module')
def bash(tmp_path_factory):
    path = tmp_path_factory.mktemp('completion') / 'ser.bash'
    path.write_text(script('bash'))
    return path


@pytest.fixture
def place(tmp_path):
    """A folder with runs in it and other things."""
    for name in ('runs/one', 'runs/two words', 'mine/run', 'data'):
        (tmp_path / name).mkdir(parents=True)
        if name != 'data':
            (tmp_path / name / 'config.yaml').write_text('')
    (tmp_path / 'own.yaml').write_text('')
    (tmp_path / 'clip.wav').write_text('')
    return tmp_path


def asked(bash, place, *words):
    """What bash offers for the last of the words, sorted."""
    done = subprocess.run(['bash', '--norc', '-c', DRIVER, 'driver', str(bash), 'ser', *words], cwd=place,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return sorted(line for line in done.stdout.splitlines() if line)


@pytest.mark.parametrize('shell', SHELLS)
def test_the_script_parses_and_names_every_command_and_option(shell, tmp_path, capsys):
    assert main([shell]) == 0
    text = capsys.readouterr().out
    assert text == script(shell)
    for command, (module, _) in COMMANDS.items():
        assert command in text
        for action in importlib.import_module(module).parser()._actions:
            for name in action.option_strings:
                assert (name if shell != 'fish' else f' -l {name[2:]} ' if name.startswith('--') else ' -s h ') in text
    if shutil.which(shell):
        (tmp_path / 'script').write_text(text)
        done = subprocess.run([shell, '-n', str(tmp_path / 'script')], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and not done.stderr, done.stderr


def test_commands_and_options(bash, place):
    assert asked(bash, place, '') == sorted(COMMANDS)
    assert asked(bash, place, 'pre') == ['predict']
    assert asked(bash, place, 'push', '--') == ['--debug', '--help', '--licence', '--private', '--revision',
                                                '--with-predictions', '--yes']
    assert asked(bash, place, 'train', '--valid') == ['--valid-shards']
    assert asked(bash, place, 'nonsense', '--') == []


def test_presets_after_config_and_yaml_files(bash, place):
    assert asked(bash, place, 'train', '--config', 'crnn') == ['crnn-tiny']
    every = asked(bash, place, 'train', '--debug', '--config', '')
    assert set(preset_names()) <= set(every) and 'own.yaml' in every and 'clip.wav' not in every
    assert asked(bash, place, 'config', 'show', 'demo') == ['demo']
    assert asked(bash, place, 'config', 's') == ['schema', 'show']
    assert asked(bash, place, 'train', '--config', '=', 'crnn') == ['crnn-tiny']
    assert asked(bash, place, 'train', '--config', '=') == every


def test_runs_after_model_and_where_a_run_is_wanted(bash, place):
    assert asked(bash, place, 'predict', 'clip.wav', '--model', '') == ['runs/one', 'runs/two words']
    assert asked(bash, place, 'predict', '--model', 'mi') == ['mine']
    assert asked(bash, place, 'predict', '--model', 'mine/') == ['mine/run']
    assert asked(bash, place, 'compare', 'runs/one', 'runs/t') == ['runs/two words']
    assert asked(bash, place, 'report', 'runs/o') == ['runs/one']


def test_values_end_where_the_option_takes_no_more(bash, place):
    assert asked(bash, place, 'predict', '--model', 'runs/one', 'cl') == ['clip.wav']
    assert asked(bash, place, 'predict', '--timeline', 'cl') == ['clip.wav']
    assert asked(bash, place, 'train', '--shards', 'data', 'cl') == ['clip.wav']
    assert asked(bash, place, 'predict', '--format', 'j') == ['json', 'jsonl']
    assert asked(bash, place, 'predict', '--device', 'c') == ['cpu', 'cuda']
    assert asked(bash, place, 'train', '--protocol', 'speaker') == ['speaker', 'speaker+text', 'speaker-kfold']
    assert asked(bash, place, 'shards', 'emo') == ['emobox', 'emodb', 'emofilm', 'emovo']
    assert asked(bash, place, 'predict', '--top', '') == []


@pytest.mark.skipif(not shutil.which('fish'), reason='fish is not installed')
def test_fish_gives_the_same(place):
    def offered(line):
        code = f"source {place / 'ser.fish'}; complete -C '{line}'"
        done = subprocess.run(['fish', '--no-config', '-c', code], cwd=place, capture_output=True, text=True,
                              timeout=60)
        return [one.split('\t')[0] for one in done.stdout.splitlines()]

    (place / 'ser.fish').write_text(script('fish'))
    assert offered('ser pre') == ['predict']
    assert offered('ser train --config crnn') == ['crnn-tiny']
    assert 'runs/one' in offered('ser predict --model ') and offered('ser push --priv') == ['--private']


def test_what_a_value_is_follows_from_its_name():
    made = argparse.ArgumentParser()
    actions = [made.add_argument(*names, **given) for names, given in (
        (['--a'], {'metavar': 'RUN'}), (['--out'], {'metavar': 'RUN'}), (['--b'], {'metavar': 'WHAT'}),
        (['--c'], {'choices': [1, 2]}), (['--d'], {'action': 'store_true'}), (['name'], {'nargs': '?'}))]
    kinds = [kind_of('config', action) for action in actions]
    assert kinds == [('run', ()), ('path', ()), ('free', ()), ('words', ('1', '2')), ('free', ()),
                     ('config', preset_names())]
    help_, *_, last = slots_of('x', made)
    assert (help_.name, help_.takes) == ('-h', '0') and (last.name, last.takes, last.kind) == ('1', '1', 'free')
    assert 'leave-one-corpus-out' in protocols()


def test_another_shell_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(['tcsh'])
    assert stopped.value.code == 2 and 'tcsh' in capsys.readouterr().err
