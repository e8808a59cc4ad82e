"""What is fuzzed: each target feeds bytes to one reader, and whatever it raises is a finding."""

import os
import tempfile
from pathlib import Path

from ser.config.load import load_config
from ser.errors import SerError
from ser.shards.decode import decode
from ser.shards.doctor import examine_shards
from ser.shards.sample_label import LabelSource, find_label
from ser.shards.shard_scan import RawSample, parse_json, scan_shard
from tests.shard_factory import FORMATS, audio_bytes, sample, tar_bytes, tone

RATE = 16000
_folder = tempfile.TemporaryDirectory()
_SCRATCH = Path('/dev/shm' if os.access('/dev/shm', os.W_OK) else _folder.name) / f'fuzz-{os.getpid()}'


def _with_checksums(data):
    """The same with every header's checksum made right: what a fuzzer would hardly guess."""
    data = bytearray(data)
    for start in range(0, len(data) - 511, 512):
        if data[start + 257:start + 262] == b'ustar':
            data[start + 148:start + 156] = b' ' * 8
            data[start + 148:start + 156] = b'%06o\0 ' % sum(data[start:start + 512])
    return bytes(data)


def fuzz_index(data):
    """The strict pass, and the doctor's lenient one, over bytes as a tar; the first byte: are checksums made right?"""
    path = _SCRATCH.with_suffix('.tar')
    path.write_bytes(_with_checksums(data[1:]) if data[:1] != b'\0' else data[1:])
    try:
        strict = None
        try:
            strict = scan_shard(path, ('cls', 'txt'))
        except SerError as error:
            assert '\n' not in str(error), error
        found, _ = examine_shards([path], LabelSource(), jobs=1)
        examined, = found
        if strict is not None and not examined.faults:
            assert [sample.row.key for sample in examined.samples] == [sample.key for sample in strict.samples]
        if strict is None:
            assert examined.faults, 'the doctor found nothing wrong with a shard that is refused'
    finally:
        path.unlink()


def fuzz_label(data):
    """The label reader: bytes as the JSON of a sample, its first byte as the length of a text label beside it."""
    cut = data[0] if data else 0
    try:
        metadata = parse_json(data[1 + cut:])
        if not isinstance(metadata, dict):
            return
        texts = {'cls': data[1:1 + cut].decode('utf-8', 'replace')} if cut else {}
        raw = RawSample('a', '.flac', 0, 1, '0' * 64, metadata, texts)
        for source in (LabelSource(), LabelSource('json', ('emotion', 'name')), LabelSource('cls')):
            try:
                find_label(raw, source, ('calm', 'happy'))
            except SerError as error:
                assert '\n' not in str(error), error
    except ValueError as error:
        assert '\n' not in str(error), error


def fuzz_audio(data):
    """The audio reader: the first byte chooses the suffix."""
    suffixes = sorted(FORMATS)
    try:
        clip = decode(data[1:], f'.{suffixes[data[0] % len(suffixes)]}' if data else '.flac', RATE)
    except SerError as error:
        assert '\n' not in str(error), error
    else:
        assert clip.samples.dtype == 'int16' and clip.samples.ndim == 1 and len(clip.samples)


def fuzz_config(data):
    """Bytes as a config file."""
    path = _SCRATCH.with_suffix('.yaml')
    path.write_bytes(data)
    try:
        load_config((str(path),))
    except SerError as error:
        assert '\n' not in str(error), error
    finally:
        path.unlink()


TARGETS = {'index': fuzz_index, 'label': fuzz_label, 'audio': fuzz_audio, 'config': fuzz_config}


def seeds(target):
    """Good inputs of a target, to start from."""
    if target == 'index':
        clip = sample('a', seconds=0.05)
        long = [('d' * 120 + '.wav', audio_bytes(tone(1, 0.05), suffix='wav')), ('d' * 120 + '.cls', b'sad')]
        tars = tar_bytes(clip), tar_bytes([*clip, *long], folder=('d',))
        return [first + tar for tar in tars for first in (b'\0', b'\1')]
    if target == 'label':
        return [b'\0' + sample('a', seconds=0.05)[1][1], b'\5happy{"label": 3}', b'\0{"emotion": {"name": "calm"}}']
    if target == 'audio':
        return [bytes([number]) + audio_bytes(tone(1, 0.1), suffix=suffix)
                for number, suffix in enumerate(sorted(FORMATS))]
    return [path.read_bytes() for path in sorted((Path(__file__).parent.parent / 'configs').glob('*.yaml'))]
