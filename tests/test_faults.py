"""Structural faults of shards: each refused before the first step, named by `ser doctor`, and repaired around.

What one bad header or label means is tested closer to the code in test_tarscan.py and test_shard_scan.py; here every
class of fault goes through the real entries, beside what plain tarfile and plain webdataset say of good shards.
"""

import gzip
import io
import json
import tarfile
from dataclasses import dataclass, field

import pytest
import soundfile

from ser.config.data import DataConfig
from ser.doctor import main as doctor
from ser.errors import SerError
from ser.shards.index import build_index
from ser.shards.reader import EvaluationBatches
from ser.train import main as train
from tests.shard_factory import make_shards, read_with_webdataset, sample, tar_bytes, write_tar
from tests.tiny import ASSIGNMENTS

KEYS = [f'clip{number}' for number in range(5)]
CLIPS = {key: sample(key, number, seconds=0.1) for number, key in enumerate([*KEYS, 'other'])}
MEMBERS = [member for key in KEYS for member in CLIPS[key]]
WHOLE = tar_bytes(MEMBERS)
with tarfile.open(fileobj=io.BytesIO(WHOLE)) as _tar:
    HEADERS = {info.name: info.offset for info in _tar}


@dataclass(frozen=True)
class Case:
    """A fault: members or bytes of x.tar, and further shards by name.

    said: what the refusal holds beside the shard's name, offset and member among it. reason: the doctor's. good: the
    samples that the doctor finds good. parts: the options that name each shard, '--shards' where there is none.
    """

    name: str
    data: object
    said: tuple
    reason: str
    good: tuple
    others: dict = field(default_factory=dict)
    valid: str | None = None


def flipped(name, byte=5):
    data = bytearray(WHOLE)
    data[HEADERS[name] + byte] ^= 1
    return bytes(data)


def zeroed(start, end):
    return WHOLE[:start] + bytes(end - start) + WHOLE[end:]


def with_entry(name, kind=tarfile.REGTYPE, **fields):
    """The good shard with an odd entry behind its first two members."""
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in fields.items():
        setattr(info, key, value)
    middle = HEADERS['clip1.flac']
    return WHOLE[:middle] + info.tobuf(tarfile.GNU_FORMAT) + WHOLE[middle:]


def without(name):
    return [member for member in MEMBERS if member[0] != name]


def replaced(name, data):
    return [(other, data if other == name else content) for other, content in MEMBERS]


def damaged(name, place=0.6):
    data = bytearray(dict(MEMBERS)[name])
    data[int(len(data) * place)] ^= 16
    return replaced(name, bytes(data))


