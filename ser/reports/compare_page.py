"""The page of a comparison: runs side by side, how sure their difference is, and where it lies."""

from dataclasses import replace
from pathlib import Path

from ser.evaluation.compare import compare
from ser.evaluation.compare_words import SPEAKERS, SYSTEM_NOTE, by_test, named
from ser.evaluation.folders import without_folders
from ser.evaluation.sides import read_side, with_names
from ser.evaluation.summary import audience
from ser.evaluation.tables import percent, rounded
from ser.reports.charts import interval
from ser.reports.compare_sections import answers_section, calibration_section, class_section, confusion_section
from ser.reports.html import (
    Section,
    Value,
    anchor,
    document,
    element,
    listed,
    paragraph,
    pointer,
    table,
    together,
    unseen,
)
from ser.reports.page import style

FACTS = 'comparison'
"""What `data-of` calls the facts of a comparison, as ser compare --json writes them."""

_SCORE_HEADER = ('run', 'UA', unseen('UA, interval'), unseen('UA, drawn'), 'WA', unseen('WA, interval'),
                 'test speakers', 'leaks')
_DIFFERENCE_HEADER = ('run', 'UA', unseen('UA, interval'), 'WA', unseen('WA, interval'), 'better in', 'McNemar p',
                      'paired')
_COST_HEADER = ('run', 'system', 'parameters', 'GMAC a clip', 'clips/s', 'UA', unseen('UA, interval'))


def comparison_page(paths, facts=None):
    """The page of two runs or more, the first against each of the others, as text.

    facts: what `compare.compare` says of them, with `systems` what each costs too; None makes it. Raises SerError as
    there.
    """
    facts = without_folders(compare(paths) if facts is None else facts)
    sides = [read_side(Path(path)) for path in paths]
    names = sides[0].names
    sides = [replace(side, repeats=tuple(with_names(part, names) for part in side.repeats)) for side in sides]
    labels = [facts['first'], *(one['other']['run'] for one in facts['comparisons'])]
    several = len(sides) > 2
    sections = [_verdict_section(facts), _score_section(facts), _difference_section(facts)]
    if 'systems' in facts:
        sections.append(_cost_section(facts['systems']))
    for place, (one, other) in enumerate(zip(facts['comparisons'], sides[1:], strict=True)):
        pair = (sides[0], other)
        if one['paired']:
            common = sorted(pair[0].keys & pair[1].keys)
            pair = tuple(side.taken(common) for side in pair)
        called = (labels[0], labels[place + 1])
        after = f': {called[1]}' if several else ''
        sections += [class_section(pair, called, f'Classes{after}'),
                     confusion_section(pair, called, f'Confusion{after}')]
        if one['paired']:
            sections.append(answers_section(pair, called, f'Answers clip by clip{after}'))
    sections.append(calibration_section(sides, labels))
    head = together(paragraph('Comparison of runs', class_='label'), element('h1', ' against '.join(
        [labels[0], ', '.join(labels[1:])])), paragraph(f"{len(names)} classes: {', '.join(names)}."))
    return document(f"{labels[0]} against {', '.join(labels[1:])}", head, list(_told_apart(sections)), style(),
                    'One file of {size}; it loads nothing and runs no script. Every number carries its full digits '
                    'and where it comes from (value and data-of of its element). Made by ser compare --page.')


def _told_apart(sections):
    """Sections whose titles have distinct anchors: two runs may be called alike, but for their signs."""
    seen = {}
    for one in sections:
        place = anchor(one.title)
        seen[place] = seen.get(place, 0) + 1
        yield one if seen[place] == 1 else replace(one, title=f'{one.title} ({seen[place]})')


def _verdict_section(facts):
    said, doubts = [], []
    for one in facts['comparisons']:
        said.append(f"{one['other']['run']} against {one['first']['run']}, UA: {one['verdict']}")
        if not one['paired']:
            doubts.append(f"{one['other']['run']} is not on the same test: {one['why_unpaired']}. Each score is of its "
                          'own test; they belong in no one column')
        doubts += one['notes']
    doubts = listed([*dict.fromkeys(doubts), *facts['notes']])
    return Section('Verdict', (
        element('aside', element('h3', 'Know this first'), doubts, class_='warning') if doubts else None,
        *(paragraph(text, '.', class_='lead') for text in said),
        paragraph('Points are percentage points of UA, the other run less the first, with an interval. Where that '
                  'holds zero, this test cannot tell the two apart.')))


