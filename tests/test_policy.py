"""House rules that hold by themselves: sizes, import direction, fast help, true README."""

import ast
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / 'ser').rglob('*.py'))
SOURCES = MODULES + sorted((ROOT / 'tools').glob('*.py'))
# The rooms in the order data meets them; a module imports from its own room or one above.
ROOMS = ['first', 'corpora', 'shards', 'features', 'models', 'evaluation', 'training', 'inference',
         'exporting', 'reports', 'serving', 'benchmarks', 'command']
# ser.command is the shell around commands: it holds no logic and everything may log through it.
FIRST = {'ser', 'ser.errors', 'ser.files', 'ser.labels', 'ser.randomness', 'ser.command'}
TORCH_FREE = ('ser.config', 'ser.corpora', 'ser.labels', 'ser.errors', 'ser.files', 'ser.randomness', 'ser.command')
COMMANDS = ['train', 'build_shards', 'evaluate', 'compare', 'predict', 'inspect', 'show_config', 'list_corpora',
            'benchmark', 'matrix', 'ablate', 'audit', 'report', 'export', 'push', 'pull', 'completion', 'serve',
            'doctor', 'cli']


def name_of(path):
    return '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')


def room_of(module):
    parts = module.split('.')
    if module in FIRST or parts[1] == 'config':
        return 0
    if parts[1] in ROOMS[1:-1]:
        return ROOMS.index(parts[1])
    assert parts[1] in COMMANDS and len(parts) == 2, f'{module}: neither in a room nor a command; give it a room'
    return ROOMS.index('command')


