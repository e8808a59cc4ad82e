import shlex
import subprocess
import sys

import pytest

from ser.command import Parser, keep_freed_memory, run_command
from ser.errors import SerError
from ser.predict import parser as predict_parser
from ser.train import parser as train_parser

# Page faults of taking, filling and freeing 48 MB twenty times, after the first.
FAULTS = """
import resource, sys
sys.path.insert(0, {root!r})
from ser.command import keep_freed_memory
import numpy as np
kept = keep_freed_memory() if {keep} else None
np.ones(6_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(6_000_000)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason="glibc's malloc")
def test_freed_memory_is_used_again_without_being_paged_in(pytestconfig):
    def faults(keep):
        code = FAULTS.format(root=str(pytestconfig.rootpath), keep=keep)
        done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.split()

    kept, few = faults(True)
    if kept == 'False':
        pytest.skip('this C library has no mallopt')
    assert int(few) < 0.2 * int(faults(False)[1])


@pytest.mark.parametrize('platform', ['darwin', 'win32'])
def test_other_systems_are_left_alone(monkeypatch, platform):
    monkeypatch.setattr(sys, 'platform', platform)
    assert not keep_freed_memory()


@pytest.mark.parametrize(('file', 'said'), [
    ('ser/train.py', 'python -m ser.train'), ('ser/cli.py', 'ser train'), ('tools/build_shards.py', None),
    ('bin/ser', 'ser train'), ('elsewhere/train.py', 'ser train')])
def test_usage_names_what_was_typed(monkeypatch, pytestconfig, capsys, file, said):
    path = pytestconfig.rootpath / file
    monkeypatch.setattr(sys, 'argv', [str(path)])
    with pytest.raises(SystemExit):
        Parser(prog='ser train').parse_args(['--deb'])
    said = said or f'python {path}'
    assert capsys.readouterr().err == (f"{said}: unrecognized arguments: --deb. Did you mean '--debug'? "
                                       f'See {said} --help\n')


def test_errors_are_one_line_and_exit_code_2(capsys):
    def fails(options):
        raise SerError('what was wrong')

    assert run_command(fails, Parser(prog='x').parse_args([])) == 2
    assert capsys.readouterr().err == 'error: what was wrong\n'
    with pytest.raises(SerError):
        run_command(fails, Parser(prog='x').parse_args(['--debug']))


def test_exit_codes_of_what_ends_well():
    options = Parser(prog='x').parse_args([])
    assert run_command(lambda _: None, options) == 0 and run_command(lambda _: 1, options) == 1


@pytest.mark.parametrize(('words', 'said'), [
    ('--epochs 3', 'Did you mean --set training.epochs=3?'),
    ('--epochs=3 --device cpu', 'Did you mean --set training.epochs=3?'),
    ('--epochs', 'Did you mean --set training.epochs=VALUE?'),
    ('--training.epochs 3', 'Did you mean --set training.epochs=3?'),
    ('--lr 3', 'Did you mean --set training.optimizer.lr=3?'),
    ('--batch-size 8', 'Did you mean --set training.batch_size=8 or --set evaluation.batch_size=8?'),
    ('--batch_size 8', 'Did you mean --set training.batch_size=8 or --set evaluation.batch_size=8?'),
    ("--labels '[a, b]'", "Did you mean --set 'data.labels=[a, b]'?"),
    # Too many keys are called so, and no option is.
    ('--kind x', 'arguments: --kind x. See'),
    ('--shard x', "Did you mean '--shards'?"), ('--zzz', 'arguments: --zzz. See'),
    ('data/mine', 'Did you mean --shards data/mine?'), ('a.tar b.tar --lr 3', 'Did you mean --shards a.tar b.tar?'),
    ('here', 'Did you mean --shards here?'), ('there', 'arguments: there. See')])
def test_words_that_are_no_arguments_are_answered_with_what_was_meant(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'here').mkdir()
    with pytest.raises(SystemExit) as left:
        train_parser().parse_args(shlex.split(words))
    line, = capsys.readouterr().err.splitlines()
    assert left.value.code == 2 and line.startswith('ser train: unrecognized arguments: ') and said in line


def test_config_keys_and_shards_are_offered_where_there_are_such_options(capsys):
    for words in (['--epochs', '3'], ['data/mine']):
        with pytest.raises(SystemExit):
            Parser(prog='x').parse_args(words)
        assert 'Did you mean' not in capsys.readouterr().err


@pytest.mark.parametrize(('words', 'said'), [
    (['a.wav', '--mdel', 'run'], "required: --model. '--mdel' is no option. Did you mean '--model'? See"),
    (['a.wav', '--mdel=run'], "required: --model. '--mdel' is no option. Did you mean '--model'? See"),
    (['a.wav', '--', '--mdel'], 'required: --model. See'), (['a.wav'], 'required: --model. See')])
def test_what_is_missing_may_have_been_misspelt(capsys, words, said):
    with pytest.raises(SystemExit):
        predict_parser().parse_args(words)
    assert said in capsys.readouterr().err
