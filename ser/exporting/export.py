"""`ser export` of a run as one file or folder: made, compared with the run, and there when it has passed or not at
all."""

import logging
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from ser.errors import SerError, install
from ser.evaluation.dimension_files import read_task
from ser.evaluation.tables import counted
from ser.exporting.folder import write_folder
from ser.exporting.graph import to_archive, to_onnx, trace
from ser.exporting.parity import archive_function, compare, onnx_function, torch_function
from ser.exporting.subject import load_subject
from ser.exporting.system import ExportedSystem, check_system
from ser.exporting.weights import pack, unpack
from ser.exporting.words import lines_of
from ser.files import write_json, write_whole
from ser.models.ssl_export import check_transformers
from ser.training.run import open_run

FILES = {'onnx': 'model.onnx', 'torch-export': 'model.pt2', 'safetensors': 'model.safetensors',
         'transformers': 'transformers'}
EXTRA = ('onnx', 'onnxscript', 'onnxruntime')

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exported:
    """A file or folder that was written, and what was measured of it."""

    path: Path
    parity: dict
    lines: tuple = ()
    """What to tell people."""

    @property
    def agrees(self):
        """Whether it decides as the run does on every clip that was compared."""
        return not self.parity.get('changed_decisions')


def export_run(run, format, out=None, clips=()):
    """Write a run directory in a format of FILES, and <file>.parity.json beside it; returns the Exported.

    out: the file or folder (default: RUN/export/ and its name in FILES). clips: what to compare on
    (clips.parity_clips). Raises SerError for a run that cannot be loaded or exported so, a file that exists, a missing
    extra, and for a file that would not say what the run says; then nothing is written.
    """
    run, out = Path(run), Path(out) if out else Path(run) / 'export' / FILES[format]
    parity_file = out.with_name(f'{out.name}.parity.json')
    config, _ = open_run(run)
    _check(config, format, out, parity_file)
    subject = load_subject(run, clips)
    log.info('writing %s as %s, then comparing the two on %s', run, format, counted(len(subject.clips), 'clip'))
    notes = ()
    if format == 'transformers':
        facts, found, notes = write_folder(subject, out)
    else:
        facts = subject.facts
        data, found = _file(subject, format, out)
        write_whole(out, data)
    found = {'file': out.name, 'format': format, 'source': subject.source, 'clip_rate': config.data.sample_rate,
             **found, 'versions': _versions(format), 'facts': facts}
    _write_parity(out, parity_file, found)
    left_out = subject.auxiliary if format in ('onnx', 'torch-export') else ()
    return Exported(out, found, (*lines_of(out, facts, found, left_out), *(f'note: {note}' for note in notes)))


def _check(config, format, out, parity_file):
    for path in (out, parity_file):
        if path.exists():
            raise SerError(f'{path}: exists already; delete it, or choose another --out')
    if format == 'transformers':
        check_transformers(config, out)
    elif format != 'safetensors':
        check_system(config)
    missing = [name for name in EXTRA if format == 'onnx' and find_spec(name) is None]
    if missing:
        raise SerError(f'--format onnx needs {", ".join(missing)}: {install("export")}')


def _file(subject, format, out):
    """(bytes of the file, what was measured of it)."""
    if format == 'safetensors':
        data = pack(subject.config, subject.names, subject.model, subject.calibration, read_task(subject.run),
                    subject.auxiliary, subject.facts)
        function = eager = _as_numpy(unpack(data, out).values)
    else:
        temperature = subject.calibration.temperature if subject.calibration else 1.0
        system = ExportedSystem(subject.config, subject.model, subject.head, temperature)
        eager, program = torch_function(system), trace(system, subject.config.data.sample_rate)
        data = to_onnx(program, subject.facts) if format == 'onnx' else to_archive(program, subject.facts)
        function = (onnx_function if format == 'onnx' else archive_function)(data)
    return data, {'bytes': len(data), **compare(function, eager, subject.values, subject.clips, subject.scale)}


def _as_numpy(values):
    return lambda waveforms, lengths: values(torch.from_numpy(waveforms), torch.from_numpy(lengths))


def _versions(format):
    from importlib.metadata import version

    further = {'onnx': EXTRA, 'transformers': ('transformers',)}
    return {name: version(name) for name in ('torch', *further.get(format, ()))}


def _write_parity(out, parity_file, found):
    try:
        write_json(parity_file, found)
    except SerError:
        shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
        raise