def imports_of(path, top_level_only=False):
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize('path', SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_are_small_and_functions_fit_a_screen(path):
    text = path.read_text()
    assert text.count('\n') <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 70, f'{path.name}: {node.name}'
            assert len(node.args.args) + len(node.args.kwonlyargs) <= 10, f'{path.name}: {node.name}'


def test_a_module_outside_the_rooms_is_refused():
    assert [room_of(name) for name in ('ser.shards.index', 'ser.inference.heard', 'ser.train')] == [2, 7, 12]
    for stray in ('ser.helpers', 'ser.command.more', 'ser.first.x', 'ser.train.more'):
        with pytest.raises(AssertionError, match='give it a room'):
            room_of(stray)


@pytest.mark.parametrize('path', MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_upstream(path):
    room = room_of(name_of(path))
    for imported in imports_of(path):
        if imported.split('.')[0] == 'ser':
            assert room_of(imported) <= room, f'{name_of(path)} imports {imported}, which is downstream'


@pytest.mark.parametrize('path', [p for p in MODULES if name_of(p).startswith(TORCH_FREE)],
                         ids=lambda p: str(p.relative_to(ROOT)))
def test_the_first_rooms_know_no_torch(path):
    assert not {name.split('.')[0] for name in imports_of(path)} & {'torch', 'torchaudio', 'timm', 'kornia', 'nnAudio'}


@pytest.mark.parametrize('path', SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_public_things_have_docstrings(path):
    tree = ast.parse(path.read_text())
    if path.name != '__init__.py' or tree.body:
        assert ast.get_docstring(tree), path
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith('_'):
            assert ast.get_docstring(node), f'{path.name}: {node.name}'


@pytest.mark.parametrize('command', COMMANDS)
def test_help_is_instant_and_imports_nothing_heavy(command):
    code = (f'import sys\nsys.argv = ["x", "--help"]\ntry:\n    import ser.{command} as m; m.main()\n'
            'except SystemExit: pass\n'
            'heavy = {"torch", "torchaudio", "timm", "kornia", "sklearn", "matplotlib", "scipy", "numpy"} '
            '& set(sys.modules)\nassert not heavy, heavy')
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        assert done.returncode == 0, done.stderr
        assert 'usage' in done.stdout
    # Processor time, and the least of three: the machine may be busy, the command must not be.
    assert min(times) < 0.3


@pytest.mark.parametrize('command', [
    ['train', '--shards', 'nowhere'], ['predict', 'nowhere.wav', '--model', 'nowhere']], ids=' '.join)
def test_a_wrong_path_is_refused_before_slow_imports(command, tmp_path):
    code = (f'import sys\nfrom ser.cli import main\nassert main({command}) == 2\n'
            'heavy = {"torch", "sklearn", "matplotlib"} & set(sys.modules)\nassert not heavy, heavy')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60, cwd=tmp_path,
                          env=os.environ | {'PYTHONPATH': str(ROOT)})
    assert done.returncode == 0 and done.stderr.startswith('error: ') and 'nowhere' in done.stderr, done.stderr


def test_what_only_some_systems_and_scores_want_is_not_imported_with_the_rest():
    code = ('import sys, ser.inference.predictor\n'
            'slow = {"timm", "torchvision", "sklearn", "scipy.signal", "matplotlib"} & set(sys.modules)\n'
            'assert not slow, slow')
    subprocess.run([sys.executable, '-c', code], check=True, timeout=120, cwd=ROOT)


def test_every_command_of_the_cli_exists_and_unknown_ones_are_refused():
    from ser.cli import COMMANDS as TABLE
    from ser.cli import main

    for module, text in TABLE.values():
        assert (ROOT / Path(*module.split('.'))).with_suffix('.py').is_file() and text
    assert main(['trian']) == 2
    assert main(['--help']) == 0
    assert main([]) == 2


def test_top_level_is_what_the_project_says():
    names = {p.name for p in ROOT.iterdir() if not p.name.startswith('.')}
    made = {'runs', 'data', 'build', 'dist', 'serstream.egg-info'}
    assert names - made <= {'ser', 'configs', 'tools', 'tests', 'setup.cfg', 'pyproject.toml', 'README.md', 'LICENSE',
                            'NOTES.md', 'CITATION.cff'}


STUB = """#!/bin/sh
echo "$0 $*" >> calls
mkdir -p .venv/bin
[ "$2" = venv ] && cp "$0" .venv/bin/python
exit 0
"""


def run_ci(folder, readme):
    """(.ci/run over a README in an empty folder, the commands it called), a stub for python3 writing them down."""
    (folder / 'stubs').mkdir()
    (folder / '.ci').mkdir()
    for name, text in (('stubs/python3', STUB), ('.ci/run', (ROOT / '.ci' / 'run').read_text()), ('README.md', readme)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    done = subprocess.run(['bash', '.ci/run'], cwd=folder, capture_output=True, text=True, timeout=60,
                          env=os.environ | {'PATH': f"{folder / 'stubs'}:{os.environ['PATH']}"})
    calls = folder / 'calls'
    return done, calls.read_text().replace(f'{folder}/', '').splitlines() if calls.exists() else []


def test_ci_runs_the_readmes_test_command(tmp_path):
    readme = (ROOT / 'README.md').read_text()
    command, = (line for line in readme.splitlines() if line.startswith('python3 -m venv') and line.endswith('pytest'))
    done, calls = run_ci(tmp_path, readme)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f'+ {command}']
    steps = [step.strip().replace('"', '') for step in command.split('&&')]
    assert len(steps) == 3 and '[test]' in steps[1]
    assert calls == [f'stubs/{steps[0]}', *steps[1:], '.venv/bin/python -m ruff check .']


def test_ci_fails_when_the_readme_has_no_test_command(tmp_path):
    done, calls = run_ci(tmp_path, '# A project\n')
    assert (done.returncode, calls) == (1, []) and 'no test command found' in done.stderr


def test_the_readme_names_only_options_and_presets_that_exist():
    from ser.cli import COMMANDS as TABLE
    from ser.config.presets import preset_names

    text = (ROOT / 'README.md').read_text()
    for preset in re.findall(r'--config ([a-z][\w-]*)(?![\w./-])', text):
        assert preset in preset_names(), preset
    for command in re.findall(r'^(?:\.venv/bin/)?ser (\w+)', text, re.MULTILINE):
        assert command in TABLE, command


def test_project_text_names_no_machine_path():
    for path in [*SOURCES, *(ROOT / 'tests').glob('*.py'), *(ROOT / 'configs').rglob('*.yaml'), ROOT / 'README.md',
                 ROOT / 'NOTES.md']:
        if path != Path(__file__).resolve():
            assert not re.search(r'/(work|tmp/w|root)/', path.read_text()), path


def names_read(tree):
    """What a module reads of objects: attributes, keys in brackets or of .get, and names given to getattr."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            yield node.slice.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split('.')[-1] in ('getattr', 'hasattr', 'get'):
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def test_every_config_key_is_read_somewhere():
    from tests.test_config import all_sections

    trees = [ast.parse(p.read_text()) for p in MODULES if p.parent != ROOT / 'ser' / 'config']
    read = set().union(*map(names_read, trees))
    unread = {f'{section.__name__}.{name}' for section in all_sections() for name in section.model_fields
              if name not in read}
    assert not unread
