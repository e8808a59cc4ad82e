"""Where and how a benchmark ran: what its figures depend on."""

import os
import platform
import re
import shlex
from datetime import datetime
from importlib import metadata
from pathlib import Path

import torch

from ser.benchmarks.librosa_path import THREAD_VARIABLES
from ser.evaluation.tables import counted
from ser.shards.pool import cores
from ser.training import run


def environment(options, reason, config_name, arguments):
    """Plain facts for the head of the output and the JSON file; ask before anything is measured.

    options: BenchmarkOptions; reason: why this device; config_name: as given; arguments: of the command line.
    """
    facts = run.environment(options.device, reason, 1)
    packages = {**facts.pop('packages'), 'librosa': librosa_version()}
    facts |= {'date': datetime.now().astimezone().isoformat(timespec='seconds'), 'cpu': cpu_model(),
              'usable_cores': cores(), 'threads': torch.get_num_threads(), 'load_average': load_average(),
              'matmul_precision': torch.get_float32_matmul_precision(),
              'config': config_name, 'command': shlex.join(['benchmark', *arguments]),
              'thread_variables': {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
              'gpu': None, 'cuda': None, 'gpu_memory_mb': None}
    if options.device.type == 'cuda':
        card = torch.cuda.get_device_properties(options.device)
        facts |= {'gpu': card.name, 'cuda': torch.version.cuda, 'gpu_memory_mb': round(card.total_memory / 1e6)}
    return {**facts, 'batches': list(options.batches), 'seconds': options.seconds, 'repeats': options.repeats,
            'packages': packages}


def cpu_model(path='/proc/cpuinfo'):
    """The processor's name, as far as the system tells."""
    try:
        found = re.search(r'^model name\s*:\s*(.+)$', Path(path).read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def librosa_version():
    """librosa's version, or None where it is not installed."""
    try:
        return metadata.version('librosa')
    except metadata.PackageNotFoundError:
        return None


def load_average():
    """Processes that were running or waiting in the last minute, or None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, 'getloadavg') else None


def title(facts):
    """One line: processor or GPU, threads, config, clip length."""
    machine = facts['gpu'] or f"{facts['cpu']}, {facts['threads']} threads"
    return f"{machine}; torch {facts['packages']['torch']}; {facts['config']}; {facts['seconds']:g} s clips"


def environment_lines(facts):
    """The facts as lines for people."""
    known = {name: version for name, version in facts['packages'].items() if version is not None}
    busy = facts['load_average'] is not None and facts['load_average'] > 0.5 * facts['usable_cores']
    yield f"date: {facts['date']}"
    yield f"device: {facts['device']}, {facts['device_reason']}" + (f", CUDA {facts['cuda']}" if facts['cuda'] else '')
    set_by_hand = ''.join(f', {name}={value}' for name, value in facts['thread_variables'].items())
    yield (f"processor: {facts['cpu']}, {facts['usable_cores']} of {facts['cores']} cores, "
           f"{counted(facts['threads'], 'thread')}{set_by_hand}")
    scatter = ': something was running here, figures may scatter' if busy else ''
    yield f"load average: {facts['load_average']}{scatter}"
    yield f"python {facts['python']} on {facts['platform']}"
    yield 'packages: ' + ', '.join(f'{name} {version}' for name, version in known.items())
    yield (f"config: {facts['config']}; made clips of {facts['seconds']:g} s; {counted(facts['repeats'], 'timing')} "
           'of each')
    yield f"command: {facts['command']}"
