"""Graphs: any number of clips of any length, silence among them, read with none of this program's code."""

import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import onnx
import pytest
import soundfile
import torch

from ser.errors import SerError
from ser.exporting import graph
from ser.exporting.graph import FACTS, to_archive, to_onnx, trace
from ser.exporting.parity import archive_function, onnx_function, padded_batch, torch_function
from ser.exporting.system import ExportedSystem
from ser.models.contract import Output
from ser.training.task import Head
from tests.export_cases import NAMES, RATE, SYSTEMS, built, check, clips

SAID = {'summary': 'a test', 'output': 'probabilities', 'class_names': list(NAMES), 'sample_rate': RATE,
        'threshold': None, 'name': 'tiny'}


class Small(torch.nn.Module):
    """A network of one matrix on the mel image: what tests take long over is not the front end."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3 * 32, len(NAMES))

    def forward(self, views):
        return Output(self.head(views['mel'].mean(dim=3).flatten(1)), {}, {})


def made(assignments):
    """(ExportedSystem, its program)."""
    system = ExportedSystem(*built(assignments), Head('emotion', NAMES), 1.3)
    return system, trace(system, RATE)


@pytest.fixture(scope='module')
def small():
    config, model = built(SYSTEMS['maxmvit'], ['features.waveform.trim.kind=level'])
    model.network = Small().requires_grad_(False)
    system = ExportedSystem(config, model, Head('emotion', NAMES), 1.3)
    program = trace(system, RATE)
    return system, program, to_onnx(program, SAID)


def test_onnx_says_what_eager_says(small):
    system, _, data = small
    check(onnx_function(data), system)


def test_onnx_is_small_plain_and_says_what_it_is(small):
    _, _, data = small
    model = onnx.load_from_string(data)
    assert {entry.domain for entry in model.opset_import} == {''} and not model.functions
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said['name'] == 'tiny' and json.loads(said['class_names']) == list(NAMES)
    assert (said['sample_rate'], said['threshold']) == (str(RATE), 'null')
    assert b'system.py' not in data and b'stack_trace' not in data
    inputs = {value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
              for value in (*model.graph.input, *model.graph.output)}
    assert inputs == {'waveforms': ['batch', 'samples'], 'lengths': ['batch'], 'probabilities': ['batch', 3]}


def test_onnx_runs_without_this_program(small, tmp_path):
    system, _, data = small
    (tmp_path / 'model.onnx').write_bytes(data)
    clip = clips()[0]
    soundfile.write(tmp_path / 'clip.wav', clip, RATE, subtype='PCM_16')
    code = """if True:
        import json, sys
        import numpy as np, onnxruntime, soundfile
        session = onnxruntime.InferenceSession('model.onnx')
        said = session.get_modelmeta().custom_metadata_map
        samples, rate = soundfile.read('clip.wav', dtype='float32')
        assert rate == int(said['sample_rate'])
        probabilities, = session.run(None, {'waveforms': samples[None], 'lengths': np.array([len(samples)])})
        assert not {'ser', 'torch', 'onnx'} & set(sys.modules)
        print(json.dumps(dict(zip(json.loads(said['class_names']), probabilities[0].tolist()))))"""
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    wanted = torch_function(system)(*padded_batch([clip]))[0]
    np.testing.assert_allclose(list(json.loads(done.stdout).values()), wanted, rtol=0, atol=1e-5)


def test_the_archive_says_what_eager_says_and_holds_no_code(small):
    system, program, _ = small
    data = to_archive(program, SAID)
    check(archive_function(data), system)
    extra = {FACTS: ''}
    torch.export.load(io.BytesIO(data), extra_files=extra)
    assert json.loads(extra[FACTS]) == SAID
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        # What torch pickles are the example's own tensors, which load with weights_only.
        for name in archive.namelist():
            content = archive.read(name)
            assert b'system.py' not in content, name
            if content[:2] == b'PK':
                torch.load(io.BytesIO(content), weights_only=True)


def test_what_cannot_be_written_is_refused(small, monkeypatch):
    class Reads(torch.nn.Module):
        def forward(self, waveforms, lengths):
            return waveforms[:, :int(lengths.max())] if waveforms.sum() > 0 else waveforms

    with pytest.raises(SerError, match='torch.export cannot trace this run .*--format safetensors works'):
        trace(Reads(), RATE)
    monkeypatch.setattr(graph, 'MOST_ONNX_BYTES', 10)
    with pytest.raises(SerError, match='--format onnx: .* GB of weights, and one ONNX file holds 2 GB at most'):
        to_onnx(small[1], SAID)
    monkeypatch.undo()
    monkeypatch.setattr(torch.onnx, 'export', lambda *_, **__: 1 / 0)
    with pytest.raises(SerError, match='an operation of this run cannot be written .division by zero.'):
        to_onnx(small[1], SAID)


@pytest.mark.slow
@pytest.mark.parametrize('kind', SYSTEMS)
def test_every_system_as_both(kind):
    system, program = made(SYSTEMS[kind])
    check(onnx_function(to_onnx(program, SAID)), system)
    check(archive_function(to_archive(program, SAID)), system)


@pytest.mark.slow
def test_every_stage_of_the_front_end_as_onnx():
    more = ['data.sample_rate=22050', 'features.image.channels=delta', 'features.waveform.trim.kind=level',
            'features.waveform.length={kind: fixed, seconds: 0.6, evaluate: whole}', 'features.waveform.level.kind=rms']
    system = ExportedSystem(*built(SYSTEMS['maxmvit'], more), Head('emotion', NAMES))
    check(onnx_function(to_onnx(trace(system, 22050), SAID)), system)

