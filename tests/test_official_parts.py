"""The corpus's own split, by a key of its JSON."""

from ser.config.protocol import OfficialProtocol
from ser.shards.protocols import make_split
from tests.made_index import NAMES, clips, index_of, keys, refused

PARTS = ('Train', 'Train', 'Train', 'Development', 'Test1', 'Test2', 'Test3')


def podcast(column='split_set', parts=PARTS):
    return index_of(clips('podcast', len(parts), says=lambda number, take: {column: parts[number]}))


def test_the_parts_are_those_of_the_corpus():
    index = podcast()
    split = make_split(index, OfficialProtocol(), NAMES)
    for part, said in (('train', 'Train'), ('valid', 'Development'), ('test', 'Test1')):
        assert keys(index, split)[part] == {row.key for row in index.rows if row.metadata['split_set'] == said}
    assert split.notes == ('in no part: Test2 (16 clips), Test3 (16 clips)',)
    assert split.seed is None and split.folds is None and split.speaker_disjoint
    other = make_split(index, OfficialProtocol(test='test2'), NAMES)
    assert keys(index, other)['test'] == {row.key for row in index.rows if row.metadata['split_set'] == 'Test2'}


def test_other_columns_and_words():
    index = podcast('fold', ('a', 'b', 'c'))
    split = make_split(index, OfficialProtocol(column='fold', train='A', valid='B', test='C'), NAMES)
    assert [len(rows) for rows in split.parts.values()] == [16, 16, 16] and split.notes == ()
    numbers = podcast('fold', (0, 1, 2))
    split = make_split(numbers, OfficialProtocol(column='fold', train='0', valid='1', test='2'), NAMES)
    assert [len(rows) for rows in split.parts.values()] == [16, 16, 16]


def test_what_is_missing():
    refused(index_of(clips()), OfficialProtocol(), "needs the corpus's own split, but 96 of 96 clips have no "
            "'split_set' in their JSON, such as one-0-neutral-0")
    refused(podcast(), OfficialProtocol(test='Test4'), "protocol.test: no clip has split_set 'Test4'. Did you mean "
            "'Test3'? There are: Development (16 clips), Test1 (16 clips), Test2")
    refused(podcast(), OfficialProtocol(test='train'), "are 'Train', 'Development', 'train': one value stands for two")
