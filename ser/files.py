"""Files that are whole or absent: temporary name, fsync, rename; their sha256; and the order of their names."""

import contextlib
import csv
import hashlib
import io
import json
import os
import re
from pathlib import Path, PurePosixPath

from ser.errors import SerError


def sha256_of(path):
    """Hex sha256 of a file."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def natural(name):
    """Sort key of a name or path: folder by folder, case-insensitive, runs of digits as numbers; equal only if equal.

    `a-2` comes before `a-10`. For speakers as well as files.
    """
    parts = [[(0, int(piece), '') if piece.isdecimal() else (1, 0, piece) for piece in re.split(r'(\d+)', part.lower())
              if piece] for part in PurePosixPath(name).parts]
    return parts, name


def write_whole(path, content):
    """Write bytes or text so that `path` is either the old file or the whole new one.

    Raises SerError when the disk is full or read-only; the old file is then intact and nothing is left behind.
    """
    path = Path(path)
    temporary, before = path.with_name(f'.{path.name}.partial'), os.path.lexists(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SerError(f'{path}: cannot be written: {error.strerror or error}. Free some space or choose another '
                       f'--out{"; the file that was there before is intact" if before else ""}') from error


def write_json(path, value):
    """Write `value` as indented JSON; NaN and infinity are refused (ValueError), they are not JSON."""
    write_whole(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + '\n')


def write_rows(path, rows):
    """Write rows of cells as CSV (quoted where needed, newline-terminated)."""
    write_whole(path, csv_text(rows))


def csv_text(rows):
    """Rows of cells as CSV: quoted where needed, newline-terminated."""
    rows, text = list(rows), io.StringIO(newline='')
    # Python's writer leaves a bare carriage return unquoted, which no reader takes back.
    returns = any('\r' in str(cell) for row in rows for cell in row)
    csv.writer(text, lineterminator='\n', quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL).writerows(rows)
    return text.getvalue()


def sync_folder(folder):
    """Put a folder's entries on the disk, so that a rename outlives a crash; Windows cannot and need not."""
    if os.name == 'nt':
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_with_digest(path, data):
    """`write_whole` with `<name>.sha256` beside it, written first: a file with no digest never verifies.

    Returns the sha256 (hex).
    """
    path, digest = Path(path), hashlib.sha256(data).hexdigest()
    write_whole(path.with_name(path.name + '.sha256'), f'{digest}  {path.name}\n')
    write_whole(path, data)
    return digest


def verifies(path):
    """Whether the file exists and matches the sha256 beside it."""
    path = Path(path)
    digest = path.with_name(path.name + '.sha256')
    try:
        return digest.read_text().split()[0] == sha256_of(path)
    except (OSError, IndexError, UnicodeDecodeError):
        return False


def size_text(n):
    """'208.5 MB' of 208500000 bytes; powers of ten, as hosts and disks count."""
    for unit, scale in (('GB', 1e9), ('MB', 1e6), ('kB', 1e3)):
        if n >= scale:
            return f'{n / scale:.1f} {unit}'
    return f'{n} bytes'
