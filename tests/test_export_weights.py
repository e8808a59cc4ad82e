"""A run as one safetensors file: rebuilt from it alone, with equal logits."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch

from ser.errors import SerError
from ser.evaluation.calibration import Calibration
from ser.exporting.weights import load_one_file, pack
from tests.export_cases import CRNN, NAMES, SYSTEMS, batch, built, clips

CALIBRATION = Calibration(1.4, 0.3, 0.25)


@pytest.mark.parametrize('kind', SYSTEMS)
def test_logits_are_equal(kind, tmp_path):
    config, model = built(SYSTEMS[kind])
    file = tmp_path / 'model.safetensors'
    file.write_bytes(pack(config, NAMES, model, CALIBRATION, None, {}, {'name': 'a run'}))
    state = torch.random.get_rng_state()
    loaded = load_one_file(file)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (loaded.config, loaded.names, loaded.calibration) == (config, NAMES, CALIBRATION)
    assert loaded.facts == {'name': 'a run'}
    waveforms, lengths = batch(clips())
    logits = model(waveforms, lengths)
    assert torch.equal(loaded.model(waveforms, lengths), logits)
    np.testing.assert_array_equal(loaded.values(waveforms, lengths),
                                  CALIBRATION.apply(logits.double().softmax(1).numpy()))


def test_dimensions_and_auxiliary_heads_travel(tmp_path):
    names, task = ('arousal',), {'kind': 'dimensions', 'names': ['arousal'], 'mean': [3.0], 'std': [0.5]}
    config, model = built(CRNN, names=names)
    file = tmp_path / 'model.safetensors'
    file.write_bytes(pack(config, names, model, None, task, {}, {}))
    waveforms, lengths = batch(clips())
    np.testing.assert_array_equal(load_one_file(file).values(waveforms, lengths),
                                  model(waveforms, lengths).double().numpy() * 0.5 + 3.0)


def test_what_is_no_such_file_is_refused(tmp_path):
    config, model = built(CRNN)
    data = pack(config, NAMES, model, None, None, {}, {})
    file = tmp_path / 'x.safetensors'
    with pytest.raises(SerError, match=r'x.safetensors: cannot be read \(No such file'):
        load_one_file(file)
    other = safetensors.torch.save({'a': torch.zeros(2)}, {'config': 'model: {kind: cnn}'})
    headless = safetensors.torch.save({'a': torch.zeros(2)})
    fewer = safetensors.torch.save({'a': torch.zeros(2)}, json.loads(data[8:8 + int.from_bytes(data[:8], 'little')])
                                   ['__metadata__'])
    for content in (b'', b'hello', data[:-9], headless, fewer, b'\xff' * 40):
        file.write_bytes(content)
        with pytest.raises(SerError, match='x.safetensors: not a file of ser export --format safetensors, or damaged'):
            load_one_file(file)
    file.write_bytes(other)
    with pytest.raises(SerError, match="x.safetensors: config: model: unknown kind 'cnn'"):
        load_one_file(file)
