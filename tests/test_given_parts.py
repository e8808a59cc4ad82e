"""Parts that are given: by shard, by column, by file."""

import dataclasses
from collections import Counter

import pytest

from ser.config.protocol import GivenProtocol
from ser.errors import SerError
from ser.shards.index import Index
from ser.shards.protocols import make_split
from tests.test_protocols import NAMES, actors

VALUES = ('Training', 'dev', 'TEST')


def index_with(change, n=6):
    index = actors(n)
    return Index(index.shards, tuple(change(i, row) for i, row in enumerate(index.rows)), Counter(), ())


def by_column(value_of):
    return index_with(lambda i, row: dataclasses.replace(row, metadata={**row.metadata, 'fold': value_of(i)}))


def refused(index, protocol, *said):
    with pytest.raises(SerError) as error:
        make_split(index, protocol, NAMES)
    assert all(text in str(error.value) for text in said), str(error.value)


def write(path, lines):
    path.write_text('\n'.join(['key,part', *lines]) + '\n')
    return GivenProtocol(file=str(path))


def test_shards_columns_and_files_give_the_same_parts(tmp_path):
    by_shard = index_with(lambda i, row: dataclasses.replace(row, part=('train', 'valid', 'test')[i % 3]))
    first = make_split(by_shard, GivenProtocol(), NAMES)
    second = make_split(by_column(lambda i: VALUES[i % 3]), GivenProtocol(column='fold'), NAMES)
    protocol = write(tmp_path / 'p.csv',
                     [f'{row.key},{VALUES[i % 3]}' for i, row in enumerate(actors(6).rows)] + ['z,x'])
    third = make_split(actors(6), protocol, NAMES)
    assert first.digest == second.digest == third.digest
    assert first.parts['valid'].tolist() == list(range(1, 96, 3))
    assert first.speaker_disjoint is False and 'given (speaker-dependent)' in first.description
    assert 'speakers in both train and test: 6' in first.notes
    assert any('1 keys are of no clip' in note for note in third.notes)


def test_disjointness_is_found_out():
    split = make_split(by_column(lambda i: VALUES[i // 16 % 3]), GivenProtocol(column='fold'), NAMES)
    assert split.speaker_disjoint is True


def test_names_say_which_value_means_which_part():
    protocol = GivenProtocol(column='fold', names={'train': ('0',), 'valid': ('1',), 'test': ('2',)})
    split = make_split(by_column(lambda i: i % 3), protocol, NAMES)
    assert split.parts['test'].tolist() == list(range(2, 96, 3))
    twice = GivenProtocol(column='fold', names={'train': ('0',), 'valid': ('0',), 'test': ('2',)})
    refused(by_column(lambda i: i % 3), twice, 'protocol.names: a value stands for two parts')


def test_everything_that_can_be_missing(tmp_path):
    column = GivenProtocol(column='fold')
    refused(actors(), GivenProtocol(), "protocol 'given' needs parts")
    refused(actors(), GivenProtocol(column='a', file='b'), 'are both set')
    refused(actors(), column, "clip 0-neutral-0 has no 'fold' in its JSON. Keys with a value: gender")
    refused(by_column(lambda i: ('train', 'test')[i % 2]), column, 'no clip is in the valid part',
            'test is never reused')
    refused(by_column(lambda i: ('train', 'valid')[i % 2]), column, 'no clip is in the test part')
    refused(by_column(lambda i: 'other'), column, "clip 0-neutral-0 has part 'other'. Allowed: dev,")
    refused(index_with(lambda i, row: dataclasses.replace(row, part='train')), column, 'parts are given twice')
    refused(actors(), write(tmp_path / 'p.csv', ['0-neutral-0,train']), '383 of 384 clips are not in it',
            'such as 0-neutral-1')
    refused(actors(), write(tmp_path / 'p.csv', ['a,train', 'a,test']), "key 'a' is in two parts")
    refused(actors(), GivenProtocol(file=str(tmp_path / 'none.csv')), 'cannot be read')
    (tmp_path / 'p.csv').write_text('a,b\n')
    refused(actors(), GivenProtocol(file=str(tmp_path / 'p.csv')), "needs the columns 'key' and 'part'; it has a, b")
    (tmp_path / 'p.csv').write_bytes(b'key,part\n\xff,train\n')
    refused(actors(), GivenProtocol(file=str(tmp_path / 'p.csv')), 'not a UTF-8 CSV file')
