"""Recordings inside parquet files, as the Hugging Face hub exports data sets: a column of audio, a column of labels.

Only the columns of text and numbers are read here; the audio is read a row group at a time when a clip is encoded.
"""

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ser.corpora import hub
from ser.corpora.columns import (
    ATTRIBUTES,
    COLUMNS,
    FIELDS,
    clean,
    column_options,
    columns_of,
    fields_and_extra,
    require,
)
from ser.corpora.utterance import Corpus, CorpusFacts, Skip, Utterance
from ser.errors import SerError, install
from ser.files import natural
from ser.labels import canonical

# The audio column is found by its type, so `path` names nothing here.
_KNOWN = {field: names for field, names in COLUMNS.items() if field != 'path'}
_PATTERN_FIELDS = ('speaker', 'gender', 'session', 'text_id')
FACTS = CorpusFacts(
    name='parquet', title='Parquet files with audio in them', licence='as the recordings\' own', language=None,
    homepage=None, speakers=None, emotions=(), utterances=None, example='train-00000-of-00001.parquet',
    layout='a .parquet file, a folder of them, or hub:owner/name[@revision]: an audio column (bytes and path), a '
           'column emotion or label, and any others')


@dataclass(frozen=True)
class Export:
    """One parquet file and what its columns are."""

    path: Path
    relative: str
    """Without suffix, relative to the source."""
    file: object
    """pyarrow.parquet.ParquetFile."""
    audio: str
    nested: bool
    """The audio column is a struct of bytes and path, not bytes alone."""
    columns: dict
    """Field -> column."""
    scalars: list
    """Columns of text, numbers and truth values."""
    classes: dict
    """Column of integers -> names of its classes."""


def require_pyarrow():
    """The module pyarrow.parquet. Raises SerError where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise SerError(f'parquet files need the package pyarrow: {install("parquet")}') from None
    return pyarrow.parquet


def is_export(source):
    """Whether a source is on the hub, a parquet file, or a folder with parquet files in it (at any depth)."""
    return hub.is_hub(source) or source.suffix.lower() == '.parquet' or (
        source.is_dir() and next(source.rglob('*.parquet'), None) is not None)


def parse(source, corpus=FACTS.name, audio=None, names=None, split=None, pattern=None, **chosen):
    """Utterances and skips of every row, file by file in natural order.

    source: Path of a file or folder, or `hub:owner/name[@revision]`. audio: its column. names: 'a,b,c', the classes of
    an integer emotion column. split: only files of this split. pattern: a regular expression on the recording's path
    with groups named speaker, gender, session or text_id. chosen: field -> column.
    Raises SerError for what is not parquet, for columns that are absent or unclear, and integer labels without names.
    """
    require_pyarrow()
    pattern = _pattern(pattern)
    names = [name.strip() for name in names.split(',')] if names else None
    for path, relative in _files(source, split):
        export = _open(path, relative, audio, names, chosen)
        first = 0
        for group in range(export.file.num_row_groups):
            rows = _rows(export, group, first)
            without = _without_bytes(export, group)
            for index, row in enumerate(rows):
                yield _utterance(export, group, index, first + index, row, index in without, corpus, pattern)
            first += len(rows)


def _files(source, split):
    """(path, relative without suffix) of the parquet files of a source."""
    source = hub.fetch(source, split) if hub.is_hub(source) else Path(source)
    if source.is_file():
        return [(source, source.stem)]
    if not source.is_dir():
        raise SerError(f"no such file or folder: '{source}'")
    found = [(path, path.relative_to(source).with_suffix('')) for path in source.rglob('*.parquet')
             if not any(part.startswith('.') for part in path.relative_to(source).parts)]
    if not found:
        raise SerError(f"no parquet file in '{source}'")
    kept = [(path, inside.as_posix()) for path, inside in found
            if split in (None, split_of(inside))]
    if not kept:
        splits = sorted({split_of(inside) or 'none' for _, inside in found})
        raise SerError(f"no parquet file of split '{split}' in '{source}'. Splits there: {', '.join(splits)}")
    return sorted(kept, key=lambda item: natural(item[1]))


def split_of(relative):
    """The split that a file's name or folder tells (`data/train-00000-of-00002`, `default/train/0000`), else None."""
    inside = PurePosixPath(relative)
    first = inside.name.split('-')[0]
    return (inside.parent.name or None) if first.isdecimal() else first


