import csv
import gc
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import webdataset as wds

from ser.corpora.utterance import Corpus, Utterance
from ser.errors import SerError
from ser.shards import write
from ser.shards.write import sample_metadata, write_shards

KEYS = ['corpus', 'speaker', 'emotion', 'raw_label', 'language', 'gender', 'session', 'text_id', 'intensity',
        'sample_rate', 'frames', 'sha256', 'source_file']


def corpus(folder, clips=7, rate=16000, frames=3000):
    """A csv corpus of noise, every third file stereo."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ['path,emotion,speaker,valence']
    for number in range(clips):
        draw = np.random.default_rng(number)
        samples = (draw.standard_normal((frames + number, 1 + (number % 3 == 0))) * 3000).astype(np.int16)
        soundfile.write(folder / f'clip{number}.wav', samples, rate)
        rows.append(f'clip{number}.wav,{("joy", "sad")[number % 2]},s{number % 3},{number}.5')
    (folder / 'metadata.csv').write_text('\n'.join(rows) + '\n')
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp('built')
    corpus(folder / 'source')
    return folder, write_shards('csv', folder / 'source', folder / 'out', shard_size=3, jobs=1)


def test_the_summary(built):
    _, summary = built
    assert summary.utterances == 7 and summary.shards == ('csv-00000.tar', 'csv-00001.tar', 'csv-00002.tar')
    assert dict(summary.emotions) == {'happy': 4, 'sad': 3} and list(summary.emotions) == ['happy', 'sad']
    assert dict(summary.speakers) == {'s0': 3, 's1': 2, 's2': 2}
    assert summary.seconds == pytest.approx(7 * 3003 / 16000, abs=1e-3)
    assert (summary.skips, summary.bad, summary.clipped_samples) == ((), (), 0)
    assert summary.renamed == (('joy', 'happy'),)


@pytest.mark.parametrize('jobs', [1, 2, 3])
def test_the_bytes_do_not_depend_on_jobs_place_or_time(built, tmp_path, jobs):
    folder, _ = built
    source = corpus(tmp_path / 'elsewhere')
    write_shards('csv', source, tmp_path / 'out', shard_size=3, jobs=jobs)
    assert contents(tmp_path / 'out') == contents(folder / 'out')


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')  # webdataset leaves tars open
def test_a_plain_webdataset_reads_the_shards(built):
    folder, _ = built
    shards = sorted(str(path) for path in (folder / 'out').glob('*.tar'))
    samples = list(wds.WebDataset(shards, shardshuffle=False))
    gc.collect()
    assert [sample['__key__'] for sample in samples] == [f'csv-clip{number}' for number in range(7)]
    for sample in samples:
        metadata = json.loads(sample['json'])
        assert list(metadata) == [*KEYS, 'valence']
        assert metadata['sha256'] == hashlib.sha256(sample['flac']).hexdigest()
        assert metadata['sample_rate'] == 44100
    assert json.loads(samples[3]['json'])['speaker'] == 's0'
    assert json.loads(samples[3]['json'])['valence'] == 3.5
    assert json.loads(samples[3]['json'])['language'] is None
    assert json.loads(samples[3]['json'])['source_file'] == 'clip3.wav'


def test_the_index_and_the_manifest_say_what_is_in_the_tars(built):
    folder, summary = built
    out = folder / 'out'
    lines = [json.loads(line) for line in (out / 'index.jsonl').read_text().splitlines()]
    tars = contents(out)
    for line in lines:
        data = tars[line['shard']]
        audio, metadata = (data[line[part]['offset']:][:line[part]['size']] for part in ('audio', 'json'))
        assert hashlib.sha256(audio).hexdigest() == line['sha256']
        assert json.loads(metadata) == line['metadata']
        assert line['audio']['name'] == f'{line["key"]}.flac'
    manifest = json.loads((out / 'shards.json').read_text())
    assert manifest['utterances'] == len(lines) == 7
    assert manifest['emotions'] == dict(summary.emotions)
    assert [shard['utterances'] for shard in manifest['shards']] == [3, 3, 1]
    for shard in manifest['shards']:
        assert shard['size'] == len(tars[shard['name']])
        assert shard['sha256'] == hashlib.sha256(tars[shard['name']]).hexdigest()
    for path in out.glob('*.tar'):
        with tarfile.open(path, 'r:') as tar:
            assert all(member.isreg() and member.mtime == 0 for member in tar)


def test_the_options_of_a_corpus_reach_its_parser_and_the_manifest(built, tmp_path, monkeypatch):
    folder, _ = built
    plain = write.CORPORA['csv']

    def parse(source, keep='all'):
        for found in plain.parse(source):
            if keep == 'all' or found.emotion == keep:
                yield found

    monkeypatch.setitem(write.CORPORA, 'csv', Corpus(plain.facts, parse, options={'keep': 'an emotion'}))
    summary = write_shards('csv', folder / 'source', tmp_path / 'out', options={'keep': 'sad'}, jobs=1)
    assert dict(summary.emotions) == {'sad': 3} and summary.renamed == ()
    assert json.loads((tmp_path / 'out' / 'shards.json').read_text())['options'] == {'keep': 'sad'}
    assert json.loads((folder / 'out' / 'shards.json').read_text())['options'] == {}
    with pytest.raises(SerError, match="has no option 'kep'. Its options: keep. Did you mean 'keep'"):
        write_shards('csv', folder / 'source', tmp_path / 'other', options={'kep': 'sad'}, jobs=1)
    assert not (tmp_path / 'other').exists()


def test_kept_rates_and_averaged_channels(built, tmp_path):
    folder, _ = built
    write_shards('csv', folder / 'source', tmp_path / 'out', audio='wav', sample_rate='keep', jobs=1)
    with tarfile.open(tmp_path / 'out' / 'csv-00000.tar') as tar:
        for number in range(7):
            found, rate = soundfile.read(tar.extractfile(f'csv-clip{number}.wav'), dtype='int16')
            source, _ = soundfile.read(folder / 'source' / f'clip{number}.wav', dtype='int16', always_2d=True)
            assert rate == 16000
            assert np.array_equal(found, np.rint(source.astype(float).mean(axis=1)))


def test_ogg_builds_repeat_to_the_byte(built, tmp_path):
    folder, _ = built
    for name in ('one', 'two'):
        write_shards('csv', folder / 'source', tmp_path / name, audio='ogg', jobs=1)
    assert contents(tmp_path / 'one') == contents(tmp_path / 'two')


def test_bad_files_are_left_out_and_listed(tmp_path):
    source = corpus(tmp_path / 'source')
    (source / 'clip1.wav').write_bytes(b'')
    (source / 'clip2.wav').write_bytes(b'nonsense' * 99)
    (source / 'clip4.wav').unlink()
    summary = write_shards('csv', source, tmp_path / 'out', jobs=1)
    assert summary.utterances == 4
    assert {skip.relative: skip.reason for skip in summary.bad} == {
        'clip1.wav': 'empty file', 'clip2.wav': 'cannot be decoded', 'clip4.wav': 'missing file'}
    with open(tmp_path / 'out' / 'skipped.csv', newline='') as file:
        assert [row['file'] for row in csv.DictReader(file)] == ['clip1.wav', 'clip2.wav', 'clip4.wav']
    manifest = json.loads((tmp_path / 'out' / 'shards.json').read_text())
    assert manifest['skipped'] == {'cannot be decoded': 1, 'empty file': 1, 'missing file': 1}


def test_nothing_usable_is_refused_and_leaves_nothing(tmp_path):
    source = corpus(tmp_path / 'source', clips=2)
    for path in source.glob('*.wav'):
        path.write_bytes(b'')
    with pytest.raises(SerError, match=r'none of the 2 recordings .* can be used \(empty file: 2\)'):
        write_shards('csv', source, tmp_path / 'out', jobs=1)
    assert not (tmp_path / 'out').exists()


def test_a_file_that_is_listed_twice_is_refused(tmp_path, monkeypatch):
    utterances = [Utterance(tmp_path / 'a b.wav', 'a b.wav', 'csv', 'sad', 'sad')] * 2
    monkeypatch.setattr(write, 'read_corpus', lambda *_: (utterances, []))
    with pytest.raises(SerError, match=r"'a b\.wav' is listed twice"):
        write_shards('csv', tmp_path, tmp_path / 'out', jobs=1)
    assert not (tmp_path / 'out').exists()


def test_nothing_but_files_that_differ_in_their_suffix_alone_is_refused(tmp_path, monkeypatch):
    utterances = [Utterance(tmp_path / name, name, 'csv', 'sad', 'sad') for name in ('a b.wav', 'a b.flac')]
    monkeypatch.setattr(write, 'read_corpus', lambda *_: (utterances, []))
    with pytest.raises(SerError, match=r'none of the 2 recordings .* \(same name but for the suffix: 2\)'):
        write_shards('csv', tmp_path, tmp_path / 'out', jobs=1)
    assert not (tmp_path / 'out').exists()


def test_files_named_in_any_script_are_told_apart(tmp_path):
    source = corpus(tmp_path / 'source', clips=3)
    names = ('你好.wav', '再见.wav', 'plain.wav')
    for number, name in enumerate(names):
        (source / f'clip{number}.wav').rename(source / name)
    rows = ''.join(f'{name},sad\n' for name in names)
    (source / 'metadata.csv').write_text(f'path,emotion\n{rows}', encoding='utf-8')
    write_shards('csv', source, tmp_path / 'out', jobs=1)
    keys = [json.loads(line)['key'] for line in (tmp_path / 'out' / 'index.jsonl').read_text().splitlines()]
    assert len(set(keys)) == 3 and keys[2] == 'csv-plain'
    assert all(re.fullmatch('csv-__-[0-9a-f]{8}', key) for key in keys[:2])


@pytest.mark.parametrize(('options', 'message'), [
    ({'audio': 'mp3'}, "unknown audio format 'mp3'. Allowed: flac, wav, ogg"),
    ({'sample_rate': 'kepp'}, "--sample-rate must be 'keep' or a whole number"),
    ({'sample_rate': 5}, 'from 2000 to 768000, not 5'),
    ({'shard_size': 0}, '--shard-size must be at least 1, not 0'),
    ({'jobs': 0}, '--jobs must be at least 1, not 0'),
])
def test_wrong_settings_are_refused_before_anything_is_read(tmp_path, options, message):
    with pytest.raises(SerError, match=message):
        write_shards('csv', tmp_path / 'none', tmp_path / 'out', **options)


def test_a_folder_that_holds_shards_is_refused(built):
    folder, _ = built
    before = contents(folder / 'out')
    with pytest.raises(SerError, match='already holds shards'):
        write_shards('csv', folder / 'source', folder / 'out', jobs=1)
    assert contents(folder / 'out') == before


@pytest.mark.parametrize('jobs', [1, 2])
def test_an_exception_in_the_middle_leaves_nothing(built, tmp_path, jobs):
    folder, _ = built

    def interrupt(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards('csv', folder / 'source', tmp_path / 'out', shard_size=2, jobs=jobs, progress=interrupt)
    assert not (tmp_path / 'out').exists()


def test_a_full_disk_is_one_line_and_leaves_nothing(built, tmp_path, monkeypatch):
    folder, _ = built

    def full(path, data):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(write, 'write_file', full)
    with pytest.raises(SerError, match=r"cannot write to '.*': No space left on device"):
        write_shards('csv', folder / 'source', tmp_path / 'out', jobs=1)
    assert not (tmp_path / 'out').exists()


def test_progress_counts_to_the_end(built, tmp_path):
    folder, _ = built
    seen = []
    write_shards('csv', folder / 'source', tmp_path / 'out', jobs=2, progress=lambda *counts: seen.append(counts))
    assert seen == [(number, 7) for number in range(1, 8)]


def _children(process):
    return [int(number) for number in Path(f'/proc/{process}/task/{process}/children').read_text().split()]


def _running(process):
    try:
        return Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_a_killed_build_leaves_no_shard_and_no_process_and_a_rerun_is_the_same(tmp_path):
    source = corpus(tmp_path / 'source', clips=300, rate=48000, frames=48000)
    out = tmp_path / 'out'
    code = f"from ser.shards.write import write_shards; write_shards('csv', {str(source)!r}, {str(out)!r}, " \
           'shard_size=5, jobs=2)'
    root = Path(__file__).resolve().parent.parent
    build = subprocess.Popen([sys.executable, '-c', code], cwd=root)
    deadline = time.monotonic() + 60
    while not list(out.glob('.partial-build/*.tar')) and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = _children(build.pid)
    os.kill(build.pid, signal.SIGKILL)
    build.wait()
    assert [path.name for path in out.iterdir()] == ['.partial-build']
    while any(_running(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert workers and not any(_running(worker) for worker in workers)
    write_shards('csv', source, out, shard_size=5, jobs=2)
    write_shards('csv', source, tmp_path / 'reference', shard_size=5, jobs=1)
    assert contents(out) == contents(tmp_path / 'reference')


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')  # webdataset leaves tars open
@pytest.mark.slow
def test_ravdess_is_built_whole_and_its_stereo_files_are_averaged(real_corpora, tmp_path):
    source = real_corpora / 'ravdess'
    summary = write_shards('ravdess', source, tmp_path / 'one', sample_rate='keep')
    assert (summary.utterances, len(summary.speakers), summary.skips) == (1440, 24, ())
    assert dict(summary.emotions) == {'neutral': 96, **dict.fromkeys(
        ('calm', 'happy', 'sad', 'angry', 'fear', 'disgust', 'surprise'), 192)}
    write_shards('ravdess', source, tmp_path / 'two', sample_rate='keep', jobs=1)
    assert contents(tmp_path / 'one') == contents(tmp_path / 'two')
    samples = wds.WebDataset(sorted(str(path) for path in (tmp_path / 'one').glob('*.tar')), shardshuffle=False)
    stereo = 0
    for sample in samples:
        name = sample['__key__'].removeprefix('ravdess-')
        path = source / name[:8] / f'{name[9:]}.flac'
        if soundfile.info(path).channels == 2:
            (tmp_path / 'member.flac').write_bytes(sample['flac'])
            found, _ = soundfile.read(tmp_path / 'member.flac', dtype='int16')
            wide, _ = soundfile.read(path, dtype='int16')
            assert np.array_equal(found, np.rint(wide.astype(float).mean(axis=1)))
            stereo += 1
    gc.collect()
    assert stereo == 5


def test_the_name_of_the_file_stays_readable_whatever_it_is():
    encoded = SimpleNamespace(sample_rate=8000, frames=1, sha256='x')
    for name, told in (('日本/ж.wav', '日本/ж.wav'), ('a\udcff.wav', 'a\\udcff.wav')):
        utterance = Utterance(Path(name), name, 'csv', 'happy', 'joy')
        assert sample_metadata(utterance, encoded)['source_file'] == told
