"""Charts: numbers where they belong, gaps, many points, words for those who cannot see."""

import re

import numpy as np
import pytest

from ser.reports.charts import MOST_POINTS, Axis, Series, around, bar, heat, interval, line_chart, scatter, ticks
from ser.reports.page import STYLE
from tests.page_reading import Page

AXES = (Axis('across', 0.0, 10.0), Axis('up', 0.0, 1.0, percent=True))


def places(svg, style=1):
    """(x, y) of the points of the line of this style."""
    path = re.search(f'<path d="([^"]*)" class="line s{style}"', svg).group(1)
    return np.array([[float(number) for number in pair] for pair in re.findall(r'[ML]([\d.]+) ([\d.]+)', path)])


def test_points_lie_in_proportion():
    found = places(line_chart('T', 'D', [Series('a', np.array([0, 5, 10]), np.array([0, 0.25, 1]))], AXES))
    width, height = np.ptp(found, axis=0)
    assert found[1] - found[0] == pytest.approx([width / 2, -height / 4], abs=0.11)
    assert found[0, 1] > found[2, 1], 'more is higher up'


@pytest.mark.parametrize('low, high, whole', [(0, 1, False), (0.0171, 0.0179, False), (1, 24, True), (1, 2, True),
                                              (-3e6, 2e6, False), (0, 1e-9, False)])
def test_marked_numbers_are_few_inside_and_even(low, high, whole):
    found = ticks(low, high, whole)
    assert 1 <= len(found) <= 6 and all(low - 1e-12 <= value <= high * (1 + 1e-12) + 1e-12 for value in found)
    assert np.diff(found) == pytest.approx(np.diff(found)[:1].repeat(max(len(found) - 1, 0)))
    assert not whole or all(value == int(value) for value in found)


def test_limits_hold_all_finite_numbers_and_are_never_equal():
    low, high = around(np.array([1.0, np.nan, 3.0]), np.array([np.inf, 2.0]), least=0.0)
    assert low == 0 and high > 3
    assert around(np.array([np.nan]))[0] < around(np.array([np.nan]))[1]
    low, high = around(np.array([2.0, 2.0]))
    assert low < 2 < high


def test_gaps_break_the_line_and_many_points_are_thinned_with_both_ends():
    y = np.array([0.1, np.nan, 0.3, 0.4])
    svg = line_chart('T', 'D', [Series('a', np.arange(4), y, dots=True)], AXES)
    path = re.search('<path d="([^"]*)" class="line s1"', svg).group(1)
    assert path.count('M') == 2 and svg.count('<circle') == 3
    many = places(line_chart('T', 'D', [Series('a', np.linspace(0, 10, 5000), np.linspace(0, 1, 5000))], AXES))
    assert len(many) <= MOST_POINTS and np.ptp(many[:, 0]) == pytest.approx(282, abs=0.2)


def test_a_figure_says_what_it_shows():
    series = [Series('<one>', np.arange(3), np.arange(3) / 3), Series('two', np.arange(3), np.arange(3) / 4, 2)]
    page = Page(line_chart('A <title>', 'described & more', series, AXES, marks=((2, 'kept'),)))
    assert all(words in page.text for words in ('A <title>', 'described & more', '<one>', 'two', 'kept', '40 %'))
    svg = next(given for tag, given in page.tags if tag == 'svg')
    assert svg['role'] == 'img'
    assert '<one>' not in line_chart('T', 'D', series[:1], AXES), 'one line needs no legend'


def test_dots_of_a_scatter():
    svg = scatter('T', 'D', (np.array([1.0, 2.0]), np.array([1.0, 3.0])), (Axis('a', 0, 4), Axis('b', 0, 4)))
    assert svg.count('<circle') == 2 and 'line s0' in svg


def test_glyphs_stay_on_their_scale():
    assert 'width="100.0"' in bar(1.7) and 'width="0.0"' in bar(-1)
    assert interval(0.5, 0.2, 0.9, 0.1).count('<line') == 3 and interval(0.5, None, None).count('<line') == 1
    assert [heat(share) for share in (0, 0.024, 0.5, 1, 2)] == ['h0', 'h0', 'h10', 'h20', 'h20']


def luminance(colour):
    """Relative luminance of sRGB 0 to 255 by WCAG 2."""
    shares = np.asarray(colour) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize('dark', [False, True])
def test_cells_of_every_depth_can_be_read(dark):
    css = STYLE.read_text()
    blocks = re.findall(r':root \{([^}]*)\}', css)
    found = dict(re.findall(r'--([a-z]+): ([^;]+);', blocks[dark]))
    colours = {name: [int(value[place:place + 2], 16) for place in (1, 3, 5)] if value[0] == '#' else
               [int(part) for part in value.split()] for name, value in found.items()}
    rules = re.findall(r'\n( *)((?:\.[huv]\d+,? ?)+)\{ color: var\(--over\); \}', css)
    over = {name for indent, names in rules if dark or not indent for name in re.findall(r'[huv]\d+', names)}
    worst = {}
    for name, kind, share in re.findall(r'\.([huv]\d+) \{ background: rgb\(var\(--(\w+)\) / ([\d.]+)\); \}', css):
        ground = (1 - float(share)) * np.array(colours['ground']) + float(share) * np.array(colours[kind])
        low, high = sorted((luminance(ground), luminance(colours['over' if name in over else 'text'])))
        worst[name] = (high + 0.05) / (low + 0.05)
    assert len(worst) == 41 and min(worst.values()) > 3.6, min(worst, key=worst.get)
