"""A builder that is killed, a disk that is full or read-only, and folders that hold anything at all."""

import io
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.build_shards import main
from ser.config.data import DataConfig
from ser.errors import SerError
from ser.shards import publish
from ser.shards.index import build_index
from ser.shards.write import write_shards
from tests.test_write import contents, corpus

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, ROOT / 'tools' / 'build_shards.py']
FORK = multiprocessing.get_context('fork')
linux = pytest.mark.skipif(sys.platform != 'linux', reason='forks, and reads /proc')


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """(a source, the files of an undisturbed build in shards of 4, the seconds it takes)."""
    folder = tmp_path_factory.mktemp('made')
    source = corpus(folder / 'source', clips=24)
    started = time.monotonic()
    write_shards('csv', source, folder / 'out', shard_size=4, jobs=2)
    return source, contents(folder / 'out'), time.monotonic() - started


def build(source, out, jobs=2):
    """A process that builds."""
    process = FORK.Process(target=write_shards, args=('csv', source, out), kwargs={'shard_size': 4, 'jobs': jobs})
    process.start()
    return process


def assert_nothing_half(out, whole):
    """Whatever has its final name is whole; where the manifest is missing nobody takes the rest for a set."""
    held = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} if out.exists() else {}
    assert all(whole[name] == data for name, data in held.items())
    if publish.MANIFEST in held:
        assert held == whole
    elif any(name.endswith('.tar') for name in held):
        with pytest.raises(SerError, match='was killed before all of its shards were there'):
            build_index(DataConfig(shards=(str(out),)))


def kill_at_random(made, out, kills, seed):
    source, whole, seconds = made
    draw, killed = random.Random(seed), 0
    while killed < kills:
        process = build(source, out)
        process.join(draw.uniform(0, seconds))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.join()
        assert_nothing_half(out, whole)
        if (out / publish.MANIFEST).exists():
            shutil.rmtree(out)
    write_shards('csv', source, out, shard_size=4, jobs=2)
    assert contents(out) == whole


@linux
def test_a_build_that_is_killed_twice_and_run_again_gives_the_same_bytes(made, tmp_path):
    kill_at_random(made, tmp_path / 'out', 2, 0)


@linux
@pytest.mark.slow
def test_twenty_kills_at_random_moments(made, tmp_path):
    kill_at_random(made, tmp_path / 'out', 20, 1)


@linux
def test_killed_at_every_step_of_the_publishing_nothing_is_half_there(made, tmp_path, monkeypatch):
    source, whole, _ = made
    real, steps, here = os.replace, FORK.Value('i', 0), os.getpid()

    def replace(*paths):
        if os.getpid() != here:
            if steps.value == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            steps.value -= 1
        real(*paths)

    monkeypatch.setattr(os, 'replace', replace)
    for step in range(len(whole)):
        steps.value = step
        process = build(source, tmp_path / 'out', jobs=1)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert len([path for path in (tmp_path / 'out').iterdir() if path.is_file()]) == step
        assert_nothing_half(tmp_path / 'out', whole)
    monkeypatch.setattr(os, 'replace', real)
    write_shards('csv', source, tmp_path / 'out', shard_size=4, jobs=1)
    assert contents(tmp_path / 'out') == whole


