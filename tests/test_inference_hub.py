"""Runs sent to a hub and fetched again: the library's own requests, answered by a server on this machine."""

import io
import re
import shutil
import sys

import numpy as np
import pytest
import yaml

from ser.errors import SerError
from ser.inference import hub
from ser.inference.hub_files import KNOWN, NEEDED, WEIGHTS
from ser.pull import main as pull
from ser.push import main as push
from tests.hub_server import TOKEN, serving
from tests.shard_factory import tone
from tests.tiny_run import tiny_run  # noqa: F401

pytest.importorskip('huggingface_hub')
NAME = 'tester/emotions'


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A hub, whom the commands talk to, logged in."""
    with serving() as made:
        monkeypatch.setenv('HF_ENDPOINT', made.address)
        monkeypatch.setenv('HF_TOKEN', TOKEN)
        monkeypatch.setattr('huggingface_hub.constants.HF_TOKEN_PATH', str(tmp_path / 'no-token'))
        # Its own protocol for large files speaks to servers of another kind.
        monkeypatch.setattr('huggingface_hub.constants.HF_HUB_DISABLE_XET', True)
        yield made


@pytest.fixture
def run(tiny_run, tmp_path):  # noqa: F811
    return shutil.copytree(tiny_run.path, tmp_path / 'folder of mine' / 'run')


def sent(run, *more):
    return push([str(run), NAME, '--yes', *more])


def refused(capsys, code, *said):
    """The command ended with exit code 2 and one line that says all of it."""
    error = capsys.readouterr().err
    line, = (line for line in error.splitlines() if line.startswith('error: '))
    assert code == 2 and all(text in line for text in said), error


def test_there_and_back_and_predict(server, run, tmp_path, capsys):
    from ser.inference.predictor import Predictor

    assert sent(run) == 0
    told = capsys.readouterr().out
    files = server.files(NAME)
    assert f'to {NAME} (public, new):' in told and f'sent: {server.address}/{NAME}/commit/' in told
    for name, data in files.items():
        assert name == '.gitattributes' or re.search(rf'^  {re.escape(name)} +{len(data):,} bytes$', told, re.MULTILINE)
    out = tmp_path / 'fetched'
    assert pull([NAME, str(out)]) == 0
    assert f'{out}: fetched' in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == set(files) - {'.gitattributes'}
    assert (out / 'best.safetensors').read_bytes() == (run / 'best.safetensors').read_bytes()
    clips = [tone(seed) for seed in (1, 2)]
    there, here = (Predictor(path, 'cpu').values(clips) for path in (out, run))
    assert np.array_equal(there, here)
    # Again from what was fetched: nothing is missing.
    assert push([str(out), 'tester/copy', '--yes']) == 0
    assert server.files('tester/copy')['best.safetensors'] == files['best.safetensors']


def test_neither_audio_nor_people_nor_folders_are_sent(server, run, tmp_path):
    sent(run)
    files = server.files(NAME)
    assert not {name for name in files if name not in (*KNOWN, '.gitattributes')}
    assert not set(files) & {'predictions.csv', 'split.csv', 'train.log', 'command.txt', 'predictions-validation.csv'}
    for name, data in files.items():
        if not name.endswith(('.png', '.safetensors')):
            text = data.decode()
            assert str(tmp_path) not in text and str(tmp_path.parent) not in text, name
            assert not re.search(r'\bs0\d\b', text), f'{name} names a speaker'
    assert yaml.safe_load(files['config.yaml'])['data']['shards'] == ['shards']


def test_predictions_go_along_when_they_are_asked_for(server, run):
    assert sent(run, '--with-predictions') == 0
    assert server.files(NAME)['predictions.csv'] == (run / 'predictions.csv').read_bytes()
    assert '| predictions.csv |' in server.files(NAME)['README.md'].decode()


def test_the_readme_s_front_matter_says_what_the_run_says(server, run):
    import json

    sent(run, '--licence', 'mit')
    text = server.files(NAME)['README.md'].decode()
    front = yaml.safe_load(text.split('---\n')[1])
    metrics = json.loads((run / 'test_metrics.json').read_text())
    assert front['license'] == 'mit' and 'license_name' not in front and 'language' not in front
    result, = front['model-index'][0]['results']
    assert result['metrics'][0]['value'] == pytest.approx(metrics['ua'], abs=1e-4)
    assert metrics['protocol'] in result['dataset']['name']
    assert f'    ser pull {NAME} run' in text and '## Limits' in text and '**unknown**' in text
    listed = re.findall(r'^\| ([^|]+) \| [^|]+ \|$', text.split('## Files')[1], re.MULTILINE)[2:]
    assert listed and {name for names in listed for name in names.split(', ')} <= set(server.files(NAME))
    pictures = re.findall(r'!\[[^]]*\]\(([^)]+)\)', text)
    assert pictures and set(pictures) <= set(server.files(NAME))


def test_a_readme_that_is_there_is_never_touched(server, run, capsys):
    server.add(NAME, {'README.md': b'mine', '.gitattributes': b''})
    assert sent(run) == 0
    assert 'README.md is there already and stays as it is; the card goes to MODEL_CARD.md' in capsys.readouterr().out
    files = server.files(NAME)
    assert files['README.md'] == b'mine' and files['MODEL_CARD.md'].startswith(b'# emotions\n')
    # Written meanwhile, between looking and sending.
    server.add('tester/busy', {'.gitattributes': b''})
    server.meanwhile = lambda made: made.put('tester/busy', {'README.md': b'theirs'})
    refused(capsys, push([str(run), 'tester/busy', '--yes']), 'it has changed meanwhile: try again')
    assert server.files('tester/busy') == {'.gitattributes': b'', 'README.md': b'theirs'}


def test_a_readme_of_an_earlier_push_goes_on_to_state_its_scores_and_that_is_said(server, run, capsys):
    import json

    assert sent(run) == 0
    first = server.files(NAME)['README.md']
    capsys.readouterr()
    assert sent(run) == 0
    assert 'README.md is there already and says the same\n' in capsys.readouterr().out
    assert set(server.files(NAME)) & {'README.md', 'MODEL_CARD.md'} == {'README.md'}
    metrics = json.loads((run / 'test_metrics.json').read_text())
    before, metrics['ua'] = metrics['ua'], 0.987
    (run / 'test_metrics.json').write_text(json.dumps(metrics))
    for _ in range(2):
        assert sent(run) == 0
        told = capsys.readouterr().out
        assert 'README.md there states other scores, and its page will go on to show them: recall ' \
            f'{round(before, 4):g} (0.987 here). Put MODEL_CARD.md in its place there' in told
    assert server.files(NAME)['README.md'] == first and b'98.7 %' in server.files(NAME)['MODEL_CARD.md']


@pytest.fixture
def of_two_heads(run):
    """The run with a second head, for speakers."""
    from ser.config.load import load_resolved
    from ser.models import build_model
    from ser.training.checkpoint import save_weights

    config = yaml.safe_load((run / 'config.yaml').read_text())
    config['task'] = {'kind': 'emotion', 'auxiliary': {'voice': {'key': 'speaker'}}}
    (run / 'config.yaml').write_text(yaml.safe_dump(config))
    (run / 'auxiliary.json').write_text('{"voice": ["s00", "s01", "s02"]}')
    names = ('a', 'b')
    (run / 'labels.json').write_text('["a", "b"]')
    model = build_model(load_resolved(run / 'config.yaml'), names, load_pretrained=False,
                        auxiliary={'voice': ('s00', 's01', 's02')})
    save_weights(run / 'best.safetensors', model.state_dict())
    return run


def test_classes_that_are_speakers_are_numbers_and_what_is_fetched_predicts(server, of_two_heads, tmp_path, capsys):
    from ser.inference.predictor import Predictor

    assert sent(of_two_heads) == 0
    assert 'auxiliary voice: its 3 classes name speakers and are sent as numbers' in capsys.readouterr().out
    assert pull([NAME, str(tmp_path / 'out')]) == 0
    pulled = Predictor(tmp_path / 'out', 'cpu')
    assert pulled.auxiliary == {'voice': ('1', '2', '3')} and pulled.values([tone(1)]).shape == (1, 2)
    assert push([str(of_two_heads), 'tester/open', '--yes', '--with-predictions']) == 0
    assert b'"s01"' in server.files('tester/open')['auxiliary.json']


def test_a_model_without_its_second_head_s_classes_is_neither_sent_nor_fetched(server, of_two_heads, tmp_path, capsys):
    sent(of_two_heads)
    del server.files(NAME)['auxiliary.json']
    refused(capsys, pull([NAME, str(tmp_path / 'out')]), 'no whole model: its config asks for auxiliary.json')
    assert not (tmp_path / 'out').exists()
    (of_two_heads / 'auxiliary.json').unlink()
    refused(capsys, sent(of_two_heads), 'auxiliary.json is missing, and without it nobody could predict')


def test_files_of_unknown_size_are_not_fetched():
    held = dict.fromkeys(NEEDED, 10) | {WEIGHTS: None}
    hub._check_held(NAME, held, [*held])
    with pytest.raises(SerError, match='does not say how large labels.json is, and at most 67,108,864 bytes are'):
        hub._check_held(NAME, held | {'labels.json': None}, [*held])


def test_a_branch_of_its_own(server, run, tmp_path, capsys):
    server.add(NAME, {'README.md': b'mine'})
    for _ in range(2):
        assert sent(run, '--revision', 'second') == 0
    assert set(server.files(NAME)) == {'README.md'}
    branch = server.files(NAME, 'second')
    assert branch['README.md'] == b'mine' and 'best.safetensors' in branch
    assert pull([NAME, str(tmp_path / 'out'), '--revision', 'second']) == 0
    refused(capsys, pull([NAME, str(tmp_path / 'none'), '--revision', 'third']), NAME, 'no such revision')


def test_private_is_private(server, run, tmp_path, capsys, monkeypatch):
    assert sent(run, '--private') == 0
    assert server.repositories[NAME]['private'] and '(private, new)' in capsys.readouterr().out
    server.repositories[NAME]['private'] = False
    refused(capsys, sent(run, '--private'), 'is public already')
    server.repositories[NAME]['private'] = True
    monkeypatch.delenv('HF_TOKEN')
    refused(capsys, pull([NAME, str(tmp_path / 'out')]), 'no such model, or it is private', 'hf auth login')


def test_it_asks_before_it_sends(server, run, capsys, monkeypatch):
    refused(capsys, push([str(run), NAME]), 'nobody is there to be asked', 'add --yes')
    # No, and Ctrl-D.
    for answer in ('n\n', ''):
        monkeypatch.setattr(sys, 'stdin', type('Terminal', (io.StringIO,), {'isatty': lambda self: True})(answer))
        assert push([str(run), NAME]) == 0
        assert 'nothing was sent' in capsys.readouterr().out and not server.repositories
    monkeypatch.setattr(sys, 'stdin', type('Terminal', (io.StringIO,), {'isatty': lambda self: True})('y\n'))
    assert push([str(run), NAME]) == 0 and NAME in server.repositories


def test_who_may_not_send_is_told_how(server, run, capsys, monkeypatch):
    refused(capsys, push([str(run), 'another/name', '--yes']), 'may not write there')
    refused(capsys, push([str(run), 'name', '--yes']), 'OWNER/NAME is wanted')
    monkeypatch.setenv('HF_TOKEN', 'hf_wrong')
    refused(capsys, sent(run), 'does not know this login', 'hf auth login')
    monkeypatch.delenv('HF_TOKEN')
    refused(capsys, sent(run), 'nobody is logged in', 'HF_TOKEN')
    assert not server.repositories


def test_what_is_no_finished_run_is_not_sent(server, run, tmp_path, capsys):
    refused(capsys, push([str(tmp_path), NAME, '--yes']), 'not a run directory')
    weights = (run / 'best.safetensors').read_bytes()
    (run / 'best.safetensors').write_bytes(weights[:-1] + b'?')
    refused(capsys, sent(run), 'best.safetensors', 'not what the sha256 beside it says')
    (run / 'best.safetensors').write_bytes(weights)
    (run / 'test_metrics.json').unlink()
    refused(capsys, sent(run), 'test_metrics.json: no such file')
    assert not server.requests


def test_only_files_of_a_run_are_fetched(server, run, tmp_path, capsys):
    sent(run)
    server.put(NAME, {'pytorch_model.bin': b'pickled', 'train.py': b'import os', '../../escape': b'x', 'a/b.txt': b''})
    server.requests.clear()
    assert pull([NAME, str(tmp_path / 'out')]) == 0
    assert 'left where they are, not being files of a run: ../../escape, a/b.txt, pytorch_model.bin, train.py' in \
        capsys.readouterr().out
    assert {path.name for path in (tmp_path / 'out').rglob('*')} <= set(KNOWN)
    assert not [path for _, path in server.requests if path.endswith(('.bin', '.py', 'escape', '.txt'))]


def test_what_cannot_be_fetched_leaves_nothing(server, run, tmp_path, capsys, monkeypatch):
    out = tmp_path / 'out'
    refused(capsys, pull(['tester/nothing', str(out)]), 'there is no such model')
    server.add('tester/other', {'config.json': b'{}', 'model.safetensors': b''})
    refused(capsys, pull(['tester/other', str(out)]), 'no model of ser: it lacks config.yaml, labels.json, best.safe')
    sent(run)
    capsys.readouterr()
    good = dict(server.files(NAME))
    server.put(NAME, {'best.safetensors': good['best.safetensors'][:-1] + b'?'})
    refused(capsys, pull([NAME, str(out)]), 'best.safetensors is not what its sha256 says: damaged')
    server.put(NAME, {**good, 'config.yaml': b'model: !!python/object/apply:os.system [exit]'})
    refused(capsys, pull([NAME, str(out)]), 'config.yaml')
    server.put(NAME, good)
    monkeypatch.setattr(hub, 'MOST_BYTES', 1000)
    refused(capsys, pull([NAME, str(out)]), 'bytes, at most 1,000 are fetched')
    assert not out.exists() and not list(tmp_path.glob('.out*'))
    out.mkdir()
    refused(capsys, pull([NAME, str(out)]), 'exists already')


def test_out_of_reach_or_without_the_library(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('HF_ENDPOINT', 'http://127.0.0.1:9')
    assert pull([NAME, str(tmp_path / 'out')]) == 2
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: '{NAME}' cannot be fetched: ") and 'within reach? Try again' in line
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    refused(capsys, pull([NAME, str(tmp_path / 'out')]), 'cannot be fetched: ')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    refused(capsys, pull([NAME, str(tmp_path / 'out')]), "pip install -e '.[hub]'")
    refused(capsys, sent(run), "pip install -e '.[hub]'")


def test_the_names_of_errors_are_the_library_s_own():
    from huggingface_hub import errors

    assert all(hasattr(errors, name) for name in hub._REMEDIES)


def test_errors_of_ours_pass_unchanged():
    with pytest.raises(SerError, match='^ours$'), hub._explained(NAME, 'sent'):
        raise SerError('ours')
    with pytest.raises(SerError, match='cannot be sent: one line. Is the hub'), hub._explained(NAME, 'sent'):
        raise ValueError('one line.\nmore')
