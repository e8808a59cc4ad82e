"""Every command that the documents name: it parses by its own parser, and it runs as it stands there."""

import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.cli import COMMANDS
from tests.shard_factory import tone
from tests.tiny import ASSIGNMENTS
from tests.tiny_corpora import make_corpus

ROOT = Path(__file__).resolve().parent.parent
MODULES = {'tools/build_shards.py': 'ser.build_shards', 'tools/benchmark.py': 'ser.benchmark'}
# What a test of its own runs: the installs by CI, the hub by a stand-in, speech encoders that must be fetched.
ELSEWHERE = {'ser push': 'test_inference_hub.py', 'ser export runs/hubert': 'test_ssl_export.py',
             'ser predict --microphone': 'test_live.py', 'torchrun --nnodes': 'test_nodes.py',
             'python -m ser.train --remote': 'test_remote_training.py',
             'python tools/build_shards.py csv my_folder data/mine --engine': 'test_cluster.py',
             'python tools/benchmark.py': 'test_benchmark_run.py'}
SMALL = ['--set', *ASSIGNMENTS, 'training.epochs=1']


def commands_of(text):
    """The commands in the code blocks of a Markdown text, as words; usage lines with brackets are none."""
    blocks = re.findall(r'^```sh\n(.*?)^```', text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r'^    (\S.*)$', text, re.MULTILINE)
    commands = []
    for line in lines:
        for part in line.split(' && '):
            words = shlex.split(part, comments=True) if re.match(r'(ser|python|torchrun)\s', part) else []
            if words and '[' not in part.split(' #')[0]:
                commands.append(words)
    return commands


def module_and_arguments(words):
    """(module, arguments) of a command's words."""
    if words[0] == 'ser':
        return COMMANDS[words[1]][0], words[2:]
    if '-m' in words:
        at = words.index('-m')
        return words[at + 1], words[at + 2:]
    return MODULES[words[1]], words[2:]


README = commands_of((ROOT / 'README.md').read_text())


def test_commands_are_found():
    text = ('Words\n\n    ser corpora      # all\n    python tools/build_shards.py CORPUS [--x]\n\n'
            '```sh\na && ser audit -x\n```\n')
    assert commands_of(text) == [['ser', 'audit', '-x'], ['ser', 'corpora']]
    assert module_and_arguments(['torchrun', '--nproc-per-node', '2', '-m', 'ser.train', '--dry-run']) == (
        'ser.train', ['--dry-run'])
    assert len(README) > 30


@pytest.mark.parametrize('words', README, ids=' '.join)
def test_a_command_of_the_readme_parses(words):
    module, arguments = module_and_arguments(words)
    importlib.import_module(module).parser().parse_args(arguments)


@pytest.fixture(scope='module')
def workspace(tmp_path_factory):
    """A folder in which what the README names is there: recordings, corpora, runs."""
    folder = tmp_path_factory.mktemp('readme')
    rows = ['path,emotion,speaker']
    for number in range(48):
        name = f"take{number}.wav"
        (folder / 'my_folder').mkdir(exist_ok=True)
        soundfile.write(folder / 'my_folder' / name, tone(number), 16000)
        rows.append(f"{name},{('anger', 'boredom')[number % 2]},p{number // 6}")
    (folder / 'my_folder' / 'labels.csv').write_text('\n'.join(rows) + '\n')
    for name, first in (('ravdess', 0), ('emodb', 500)):
        make_corpus(folder / 'data' / name, name, ('neutral', 'happy', 'angry'), 10, first)
    for target in ('clips', 'more/inside'):
        (folder / target).mkdir(parents=True)
        shutil.copy(folder / 'my_folder' / 'take1.wav', folder / target)
    shutil.copy(folder / 'my_folder' / 'take0.wav', folder / 'some.wav')
    talk = np.concatenate([tone(number) for number in range(20)])
    soundfile.write(folder / 'talk.wav', talk, 16000)
    return folder


def run(folder, words, extra=(), wanted=0):
    """A command of the README in `folder`, with further arguments."""
    words = [sys.executable if word == 'python' else word for word in words]
    if words[0] in ('ser', 'torchrun'):
        modules = {'ser': 'ser.cli', 'torchrun': 'torch.distributed.run'}
        words = [sys.executable, '-m', modules[words[0]], *words[1:]]
    words = [str(ROOT / word) if word.startswith('tools/') else word for word in words]
    done = subprocess.run([*words, *extra], cwd=folder, capture_output=True, text=True, timeout=900,
                          env=os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
    assert done.returncode == wanted, f'{words}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}'
    return done


def serve(folder, words):
    """`ser serve` of the README answers and ends when told to."""
    server = subprocess.Popen([sys.executable, '-m', 'ser.cli', *words[1:], '--port', '8765'], cwd=folder,
                              env=os.environ | {'PYTHONPATH': str(ROOT)}, stderr=subprocess.PIPE)
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen('http://127.0.0.1:8765/health', timeout=5) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert server.poll() is None, server.stderr.read().decode()
                time.sleep(0.5)
        else:
            raise AssertionError('the server never answered')
    finally:
        server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0
    server.stderr.close()


@pytest.mark.slow
def test_every_command_of_the_readme_runs(workspace):
    for words in README:
        line = ' '.join(words)
        elsewhere = next((file for start, file in ELSEWHERE.items() if line.startswith(start)), None)
        if elsewhere:
            assert (ROOT / 'tests' / elsewhere).is_file()
            continue
        if 'serve' in words:
            serve(workspace, words)
            continue
        if '--resume' in words:
            # Of what is there, folders of folds and seeds are none.
            words = [*words[:-1], str(min((workspace / 'runs').glob('2*-*/config.yaml')).parent)]
        trains = any(word in words for word in ('ser.train', 'matrix', 'ablate')) and '--resume' not in words
        if line == 'python -m ser.train':
            # The demo itself; tests/test_demo_run.py trains it in full.
            extra = ['--set', 'training.epochs=1']
        else:
            # Variants of how two views are fused want two.
            backbone = '{kind: mvitv2, depths: [1, 1], embed_dim: [8, 16], num_heads: [1, 2]}'
            views = [f'model.views.mfcc={{backbone: {backbone}}}', 'features.mfcc.coefficients=20']
            views = views if 'ablate' in words else []
            extra = [*SMALL, *views] if trains else []
        run(workspace, words, extra)
        for seed, name in enumerate(('a', 'b', 'c') if '--out runs/mine' in line else ()):
            run(workspace, [*words[:-1], f'runs/{name}'], [*SMALL, f'run.seed={seed}'])
    assert {'answers.csv', 'talk.png', 'talk.vtt', 'mine.onnx'} <= {path.name for path in workspace.iterdir()}
    assert (workspace / 'runs' / 'mine' / 'report.html').is_file()