def children(pid):
    return [int(child) for child in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


@linux
def test_a_killed_reader_ends_the_build_with_one_line(tmp_path):
    out = tmp_path / 'out'
    with subprocess.Popen([*COMMAND, 'demo', '-', out, '--jobs', '2'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        deadline = time.monotonic() + 60
        while len(children(process.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(children(process.pid)[0], signal.SIGKILL)
        said, told = process.communicate(timeout=60)
    assert (process.returncode, said, told.count('\n')) == (2, '', 1)
    assert told.startswith('error: a process that reads audio died') and not out.exists()


NAMESPACES = sys.platform == 'linux' and shutil.which('unshare') and not subprocess.run(
    ['unshare', '-rm', 'true'], capture_output=True).returncode
# A mount of its own that no other process sees; it goes with the process.
MOUNTED = """mount -t tmpfs -o size=600k tmpfs "$1" && mkdir "$1/out" || exit 99
[ "$2" = rw ] || mount -o remount,ro "$1" || exit 99
place=$1; shift 2; "$@"; code=$?; ls -A "$place/out"; exit $code"""


def on_a_small_disk(place, kind, *words):
    """(exit code, stdout with what is left in OUT, stderr) of a build to a disk of 600 kB or one that is read-only."""
    place.mkdir()
    if NAMESPACES:
        command, limit = ['unshare', '-rm', 'sh', '-c', MOUNTED, 'sh', place, kind], None
    elif kind == 'rw':
        (place / 'out').mkdir()
        command, limit = [], lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    else:
        (place / 'out').mkdir(mode=0o555)
        command, limit = [], None
    done = subprocess.run([*command, *COMMAND, *words, place / 'out', '--jobs', '1'], capture_output=True, text=True,
                          timeout=120, preexec_fn=limit)
    left = [] if NAMESPACES else [path.name for path in (place / 'out').iterdir()]
    return done.returncode, done.stdout + ''.join(left), done.stderr


@pytest.mark.parametrize(('kind', 'reason'), [
    ('rw', 'No space left on device|File too large'), ('ro', 'Read-only file system|Permission denied')])
def test_a_disk_that_is_full_or_read_only_is_one_line_and_nothing_stays(tmp_path, kind, reason):
    source = corpus(tmp_path / 'source', clips=60, frames=20000)
    code, left, error = on_a_small_disk(tmp_path / 'disk', kind, 'csv', source)
    assert (code, left) == (2, ''), error
    assert re.fullmatch(f"error: cannot write to '.*out': ({reason})\n", error)


@pytest.fixture
def odd(tmp_path):
    """A RAVDESS of one actor with all that a folder may hold."""
    folder, whole, silent, short = os.fsencode(tmp_path / 'odd'), io.BytesIO(), io.BytesIO(), io.BytesIO()
    noise = (np.random.default_rng(0).standard_normal(8000) * 3000).astype(np.int16)
    for file, samples in ((whole, noise), (silent, noise * 0), (short, noise[:96])):
        soundfile.write(file, samples, 16000, format='WAV')
    files = {
        '03-01-01-01-01-01-01.wav': whole, 'new\nline/03-01-02-01-01-01-01.wav': whole,
        '\udcff/03-01-03-01-01-01-01.wav': whole, 'x\nreadme.txt': whole, '\udcffreadme.txt': whole,
        '03-01-04-01-01-01-01.wav': io.BytesIO(), '\udcfe\x1b[31m/03-01-04-01-01-01-02.wav': io.BytesIO(),
        '03-01-05-01-01-01-01.wav': io.BytesIO(whole.getvalue()[:5044]), '03-01-06-01-01-01-01.wav': silent,
        '03-01-07-01-01-01-01.wav': short, '03-01-08-01-01-01-01.wav': io.BytesIO(b'not audio at all' * 9)}
    for name, file in files.items():
        path = os.path.join(folder, os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as target:
            target.write(file.getvalue())
    for link, target in (('loop', '.'), ('ring.wav', 'ring.wav'), ('03-01-04-02-01-01-01.wav',) * 2,
                         ('03-01-04-02-01-02-01.wav', 'gone.wav')):
        os.symlink(os.fsencode(target), os.path.join(folder, os.fsencode(link)))
    os.mkfifo(os.path.join(folder, b'03-01-04-02-02-01-01.wav'))
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(folder)
        listener.bind('03-01-04-02-02-02-01.wav')
        os.chdir(ROOT)
    return tmp_path / 'odd'


def test_whatever_a_folder_holds_is_counted_and_named_and_nothing_hangs(odd, tmp_path):
    done = subprocess.run([*COMMAND, 'ravdess', odd, tmp_path / 'out', '--jobs', '2'], capture_output=True, text=True,
                          timeout=60)
    assert (done.returncode, done.stderr) == (1, '')
    skipped = json.loads((tmp_path / 'out' / 'shards.json').read_text())['skipped']
    assert skipped == {'cannot be read': 2 + 1, 'empty file': 2, 'not an audio file': 2, 'cannot be decoded': 1,
                       'cut short': 1, 'link to a folder already seen': 1, 'not a plain file': 1,
                       'name does not fit MM-VC-EE-II-SS-RR-AA': 1}
    assert json.loads((tmp_path / 'out' / 'shards.json').read_text())['doubtful'] == {
        'nothing but silence': ['03-01-06-01-01-01-01.wav'], 'shorter than 0.1 s': ['03-01-07-01-01-01-01.wav']}
    for line in ('nothing but silence, and kept: 1 clip: 03-01-06-01-01-01-01.wav',
                 '  03-01-05-01-01-01-01.wav: cut short (2500 of 8000 frames)',
                 '  03-01-04-02-01-01-01.wav: cannot be read (Too many levels of symbolic links)',
                 '  03-01-04-02-02-01-01.wav: not a plain file',
                 '  \\udcfe\\x1b[31m/03-01-04-01-01-01-02.wav: empty file'):
        assert f'{line}\n' in done.stdout
    assert len(build_index(DataConfig(shards=(str(tmp_path / 'out'),))).rows) == 5


def test_files_that_differ_in_their_suffix_alone_are_named_and_the_rest_is_built(tmp_path, capsys):
    source = corpus(tmp_path / 'source', clips=3)
    sound, rate = soundfile.read(source / 'clip1.wav', dtype='int16')
    soundfile.write(source / 'clip1.flac', sound, rate)
    with open(source / 'metadata.csv', 'a') as table:
        table.write('clip1.flac,sad,s1,0.5\n')
    assert main(['csv', str(source), str(tmp_path / 'out'), '--jobs', '1']) == 1
    said = capsys.readouterr().out
    assert '2 utterances in 1 shard' in said and 'skipped: same name but for the suffix 2' in said
    assert 'clip1.wav: same name but for the suffix (as clip1.flac: rename or remove one)' in said
    assert Counter(json.loads(line)['key'] for line in (tmp_path / 'out' / 'index.jsonl').read_text().splitlines()) == {
        'csv-clip0': 1, 'csv-clip2': 1}