def _open(path, relative, audio, names, chosen):
    import pyarrow

    try:
        file = require_pyarrow().ParquetFile(path)
        schema = file.schema_arrow
    except (pyarrow.ArrowException, OSError) as error:
        raise SerError(f'{path.name}: not a readable parquet file ({str(error).splitlines()[0]})') from None
    audio, nested = _audio_column(schema, audio, path.name)
    scalars = [field.name for field in schema if field.name != audio and _is_scalar(field.type)]
    columns = columns_of(scalars, chosen, _KNOWN, path.name)
    require(columns, ('emotion',), scalars, _KNOWN, path.name)
    classes = _class_names(schema)
    if names:
        classes[columns['emotion']] = names
    elif pyarrow.types.is_integer(schema.field(columns['emotion']).type) and columns['emotion'] not in classes:
        raise SerError(f"{path.name}: column '{columns['emotion']}' holds numbers, and the file does not name the "
                       'classes. Name them in order: --option names=CLASS0,CLASS1,...')
    classes = {name: labels for name, labels in classes.items() if name in scalars}
    return Export(path, relative, file, audio, nested, columns, scalars, classes)


def _is_scalar(kind):
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return any(check(kind) for check in (types.is_string, types.is_large_string, types.is_integer, types.is_floating,
                                         types.is_boolean))


def _audio_column(schema, wanted, where):
    """(name, nested) of the column with the recordings."""
    from pyarrow import types

    nested = [field.name for field in schema if types.is_struct(field.type)
              and field.type.get_field_index('bytes') >= 0]
    plain = [field.name for field in schema if types.is_binary(field.type) or types.is_large_binary(field.type)]
    found = [wanted] if wanted else nested or plain
    if len(found) == 1 and found[0] in nested + plain:
        return found[0], found[0] in nested
    columns = ', '.join(f'{field.name} ({str(field.type).split("<")[0]})' for field in schema)
    said = (f"column '{wanted}' holds no audio" if wanted else 'several columns hold audio' if found else
            'no column holds audio')
    raise SerError(f'{where}: {said} (a struct of bytes and path, or binary). Columns: {columns}. '
                   'Give it with --option audio=COLUMN')


