import io
import json
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.build_shards import agree, each_option, main, parser
from ser.corpora import CORPORA
from ser.corpora.utterance import Corpus, Download
from ser.errors import SerError
from tests.file_server import serving

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
                 'skipped: hidden file 1, song 1', 'Actor_01/03-02-01-01-01-01-01.wav: song',
                 'labels renamed: fearful -> fear, surprised -> surprise',
                 f'audit: ser audit --shards {tmp_path / "out"} --protocol utterance\n'):
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
    (('demo', '-', 'out', '--option', 'clips'), "--option 'clips': NAME=VALUE is wanted"),
    (('demo', '-', 'out', '--option', '=1'), "--option '=1': NAME=VALUE is wanted"),
    (('demo', '-', 'out', '--option', 'a=1', '--option', 'a=2'), "--option a is given twice: '1' and '2'"),
    (('demo', '-', 'out', '--option', 'clips=1'), "corpus 'demo' has no option 'clips'"),
    (('ravdess', '.', 'out', '--option', 'song=maybe'), "'maybe'"),
    (('demo', '-', 'out', '--yes'), '--yes accepts a licence, and goes with --download'),
    (('demo', '-', 'out', '--download'), "corpus 'demo' cannot be downloaded"),
])
def test_a_refusal_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and message in error and error.count('\n') == 1
    assert not (tmp_path / 'out').exists()


WAV = io.BytesIO()
soundfile.write(WAV, np.full(1600, 0.1), 16000, format='WAV')
TABLES = {
    'two rows with one path': b'path,emotion\na.wav,sad\na.wav,happy\n',
    'no delimiter that fits': b'path#emotion\na.wav#sad\n',
    'rows with another delimiter than the header': b'path,emotion\na.wav;sad\nb.wav;sad\n',
    'no emotion column': b'path,speaker\na.wav,s1\n',
    'no path column': b'emotion,speaker\nsad,s1\n',
    'not text': 'path,emotion\na.wav,glücklich\n'.encode('latin-1'),
    'nothing but a header': b'path,emotion\n',
    'nothing': b'',
}


@pytest.mark.parametrize('table', TABLES.values(), ids=TABLES)
def test_a_table_that_is_wrong_is_one_line_and_leaves_nothing(tmp_path, capsys, table):
    for name in ('a.wav', 'b.wav'):
        (tmp_path / name).write_bytes(WAV.getvalue())
    (tmp_path / 'metadata.csv').write_bytes(table)
    assert main(['csv', str(tmp_path), str(tmp_path / 'out'), '--jobs', '1']) == 2
    out, error = capsys.readouterr()
    assert (out, error.count('\n')) == ('', 1) and error.startswith('error: ')
    assert 'metadata.csv' in error or str(tmp_path) in error
    assert not (tmp_path / 'out').exists()


def test_rows_without_a_file_are_named_and_the_rest_is_built(tmp_path, capsys):
    (tmp_path / 'a.wav').write_bytes(WAV.getvalue())
    (tmp_path / 'metadata.csv').write_text('path,emotion\na.wav,sad\nb.wav,happy\n')
    assert main(['csv', str(tmp_path), str(tmp_path / 'out'), '--jobs', '1']) == 1
    assert 'b.wav: missing file' in capsys.readouterr().out
    assert (tmp_path / 'out' / 'skipped.csv').is_file()


def test_options_reach_the_corpus(source, tmp_path, capsys, monkeypatch):
    given = []

    def parse(folder, **options):
        given.append(options)
        return CORPORA['ravdess'].parse(folder)

    monkeypatch.setitem(CORPORA, 'one', Corpus(CORPORA['ravdess'].facts, parse, options={'a': 'x', 'b': 'y'}))
    assert main(['one', str(source), str(tmp_path / 'out'), '--option', 'a=1=2', '--option', ' b = two words ']) == 0
    assert given == [{'a': '1=2', 'b': 'two words'}]
    assert '8 utterances' in capsys.readouterr().out


@pytest.mark.parametrize('words', [
    ['csv', 'in', 'out', '--option', 'a=1', 'b=x=2', '--audio', 'wav'],
    ['csv', '--option', 'a=1', 'b=x=2', 'in', 'out', '--audio', 'wav'],
    ['--option', 'a=1', '--option', 'b=x=2', 'csv', 'in', '--audio', 'wav', 'out']])
def test_one_option_takes_several_values_and_leaves_the_folders(words):
    args = parser().parse_args(each_option(words))
    assert args.option == ['a=1', 'b=x=2'] and (args.corpus, args.source, args.out) == ('csv', 'in', 'out')
    assert args.audio == 'wav'


