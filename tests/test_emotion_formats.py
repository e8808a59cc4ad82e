"""Timelines as text: read back by the rules of each format."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from ser.evaluation.calibration import Calibration
from ser.inference.emotion_formats import (
    as_audacity,
    as_csv,
    as_json,
    as_table,
    as_vtt,
    as_windows_csv,
    clock,
)
from ser.inference.emotion_segments import Segment
from ser.inference.emotion_timeline import Timeline

SEGMENTS = (Segment(0.0, 3.5, 'happy', 0.75), Segment(3.5, 3661.2345678, 'silence', None),
            Segment(3661.2345678, 3665.0, 'a <b> & "c" -->\n d', 1.0), Segment(3665.0, 3665.0001, 'unknown', 0.333))


def made(segments=SEGMENTS):
    values = np.array([[0.75, 0.25], [np.nan, np.nan]])
    end = segments[-1].end
    return Timeline('talk, "one".wav', end, 3.0, 1.0, ('happy', 'a <b> & "c" -->\n d'), Calibration(), False,
                    np.array([[0.0, 3.0], [1.0, 4.0]]), values, np.array([0.0, 1.0, end]), values, segments,
                    (np.zeros(1, np.int16), np.zeros(1, np.int16), 1.0))


def test_json_is_the_facts_on_one_line():
    line, = as_json(made())
    assert json.loads(line) == made().facts() and '\n' not in line


def test_csv_is_read_back_by_a_reader():
    rows = list(csv.DictReader([f'{line}\n' for line in as_csv(made())]))
    assert [row['file'] for row in rows] == ['talk, "one".wav'] * 4
    assert [(float(row['start']), float(row['end']), row['emotion']) for row in rows] == [
        (pytest.approx(segment.start, abs=1e-6), pytest.approx(segment.end, abs=1e-6), segment.emotion)
        for segment in SEGMENTS]
    assert [row['confidence'] for row in rows] == ['0.75', '', '1.0', '0.333']


def test_windows_as_csv():
    first, second = csv.DictReader([f'{line}\n' for line in as_windows_csv(made())])
    assert (first['start'], first['end'], first['emotion'], first['happy']) == ('0.000000', '3.000000', 'happy', '0.75')
    assert (second['emotion'], second['confidence'], second['happy']) == ('silence', '', '')


def test_windows_of_a_class_called_as_a_column_is():
    first, _ = csv.DictReader([f'{line}\n' for line in as_windows_csv(replace(made(), names=('end', 'happy')))])
    assert (first['end'], first['p(end)'], first['p(happy)']) == ('3.000000', '0.75', '0.25')


def test_audacity_labels_are_three_fields_between_tabs():
    assert list(as_audacity(made())) == [
        '0.000000\t3.500000\thappy', '3.500000\t3661.234568\tsilence',
        '3661.234568\t3665.000000\ta <b> & "c" --> d', '3665.000000\t3665.000100\tunknown']


def test_webvtt_by_the_rules_of_the_format():
    text = ''.join(f'{line}\n' for line in as_vtt(made()))
    head, *cues = text.rstrip('\n').split('\n\n')
    assert head == 'WEBVTT'
    assert cues[0] == '00:00:00.000 --> 00:00:03.500\nhappy (75.0 %)'
    assert cues[1] == '00:00:03.500 --> 01:01:01.235\nsilence'
    assert cues[2] == '01:01:01.235 --> 01:01:05.000\na &lt;b&gt; &amp; "c" --&gt; d (100.0 %)'
    stamp = r'(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})'
    before = -1
    for cue in cues:
        timing, payload = cue.split('\n')
        found = re.fullmatch(f'{stamp} --> {stamp}', timing)
        start, end = (sum(int(part) * unit for part, unit in zip(found.groups()[i:i + 4], (3600000, 60000, 1000, 1),
                                                                 strict=True)) for i in (0, 4))
        # Each cue ends after it starts, starts do not go back, and no payload holds what ends or opens something.
        assert before <= start < end
        assert payload and '-->' not in payload and not re.search(r'[<>]|&(?!amp;|lt;|gt;)', payload)
        before = start


def test_a_table_for_a_terminal():
    lines = list(as_table(made()))
    assert lines[0].split() == ['start', 'end', 'length', 'emotion', 'confidence']
    assert lines[2].split() == ['0:00.0', '0:03.5', '3.5', 's', 'happy', '75.0', '%']
    assert lines[3].split() == ['0:03.5', '1:01:01.2', '3657.7', 's', 'silence']
    assert len({line.index('s') for line in lines[2:4]}) == 1


def test_clocks_carry_over():
    assert [clock(seconds) for seconds in (0, 59.96, 3599.96, 86400)] == ['0:00.0', '1:00.0', '1:00:00.0', '24:00:00.0']
    assert [clock(seconds, 0) for seconds in (61.4, 3600)] == ['1:01', '1:00:00']
