"""A comparison in words: tables for a terminal or in Markdown, one for each test part."""

from ser.evaluation.summary import audience
from ser.evaluation.tables import markdown_table, mean_of, percent_with_interval, rounded, text_table

SPEAKERS = {True: 'unseen', False: 'in training too', None: 'unknown'}
"""What is said of test speakers, by `speaker_disjoint`."""
_HEADER = ('run', 'UA', 'WA', 'UA difference', 'WA difference', 'better in', 'test speakers', 'leaks')
_ALIGN = 'lrrrrrll'
_SYSTEM_HEADER = ('run', 'system', 'parameters', 'GMAC a clip', 'clips/s', 'UA', 'protocol', 'test speakers')
_SYSTEM_ALIGN = 'llrrrrll'
SYSTEM_NOTE = ('parameters and GMAC (1e9 multiply-accumulates of the network for one clip, without the front end) are '
                'of one model (0 parameters: fitted at once, nothing learns by steps); clips/s of training, each on '
                'the machine that trained it')


def comparison_lines(facts, markdown=False):
    """Lines of a `compare.compare` dict: systems where it has them, a block per test part, what is unpaired."""
    lines = _system_blocks(facts['systems'], markdown) if 'systems' in facts else []
    for group in _groups([one for one in facts['comparisons'] if one['paired']]):
        lines += _paired_block(group, markdown)
    for one in facts['comparisons']:
        if not one['paired']:
            lines += _unpaired_block(one, markdown)
    lines += _listed(facts['notes'], markdown)
    return lines[:-1] if lines[-1] == '' else lines


def _system_blocks(systems, markdown):
    """A table of the systems for each test part, and how its columns were made."""
    lines = []
    for rows in by_test(systems):
        cells = [(named(row), row['system'] or 'n/a', rounded(row['parameters']), rounded(row['gmac']),
                  rounded(row['clips_per_second']), percent_with_interval(row['ua'], row['ua_interval']),
                  row['protocol_kind'], SPEAKERS[row['speaker_disjoint']]) for row in rows]
        table = (markdown_table if markdown else text_table)(_SYSTEM_HEADER, cells, _SYSTEM_ALIGN)
        lines += [f'systems tested on {audience(rows[0])}', '', *table, '']
    return lines + _listed([SYSTEM_NOTE], markdown)


def by_test(rows):
    """Rows of a `compare.compare` dict, a list for each test part and protocol: those may stand in one column."""
    tests = {}
    for row in rows:
        tests.setdefault((row['clips_sha256'], row['protocol_kind'], row['speaker_disjoint']), []).append(row)
    return list(tests.values())


def _groups(comparisons):
    """Comparisons whose scores stand in one column: those where the first run has the same scores."""
    groups = []
    for one in comparisons:
        for group in groups:
            if group[0]['first'] == one['first']:
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _paired_block(group, markdown):
    first = group[0]['first']
    rows = [_cells(first)]
    rows += [_cells(one['other'], _points(one['ua']), _points(one['wa']), _better(one)) for one in group]
    table = (markdown_table if markdown else text_table)(_HEADER, rows, _ALIGN)
    protocols = dict.fromkeys(f"{row['run']}: {row['protocol']}" for row in (first, *(one['other'] for one in group)))
    lines = [f'the same test part: {audience(first)}; differences are to {first["run"]}', '', *table, '',
             *_listed(protocols, markdown)]
    for one in group:
        lines += _verdict(one, markdown)
    return lines


def _unpaired_block(one, markdown):
    heading = f"NOT THE SAME TEST: {one['why_unpaired']}. Each score is of its own test; they belong in no one column"
    lines = [f'**{heading}**' if markdown else heading, '']
    for row in (one['first'], one['other']):
        table = (markdown_table if markdown else text_table)(
            ('run', 'UA', 'WA', 'test speakers', 'leaks'), [[*_cells(row)[:3], *_cells(row)[-2:]]], 'lrrll')
        lines += [f"{row['protocol']} ({audience(row)})", '', *table, '']
    return lines + _verdict(one, markdown)


def _cells(row, ua='', wa='', better=''):
    leaks = f"{len(row['leaks'])}, see below" if row['leaks'] else 'none noted'
    return (named(row), percent_with_interval(row['ua'], row['ua_interval']),
            percent_with_interval(row['wa'], row['wa_interval']), ua, wa, better, SPEAKERS[row['speaker_disjoint']],
            leaks)


def named(row):
    """A row's name, with what it is the mean of."""
    if row['members']:
        return f"{row['run']} ({mean_of(len(row['members']))})"
    return f"{row['run']} (mean of {len(row['seeds'])} seeds)" if row['seeds'] else row['run']


def _points(change):
    low, high = (100 * edge for edge in change['interval'])
    return f"{100 * change['difference']:+.1f} [{low:.1f}, {high:.1f}]"


def _better(one):
    """In which share of the resamples the other run is better; nothing to share out where they never differ."""
    if one['ua']['difference'] == 0 and tuple(one['ua']['interval']) == (0, 0):
        return 'none: equal'
    return f"{100 * one['other_better']:.1f} %"


def _verdict(one, markdown):
    """The verdict of one comparison, McNemar's test, and what to know."""
    said = f"{one['other']['run']} against {one['first']['run']}, UA: {one['verdict']}"
    notes = [f"how: {one['method']}"]
    test = one['mcnemar']
    if test:
        p = f"p = {test['p']:.3f}" if test['p'] >= 0.001 else 'p < 0.001'
        notes.append(f"McNemar, exact: {test['only_first_right']} clips right in {one['first']['run']} alone, "
                     f"{test['only_other_right']} in {one['other']['run']} alone, {p}. {test['caution']}")
    return [f'**{said}**' if markdown else said, *([''] if markdown else []), *_listed(notes + one['notes'], markdown)]


def _listed(notes, markdown):
    return [*(f'- {note}' if markdown else f'  {note}' for note in notes), ''] if notes else []
