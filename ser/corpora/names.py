"""What corpora that speak by file names share: codes and option values that must be known, and tables beside them."""

import csv
import io
from pathlib import Path

from ser.corpora.utterance import Skip
from ser.errors import SerError, did_you_mean
from ser.files import natural

MISNAMED = 'name does not fit'


def misnamed(relative, pattern):
    """The Skip of an audio file that is not called as the corpus calls its recordings: it counts as unusable."""
    return Skip(relative, f'{MISNAMED} {pattern}', bad=True)


def check_codes(relative, title, codes):
    """Every code of a file name is one that the corpus has.

    codes: (field, code, allowed) triples. Raises SerError that names the file, the field, the code and what is allowed.
    """
    for field, code, allowed in codes:
        if code not in allowed:
            raise SerError(f"{relative}: unknown {field} code '{code}'. {title} has {', '.join(allowed)}. "
                           'Rename or remove the file')


def check_choice(corpus, option, value, allowed):
    """`value` where it is one of `allowed`. Raises SerError otherwise."""
    if value not in allowed:
        raise SerError(f"corpus '{corpus}': option {option} must be one of {', '.join(allowed)}, not '{value}'."
                       f'{did_you_mean(value, allowed)}')
    return value


def find_beside(folder, *names):
    """The first of these files anywhere below a folder, or None; of several places the first in natural order."""
    for name in names:
        places = sorted(folder.rglob(name), key=lambda path: natural(path.as_posix()))
        if places:
            return places[0]
    return None


def read_beside(path, *alternatives):
    """Rows of a table that a corpus comes with: comma, semicolon or tab between values, the first line naming them.

    alternatives: sets of columns, one of which must be there in full.
    Returns a list of dicts, column -> text without surrounding blanks ('' where a line is short).
    Raises SerError when the file is missing, is not UTF-8 or lacks the columns.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding='utf-8-sig')
    except OSError as error:
        raise SerError(f"cannot read '{path}': {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SerError(f'{path.name}: not UTF-8 text (byte {error.start}). Save the table as UTF-8') from None
    header = text.partition('\n')[0]
    delimiter = max(',;\t', key=header.count)
    # Tab-separated text is written unquoted: a quotation mark in a sentence is only that.
    quoting = csv.QUOTE_NONE if delimiter == '\t' else csv.QUOTE_MINIMAL
    reader = csv.DictReader(io.StringIO(text, newline=''), delimiter=delimiter, quoting=quoting, restval='')
    columns = [name.strip() for name in reader.fieldnames or ()]
    if not any(set(wanted) <= set(columns) for wanted in alternatives):
        wanted, seen = (' or '.join(', '.join(filter(None, names)) for names in lists)
                        for lists in (alternatives, [columns]))
        raise SerError(f"{path.name}: expected the columns {wanted}, found {seen or 'none'}")
    reader.fieldnames = columns
    return [{column: (value or '').strip() for column, value in row.items() if column is not None} for row in reader]
