import hashlib
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from ser.corpora import CORPORA, find_corpus
from ser.corpora.download import RECORD, download_size, ensure_downloaded, terms
from ser.corpora.fetch import fetch
from ser.corpora.lock import locked
from ser.corpora.utterance import Corpus, Download
from ser.errors import SerError
from tests.file_server import serving

TABLE = np.random.default_rng(1).bytes(30_000)


def checksum(data, algorithm='md5'):
    return f'{algorithm}:{hashlib.new(algorithm, data).hexdigest()}'


@pytest.fixture
def web(monkeypatch, tmp_path):
    """A corpus 'small' of an archive with a published MD5 and a file about which nothing is published."""
    monkeypatch.setenv('no_proxy', '*')
    with zipfile.ZipFile(tmp_path / 'made.zip', 'w') as file:
        file.writestr('Actor_01/a.wav', b'RIFF' * 1000)
    archive = (tmp_path / 'made.zip').read_bytes()
    with serving() as (site, address):
        site.files.update({'/audio.zip': archive, '/table.bin': TABLE})
        site.facts = replace(
            CORPORA['ravdess'].facts, name='small', title='A small corpus', licence='CC BY 4.0', downloads=(
                Download(f'{address}/audio.zip', 'audio.zip', len(archive), checksum(archive), 'its homepage'),
                Download(f'{address}/table.bin', 'table.bin')))
        monkeypatch.setitem(CORPORA, 'small', Corpus(site.facts, parse=None))
        yield site


def change(web, monkeypatch, number=0, **fields):
    """Publish something else about a file."""
    items = list(web.facts.downloads)
    items[number] = replace(items[number], **fields)
    monkeypatch.setitem(CORPORA, 'small', Corpus(replace(web.facts, downloads=tuple(items)), parse=None))


def bring(source):
    """(lines said, names of the files that were asked about)."""
    said, asked = [], []
    ensure_downloaded('small', source, lambda facts, missing: asked.extend(item.file for item in missing),
                      say=said.append, fetch=lambda *a, **o: fetch(*a, **o, sleep=lambda seconds: None))
    return said, asked


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_come_verified_and_unpacked_and_are_noted(web, tmp_path):
    source = tmp_path / 'new' / 'source'
    said, asked = bring(source)
    assert asked == ['audio.zip', 'table.bin'] and names(source) == ['audio', 'audio.zip', RECORD, 'table.bin']
    assert (source / 'table.bin').read_bytes() == TABLE
    assert (source / 'audio' / 'Actor_01' / 'a.wav').read_bytes() == b'RIFF' * 1000
    digest = hashlib.sha256(TABLE).hexdigest()
    assert 'md5 as published (its homepage)' in said[0]
    assert said[1] == f'table.bin: 30.0 kB, checksum not published; got sha256 {digest}'
    assert said[2].startswith('unpacking audio.zip into ')
    noted = json.loads((source / RECORD).read_text())['files']
    assert noted['table.bin'] == {'url': web.facts.downloads[1].url, 'bytes': 30_000, 'checksum': f'sha256:{digest}',
                                  'published': False}
    assert noted['audio.zip']['checksum'] == web.facts.downloads[0].checksum and noted['audio.zip']['published']


def test_what_is_there_is_verified_and_not_fetched_again(web, tmp_path):
    bring(tmp_path / 'source')
    requests = len(web.requests)
    said, asked = bring(tmp_path / 'source')
    assert (len(web.requests), asked) == (requests, [])
    assert said == ['audio.zip: there already, checksum verified', 'table.bin: there already, checksum verified']


def test_an_archive_may_go_once_it_is_unpacked_and_an_unpacked_folder_comes_back(web, tmp_path):
    source = tmp_path / 'source'
    bring(source)
    (source / 'audio.zip').rename(tmp_path / 'away.zip')
    assert bring(source)[1] == []
    (source / 'audio' / 'Actor_01' / 'a.wav').unlink()
    (source / 'audio' / 'Actor_01').rmdir()
    (source / 'audio').rmdir()
    assert bring(source)[1] == ['audio.zip'] and (source / 'audio' / 'Actor_01' / 'a.wav').is_file()
    (tmp_path / 'away.zip').rename(source / 'audio.zip')
    (source / 'audio').rename(tmp_path / 'away')
    assert bring(source)[1] == [] and (source / 'audio' / 'Actor_01' / 'a.wav').is_file()


def test_only_what_is_missing_is_fetched_and_a_broken_connection_carried_on(web, tmp_path):
    source = tmp_path / 'source'
    source.mkdir()
    (source / 'audio.zip').write_bytes(web.files['/audio.zip'])
    web.cuts = [12_000]
    said, asked = bring(source)
    assert asked == ['table.bin'] and (source / 'table.bin').read_bytes() == TABLE
    assert [request.get('Range') for request in web.requests] == [None, 'bytes=12000-']
    assert 'audio.zip: there already, checksum verified' in said


