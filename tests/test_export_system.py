"""A run as one module: the trained logits, calibrated, or in units; what cannot be one is refused."""

import numpy as np
import pytest
import torch

from ser.config.load import load_config
from ser.errors import SerError
from ser.evaluation.calibration import Calibration
from ser.exporting.system import ExportedSystem, check_system
from ser.training.task import Head
from tests.export_cases import NAMES, SYSTEMS, as_float, batch, built, clips
from tests.tiny_encoder import source

HEAD = Head('emotion', NAMES)


@pytest.mark.parametrize('kind', SYSTEMS)
def test_every_system_says_what_the_trained_one_says(kind):
    config, model = built(SYSTEMS[kind])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    system = ExportedSystem(config, model, HEAD, 1.7)
    waveforms, lengths = batch(clips())
    logits = model(waveforms, lengths)
    samples = as_float(waveforms, lengths)
    torch.testing.assert_close(system.logits(samples, lengths), logits, rtol=0, atol=1e-4)
    wanted = Calibration(1.7).apply(HEAD.values(logits).numpy())
    np.testing.assert_allclose(system(samples, lengths), wanted, rtol=0, atol=1e-5)
    assert {name.removeprefix('network.') for name in system.state_dict()} == set(model.network.state_dict())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_dimensions_come_in_their_units():
    config, model = built(SYSTEMS['crnn'], names=('arousal', 'valence'))
    head = Head('dimensions', ('arousal', 'valence'), (np.array([3.0, 2.0]), np.array([0.5, 1.5])))
    waveforms, lengths = batch(clips())
    found = ExportedSystem(config, model, head)(as_float(waveforms, lengths), lengths)
    np.testing.assert_allclose(found, head.values(model(waveforms, lengths)), rtol=0, atol=1e-4)


@pytest.mark.parametrize(('assignments', 'reason'), [
    (['model.kind=svm'], 'svm cannot be exported as a graph: its functionals are measured clip by clip'),
    (['model.kind=majority'], 'majority cannot be exported as a graph: it hears nothing'),
    (['model.kind=ssl', f'model.encoder.source={source("whisper").model_dump_json()}'],
     'a Whisper encoder cannot be exported as a graph: it hears 30 seconds'),
    (['model.kind=ssl', 'model.encoder.source={kind: hub, name: a/b, facts: {config: {model_type: whisper}}}'],
     'a Whisper encoder cannot')])
def test_what_is_no_graph_is_refused(assignments, reason):
    with pytest.raises(SerError, match=reason):
        check_system(load_config(('base',), assignments))
