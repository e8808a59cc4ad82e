"""Input made to harm: nothing in it is executed, and what asks for gigabytes is refused at once.

Hostile checkpoints are in test_checkpoint.py, hostile uploads in test_app.py and test_intake.py, hostile files of the
hub in test_inference_hub.py, hostile archives of a corpus in test_archive.py.
"""

import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch

from ser.config.data import DataConfig
from ser.config.load import load_config
from ser.doctor import main as doctor
from ser.errors import SerError
from ser.shards.index import build_index
from ser.shards.plan import EvaluationPlan
from ser.shards.stream import EvaluationStream
from ser.train import main as train
from ser.training.checkpoint import load_newest, load_weights
from tests.hostile_files import flac_bomb, write_bombs
from tests.shard_factory import EMOTIONS, make_shards, sample, write_tar

ROOT = Path(__file__).resolve().parent.parent


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f'touch {self.mark}',)


@pytest.fixture
def mark(tmp_path):
    """A file that nothing may make."""
    path = tmp_path / 'mark'
    yield path
    assert not path.exists(), 'something was executed'


def test_the_payload_would_work(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / 'made')))
    assert (tmp_path / 'made').exists()


@pytest.mark.parametrize('entry', ['pipe:touch {mark}', '{shard}::pipe:touch {mark}', 'pipe:touch {mark}::{shard}',
                                   '{{pipe:touch {mark},x}}', 'file:{shard}'])
def test_no_entry_of_shards_is_run(tmp_path, mark, capsys, entry):
    shard = write_tar(tmp_path / 'x.tar', sample('a'))
    entry = entry.format(mark=mark, shard=shard)
    valid = ['--shards', str(shard), '--valid-shards', entry]
    for command in (lambda: train(['--shards', entry]), lambda: train(valid),
                    lambda: doctor([entry])):
        assert command() == 2
        said = capsys.readouterr().err
        assert 'error: ' in said and said.count('\n') <= 2


def test_a_rewritten_prefix_of_webdataset_runs_nothing(tmp_path, mark, monkeypatch):
    make_shards(tmp_path / 'shards', 2, clips_per=1, seconds=0.1)
    monkeypatch.setenv('GOPEN_REWRITE', f'{tmp_path}=pipe:touch {mark} #')
    data = DataConfig(shards=(str(tmp_path / 'shards'),), sample_rate=16000)
    index = build_index(data)
    plan = EvaluationPlan(range(len(index.rows)), 4)
    with EvaluationStream(index, plan, data, EMOTIONS) as stream:
        assert sum(int((batch.ids >= 0).sum()) for batch in stream) == len(index.rows) == 8


@pytest.mark.parametrize('suffix', ['pyd', 'pkl', 'pickle', 'pth', 'pt', 'npy'])
def test_members_that_a_reader_might_unpickle(tmp_path, mark, suffix):
    content = io.BytesIO()
    (torch.save(Payload(mark), content) if suffix in ('pth', 'pt') else content.write(pickle.dumps(Payload(mark))))
    path = write_tar(tmp_path / 'x.tar', [*sample('a'), (f'a.{suffix}', content.getvalue())])
    with pytest.raises(SerError, match=rf"x.tar: at byte \d+: member 'a.{suffix}' may hold a pickle and is refused"):
        build_index(DataConfig(shards=(str(path),)))
    assert doctor([str(path), '--jobs', '1']) == 2


def test_checkpoints_and_weights_that_are_pickles(tmp_path, mark):
    import hashlib

    for name in ('step-000000001.pt', 'best.safetensors'):
        torch.save({'identity': {}, 'x': Payload(mark)}, tmp_path / name)
        digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        (tmp_path / f'{name}.sha256').write_text(f'{digest}  {name}\n')
    with pytest.raises(SerError, match='not a checkpoint of this program'):
        load_newest(tmp_path, {})
    with pytest.raises(SerError, match='weights of another model'):
        load_weights(tmp_path / 'best.safetensors', torch.nn.Linear(2, 2))


@pytest.mark.parametrize('tag', ['!!python/object/apply:os.system [touch {mark}]', '!!python/name:os.system',
                                 '!!python/object/new:os.system [touch {mark}]', '!!python/module:antigravity'])
def test_tags_of_yaml(tmp_path, mark, tag):
    path = tmp_path / 'config.yaml'
    path.write_text('run:\n  name: ' + tag.format(mark=mark) + '\n')
    with pytest.raises(SerError, match='config.yaml'):
        load_config((str(path),))
    with pytest.raises(SerError):
        load_config(('base',), ('run.name=' + tag.format(mark=mark),))


def test_the_flac_that_grows_is_sound():
    data = flac_bomb(frames=3)
    samples, rate = soundfile.read(io.BytesIO(data), dtype='int16')
    assert (len(samples), rate) == (3 * 65535, 44100) and set(samples) == {7}
    assert 2 * len(samples) > 3870 * (len(data) - 42)


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_nine_bombs_are_refused_at_once_and_in_little_memory(tmp_path):
    bombs = write_bombs(tmp_path)
    (tmp_path / 'bombs.json').write_text(json.dumps(bombs))
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'XDG_CACHE_HOME': str(tmp_path / 'cache')}
    done = subprocess.run([sys.executable, '-m', 'tests.bomb_probe', str(tmp_path / 'bombs.json')], cwd=ROOT,
                          env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    print(*(f'{one["name"]}: {one["seconds"]:.3f} s, {one["mb"]:.1f} MB: {(one["said"] or "")[-100:]}'
            for one in results), sep='\n')
    assert [one['name'] for one in results] == list(bombs) and len(bombs) == 9
    for one in results:
        assert one['said'] and len(one['said']) < 2000 and '\n' not in one['said'], one
        assert one['seconds'] < 1 and one['mb'] < 200, one


def test_names_that_no_file_can_have(tmp_path):
    for entry in ('x' * 5000, f'{tmp_path}/{"y" * 300}.tar', f'{tmp_path}/{"y" * 300}*.tar', '~no-such-user/x.tar',
                  f'a={"z" * 5000}', '{' * 33, 'a{1..99999999999}.tar'):
        with pytest.raises(SerError) as error:
            build_index(DataConfig(shards=(entry,)))
        assert '\n' not in str(error.value)