def test_a_file_put_there_by_hand_is_taken_where_nothing_is_published(web, tmp_path):
    source = tmp_path / 'source'
    source.mkdir()
    (source / 'table.bin').write_bytes(b'mine')
    assert 'table.bin: there already, not verified: no checksum is published' in bring(source)[0]
    assert (source / 'table.bin').read_bytes() == b'mine'


def test_another_checksum_than_published_removes_the_file(web, tmp_path, monkeypatch):
    expected = checksum(b'other', 'sha256')
    change(web, monkeypatch, checksum=expected, checksum_source='the homepage')
    with pytest.raises(SerError) as error:
        bring(tmp_path / 'source')
    got = checksum(web.files['/audio.zip'], 'sha256')
    assert f'expected {expected} (published: the homepage), got {got}. The file was removed' in str(error.value)
    assert names(tmp_path / 'source') == []


def test_another_file_in_the_place_is_left_alone_and_refused(web, tmp_path, monkeypatch):
    source = tmp_path / 'source'
    bring(source)
    (source / 'table.bin').write_bytes(b'changed')
    with pytest.raises(SerError, match="table.bin' is there already, but is not the file that was downloaded"):
        bring(source)
    (source / 'table.bin').write_bytes(TABLE)
    (source / 'audio.zip').write_bytes(b'changed')
    with pytest.raises(SerError, match="audio.zip' is there already, but is not the file that was published: expected"):
        bring(source)
    assert (source / 'audio.zip').read_bytes() == b'changed'
    (source / RECORD).unlink()
    change(web, monkeypatch, checksum=None)
    with pytest.raises(SerError, match=r'has 7 bytes, \d+ are published. Move it away'):
        bring(source)


def test_a_refusal_writes_nothing(web, tmp_path):
    def refuse(facts, missing):
        raise SerError('no')

    with pytest.raises(SerError, match='^no$'):
        ensure_downloaded('small', tmp_path / 'source', refuse)
    assert not (tmp_path / 'source').exists() and web.requests == []


def test_a_file_that_is_gone_keeps_those_that_came(web, tmp_path):
    del web.files['/table.bin']
    with pytest.raises(SerError, match='answers 404'):
        bring(tmp_path / 'source')
    web.files['/table.bin'] = TABLE
    assert bring(tmp_path / 'source')[1] == ['table.bin']


def test_a_corpus_that_is_not_offered_says_how_to_get_it(web, tmp_path, monkeypatch):
    facts = replace(web.facts, downloads=(), obtain='Sign the form.', homepage='https://example.org/form')
    monkeypatch.setitem(CORPORA, 'small', Corpus(facts, parse=None))
    with pytest.raises(SerError) as error:
        bring(tmp_path / 'source')
    assert str(error.value) == ("corpus 'small' cannot be downloaded by this command. How to get it: Sign the form. "
                                'Homepage: https://example.org/form')
    with pytest.raises(SerError, match='there is nothing to get'):
        ensure_downloaded('demo', '-', None)
    with pytest.raises(SerError, match="unknown corpus 'smal'.*Did you mean 'small'"):
        find_corpus('smal')


def test_a_source_that_cannot_be_is_one_line(web, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(SerError, match='is a file: with --download SOURCE is the folder'):
        bring(tmp_path / 'file')
    with pytest.raises(SerError, match="sub' cannot be made: "):
        bring(tmp_path / 'file' / 'sub')


@pytest.mark.parametrize('text', ['{', '[]', '{"files": 3}'])
def test_a_record_of_somebody_else_is_refused(web, tmp_path, text):
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(SerError, match='is not what this command wrote: delete it'):
        bring(tmp_path)


def test_two_downloads_to_one_folder_are_refused(web, tmp_path):
    with locked(tmp_path, ''), pytest.raises(SerError, match='another download is writing to'):
        bring(tmp_path)


def test_a_hostile_archive_stops_the_build_but_stays_to_be_looked_at(web, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / 'bad.zip', 'w') as file:
        file.writestr('../../out.wav', b'1')
    web.files['/audio.zip'] = (tmp_path / 'bad.zip').read_bytes()
    change(web, monkeypatch, bytes=None, checksum=None)
    with pytest.raises(SerError, match='outside its folder'):
        bring(tmp_path / 'source')
    assert names(tmp_path / 'source') == ['audio.zip', RECORD, 'table.bin'] and not (tmp_path / 'out.wav').exists()


def test_what_is_said_before_the_download(web):
    size = len(web.files['/audio.zip']) / 1000
    assert list(terms(web.facts, web.facts.downloads)) == [
        'small: A small corpus', 'licence: CC BY 4.0', f'  audio.zip, {size:.1f} kB, from 127.0.0.1',
        '  table.bin, size not published, from 127.0.0.1 (not encrypted, no checksum published)',
        f'to download: at least {size:.1f} kB']
    assert download_size(web.facts.downloads[:1]) == f'{size:.1f} kB'
    assert download_size(web.facts.downloads[1:]) == 'size not published'
