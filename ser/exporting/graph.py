"""A module as a graph: traced by torch.export, written as a .pt2 archive or as ONNX, in memory."""

import contextlib
import io
import json
import logging
import warnings

import torch
from torch.export import Dim

from ser.errors import SerError

OPSET = 18
INPUTS = ('waveforms', 'lengths')
FACTS = 'ser.json'
"""Name of the extra file with the facts in a .pt2 archive."""
MOST_ONNX_BYTES = 1_900_000_000
"""A protobuf message ends at 2 GiB."""


def trace(system, sample_rate):
    """The torch.export.ExportedProgram of an ExportedSystem, for any number of clips of any length.

    Raises SerError where a part of it cannot be traced.
    """
    # Two clips of a second and a bit: sizes that nothing else has.
    waveforms, lengths = torch.zeros(2, sample_rate + 37), torch.tensor([sample_rate + 37, sample_rate // 2])
    shapes = {'waveforms': {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, 'lengths': {0: Dim.DYNAMIC}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            program = torch.export.export(system, (waveforms, lengths), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # tracing runs whatever libraries the network is made of
        raise SerError(f'torch.export cannot trace this run ({_first_line(error)}). --format safetensors works for '
                       'every run') from error
    # Paths of this machine are nobody's business.
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop('stack_trace', None)
    return program


def to_archive(program, facts):
    """Bytes of a .pt2 archive, facts (a dict for JSON) inside as FACTS."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.export.save(program, file, extra_files={FACTS: json.dumps(facts, ensure_ascii=False)})
    return file.getvalue()


def to_onnx(program, facts):
    """Bytes of an ONNX model whose metadata_props hold the facts (facts_of): texts as they are, the rest as JSON.

    Raises SerError where an operation has no ONNX counterpart, and for models of over 1.9 GB.
    """
    import onnx

    size = sum(tensor.numel() * tensor.element_size() for tensor in (*program.state_dict.values(),
                                                                     *program.constants.values())
               if isinstance(tensor, torch.Tensor))
    if size > MOST_ONNX_BYTES:
        raise SerError(f'--format onnx: {size / 1e9:.1f} GB of weights, and one ONNX file holds 2 GB at most. Take '
                       '--format torch-export')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            model = _translated(program, facts['output'])
    except Exception as error:  # the exporter's own errors and those of what it calls
        raise SerError(f'--format onnx: an operation of this run cannot be written ({_first_line(error)}). Take '
                       '--format torch-export') from error
    _name_dimensions(model.graph)
    model.doc_string = facts['summary']
    onnx.helper.set_model_props(model, {key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                                        for key, value in facts.items()})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _translated(program, output):
    """The onnx.ModelProto of a program; sizes are worked out as far as they are known."""
    from onnxscript.optimizer import fold_constants, remove_unused_nodes

    with _quiet('onnxscript', 'onnx_ir', 'torch.onnx'):
        # Not `optimize`: it takes adding 1e-8 for adding nothing, and silence would become 0 / 0.
        exported = torch.onnx.export(program, dynamo=True, opset_version=OPSET, external_data=False, verbose=False,
                                     optimize=False, input_names=list(INPUTS), output_names=[output])
        fold_constants(exported.model)
        remove_unused_nodes(exported.model)
    # Traces of this program's own source, half of a small file.
    for node in exported.model.graph.all_nodes():
        node.metadata_props.clear()
    return exported.model_proto


@contextlib.contextmanager
def _quiet(*libraries):
    """Only errors from the loggers of these libraries, whose warnings are of their own inside."""
    loggers = [logging.getLogger(name) for name in libraries]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _name_dimensions(graph):
    for value in (*graph.input, *graph.output):
        names = ('batch', 'samples') if value.name == INPUTS[0] else ('batch',)
        for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
            dimension.dim_param = name


def _first_line(error):
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
