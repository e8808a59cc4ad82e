"""A folder whose files appear under their final names only when all of them are whole."""

import contextlib
import json
import os
import shutil

from ser.corpora.lock import locked
from ser.errors import SerError
from ser.files import sync_folder
from ser.shards.tar import sync_and_close

MANIFEST = 'shards.json'
INDEX = 'index.jsonl'
SKIPPED = 'skipped.csv'
PARTIAL = '.partial-build'
# The readers of a build that was killed hold its folder until they notice.
_ORPHAN_SECONDS = 2.0


@contextlib.contextmanager
def staging(out):
    """A hidden folder inside `out` to write in; on a clean exit its files move to `out`, the manifest last.

    On an exception nothing stays behind. Leftovers of a killed build are removed first: a build killed while its files
    were moving has its manifest still inside the hidden folder, and what that names is taken away too.
    Raises SerError when `out` is a file, holds shards already, or is being written by another build.
    """
    _refuse_file(out)
    created = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    with locked(out, f"another build is writing to '{out}': wait for it, or choose another folder", _ORPHAN_SECONDS):
        partial = out / PARTIAL
        _clear(out, partial)
        _refuse_shards(out)
        try:
            partial.mkdir()
            yield partial
            _publish(out, partial)
        except BaseException:
            _clear(out, partial)
            if created:
                with contextlib.suppress(OSError):
                    out.rmdir()
            raise


def check_out(out):
    """Raises SerError where `staging` would refuse `out` for what it holds; for a look ahead, before long work."""
    _refuse_file(out)
    # What a killed build left is for staging to clear.
    if out.exists() and not (out / PARTIAL).exists():
        _refuse_shards(out)


def unfinished(folder):
    """Whether a build into `folder` is at work or was killed, so that the shards there may be some of them only."""
    return (folder / PARTIAL).exists() and not (folder / MANIFEST).exists()


def write_file(path, data):
    """Write bytes to a new file and put them on the disk."""
    file = open(path, 'xb')  # noqa: SIM115 - closed by sync_and_close
    try:
        file.write(data)
    except BaseException:
        file.close()
        raise
    sync_and_close(file)


def _refuse_file(out):
    if out.exists() and not out.is_dir():
        raise SerError(f"'{out}' is a file: OUT must be a folder")


def _refuse_shards(out):
    held = sorted(path.name for path in out.iterdir() if path.suffix == '.tar' or path.name in (MANIFEST, INDEX))
    if held:
        raise SerError(f"'{out}' already holds shards ({held[0]}{' ...' if len(held) > 1 else ''}): "
                       'choose another folder, or delete it first')


def _clear(out, partial):
    if not partial.exists():
        return
    if (partial / MANIFEST).exists():
        with contextlib.suppress(ValueError):
            manifest = json.loads((partial / MANIFEST).read_text(encoding='utf-8'))
            for name in (INDEX, SKIPPED, *(shard['name'] for shard in manifest['shards'])):
                (out / name).unlink(missing_ok=True)
    shutil.rmtree(partial)


def _publish(out, partial):
    """Move everything out of `partial`: each move is a rename, and the manifest's says that all are there."""
    names = sorted(path.name for path in partial.iterdir() if path.name != MANIFEST)
    sync_folder(partial)
    for name in names:
        os.replace(partial / name, out / name)
    os.replace(partial / MANIFEST, out / MANIFEST)
    partial.rmdir()
    sync_folder(out)