def _score_section(facts):
    tests = {}
    shown = [(facts['comparisons'][0]['first'], ('comparisons', 0, 'first'))]
    for place, one in enumerate(facts['comparisons']):
        if place and one['first'] != shown[0][0]:
            shown.append((one['first'], ('comparisons', place, 'first')))
        shown.append((one['other'], ('comparisons', place, 'other')))
    for row, way in shown:
        tests.setdefault((row['clips_sha256'], row['protocol_kind'], row['speaker_disjoint']), []).append((row, way))
    tables = []
    for group in tests.values():
        rows = [_score_row(row, way) for row, way in group]
        tables.append(table(f'Tested on {audience(group[0][0])}',
                            _SCORE_HEADER, rows, 'lrllrlll'))
        tables += [paragraph(text, class_='note') for text in _protocols([row for row, _ in group])]
    return Section('Scores', tuple(tables))


def _protocols(rows):
    """The protocol of each row in words, once where it is that of all."""
    said = {row['run']: row['protocol'] for row in rows}
    if len(said) > 1 and len(set(said.values())) == 1:
        return [f"All: {rows[0]['protocol']}"]
    return [f'{run}: {protocol}' for run, protocol in said.items()]


def _score_row(row, way):
    cells = [named(row)]
    for name in ('ua', 'wa'):
        low, high = row[f'{name}_interval']
        cells += [_of(percent(row[name]), row[name], *way, name), f'[{100 * low:.1f}, {100 * high:.1f}]']
        cells += [interval(row[name], low, high)] if name == 'ua' else []
    return (*cells, SPEAKERS[row['speaker_disjoint']], str(len(row['leaks'])) if row['leaks'] else 'none noted')


def _of(text, value, *way):
    return Value(text, value, pointer(FACTS, *way))


def _cost_section(systems):
    """A table of what each system is and costs, for each test part."""
    tables = [table(f'Tested on {audience(rows[0])}, protocol {rows[0]["protocol_kind"]}', _COST_HEADER,
                    [_cost_row(row, ('systems', systems.index(row))) for row in rows], 'llrrrrl')
              for rows in by_test(systems)]
    return Section('Costs', (*tables, paragraph(f'{SYSTEM_NOTE[0].upper()}{SYSTEM_NOTE[1:]}.', class_='note')))


def _cost_row(row, way):
    low, high = row['ua_interval']
    costs = [_of(rounded(row[name]), row[name], *way, name) for name in ('parameters', 'gmac', 'clips_per_second')]
    return (named(row), row['system'] or 'n/a', *costs, _of(percent(row['ua']), row['ua'], *way, 'ua'),
            f'[{100 * low:.1f}, {100 * high:.1f}]')


def _difference_section(facts):
    rows, notes = [], []
    for place, one in enumerate(facts['comparisons']):
        way, cells = ('comparisons', place), []
        for name in ('ua', 'wa'):
            low, high = one[name]['interval']
            value = one[name]['difference']
            cells += [_of(f'{100 * value:+.1f}', value, *way, name, 'difference'),
                      f'[{100 * low:.1f}, {100 * high:.1f}]']
        test = one['mcnemar']
        p = '' if test is None else _of(f"{test['p']:.3f}" if test['p'] >= 0.001 else '< 0.001', test['p'], *way,
                                        'mcnemar', 'p')
        equal = one['ua']['difference'] == 0 and tuple(one['ua']['interval']) == (0, 0)
        better = 'none: equal' if equal else _of(percent(one['other_better']), one['other_better'], *way,
                                                 'other_better')
        rows.append((one['other']['run'], *cells, better, p, 'yes' if one['paired'] else 'no'))
        notes.append(one['method'] if test is None else f"{one['method']}. {test['caution']}")
    return Section('Differences', (
        table(f"Points of difference to {facts['first']}", _DIFFERENCE_HEADER, rows, 'lrlrlrrl'),
        paragraph('"better in": the share of resamples where its UA is the higher one.', class_='note'),
        listed(dict.fromkeys(notes))))
