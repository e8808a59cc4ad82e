"""The matrix as text: rows of the CSV, the card, its caveats and notes."""

from types import SimpleNamespace

from ser.evaluation.matrix_table import COLUMNS, cell_card, csv_rows, matrix_card, summary_line, table_row
from ser.inference.matrix_cells import DONE, FAILED, Cell

METRICS = {'ua': 0.5, 'ua_interval': [0.4, 0.6], 'wa': 0.55, 'macro_f1': 0.45, 'n': 30, 'n_speakers': 6,
           'chance': 0.5, 'covers_new_speakers': True, 'protocol': 'speaker', 'speaker_disjoint': True,
           'synthetic': False, 'notes': [],
           'interval_method': 'two-stage bootstrap'}
CONFIDENCE = {'temperature': 1.5, 'threshold': 0.4, 'risk': 0.25,
              'test': {'before': {'ece': 0.123, 'ece_interval': [0.1, 0.2]},
                       'after': {'ece': 0.07, 'ece_interval': [0.05, 0.15]}, 'coverage': 0.6, 'risk': 0.3}}
PLAN = SimpleNamespace(protocol='cross', names=('happy', 'sad'), sets={'a': None, 'b': None},
                       rows=(SimpleNamespace(name='a'), SimpleNamespace(name='b')))


def cell(train, test, **changes):
    return Cell(train, test, train == test, DONE, {**METRICS, **changes}, 1.5)


def cells():
    return [cell('a', 'a'), cell('a', 'b', ua=0.61, speaker_disjoint=False, notes=['LEAK: 3 of 4 clips', 'a note'],
                                 ua_interval=[0.5, 0.7]),
            Cell('b', 'a', False, FAILED, reason='no | memory'), Cell('b', 'b', True)]


def test_a_row_of_the_csv_for_every_cell():
    header, *rows = csv_rows(cells(), PLAN.names)
    assert tuple(header) == COLUMNS
    assert rows[0] == ['a', 'a', 'true', 30, 6, 0.5, 0.4, 0.6, 0.55, 0.45, 0.5, 2, 'speaker', 'true', *[''] * 9, 1.5,
                       'done']
    assert rows[2] == ['b', 'a', 'false', *[''] * 8, 2, *[''] * 12, 'failed'] and rows[3][-1] == 'waiting'
    unknown = table_row(cell('a', 'b', speaker_disjoint=None), PLAN.names)
    assert unknown['speaker_disjoint'] is None and csv_rows([cell('a', 'b', speaker_disjoint=None)], 'ab')[1][13] == ''


def test_what_the_rows_calibration_does_to_a_cell():
    found = table_row(cell('a', 'b', calibration=CONFIDENCE), PLAN.names)
    assert [found[name] for name in COLUMNS[14:23]] == [1.5, 0.123, 0.1, 0.2, 0.07, 0.05, 0.15, 0.6, 0.3]
    card = matrix_card(PLAN, [cell('a', 'a', calibration=CONFIDENCE), cell('a', 'b', calibration=CONFIDENCE),
                              cell('b', 'a'), Cell('b', 'b', True, FAILED, reason='why')], {})
    shift = card.split('## Calibration under shift')[1]
    assert '| a | **12.3 → 7.0** | 12.3 → 7.0 |' in shift and '| b | n/a | failed |' in shift
    assert 'Calibration under shift' not in matrix_card(PLAN, cells(), {})


def test_the_card_marks_domains_doubts_and_failures():
    card = matrix_card(PLAN, cells(), {})
    assert '| a | **50.0 [40.0, 60.0]** | 61.0 [50.0, 70.0] (!) |' in card and '| b | failed | waiting |' in card
    assert '2 classes: happy, sad. Chance is 50.0 %' in card and '- Bold: in the domain' in card
    assert '(!): tested clips or speakers were heard' in card and 'Intervals: two-stage bootstrap.' in card
    assert '1 cell not made yet: the same command carries on' in card and '- b → a: no | memory' in card
    assert card.index('- LEAK: 3 of 4 clips (a → b)') < card.index('- a note (a → b)')
    assert 'Synthetic' not in card and 'lack a class' not in card


def test_what_only_some_matrices_need_is_said_there_alone():
    odd = [cell('a', 'a', synthetic=True), cell('a', 'b', chance=1.0), cell('b', 'a'), cell('b', 'b')]
    card = matrix_card(PLAN, odd, {})
    assert 'Synthetic speech' in card and 'Some tested clips lack a class' in card
    assert '## Failed' not in card and '## Notes' not in card and 'not made yet' not in card and '(!)' not in card


def test_a_failed_training_is_told_once_and_a_note_with_its_cells():
    failed = [Cell('a', test, False, FAILED, reason='training failed: x') for test in 'ab']
    card = matrix_card(PLAN, [*failed, cell('b', 'a', notes=['n']), cell('b', 'b', notes=['n'])], {'a': 'x'})
    assert card.count('training of a: x') == 1 and 'a → a' not in card and '- n (b → a, b → b)' in card
    wide = SimpleNamespace(protocol='cross', names=('x', 'y'), sets=dict.fromkeys('abcdefgh'),
                           rows=(SimpleNamespace(name='a'),))
    card = matrix_card(wide, [cell('a', test, notes=['n']) for test in wide.sets], {})
    assert 'a → f and 2 more)' in card


def test_lines_for_a_terminal():
    assert summary_line(cell('a', 'a')) == 'a → a: UA 50.0 % [40.0, 60.0], own test speakers: 30; chance 50.0 %'
    assert summary_line(Cell('b', 'a', False, FAILED, reason='why')) == 'b → a: failed, why'
    assert summary_line(Cell('b', 'a', False)) == 'b → a: waiting'


def test_a_cell_has_a_card_of_its_own():
    scores = {'precision': 0.5, 'recall': 0.5, 'f1': 0.5, 'support': 15}
    metrics = METRICS | {'wa_interval': [0.4, 0.6], 'weighted_f1': 0.5, 'log_loss': 1.0, 'excludes_chance': False,
                         'per_class': {'happy': scores, 'sad': scores}, 'protocol_kind': 'speaker', 'best_epoch': 2}
    card = cell_card(metrics, 'a', 'b')
    assert card.startswith('# a on b\n') and '| happy | 50.0 % |' in card and '## Protocol' in card


def test_an_interval_that_does_not_cover_new_speakers_is_marked_and_explained():
    cells = [cell('a', 'a', covers_new_speakers=False), cell('a', 'b'), cell('b', 'a'), cell('b', 'b')]
    text = matrix_card(PLAN, cells, {})
    assert '**50.0 [40.0, 60.0]\\*** |' in text and text.count('\\*') == 2
    assert '- \\*: too few speakers were tested to resample them' in text
