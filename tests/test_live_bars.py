"""Bars, lines, and a terminal that is drawn over."""

import io
import re

import numpy as np
import pytest

from ser.inference.live_bars import Screen, Update, bar, bar_lines, head_line, plain_line

NAMES = ('neutral', 'very angry', '怒り')
HEARD = Update(12.0, 'very angry', 0.75, np.array([0.05, 0.75, 0.2]), -23.4)
QUIET = Update(13.0, 'silence', None, None, -71.0)


def test_bars_are_right_to_the_eighth():
    eighths = ' ▏▎▍▌▋▊▉█'
    for units in range(8 * 7 + 1):
        drawn = bar(units / 56, 7)
        assert sum(eighths.index(character) for character in drawn) == units and len(drawn) <= 7
    assert bar(1.5, 3) == '███' and bar(-1, 3) == ''
    assert bar(0.5, 8, blocks=False) == '####'


def test_lines_say_what_is_heard():
    assert head_line(HEARD) == '0:12.0  very angry (75.0 %)  -23 dBFS'
    assert plain_line(HEARD, NAMES) == (
        '0:12.0  very angry (75.0 %)  -23 dBFS  neutral=5.0 very_angry=75.0 怒り=20.0')
    assert plain_line(QUIET, NAMES) == '0:13.0  silence  -71 dBFS'


def test_a_bar_per_class_in_index_order():
    lines = bar_lines(HEARD, NAMES, 80, 24)
    assert [line.split()[0] for line in lines[1:]] == ['neutral', 'very', '怒り']
    assert [line.count('█') for line in lines[1:]] == [2, 30, 8]
    assert lines[2].endswith('75.0 %')
    assert '█' not in ''.join(bar_lines(QUIET, NAMES, 80, 24)) and '%' not in ''.join(bar_lines(QUIET, NAMES, 80, 24))


@pytest.mark.parametrize(('columns', 'lines'), [(20, 24), (30, 3), (200, 4), (1, 1)])
def test_small_terminals(columns, lines):
    drawn = bar_lines(HEARD, NAMES, columns, lines)
    assert len(drawn) <= max(lines - 1, 2) and all(len(line) < max(columns, 2) for line in drawn)
    if lines == 4:
        assert [line.split()[0] for line in drawn[1:]] == ['very', '怒り']


class Terminal(io.StringIO):
    """What a terminal shows after some text: only what Screen uses of ANSI."""

    encoding = 'utf-8'

    def isatty(self):
        return True

    def shown(self):
        lines, row = [], 0
        for piece in re.findall(r'\x1b\[\d*[AK]|\r|\n|[^\x1b\r\n]+', self.getvalue()):
            while row >= len(lines):
                lines.append('')
            if piece.endswith('A') and piece[0] == '\x1b':
                row -= int(piece[2:-1])
            elif piece == '\n':
                row += 1
            elif piece.endswith('K') and piece[0] == '\x1b':
                lines[row] = ''
            elif piece != '\r':
                lines[row] += piece
        return lines


def test_a_screen_draws_over_what_it_drew(monkeypatch):
    terminal = Terminal()
    screen = Screen(terminal, NAMES)
    monkeypatch.setattr('shutil.get_terminal_size', lambda: (80, 24))
    monkeypatch.setattr('ser.inference.live_bars.shutil.get_terminal_size',
                        lambda: __import__('os').terminal_size((80, 24)))
    for update in (QUIET, HEARD):
        screen.show(update)
    assert [line for line in terminal.shown() if line] == bar_lines(HEARD, NAMES, 80, 24)
    monkeypatch.setattr('ser.inference.live_bars.shutil.get_terminal_size',
                        lambda: __import__('os').terminal_size((80, 4)))
    screen.show(HEARD)
    screen.show(HEARD)
    assert [line for line in terminal.shown() if line] == bar_lines(HEARD, NAMES, 80, 4)


def test_elsewhere_a_line_for_each():
    stream = io.StringIO()
    screen = Screen(stream, NAMES)
    screen.show(HEARD)
    screen.show(QUIET)
    assert stream.getvalue() == f'{plain_line(HEARD, NAMES)}\n{plain_line(QUIET, NAMES)}\n'


def test_a_terminal_without_blocks_gets_signs():
    class Old(Terminal):
        encoding = 'ascii'

    terminal = Old()
    Screen(terminal, ('a', 'b')).show(Update(1.0, 'a', 1.0, np.array([1.0, 0.0]), -20.0))
    terminal.getvalue().encode('ascii')
    assert '#' in terminal.getvalue()
