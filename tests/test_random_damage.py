"""Bits flipped and bytes cut off anywhere in a shard: refused, or the same audio to the bit; nothing silent."""

import shutil

import numpy as np
import pytest
import soundfile

from ser.config.data import DataConfig
from ser.errors import SerError
from ser.shards.decode import decode
from ser.shards.index import build_index
from ser.shards.reader import SpanReader
from ser.shards.write import write_shards
from tests.shard_factory import audio_bytes, tone, write_tar

RATE, CLIPS = 16000, 4


@pytest.fixture(scope='module', params=['flac', 'wav'])
def built(request, tmp_path_factory):
    """Folder with a shard of the builder's, its manifest beside it."""
    folder = tmp_path_factory.mktemp(request.param)
    source = folder / 'source'
    source.mkdir()
    for number in range(CLIPS):
        soundfile.write(source / f'{number}.wav', tone(number, 0.2), RATE)
    (source / 'metadata.csv').write_text('path,emotion,speaker\n' + ''.join(
        f'{number}.wav,{"happy" if number % 2 else "sad"},s{number}\n' for number in range(CLIPS)))
    write_shards('csv', source, folder / 'out', audio=request.param, sample_rate=RATE, jobs=1)
    return folder / 'out'


def heard(path):
    """key -> (samples, emotion, speaker) as training takes them, by way of the index. Raises SerError."""
    index = build_index(DataConfig(shards=(str(path),)))
    spans = SpanReader(index.shards)
    try:
        return {row.key: (decode(spans.read(row.shard, row.offset, row.size), row.suffix, RATE,
                                 row.audio_sha256).samples, row.emotion, row.speaker) for row in index.rows}
    finally:
        spans.close()


def outcome(path, data, whole):
    """'refused', 'same', 'label' (audio the same, a label or speaker not) or 'silent', of a shard with these bytes."""
    path.write_bytes(data)
    try:
        found = heard(path)
    except SerError as error:
        assert path.name in str(error) and '\n' not in str(error)
        return 'refused'
    audio = list(found) == list(whole) and all(np.array_equal(found[key][0], whole[key][0]) for key in whole)
    labels = audio and all(found[key][1:] == whole[key][1:] for key in whole)
    return 'same' if labels else 'label' if audio else 'silent'


def flips(data, count, seed):
    """Copies of data with one bit flipped: half anywhere, half where the data is neither audio nor zeros."""
    generator = np.random.default_rng(seed)
    text = np.flatnonzero(np.frombuffer(data, np.uint8) == ord('"'))
    for number in range(count):
        place = int(generator.integers(len(data))) if number % 2 else int(
            np.clip(generator.choice(text) + generator.integers(-700, 700), 0, len(data) - 1))
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(generator.integers(8))
        yield bytes(flipped)


def counted(shard, folder, variants, manifest):
    folder.mkdir()
    if manifest:
        shutil.copy(shard.parent / 'shards.json', folder)
    whole = heard(shard)
    outcomes = [outcome(folder / shard.name, data, whole) for data in variants]
    return {name: outcomes.count(name) for name in ('refused', 'same', 'label', 'silent')}


def check(built, tmp_path, variants):
    """Every variant of the shard's bytes: refused beside its manifest; without one never other audio."""
    shard, = built.glob('*.tar')
    variants = list(variants(shard.read_bytes()))
    with_manifest = counted(shard, tmp_path / 'listed', variants, manifest=True)
    assert with_manifest == {'refused': len(variants), 'same': 0, 'label': 0, 'silent': 0}
    alone = counted(shard, tmp_path / 'alone', variants, manifest=False)
    print(built.parent.name, len(variants), 'without the manifest:', alone)
    assert alone['silent'] == 0
    return alone


def test_flipped_bits(built, tmp_path):
    check(built, tmp_path, lambda data: flips(data, 60, 1))


@pytest.mark.slow
def test_five_hundred_flipped_bits(built, tmp_path):
    check(built, tmp_path, lambda data: flips(data, 500, 2))


def test_truncation(built, tmp_path):
    alone = check(built, tmp_path, lambda data: (data[:size] for size in range(0, len(data), 512 * 7)))
    assert alone['label'] == 0


@pytest.mark.slow
def test_truncation_at_every_block(built, tmp_path):
    check(built, tmp_path, lambda data: (data[:size] for size in range(0, len(data), 512)))


def test_a_changed_label_is_what_the_manifest_is_for(built, tmp_path):
    shard, = built.glob('*.tar')
    data, whole = shard.read_bytes().replace(b'"happy"', b'"iappy"', 1), heard(shard)
    assert outcome(tmp_path / shard.name, data, whole) == 'label'
    shutil.copy(built / 'shards.json', tmp_path)
    assert outcome(tmp_path / shard.name, data, whole) == 'refused'


def test_without_any_record_audio_cannot_change_within_a_run_but_between_runs(tmp_path):
    path = write_tar(tmp_path / 'x.tar', [('a.wav', audio_bytes(tone(1), RATE, 'wav')), ('a.cls', b'happy')])
    whole, index = heard(path), build_index(DataConfig(shards=(str(path),)))
    data = bytearray(path.read_bytes())
    data[512 + 3000] ^= 16
    path.write_bytes(data)
    row = index.rows[0]
    spans = SpanReader(index.shards)
    with pytest.raises(SerError, match='not those that were recorded'):
        decode(spans.read(0, row.offset, row.size), row.suffix, RATE, row.audio_sha256)
    spans.close()
    assert outcome(path, bytes(data), whole) == 'silent'
