"""House rules that hold by themselves: sizes, import direction, fast help, true README."""

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / 'ser').rglob('*.py'))
SOURCES = MODULES + sorted((ROOT / 'tools').glob('*.py'))
# The rooms in the order data meets them; a module imports from its own room or one above.
ROOMS = ['first', 'corpora', 'shards', 'features', 'models', 'evaluation', 'training', 'command']
FIRST = {'ser', 'ser.errors', 'ser.files', 'ser.labels', 'ser.randomness'}
TORCH_FREE = ('ser.config', 'ser.corpora', 'ser.labels', 'ser.errors', 'ser.files', 'ser.randomness', 'ser.command')
COMMANDS = ['train', 'build_shards', 'evaluate', 'predict', 'inspect', 'show_config', 'list_corpora', 'cli']


def name_of(path):
    return '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')


def room_of(module):
    parts = module.split('.')
    if module in FIRST or parts[1] == 'config':
        return 0
    # ser.command is the shell around commands: it holds no logic and everything may log through it.
    if module == 'ser.command':
        return 0
    return ROOMS.index(parts[1]) if parts[1] in ROOMS else ROOMS.index('command')


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
        started = time.perf_counter()
        done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
        times.append(time.perf_counter() - started)
        assert done.returncode == 0, done.stderr
        assert 'usage' in done.stdout
    # The least of three: the machine may be busy, the command must not be.
    assert min(times) < 0.3


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


def test_ci_runs_the_readmes_test_command():
    done = subprocess.run(['grep', '-c', '-E', r'^python3 -m venv .*\[test\].* -m pytest', 'README.md'], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.stdout.strip() == '1'


def test_the_readme_names_only_options_and_presets_that_exist():
    from ser.cli import COMMANDS as TABLE
    from ser.config.presets import preset_names

    text = (ROOT / 'README.md').read_text()
    for preset in re.findall(r'--config ([a-z][\w-]*)(?![\w./-])', text):
        assert preset in preset_names(), preset
    for command in re.findall(r'^(?:\.venv/bin/)?ser (\w+)', text, re.MULTILINE):
        assert command in TABLE, command


def test_project_text_names_no_machine_path():
    for path in [*SOURCES, *(ROOT / 'tests').glob('*.py'), *(ROOT / 'configs').glob('*'), ROOT / 'README.md',
                 ROOT / 'NOTES.md']:
        if path != Path(__file__).resolve():
            assert not re.search(r'/(work|tmp/w|root)/', path.read_text()), path


def test_every_config_key_is_read_somewhere():
    from tests.test_config import all_sections

    code = '\n'.join(p.read_text() for p in MODULES if '/config/' not in str(p))
    for section in all_sections():
        for name in section.model_fields:
            assert re.search(rf'\b{name}\b', code), f'{section.__name__}.{name} is read nowhere'
