"""`ser export` of a run as one file: made and compared in memory, written when it has passed, or not at all."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from ser.errors import SerError
from ser.evaluation.calibration import read_calibration
from ser.evaluation.dimension_files import read_task
from ser.evaluation.tables import counted
from ser.exporting.clips import parity_clips
from ser.exporting.facts import facts_of
from ser.exporting.graph import to_archive, to_onnx, trace
from ser.exporting.parity import archive_function, compare, onnx_function, torch_function
from ser.exporting.system import ExportedSystem, check_system
from ser.exporting.weights import pack, unpack
from ser.files import write_json, write_whole
from ser.training.rebuild import load_run
from ser.training.run import auxiliary_of, open_run
from ser.training.task import main_head

FILES = {'onnx': 'model.onnx', 'torch-export': 'model.pt2', 'safetensors': 'model.safetensors'}
EXTRA = ('onnx', 'onnxscript', 'onnxruntime')


@dataclass(frozen=True)
class Exported:
    """A file that was written, and what was measured of it."""

    path: Path
    parity: dict
    lines: tuple = field(default_factory=tuple)
    """What to tell people."""

    @property
    def agrees(self):
        """Whether it decides as the run does on every clip that was compared."""
        return not self.parity.get('changed_decisions')


def export_run(run, format, out=None, clips=()):
    """Write a run directory as one file of FILES and <file>.parity.json beside it; returns the Exported.

    out: the file (default: RUN/export/ and its name in FILES). clips: what to compare on (clips.parity_clips).
    Raises SerError for a run that cannot be loaded or exported so, a file that exists, a missing extra, and for a file
    that would not say what the run says; then nothing is written.
    """
    run, out = Path(run), Path(out) if out else Path(run) / 'export' / FILES[format]
    parity_file = out.with_name(f'{out.name}.parity.json')
    config, names = open_run(run)
    _check(config, format, out, parity_file)
    config, names, model = load_run(run)
    calibration = read_calibration(run) if config.task.kind == 'emotion' else None
    head, facts = main_head(names, read_task(run)), facts_of(run, config, names, calibration)
    heard, source = parity_clips(run, config, names, clips)
    trained = _trained(model, head, calibration, heard)
    if format == 'safetensors':
        data = pack(config, names, model, calibration, read_task(run), auxiliary_of(run), facts)
        loaded = unpack(data, out)
        function = eager = _as_numpy(loaded.values)
    else:
        system = ExportedSystem(config, model, head, calibration.temperature if calibration else 1.0)
        eager, program = torch_function(system), trace(system, config.data.sample_rate)
        data = to_onnx(program, facts) if format == 'onnx' else to_archive(program, facts)
        function = (onnx_function if format == 'onnx' else archive_function)(data)
    found = compare(function, eager, trained, heard, 1.0 if head.scale is None else np.asarray(head.scale[1]))
    found = {'file': out.name, 'format': format, 'bytes': len(data), 'source': source, **found,
             'versions': _versions(format)}
    _write(out, data, parity_file, found)
    return Exported(out, found, tuple(_lines(out, facts, found, auxiliary_of(run))))


def _check(config, format, out, parity_file):
    for path in (out, parity_file):
        if path.exists():
            raise SerError(f'{path}: exists already; delete it, or choose another --out')
    if format != 'safetensors':
        check_system(config)
    missing = [name for name in EXTRA if format == 'onnx' and find_spec(name) is None]
    if missing:
        raise SerError(f"--format onnx needs {', '.join(missing)}: pip install -e '.[export]'")


@torch.inference_mode()
def _trained(model, head, calibration, clips):
    """float64 (N, C) of the run's own engine on each clip alone."""
    values = [head.values(model(torch.from_numpy(clip)[None], torch.tensor([len(clip)]))) for clip in clips]
    values = torch.cat(values).numpy()
    return calibration.apply(values) if calibration else values


def _as_numpy(values):
    return lambda waveforms, lengths: values(torch.from_numpy(waveforms), torch.from_numpy(lengths))


def _versions(format):
    from importlib.metadata import version

    return {name: version(name) for name in ('torch', *(EXTRA if format == 'onnx' else ()))}


def _write(out, data, parity_file, found):
    write_whole(out, data)
    try:
        write_json(parity_file, found)
    except SerError:
        out.unlink(missing_ok=True)
        raise


def _lines(out, facts, found, auxiliary):
    unit = 'in deviations of the labels' if 'changed_decisions' not in found else 'in probability'
    eager, padded, trained = (found[key] for key in ('exported_against_eager', 'alone_against_padded_batch',
                                                     'exported_against_trained'))
    calibrated = (f"calibrated (temperature {facts['temperature']:.3f})" if facts['calibrated'] else 'uncalibrated'
                  ) if facts['task'] == 'emotion' else "in the corpus's units"
    latency = found['latency_ms']
    seconds = latency['median_clip_samples'] / facts['sample_rate']
    yield f"{out}: written, {size_words(found['bytes'])}, {facts['sample_rate']} Hz, {calibrated}"
    yield (f"parity on {counted(found['clips'], 'clip')} of {found['source']}, {unit}: against eager "
           f"{eager['max']:.1e}, alone against padded {padded['max']:.1e}, against the trained engine "
           f"{trained['max']:.1e} (mean {trained['mean']:.1e})")
    if found.get('changed_decisions'):
        yield (f"WARNING: {found['changed_decisions']} of {found['clips']} decisions differ from the trained engine's "
               f"(margins there: {', '.join(f'{margin:.1e}' for margin in found['margins_of_changed'])})")
    elif 'changed_decisions' in found:
        yield f"decisions changed: 0 of {found['clips']}"
    yield (f"latency on one core: {latency['median']:.1f} ms a clip of {seconds:.1f} s (median; at most "
           f"{latency['slowest']:.1f}), {latency['processor_median']:.1f} ms of it the processor's")
    if auxiliary and found['format'] != 'safetensors':
        yield f"note: heads left out: {', '.join(auxiliary)}"


def size_words(size):
    """A number of bytes in words: '1.6 MB'."""
    return f'{size / 1e6:.1f} MB' if size >= 1e5 else f'{size / 1e3:.1f} kB'
