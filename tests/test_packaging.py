"""The wheel holds the presets, and both routes to them work."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHOW = ('from ser.config.presets import preset_folder, preset_names\nfrom ser.config.load import load_config\n'
        'print(preset_folder())\nfor name in preset_names():\n    load_config((name,))\n    print(name)')


def run_in(folder, site):
    done = subprocess.run([sys.executable, '-c', SHOW], cwd=folder, env={'PYTHONPATH': str(site), 'PATH': ''},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split('\n')[0], set(done.stdout.split()[1:])


@pytest.fixture(scope='module')
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    # A copy: building in the checkout would leave build/ and egg-info behind.
    listed = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', '-z'], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout
    for name in listed.split('\0'):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation',
                           '-w', str(folder), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wheel, = folder.glob('serstream-*.whl')
    zipfile.ZipFile(wheel).extractall(folder / 'site')
    return folder


def test_presets_from_a_wheel(unpacked):
    where, names = run_in(unpacked, unpacked / 'site')
    assert where == str(unpacked / 'site' / 'ser' / 'presets')
    assert names == {p.stem for p in (ROOT / 'configs').glob('*.yaml')}


def test_presets_from_a_checkout(unpacked):
    where, names = run_in(unpacked, ROOT)
    assert where == str(ROOT / 'configs')
    assert names == {p.stem for p in (ROOT / 'configs').glob('*.yaml')}


def test_the_wheel_has_every_module_and_the_command(unpacked):
    for path in (ROOT / 'ser').rglob('*.py'):
        assert (unpacked / 'site' / path.relative_to(ROOT)).is_file(), path
    entry = next((unpacked / 'site').glob('serstream-*.dist-info/entry_points.txt')).read_text()
    assert 'ser = ser.cli:main' in entry
