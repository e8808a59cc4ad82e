import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.build_shards import Progress, main
from ser.errors import SerError

ROOT = Path(__file__).resolve().parent.parent


def command(*words):
    return subprocess.run([sys.executable, ROOT / 'tools' / 'build_shards.py', *map(str, words)],
                          capture_output=True, text=True, timeout=120)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / 'source' / 'Actor_01'
    folder.mkdir(parents=True)
    for emotion in range(1, 9):
        soundfile.write(folder / f'03-01-{emotion:02d}-01-01-01-01.wav', np.full(4800, 0.1), 48000)
    soundfile.write(folder / '03-02-01-01-01-01-01.wav', np.zeros(100), 48000)
    (folder / '._x.wav').touch()
    return tmp_path / 'source'


def test_the_real_command(source, tmp_path):
    done = command('ravdess', source, tmp_path / 'out', '--audio', 'wav', '--sample-rate', 'keep', '--shard-size', 5,
                   '--jobs', 2)
    assert (done.returncode, done.stderr) == (0, '')
    for text in ('8 utterances in 2 shards', 'the published corpus has 1440', 'speakers: 1', 'neutral 1, calm 1',
                 'skipped: hidden file 1, song 1', 'Actor_01/03-02-01-01-01-01-01.wav: song'):
        assert text in done.stdout
    manifest = json.loads((tmp_path / 'out' / 'shards.json').read_text())
    assert (manifest['audio'], manifest['sample_rate'], len(manifest['shards'])) == ('wav', 'keep', 2)


def test_a_bad_file_gives_exit_code_1_and_is_named(source, tmp_path, capsys):
    (source / 'Actor_01' / '03-01-01-01-01-01-01.wav').write_bytes(b'')
    assert main(['ravdess', str(source), str(tmp_path / 'out'), '--jobs', '1']) == 1
    assert 'Actor_01/03-01-01-01-01-01-01.wav: empty file' in capsys.readouterr().out


@pytest.mark.parametrize(('words', 'message'), [
    (('ravdes', '.', 'out'), "unknown corpus 'ravdes'"),
    (('ravdess', 'nowhere', 'out'), "no such folder: 'nowhere'"),
    (('demo', '-', 'out', '--sample-rate', 'low'), '--sample-rate must be'),
    (('demo', '-', 'out', '--audio', 'flacc'), "Did you mean 'flac'"),
])
def test_a_refusal_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and message in error and error.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_abbreviations_are_not_accepted_and_the_nearest_option_is_named(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(['demo', '-', 'out', '--sample', '44100'])
    assert stopped.value.code == 2
    assert "Did you mean '--sample-rate'?" in capsys.readouterr().err


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(SerError, match='no such folder'):
        main(['ravdess', str(tmp_path / 'none'), str(tmp_path / 'out'), '--debug'])


def test_a_reader_that_goes_away_is_no_error(source, tmp_path):
    with subprocess.Popen([sys.executable, ROOT / 'tools' / 'build_shards.py', 'ravdess', source, tmp_path / 'out'],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert (process.wait(timeout=120), process.stderr.read()) == (0, '')
    assert (tmp_path / 'out' / 'shards.json').is_file()


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    out = tmp_path / 'out'
    with subprocess.Popen([sys.executable, ROOT / 'tools' / 'build_shards.py', 'demo', '-', out, '--jobs', '1'],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          # Whoever runs the tests in the background may have had the signal ignored.
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as process:
        deadline = time.monotonic() + 60
        while not list(out.glob('.*/*.tar')) and time.monotonic() < deadline:
            assert process.poll() is None, 'the build was over before it could be stopped'
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said, told = process.communicate(timeout=60)
    assert (process.returncode, said, told) == (130, '', 'stopped\n')
    assert not out.exists()


def test_help_is_quick_and_loads_nothing_heavy():
    code = ("import sys, ser.build_shards as b\ntry:\n    b.main(['--help'])\nexcept SystemExit:\n    pass\n"
            "print([m for m in ('numpy', 'torch', 'soundfile') if m in sys.modules])")
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.rstrip().endswith('[]')


class Stream(list):
    """A log file: not a terminal."""

    write = list.append

    def isatty(self):
        return False

    def flush(self):
        pass


def test_progress_off_a_terminal_is_plain_lines():
    stream = Stream()
    with Progress(stream, seconds=0.0) as progress:
        progress(1, 3)
        progress(3, 3)
    assert ''.join(stream) == '1 of 3 clips\n3 of 3 clips\n'