AT = HEADERS['clip2.flac']
JSON_AT = HEADERS['clip2.json']
END = len(WHOLE.rstrip(b'\0')) + -len(WHOLE.rstrip(b'\0')) % 512
ODD = HEADERS['clip1.flac']
OTHERS = ('clip0', 'clip1', 'clip3', 'clip4')
CASES = [
    Case('cut at a boundary', WHOLE[:AT], (f'at byte {AT}', 'truncated'), 'truncated', KEYS[:2]),
    Case('cut in a header', WHOLE[:AT + 200], (f'at byte {AT}', 'truncated'), 'truncated', KEYS[:2]),
    Case('cut in data', WHOLE[:AT + 700], (f'at byte {AT + 512}', "'clip2.flac'", 'truncated'), 'truncated', KEYS[:2]),
    Case('the end is missing', WHOLE[:END], (f'at byte {END}', 'closing zeros'), 'truncated', KEYS),
    Case('a flipped bit in a header of audio', flipped('clip2.flac'), (f'at byte {AT}', 'checksum'), 'damaged header',
         OTHERS),
    Case('a flipped bit in a header of JSON', flipped('clip2.json', 130), (f'at byte {JSON_AT}', 'checksum'),
         'damaged header', OTHERS),
    Case('a hole of zeros', zeroed(AT, AT + 1536), (f'at byte {AT}', 'hole of zeros'), 'hole of zeros', OTHERS),
    Case('an empty file', b'', ('empty file',), 'empty file', ()),
    Case('an empty tar', tar_bytes([]), ('holds no sample',), 'no sample', ()),
    Case('gzip as tar', gzip.compress(WHOLE), ('compressed (gzip)',), 'compressed', ()),
    Case('HTML', b'<!DOCTYPE html><title>404</title>' * 40, ('at byte 0', 'not a tar file'), 'damaged header', ()),
    Case('the same key next to it', [*MEMBERS[:2], *MEMBERS], (f'at byte {ODD + 512}', "'clip0.flac' is there twice"),
         'copy', KEYS),
    Case('the same key further on', [*MEMBERS, *MEMBERS[:2]], (f'at byte {END + 512}', "'clip0' comes again"),
         'copy', KEYS),
    Case('the same key in two shards', MEMBERS, ("'clip1'", 'is in both', '(byte 512)'), 'copy',
         [*KEYS, 'other'], {'y.tar': [*CLIPS['clip1'], *CLIPS['other']]}),
    Case('the same key in two parts', MEMBERS, ("'clip1'", 'parts train and valid', '(byte 512)'), 'copy',
         [*KEYS, 'other'], {'y.tar': [*CLIPS['clip1'], *CLIPS['other']]}, valid='y.tar'),
    Case('members that are no neighbours', [*MEMBERS[::2], *MEMBERS[1::2]],
         ("'clip0' comes again", 'Members of a sample must be neighbours'), 'scattered', KEYS),
    Case('a second dot in two names', [('clip.1.flac', MEMBERS[0][1]), ('clip.2.flac', MEMBERS[2][1]), *MEMBERS],
         ('at byte 512', "'clip' has 2 audio members (it has .1.flac, .2.flac)"), 'no one audio member', KEYS),
    Case('a name that starts with a dot', with_entry('./x.flac'), (f'at byte {ODD}', "'./x.flac'", 'starts with a dot'),
         'member name', KEYS),
    Case('a symbolic link', with_entry('x.flac', tarfile.SYMTYPE, linkname='/etc/passwd'),
         (f'at byte {ODD}', "'x.flac' is a symbolic link"), 'no plain file', KEYS),
    Case('a hard link', with_entry('x.flac', tarfile.LNKTYPE, linkname='clip0.flac'),
         (f'at byte {ODD}', "'x.flac' is a hard link"), 'no plain file', KEYS),
    Case('a device', with_entry('x.flac', tarfile.CHRTYPE), (f'at byte {ODD}', 'a character device'), 'no plain file',
         KEYS),
    Case('a sparse file', with_entry('x.flac', tarfile.GNUTYPE_SPARSE, size=1 << 40),
         (f'at byte {ODD}', 'a sparse file'), 'no plain file', KEYS),
    Case('an absolute name', with_entry('/tmp/x.flac'), (f'at byte {ODD}', "'/tmp/x.flac' is absolute"), 'member name',
         KEYS),
    Case('a name that climbs', with_entry('a/../../x.flac'), (f'at byte {ODD}', "'a/../../x.flac'", "'..'"),
         'member name', KEYS),
    Case('no audio', without('clip2.flac'), (f'at byte {AT + 512}', "'clip2' has no audio member"),
         'no one audio member', OTHERS),
    Case('no label', without('clip2.json'), (f'at byte {AT + 512}', "'clip2': no label"), 'label', OTHERS),
    Case('damaged FLAC', damaged('clip2.flac'), (f'at byte {AT + 512}', "'clip2.flac'", 'sha256 differs'),
         'undecodable', OTHERS),
    Case('damaged JSON', replaced('clip2.json', b'{"emotion": '), (f'at byte {JSON_AT + 512}', "'clip2.json'",
                                                                  'damaged JSON'), 'damaged JSON', OTHERS),
]


def write(folder, case):
    """The shards of a case as a DataConfig's fields."""
    for name, data in {'x.tar': case.data, **case.others}.items():
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(data if isinstance(data, bytes) else tar_bytes(data))
    shards = [str(folder / name) for name in ('x.tar', *case.others) if name != case.valid]
    return {'shards': tuple(shards), **({'valid_shards': (str(folder / case.valid),)} if case.valid else {})}


# All of them are repaired with -m slow.
FAST = ('cut in data', 'a hole of zeros', 'the same key in two shards', 'no audio', 'damaged FLAC')


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.name)
def test_refused_by_the_index_and_named_by_the_doctor(tmp_path, capsys, case):
    fields = write(tmp_path / 'shards', case)
    with pytest.raises(SerError) as error:
        build_index(DataConfig(**fields))
    assert all(text in str(error.value) for text in ('x.tar', *case.said)), str(error.value)
    assert '\n' not in str(error.value)
    assert doctor([str(tmp_path / 'shards'), '--jobs', '1', '--json', str(tmp_path / 'found.json')]) == 2
    found = json.loads((tmp_path / 'found.json').read_text())
    faults = [fault for shard in found['shards'] for fault in shard['faults']]
    assert case.reason in {fault['reason'] for fault in faults}
    assert sum(shard['good_samples'] for shard in found['shards']) == len(case.good)
    assert case.reason in capsys.readouterr().out