def test_audio_of_another_name_counts_as_unusable_and_other_files_do_not(source, tmp_path, capsys):
    (source / 'README.txt').write_text('about')
    assert main(['ravdess', str(source), str(tmp_path / 'a'), '--jobs', '1']) == 0
    (source / 'noise.wav').write_bytes(b'')
    capsys.readouterr()
    assert main(['ravdess', str(source), str(tmp_path / 'b'), '--jobs', '1']) == 1
    said = capsys.readouterr().out
    assert '  noise.wav: name does not fit MM-VC-EE-II-SS-RR-AA' in said


def test_the_next_line_of_a_tiny_corpus_is_a_command_that_is_not_refused(source, tmp_path, capsys):
    assert main(['ravdess', str(source), str(tmp_path / 'a b'), '--jobs', '1']) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith('next: '))
    words = shlex.split(line.removeprefix('next: python -m ser.train '))
    assert words == ['--shards', str(tmp_path / 'a b'), '--config', 'maxmvit-tiny', '--set', 'training.batch_size=4',
                     '--protocol', 'utterance']
    from ser.train import parser

    assert parser().parse_args(words).assignments == ['training.batch_size=4']


@pytest.fixture
def web(monkeypatch, tmp_path):
    """A corpus 'small' like RAVDESS, behind a server."""
    monkeypatch.setenv('no_proxy', '*')
    with zipfile.ZipFile(tmp_path / 'made.zip', 'w') as file:
        for actor in (1, 2, 3):
            for emotion in range(1, 9):
                file.writestr(f'Actor_{actor:02d}/03-01-{emotion:02d}-01-01-01-{actor:02d}.wav', WAV.getvalue())
    with serving() as (site, address):
        site.files['/a.zip'] = (tmp_path / 'made.zip').read_bytes()
        real = CORPORA['ravdess']
        facts = replace(real.facts, name='small', downloads=(Download(f'{address}/a.zip', 'a.zip'),))
        site.facts = facts
        monkeypatch.setitem(CORPORA, 'small', replace(real, facts=facts))
        yield site


def test_download_then_build_in_one_command(web, tmp_path, capsys):
    words = ['small', str(tmp_path / 'source'), str(tmp_path / 'out'), '--download', '--yes', '--jobs', '1']
    assert main(words) == 0
    out = capsys.readouterr().out
    for text in ('licence: CC BY-NC-SA 4.0', 'size not published', 'checksum not published; got sha256 ',
                 'unpacking a.zip', '24 utterances in 1 shard', 'speakers: 3 (8 clips each)'):
        assert text in out
    assert main([*words[:2], str(tmp_path / 'again'), *words[3:]]) == 0
    out = capsys.readouterr().out
    assert 'there already, checksum verified' in out and 'licence' not in out and len(web.requests) == 1


def test_without_a_terminal_and_without_yes_nothing_is_downloaded(web, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, 'stdin', io.StringIO('y\n'))
    assert main(['small', str(tmp_path / 'source'), str(tmp_path / 'out'), '--download']) == 2
    out, error = capsys.readouterr()
    assert out == '' and error.count('\n') == 1 and 'CC BY-NC-SA 4.0) must be accepted' in error and '--yes' in error
    assert web.requests == [] and not (tmp_path / 'source').exists()


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize('answer', ['n\n', '\n', '', 'nes\n'])
def test_an_answer_that_is_not_yes_is_no(web, capsys, answer):
    with pytest.raises(SerError, match='licence was not accepted: nothing was downloaded'):
        agree(web.facts, web.facts.downloads, False, Terminal(answer))
    assert capsys.readouterr().out.endswith('Download and accept this licence? [y/N] ')


@pytest.mark.parametrize('answer', ['y\n', 'Yes\n'])
def test_yes_is_yes(web, answer):
    agree(web.facts, web.facts.downloads, False, Terminal(answer))


@pytest.mark.parametrize(('words', 'message'), [
    (('--audio', 'flacc'), 'unknown audio format'), (('--jobs', '0'), '--jobs must be'), ((), 'already holds shards')])
def test_what_the_build_would_refuse_is_refused_before_the_download(web, tmp_path, capsys, words, message):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'old-00000.tar').touch()
    assert main(['small', str(tmp_path / 'source'), str(tmp_path / 'out'), '--download', '--yes', *words]) == 2
    assert message in capsys.readouterr().err and web.requests == []


def test_a_download_that_fails_leaves_no_shards(web, tmp_path, capsys):
    web.files.clear()
    assert main(['small', str(tmp_path / 'source'), str(tmp_path / 'out'), '--download', '--yes']) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and 'answers 404' in error
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
