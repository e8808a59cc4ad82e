import subprocess
import sys

import pytest

from ser.command import Parser, keep_freed_memory, run_command
from ser.errors import SerError

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