@pytest.mark.parametrize('case', [
    case if case.name in FAST else pytest.param(case, marks=pytest.mark.slow) for case in CASES if case.good],
    ids=lambda case: case.name)
def test_repaired_shards_are_good_and_hold_the_same_bytes(tmp_path, capsys, case):
    write(tmp_path / 'shards', case)
    before = {path.name: path.read_bytes() for path in (tmp_path / 'shards').iterdir()}
    doctor([str(tmp_path / 'shards'), '--jobs', '1', '--repair', str(tmp_path / 'out')])
    assert {path.name: path.read_bytes() for path in (tmp_path / 'shards').iterdir()} == before
    assert doctor([str(tmp_path / 'out'), '--jobs', '1']) == 0
    # Shards without a fault are not written again.
    saved = case.good if len(case.others) == 0 else ['other']
    index = build_index(DataConfig(shards=(str(tmp_path / 'out'),)))
    assert [row.key for row in index.rows] == list(saved) and index.notes == ()
    theirs = read_with_webdataset(sorted((tmp_path / 'out').glob('*.tar')))
    for key in saved:
        for name, data in CLIPS[key]:
            assert theirs[key][name.rpartition('.')[2]] == data


def test_a_missing_shard(tmp_path, capsys):
    path = write_tar(tmp_path / 'x.tar', MEMBERS)
    for entry in ('none.tar', 'x-{0..1}.tar', '*.none'):
        with pytest.raises(SerError, match='no such shards'):
            build_index(DataConfig(shards=(str(path), str(tmp_path / entry))))
        assert doctor([str(path), str(tmp_path / entry)]) == 2
        assert 'no such shards' in capsys.readouterr().err


def test_good_shards_are_the_same_to_tarfile_webdataset_the_index_and_the_doctor(tmp_path, capsys):
    paths = make_shards(tmp_path, n_speakers=2, clips_per=1, shard_sizes=(3, 5))
    index, theirs = build_index(DataConfig(shards=(str(tmp_path),))), read_with_webdataset(paths)
    plain = {}
    for path in paths:
        with tarfile.open(path) as tar:
            for info in tar:
                key, _, suffix = info.name.partition('.')
                plain.setdefault(key, {})[suffix] = tar.extractfile(info).read()
    assert list(plain) == list(theirs) == [row.key for row in index.rows]
    batches = EvaluationBatches(index, DataConfig(sample_rate=16000), ('neutral', 'happy', 'sad', 'angry'))
    for number, row in enumerate(index.rows):
        assert plain[row.key] == {name: theirs[row.key][name] for name in ('flac', 'json')}
        heard, _ = soundfile.read(io.BytesIO(plain[row.key]['flac']), dtype='int16')
        batch, = batches([number])
        assert batch.waveforms[0, :batch.lengths[0]].tolist() == heard.tolist()
    batches.close()
    assert doctor([str(tmp_path), '--jobs', '1']) == 0
    assert '8 good samples in 2 shards; none of the shards are damaged' in capsys.readouterr().out


@pytest.mark.parametrize('name', ['a flipped bit in a header of audio', 'a hole of zeros', 'damaged FLAC'])
def test_training_stops_before_the_first_step(tmp_path, capfd, name):
    write(tmp_path / 'shards', next(case for case in CASES if case.name == name))
    assert train(['--shards', str(tmp_path / 'shards'), '--out', str(tmp_path / 'run'), '--set', *ASSIGNMENTS]) == 2
    said = capfd.readouterr().err
    assert 'error: ' in said and 'x.tar: at byte' in said and 'epoch' not in said
    assert not (tmp_path / 'run').exists()


def test_audio_that_differs_from_its_record_is_left_to_the_reader_where_bad_samples_are_skipped(tmp_path):
    path = write_tar(tmp_path / 'x.tar', damaged('clip2.flac'))
    index = build_index(DataConfig(shards=(str(path),), on_error='skip', max_bad=0.5))
    assert len(index.rows) == 5
    with pytest.raises(SerError, match=r'x.tar: .*clip2.flac its bytes are not those that were recorded'):
        EvaluationBatches(index, DataConfig(sample_rate=16000), ('happy',))([2])
