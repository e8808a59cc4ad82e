"""Sets, rows and classes of a matrix."""

import pytest

from ser.config.data import DataConfig
from ser.errors import SerError
from ser.inference.matrix_plan import make_plan, matrix_rows, parse_sets
from tests.shard_factory import sample, write_tar
from tests.tiny_corpora import BOTH, make_corpus, two_corpora


def test_sets_are_named_in_natural_order_and_may_have_several_entries():
    assert parse_sets(['b10=x', 'b2=y', 'a=z', 'b2=w']) == {'a': ('z',), 'b2': ('y', 'w'), 'b10': ('x',)}
    assert parse_sets(['a=b=c.tar', 'd=e']) == {'a': ('./b=c.tar',), 'd': ('e',)}


@pytest.mark.parametrize(('texts', 'message'), [
    (['a=x'], 'at least two sets of shards, a given'), (['a=x', 'a=y'], 'at least two sets'),
    (['a=x', 'y'], "--shards 'y': has no name"), (['a=x', 'b/c=y'], 'has no name'),
    (['a+b=x', 'c=y'], "no '+' and no '--'"), (['a--b=x', 'c=y'], "no '+' and no '--'")])
def test_sets_that_are_no_sets_are_refused(texts, message):
    with pytest.raises(SerError) as error:
        parse_sets(texts)
    assert message in str(error.value)


def test_rows_are_every_combination_or_every_corpus_left_out():
    def rows(protocol, size):
        return [(row.name, row.train) for row in matrix_rows(('a', 'b', 'c'), protocol, size)]

    assert rows('cross', 1) == [('a', ('a',)), ('b', ('b',)), ('c', ('c',))]
    assert rows('cross', 2) == [('a+b', ('a', 'b')), ('a+c', ('a', 'c')), ('b+c', ('b', 'c'))]
    assert rows('cross', 3) == [('a+b+c', ('a', 'b', 'c'))]
    assert rows('leave-one-corpus-out', 2) == [('without-a', ('b', 'c')), ('without-b', ('a', 'c')),
                                               ('without-c', ('a', 'b'))]


def test_rows_out_of_range_or_with_names_too_long_are_refused():
    for size in (0, 3):
        with pytest.raises(SerError, match=f'--combinations {size}: a row is trained on 1 to 2 of the 2 sets'):
            matrix_rows(('a', 'b'), 'cross', size)
    with pytest.raises(SerError, match='too long for a folder'):
        matrix_rows(('a' * 120, 'b' * 90), 'cross', 1)


def test_all_cells_share_the_classes_that_every_set_has(tmp_path):
    plan = make_plan(two_corpora(tmp_path), DataConfig())
    assert plan.names == BOTH and list(plan.sets) == ['one', 'two']
    data = plan.row_data(plan.rows[1], DataConfig())
    assert data.labels == BOTH and data.shards == plan.sets['two'].entries and data.merge == {} and data.drop == ()
    assert all(key.startswith('two-') for key in plan.sets['two'].keys) and len(plan.sets['two'].keys) == 48


def test_sets_keep_their_names_where_clips_do_not_say_their_corpus(tmp_path):
    shards = two_corpora(tmp_path)
    assert [one.entries for one in make_plan(shards, DataConfig()).sets.values()] == [
        (shards[0].removeprefix('one='),), (shards[1].removeprefix('two='),)]
    nameless = tmp_path / 'nameless'
    write_tar(nameless / 'x.tar', [member for number, emotion in enumerate(BOTH)
                                   for member in sample(f'x{number}', number, corpus=None, emotion=emotion)])
    plan = make_plan([*shards, f'other={nameless}'], DataConfig())
    assert [one.entries for one in plan.sets.values()] == [(shards[0],), (f'other={nameless}',), (shards[1],)]
    assert {row.corpus for row in plan.sets['other'].index.rows} == {'other'}


def test_labels_that_are_named_merged_or_dropped_are_so_in_every_row(tmp_path):
    shards = two_corpora(tmp_path)
    data = DataConfig(merge={'sad': 'low', 'boredom': 'low'}, drop=('neutral',))
    plan = make_plan(shards, data)
    assert plan.names == ('happy', 'angry', 'low')
    row = plan.row_data(plan.rows[0], data)
    # Both labels are of the vocabulary, so each row may name both.
    assert row.merge == {'sad': 'low', 'boredom': 'low'} and row.labels == plan.names
    assert make_plan(shards, DataConfig(labels=('angry', 'happy'))).names == ('angry', 'happy')
    mapped = DataConfig(labels={'neutral': 'calm', 'happy': 'up', 'angry': 'up', 'sad': None, 'boredom': None})
    plan = make_plan(shards, mapped)
    assert plan.names == ('calm', 'up') and plan.row_data(plan.rows[0], mapped).merge == {
        'neutral': 'calm', 'happy': 'up', 'angry': 'up'}


def test_a_label_that_a_row_cannot_know_is_not_named_to_it(tmp_path):
    shards = [f"a={make_corpus(tmp_path / 'a', 'a', ('happy', 'freude', 'sad'))}",
              f"b={make_corpus(tmp_path / 'b', 'b', ('happy', 'sad'), first_tone=99)}"]
    data = DataConfig(merge={'freude': 'happy'})
    plan = make_plan(shards, data)
    assert plan.names == ('happy', 'sad')
    assert [plan.row_data(row, data).merge for row in plan.rows] == [{'freude': 'happy'}, {}]


def test_classes_that_a_set_lacks_are_refused(tmp_path):
    shards = two_corpora(tmp_path)
    with pytest.raises(SerError, match="set 'two' has no clip of class sad"):
        make_plan(shards, DataConfig(labels='four'))
    with pytest.raises(SerError, match="set 'one' has no clip of class boredom"):
        make_plan(shards, DataConfig(labels=('happy', 'angry', 'boredom')))
