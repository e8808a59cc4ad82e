"""Comparisons as text and as Markdown: one table for each test part."""

from ser.evaluation.compare_words import comparison_lines


def row(name, **changes):
    return {'run': name, 'seeds': [], 'members': [], 'protocol': 'speaker: 8 + 2 + 6', 'speaker_disjoint': True,
            'leaks': [], 'n': 120, 'n_speakers': 6, 'clips_sha256': 'x', 'ua': 0.6, 'ua_interval': [0.5, 0.7],
            'wa': 0.61, 'wa_interval': [0.51, 0.71]} | changes


def comparison(first, other, **changes):
    return {'paired': True, 'why_unpaired': None, 'first': first, 'other': other,
            'ua': {'difference': 0.031, 'interval': [0.008, 0.054]},
            'wa': {'difference': 0.02, 'interval': [-0.01, 0.05]}, 'other_better': 0.991,
            'mcnemar': {'only_first_right': 3, 'only_other_right': 8, 'p': 0.227, 'caution': 'Careful'},
            'verdict': 'B is better: +3.1 points [0.8, 5.4]', 'method': 'paired', 'notes': ['a note']} | changes


def test_a_pair_in_full():
    lines = comparison_lines({'comparisons': [comparison(row('A'), row('B', seeds=[1, 2]))], 'notes': []})
    assert lines[0] == 'the same test part: 6 unseen speakers, 120 clips; differences are to A'
    assert lines[2].split('  ')[0] == 'run' and lines[4].startswith('A ') and lines[5].startswith('B (mean of 2 seeds)')
    assert '+3.1 [0.8, 5.4]' in lines[5] and '+2.0 [-1.0, 5.0]' in lines[5] and '99.1 %' in lines[5]
    assert 'unseen         none noted' in lines[5]
    assert lines[10:] == ['B against A, UA: B is better: +3.1 points [0.8, 5.4]', '  how: paired',
                          '  McNemar, exact: 3 clips right in A alone, 8 in B alone, p = 0.227. Careful', '  a note']


def test_equal_runs_have_no_better_share():
    pair = comparison(row('a'), row('b'))
    pair['ua'] = {'difference': 0.0, 'interval': [0.0, 0.0]}
    pair['other_better'] = 0.5
    text = '\n'.join(comparison_lines({'comparisons': [pair], 'notes': []}))
    assert 'none: equal' in text and '50.0 %' not in text


def test_scores_of_other_clips_are_another_table():
    first, part = row('A'), row('A', n=60, clips_sha256='y')
    facts = {'comparisons': [comparison(first, row('B')), comparison(first, row('C')), comparison(part, row('D'))],
             'notes': ['3 comparisons']}
    lines = comparison_lines(facts)
    heads = [line for line in lines if line.startswith('the same test part')]
    assert len(heads) == 2 and '120 clips' in heads[0] and '60 clips' in heads[1]
    assert lines[-1] == '  3 comparisons'


def test_what_is_no_pair_stands_under_its_own_protocol():
    other = row('B', protocol='utterance', speaker_disjoint=False, leaks=['leak: 3'])
    one = comparison(row('A'), other, paired=False, why_unpaired='the protocols differ', mcnemar=None)
    lines = comparison_lines({'comparisons': [one], 'notes': []}, markdown=True)
    assert lines[0].startswith('**NOT THE SAME TEST: the protocols differ. Each score is of its own test')
    assert 'speaker: 8 + 2 + 6 (6 unseen speakers, 120 clips)' in lines
    assert 'utterance (6 speakers, 120 clips, speaker-dependent)' in lines
    assert sum(line.startswith('| run |') for line in lines) == 2
    assert any(line.startswith('| B |') and line.endswith('| in training too | 1, see below |') for line in lines)
    assert not any('McNemar' in line for line in lines)


def test_a_tiny_p_is_not_printed_as_zero():
    test = {'only_first_right': 0, 'only_other_right': 40, 'p': 1e-9, 'caution': ''}
    lines = comparison_lines({'comparisons': [comparison(row('A'), row('B'), mcnemar=test)], 'notes': []})
    assert any('p < 0.001' in line for line in lines)


def system(name, **changes):
    return row(name, protocol_kind='speaker') | {'system': 'crnn', 'parameters': 263000, 'gmac': 0.0412,
                                                 'clips_per_second': 151.26, 'seconds': 9.0, 'runs': 1} | changes


def test_systems_stand_in_one_table_for_each_test():
    systems = [system('A'), system('B', seeds=[1, 2], ua=0.7), system('C', clips_sha256='y', n=60),
               system('D', members=['A', 'B'], system=None, parameters=None, gmac=None, clips_per_second=None)]
    facts = {'systems': systems, 'comparisons': [comparison(row('A'), row('B'))], 'notes': []}
    lines = comparison_lines(facts)
    assert lines[0] == 'systems tested on 6 unseen speakers, 120 clips'
    assert lines[2].split() == ['run', 'system', 'parameters', 'GMAC', 'a', 'clip', 'clips/s', 'UA', 'protocol', 'test',
                                'speakers']
    assert lines[4].split()[:8] == ['A', 'crnn', '263,000', '0.0412', '151', '60.0', '%', '[50.0,']
    assert lines[5].startswith('B (mean of 2 seeds)') and ' 70.0 % ' in lines[5]
    assert lines[6].startswith('D (mean of the probabilities of 2 runs)  n/a') and lines[6].count('n/a') == 4
    assert lines[8] == 'systems tested on 6 unseen speakers, 60 clips' and lines[12].startswith('C ')
    assert 'of one model' in lines[14] and lines[16].startswith('the same test part')
    assert any(line.startswith('| A | crnn | 263,000 |') for line in comparison_lines(facts, markdown=True))
