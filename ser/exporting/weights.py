"""A run as one safetensors file: every weight, and in its metadata the config, labels and calibration to rebuild it."""

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
import yaml

from ser.config.load import to_yaml, validate
from ser.errors import SerError
from ser.evaluation.calibration import Calibration
from ser.models import build_model
from ser.training.task import main_head

WANTED = ('config', 'names', 'task', 'auxiliary', 'calibration', 'facts')


@dataclass(frozen=True)
class OneFile:
    """What a file of `pack` holds. model: SpeechModel on the CPU, in eval mode, without gradients."""

    config: object
    names: tuple
    model: object
    head: object
    """training.task.Head of the logits."""
    calibration: Calibration | None
    facts: dict

    @torch.inference_mode()
    def values(self, waveforms, lengths):
        """float64 (B, C): calibrated probabilities, or dimensions, of waveforms (B, T) int16 or float32 in [-1, 1] at
        config.data.sample_rate and lengths int64 (B,)."""
        found = self.head.values(self.model(waveforms, lengths)).numpy()
        return self.calibration.apply(found) if self.calibration else found


def pack(config, names, model, calibration, task, auxiliary, facts):
    """Bytes of the file. task: content of task.json or None; auxiliary: further target -> values; facts: for JSON."""
    chosen = None if calibration is None else {key: getattr(calibration, key)
                                               for key in ('temperature', 'threshold', 'risk')}
    said = {'names': list(names), 'task': task, 'auxiliary': {key: list(of) for key, of in auxiliary.items()},
            'calibration': chosen, 'facts': facts}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return safetensors.torch.save(tensors, {'format': 'pt', 'config': to_yaml(config),
                                            **{key: json.dumps(value, ensure_ascii=False)
                                               for key, value in said.items()}})


def load_one_file(path):
    """The OneFile of a file that `ser export --format safetensors` wrote; nothing else is read, nothing unpickled.

    Raises SerError for a file that is missing, damaged, or of something else.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SerError(f'{path}: cannot be read ({error.strerror})') from None
    return unpack(data, path)


def unpack(data, path):
    """The OneFile of the bytes of such a file, called `path` in messages. Raises SerError as load_one_file."""
    try:
        tensors, said = safetensors.torch.load(data), _metadata(data)
        raw = yaml.safe_load(said['config'])
        config = validate(raw, dict.fromkeys(raw, 'config'))
        names, task, auxiliary, chosen, facts = (json.loads(said[key]) for key in WANTED[1:])
        with torch.random.fork_rng(devices=[]):
            model = build_model(config, names, load_pretrained=False,
                                auxiliary={key: tuple(of) for key, of in auxiliary.items()})
        model.load_state_dict(tensors)
        calibration = None if chosen is None else Calibration(**chosen)
        return OneFile(config, tuple(names), model.eval().requires_grad_(False), main_head(tuple(names), task),
                       calibration, facts)
    except SerError as error:
        raise SerError(f'{path}: {error}') from error
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RuntimeError, AttributeError,
            yaml.YAMLError) as error:
        raise SerError(f'{path}: not a file of ser export --format safetensors, or damaged '
                       f'({type(error).__name__})') from error


def _metadata(data):
    """The texts in the header, which begins with its length in 8 bytes."""
    size = int.from_bytes(data[:8], 'little')
    return json.loads(data[8:8 + size])['__metadata__']
