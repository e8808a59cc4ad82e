"""A Timeline as text: JSON, CSV, an Audacity label track, WebVTT, a table for a terminal."""

import json

from ser.evaluation.tables import percent, text_table
from ser.inference.formats import columns_of, csv_line, shown

_COLUMNS = ('file', 'start', 'end', 'emotion', 'confidence')


def as_json(timeline):
    """Timeline.facts() as one line of JSON."""
    yield json.dumps(timeline.facts())


def as_csv(timeline):
    """A header, then a line per segment: file, start and end in seconds, emotion, confidence (empty for silence)."""
    yield csv_line(_COLUMNS)
    for segment in timeline.segments:
        yield csv_line([timeline.file, f'{segment.start:.6f}', f'{segment.end:.6f}', segment.emotion,
                        _number(segment.confidence)])


def as_windows_csv(timeline):
    """A header, then a line per window, as `as_csv` and a column of probability per class (empty for silence)."""
    yield csv_line([*_COLUMNS, *columns_of(timeline.names, _COLUMNS)])
    for window in timeline.windows():
        shares = [_number(window['probabilities'].get(name)) for name in timeline.names]
        yield csv_line([timeline.file, f'{window["start"]:.6f}', f'{window["end"]:.6f}', window['emotion'],
                        _number(window['confidence']), *shares])


def as_audacity(timeline):
    """A label track of Audacity: a line per segment, start, end and emotion between tabs, seconds to six places."""
    for segment in timeline.segments:
        yield f'{segment.start:.6f}\t{segment.end:.6f}\t{_one_line(segment.emotion)}'


def as_vtt(timeline):
    """WebVTT: a cue per segment, its emotion and confidence as text."""
    yield 'WEBVTT'
    for segment in timeline.segments:
        start, end = round(1000 * segment.start), round(1000 * segment.end)
        said = _one_line(segment.emotion)
        if segment.confidence is not None:
            said += f' ({percent(segment.confidence)})'
        for character, escaped in (('&', '&amp;'), ('<', '&lt;'), ('>', '&gt;')):
            said = said.replace(character, escaped)
        # A cue ends after it starts, however short the recording.
        yield from ('', f'{_vtt_time(start)} --> {_vtt_time(max(end, start + 1))}', said)


def as_table(timeline):
    """Aligned columns for a terminal: start, end, how long, emotion, confidence."""
    rows = [(clock(segment.start), clock(segment.end), f'{segment.end - segment.start:.1f} s', segment.emotion,
             '' if segment.confidence is None else percent(segment.confidence)) for segment in timeline.segments]
    yield from text_table(('start', 'end', 'length', 'emotion', 'confidence'), rows, 'rrrlr')


FORMATS = {'table': as_table, 'json': as_json, 'jsonl': as_json, 'csv': as_csv, 'audacity': as_audacity, 'vtt': as_vtt}


def clock(seconds, places=1):
    """'0:03.5', '12:04.0' or '1:00:04.0' of seconds."""
    units = round(seconds * 10**places)
    whole, part = divmod(units, 10**places)
    hours, rest = divmod(whole, 3600)
    text = f'{rest // 60}:{rest % 60:02d}' if not hours else f'{hours}:{rest // 60:02d}:{rest % 60:02d}'
    return f'{text}.{part:0{places}d}' if places else text


def _vtt_time(milliseconds):
    seconds, part = divmod(milliseconds, 1000)
    return f'{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{part:03d}'


def _number(value):
    return '' if value is None else repr(value)


def _one_line(text):
    return ' '.join(shown(text).split()) or '?'