def _class_names(schema):
    """Column -> class names, of the features that the hub's library writes into a file."""
    try:
        features = json.loads((schema.metadata or {}).get(b'huggingface', b'{}'))['info']['features']
        return {name: list(feature['names']) for name, feature in features.items()
                if isinstance(feature, dict) and isinstance(feature.get('names'), list)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _rows(export, group, first):
    """The rows of a row group, a dict each: scalar columns, and the path within the audio column as `None`.

    first: number of its first row in the file.
    """
    wanted = [*export.scalars, f'{export.audio}.path'] if export.nested else export.scalars
    rows = _read_group(export, group, wanted).to_pylist()
    for number, row in enumerate(rows, start=first):
        row[None] = (row.pop(export.audio, None) or {}).get('path')
        for name, labels in export.classes.items():
            if isinstance(row[name], int):
                row[name] = _class_name(row[name], labels, name, f'{export.path.name} row {number}')
    return rows


def _class_name(value, labels, column, where):
    """The class of a number; None of -1, which the hub's library writes where a label is missing."""
    if value == -1:
        return None
    if not 0 <= value < len(labels):
        raise SerError(f"{where}: column '{column}' holds {value}, and there are {len(labels)} classes, numbered from "
                       f"0: {', '.join(labels)}. Name them all, in order: --option names=CLASS0,CLASS1,...")
    return labels[value]


def _read_group(export, group, columns):
    """Columns of a row group. Raises SerError where the file is damaged."""
    import pyarrow

    try:
        return export.file.read_row_group(group, columns=columns, use_threads=False)
    except (pyarrow.ArrowException, OSError) as error:
        raise SerError(f'{export.path.name}: damaged ({str(error).splitlines()[0]}). Get it again') from None


def _without_bytes(export, group):
    """Rows of a group whose recording lies beside the parquet file, or nowhere."""
    leaf = f'{export.audio}.bytes' if export.nested else export.audio
    metadata = export.file.metadata.row_group(group)
    chunk = next(metadata.column(i) for i in range(metadata.num_columns) if metadata.column(i).path_in_schema == leaf)
    if chunk.statistics is not None and chunk.statistics.has_null_count and chunk.statistics.null_count == 0:
        return frozenset()
    column = _read_group(export, group, [leaf]).column(0)
    values = (value.as_py() for value in column)
    return frozenset(index for index, value in enumerate(values)
                     if (value.get('bytes') if isinstance(value, dict) else value) is None)


def _utterance(export, group, index, number, row, without, corpus, pattern):
    given = clean(row.pop(None))
    name = PurePosixPath((given or '').replace('\\', '/')).name
    relative = f'{export.relative}-{number}-{name}' if name else f'{export.relative}-{number}.audio'
    where = f'{export.path.name} row {number}'
    raw = clean(row[export.columns['emotion']])
    if raw is None:
        return Skip(relative, 'no emotion label', where)
    path = export.path.parent / given if given else export.path
    # A file that came from elsewhere is not to name files outside its own folder.
    inside = given and not Path(given).is_absolute() and '..' not in Path(given).parts
    if without and not (inside and path.is_file()):
        return Skip(relative, 'missing file', f'{where}: neither bytes nor a file', bad=True)
    fields, extra = fields_and_extra(row, export.columns, where)
    extra.setdefault('split', split_of(export.relative))
    if given:
        extra.setdefault('recording', given)
        fields |= _from_pattern(pattern, given)
    data = None if without else functools.partial(read_audio, str(export.path), export.audio, group, index)
    return Utterance(path=path, relative=relative, corpus=corpus, emotion=canonical(raw), raw_label=str(raw),
                     extra=extra, data=data, **fields)


def _pattern(text):
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise SerError(f"option pattern: '{text}' is not a regular expression ({error})") from None
    if not pattern.groupindex or set(pattern.groupindex) - set(_PATTERN_FIELDS):
        raise SerError(f"option pattern: '{text}' needs groups (?P<NAME>...), NAME one of {', '.join(_PATTERN_FIELDS)}")
    return pattern


def _from_pattern(pattern, given):
    match = pattern.search(given) if pattern else None
    return {name: value for name, value in match.groupdict().items() if value} if match else {}


@functools.lru_cache(maxsize=1)
def _audio_of_group(path, column, group):
    return require_pyarrow().ParquetFile(path).read_row_group(group, columns=[column], use_threads=False).column(0)


def read_audio(path, column, group, index):
    """Bytes of one recording. The last row group read is kept, so that reading in order reads each of them once.

    Raises OSError where the file is damaged.
    """
    import pyarrow

    try:
        value = _audio_of_group(path, column, group)[index].as_py()
    except pyarrow.ArrowException as error:
        raise OSError(str(error)) from error
    return (value.get('bytes') if isinstance(value, dict) else value) or b''


OPTIONS = {
    'audio': 'COLUMN with the recordings; by default the one whose type is audio',
    **column_options('emotion', *FIELDS, *ATTRIBUTES),
    'names': 'A,B,C: class names of an emotion column of integers; by default as the file says',
    'split': 'NAME: only files of this split (train-00000..., or in a folder train)',
    'pattern': 'regular expression on the path of a recording, with groups (?P<speaker>...), gender, session, text_id'}
PARQUET = Corpus(FACTS, parse, options=OPTIONS)
