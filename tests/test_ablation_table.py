"""The table of an ablation: rank by validation alone, unfinished and failed variants, what is said beside it."""

from ser.evaluation.ablation_table import (
    COLUMNS,
    DONE,
    FAILED,
    Variant,
    ablation_card,
    csv_rows,
    ranked,
    summary_line,
    table_rows,
)

METRICS = {'ua': 0.5, 'ua_interval': [0.4, 0.6], 'wa': 0.55, 'interval_method': 'two-stage bootstrap', 'chance': 0.25,
           'covers_new_speakers': True, 'protocol': 'speaker: 3/1/1 speakers', 'notes': ['a note']}


def done(name, valid_ua, valid_loss, ua=0.5):
    return Variant(name, DONE, None, valid_ua, valid_loss, 3, 5, 123.4, 60.0, 19308, 0.0345, {**METRICS, 'ua': ua})


VARIANTS = [Variant('later'), done('low', 0.3, 1.0, ua=0.9), done('tied-worse', 0.4, 1.5),
            done('tied-better', 0.4, 1.2), Variant('broken', FAILED, 'out of | memory')]


def test_rank_is_by_validation_then_loss_and_never_by_test():
    assert [(rank, one.name) for rank, one in ranked(VARIANTS)] == [
        (1, 'tied-better'), (2, 'tied-worse'), (3, 'low'), (None, 'later'), (None, 'broken')]
    assert ranked([]) == []


def test_csv_has_a_row_for_each_variant():
    header, *rows = csv_rows(VARIANTS)
    assert tuple(header) == COLUMNS and len(rows) == 5
    assert rows[0] == [1, 'tied-better', 0.4, 1.2, 0.5, 0.4, 0.6, 0.55, 19308, 0.0345, 123.4, 60.0, 3, 5, 'done', '']
    assert rows[3] == ['', 'later', *[''] * 12, 'waiting', ''] and rows[4][-2:] == ['failed', 'out of | memory']
    assert table_rows(VARIANTS)[4]['reason'] == 'out of | memory' and table_rows(VARIANTS)[4]['test_ua'] is None


def test_the_card_says_what_the_numbers_are():
    card = ablation_card(VARIANTS, 'maxmvit-tiny', [['low', 'tied-worse']])
    assert '5 variants of `maxmvit-tiny`, all with one seed' in card
    assert ('| 1 | tied-better | 40.0 % | 1.2000 | 50.0 % [40.0, 60.0] | 55.0 % | 19,308 | 0.0345 | 123 | 60.0 | '
            '3 of 5 | done |') in card
    assert 'never ranked on' in card and 'without the front end' in card and 'Chance: 25.0 %' in card
    assert 'One config under these settings: low, tied-worse.' in card
    assert '1 variant not trained yet: the same command carries on' in card
    assert '## Failed' in card and '- broken: out of | memory' in card and card.count('- a note') == 1
    assert card.index('tied-worse') < card.index('low |')


def test_a_card_of_nothing_done_yet_is_whole():
    card = ablation_card([Variant('a'), Variant('b')], 'base')
    assert '2 variants not trained yet' in card and '## Protocol' not in card and '## Failed' not in card


def test_lines_for_a_terminal():
    assert summary_line(VARIANTS[1]) == 'low: validation UA 30.0 % (epoch 3), test UA 90.0 % [40.0, 60.0], 60.0 s'
    assert summary_line(VARIANTS[4]) == 'broken: failed, out of | memory'
    assert summary_line(VARIANTS[0]) == 'later: waiting'
