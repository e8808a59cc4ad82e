"""`--download`: the files that a corpus's owner offers to everybody, verified, and unpacked beside themselves."""

import contextlib
import hashlib
import json
from pathlib import Path
from urllib.parse import urlsplit

from ser.corpora import find_corpus
from ser.corpora.archive import unpack, unpacked_folder
from ser.corpora.fetch import fetch
from ser.corpora.lock import locked
from ser.errors import SerError
from ser.files import size_text, write_json

RECORD = 'downloads.json'


def download_size(downloads):
    """'208.5 MB', 'at least 208.5 MB', or 'size not published'."""
    known = [item.bytes for item in downloads if item.bytes is not None]
    if not known:
        return 'size not published'
    return ('' if len(known) == len(downloads) else 'at least ') + size_text(sum(known))


def terms(facts, downloads):
    """Lines that say what is going to be downloaded, from where, and under which licence."""
    yield f'{facts.name}: {facts.title}'
    yield f'licence: {facts.licence}'
    for item in downloads:
        address = urlsplit(item.url)
        # Whoever sits between could change such a file unnoticed.
        bare = address.scheme == 'http' and not item.checksum
        yield (f'  {item.file}, {download_size([item])}, from {address.hostname}'
               f'{" (not encrypted, no checksum published)" if bare else ""}')
    yield f'to download: {download_size(downloads)}'


def ensure_downloaded(name, source, agree, *, say=print, watch=lambda file: contextlib.nullcontext(), fetch=fetch):
    """See that the files of corpus `name` lie in the folder `source`, whole, verified and unpacked.

    agree: called with (facts, the downloads that are missing) before anything is written; it raises SerError to refuse.
    say: called with a line for each file. watch: file name -> context manager that gives fetch its progress. fetch: as
    ser.corpora.fetch.fetch.
    `source`/downloads.json notes address, size and checksum of what was downloaded. An archive may be deleted once it
    is unpacked. Raises SerError for a corpus that is not offered to everybody, for a file in the place of one of these
    that is not the published one, and whatever fetch and unpack refuse.
    """
    facts, source = find_corpus(name).facts, Path(source)
    if not facts.downloads:
        where = f' Homepage: {facts.homepage}' if facts.homepage else ''
        raise SerError(f"corpus '{name}' cannot be downloaded by this command. How to get it: "
                       f'{facts.obtain.rstrip(".") or "there is nothing to get"}.{where}')
    if source.exists() and not source.is_dir():
        raise SerError(f"'{source}' is a file: with --download SOURCE is the folder to download to")
    record = _read_record(source / RECORD)
    missing = [item for item in facts.downloads if not _present(item, source, record, say)]
    if missing:
        agree(facts, missing)
        try:
            source.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SerError(f"'{source}' cannot be made: {error.strerror or error}") from None
    with locked(source, f"another download is writing to '{source}': wait for it"):
        for item in missing:
            with watch(item.file) as progress:
                checksum = fetch(item.url, source / item.file, size=item.bytes, progress=progress,
                                 verify=lambda part, item=item: _verified(item, part))
            _note(record, item, checksum, source, say)
        for item in facts.downloads:
            _unpack_once(source / item.file, say)


def _read_record(path):
    """File name -> what was noted of it."""
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding='utf-8'))['files'])
    except (OSError, ValueError, KeyError, TypeError):
        raise SerError(f"'{path}' is not what this command wrote: delete it, and the files are checked anew") from None


def _note(record, item, checksum, source, say):
    size = (source / item.file).stat().st_size
    record[item.file] = {'url': item.url, 'bytes': size, 'checksum': checksum, 'published': item.checksum is not None}
    write_json(source / RECORD, {'files': record})
    how = (f'{checksum.split(":")[0]} as published' + (f' ({item.checksum_source})' if item.checksum_source else '')
           if item.checksum else f'checksum not published; got {checksum.replace(":", " ")}')
    say(f'{item.file}: {size_text(size)}, {how}')


def _digest(path, algorithm):
    """'<algorithm>:<hex>' of a file."""
    with open(path, 'rb') as file:
        # MD5 is what hosts publish, as a guard against accidents.
        new = hashlib.new(algorithm, usedforsecurity=False)
        return f'{algorithm}:{hashlib.file_digest(file, lambda: new).hexdigest()}'


def _verified(item, path):
    """Its checksum: the published one, or a sha256 where none is. Raises SerError for another than published."""
    if not item.checksum:
        return _digest(path, 'sha256')
    found = _digest(path, item.checksum.split(':')[0])
    if found != item.checksum.lower():
        where = item.checksum_source or 'no source noted'
        raise SerError(f'{item.url}: expected {item.checksum} (published: {where}), got {found}. The file was removed; '
                       'if a second try brings the same, its owner has changed it')
    return found


def _present(item, source, record, say):
    """Whether a file need not be downloaded. Raises SerError for another file in its place."""
    path, noted = source / item.file, record.get(item.file)
    if not path.exists():
        folder = unpacked_folder(path)
        return bool(noted) and folder is not None and folder.is_dir()
    expected = item.checksum or (noted or {}).get('checksum')
    if expected and (found := _digest(path, expected.split(':')[0])) != expected.lower():
        raise SerError(f"'{path}' is there already, but is not the file that was "
                       f"{'published' if item.checksum else 'downloaded'}: expected {expected}, got {found}. Move it "
                       'away and run again')
    if item.bytes not in (None, path.stat().st_size) and not item.checksum:
        raise SerError(f"'{path}' is there already, but has {path.stat().st_size} bytes, {item.bytes} are published. "
                       'Move it away and run again')
    say(f'{item.file}: there already, {"checksum verified" if expected else "not verified: no checksum is published"}')
    return True


def _unpack_once(path, say):
    folder = unpacked_folder(path)
    if folder is not None and not folder.exists():
        say(f'unpacking {path.name} into {folder}')
        unpack(path, folder)
