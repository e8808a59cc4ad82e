"""Parts that somebody else decided: shards per part, a column of the samples' JSON, or a CSV file."""

import csv

import numpy as np

from ser.errors import SerError
from ser.shards.index import PARTS


def given_parts(index, rows, protocol, names):
    """(part number of each row as int64 (N,), notes) of a `given` protocol.

    rows: row numbers. names: of the classes, which change nothing here. Raises SerError when file and column are both
    named or neither is and the shards do not say, for a clip without a part, an unknown value, and when a part has no
    clip.
    """
    if protocol.file and protocol.column:
        raise SerError('protocol.file and protocol.column are both set; the parts come from one of them')
    by_shard = any(index.rows[row].part for row in rows)
    if by_shard and (protocol.file or protocol.column):
        raise SerError('parts are given twice: by --valid-shards/--test-shards and by protocol.file or '
                       'protocol.column. Keep one')
    notes = ()
    if protocol.file:
        values, notes = _from_file(index, rows, protocol.file)
        where = protocol.file
    elif protocol.column:
        values = _from_column(index, rows, protocol.column)
        where = f"JSON '{protocol.column}'"
    elif by_shard:
        values, where = [index.rows[row].part for row in rows], 'the shards'
    else:
        raise SerError("protocol 'given' needs parts: --valid-shards and --test-shards, or protocol.column=KEY "
                       '(a key of the JSON), or protocol.file=FILE (CSV with key,part)')
    part_of = _numbers(index, rows, values, protocol.names, where)
    _refuse_lacking(part_of, where)
    return part_of, notes


def _numbers(index, rows, values, names, where):
    meaning = {value.strip().lower(): PARTS.index(part) for part, values_of in names.items() for value in values_of}
    if len(meaning) < sum(len(values_of) for values_of in names.values()):
        raise SerError('protocol.names: a value stands for two parts, or twice for one')
    numbers = np.empty(len(rows), dtype=np.int64)
    for i, (row, value) in enumerate(zip(rows, values, strict=True)):
        number = meaning.get(str(value).strip().lower()) if value is not None else None
        if where == 'the shards':
            number = PARTS.index(value)
        if number is None:
            raise SerError(f'{where}: clip {index.rows[row].key} has part {value!r}. Allowed: '
                           f'{", ".join(sorted(meaning))} (protocol.names says which means which)')
        numbers[i] = number
    return numbers


def _from_column(index, rows, column):
    values = []
    for row in rows:
        metadata = index.rows[row].metadata
        if metadata.get(column) is None:
            known = [str(key) for key, value in metadata.items() if value is not None]
            raise SerError(f"protocol.column: clip {index.rows[row].key} has no '{column}' in its JSON. "
                           f'Keys with a value: {", ".join(sorted(known)) or "none"}')
        values.append(metadata[column])
    return values


def _from_file(index, rows, path):
    table = _read(path)
    missing = [index.rows[row].key for row in rows if index.rows[row].key not in table]
    if missing:
        raise SerError(f'{path}: {len(missing)} of {len(rows)} clips are not in it, such as {missing[0]}. '
                       'Every clip needs a line with its key and part')
    extra = len(table.keys() - {row.key for row in index.rows})
    notes = (f'{path}: {extra} keys are of no clip in the shards',) if extra else ()
    return [table[index.rows[row].key] for row in rows], notes


def _read(path):
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file)
            if not {'key', 'part'} <= set(reader.fieldnames or ()):
                raise SerError(f"{path}: needs the columns 'key' and 'part'; it has "
                               f'{", ".join(map(str, reader.fieldnames or ())) or "none"}')
            table = {}
            for line in reader:
                if table.setdefault(line['key'], line['part']) != line['part']:
                    raise SerError(f'{path}: key {line["key"]!r} is in two parts, {table[line["key"]]!r} and '
                                   f'{line["part"]!r}')
            return table
    except OSError as error:
        raise SerError(f'{path}: cannot be read ({error.strerror or error})') from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise SerError(f'{path}: not a UTF-8 CSV file ({error})') from None


def _refuse_lacking(part_of, where):
    lacking = [part for number, part in enumerate(PARTS) if not (part_of == number).any()]
    if 'valid' in lacking and len(lacking) == 1:
        raise SerError(f"{where}: no clip is in the valid part. Give one (--valid-shards, or the value 'valid'): "
                       'choosing a model on the test part would spoil its score, so test is never reused')
    if lacking:
        raise SerError(f'{where}: no clip is in the {" or ".join(lacking)} part. All of train, valid and test are '
                       'needed')
