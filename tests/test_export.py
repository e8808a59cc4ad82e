"""`ser export`: a run becomes a folder of transformers, or one line says why not."""

import json

import pytest
import torch

from ser.config.load import load_config, to_yaml
from ser.export import main
from ser.models import build_model
from ser.training.checkpoint import save_weights
from tests.tiny_encoder import shaken, source
from tests.tiny_run import tiny_run  # noqa: F401

NAMES = ['happy', 'sad']


@pytest.fixture
def run(tmp_path):
    """A run directory of a small encoder, with random weights."""
    config = load_config(('base',), ['model.kind=ssl', 'data.sample_rate=16000', 'features.sample_rate=16000',
                                     'model.head={kind: projector, hidden: 12}',
                                     f'model.encoder.source={source().model_dump_json()}'])
    torch.manual_seed(0)
    model = shaken(build_model(config, NAMES))
    path = tmp_path / 'run'
    path.mkdir()
    (path / 'config.yaml').write_text(to_yaml(config))
    (path / 'labels.json').write_text(json.dumps(NAMES))
    save_weights(path / 'best.safetensors', model.state_dict())
    return path, model.eval()


def test_the_folder_gives_the_logits_of_the_run(run, capsys):
    from transformers import AutoModelForAudioClassification

    path, model = run
    out = path.parent / 'out'
    assert main([str(path), '--format', 'transformers', '--out', str(out)]) == 0
    told = capsys.readouterr().out
    assert f'{out}: written' in told and 'note: this encoder normalises over time without a mask' in told
    waveform = torch.randn(1, 3000, generator=torch.Generator().manual_seed(1))
    views = {'waveform': waveform, 'samples': torch.tensor([3000])}
    with torch.no_grad():
        theirs = AutoModelForAudioClassification.from_pretrained(out).eval()(waveform).logits
        torch.testing.assert_close(theirs, model.classify(views).logits, atol=1e-5, rtol=0)
    assert main([str(path), '--format', 'transformers', '--out', str(out)]) == 2
    assert 'exists' in capsys.readouterr().err


def test_another_system_is_refused(tiny_run, tmp_path, capsys):  # noqa: F811
    assert main([str(tiny_run.path), '--format', 'transformers', '--out', str(tmp_path / 'out')]) == 2
    assert 'model.kind maxmvit cannot be exported to transformers' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
