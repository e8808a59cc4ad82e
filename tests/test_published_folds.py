"""EmoBox's folds: those known by heart, and those of a checkout."""

import json

import pytest

from ser.config.protocol import EmoboxProtocol
from ser.shards.protocols import fold_count, fold_names, make_split
from tests.made_index import NAMES, clips, index_of, keys, refused, values

# As published: test actors of fold 1 to 6.
ACTORS = [{1, 11, 20, 21}, {4, 10, 12, 14}, {8, 9, 19, 23}, {3, 5, 7, 24}, {2, 15, 16, 18}, {6, 13, 17, 22}]
DRAWN = "validation is drawn by speaker from EmoBox's training part, not by clip as EmoBox does"


def ravdess(speakers=24):
    return index_of(clips('ravdess', speakers, each=2))


def written(folder, corpus, folds):
    """A checkout with lists. folds: one dict part -> [(key, wav)] for each fold."""
    for number, parts in enumerate(folds, start=1):
        place = folder / 'data' / corpus / f'fold_{number}'
        place.mkdir(parents=True)
        for part, pairs in parts.items():
            lines = [json.dumps({'key': key, 'dataset': corpus, 'wav': wav, 'emo': 'x'}) for key, wav in pairs]
            (place / f'{corpus}_{part}_fold_{number}.jsonl').write_text('\n'.join(lines) + '\n')
    return str(folder)


def pair(row):
    """The entry of a Row in EmoBox's lists."""
    name = row.key.partition('-')[2]
    return f'cremad-{name}', f'downloads/cremad/AudioWAV/{name}.wav'


def checkout(folder, rows, parts_of=lambda i: 'test' if i % 4 == 0 else 'train'):
    fold = {'train': [], 'test': []}
    for i, row in enumerate(rows):
        fold.setdefault(parts_of(i), []).append(pair(row))
    return written(folder, 'cremad', [fold])


def test_ravdess_is_folded_by_its_actors():
    index = ravdess()
    assert fold_count(index, EmoboxProtocol(), NAMES) == 6
    for fold, actors in enumerate(ACTORS, start=1):
        split = make_split(index, EmoboxProtocol(fold=fold), NAMES)
        speakers = values(index, split, lambda row: int(row.speaker))
        assert speakers['test'] == actors and len(speakers['valid']) == 4 and len(speakers['train']) == 16
        assert split.speaker_disjoint and split.notes == (DRAWN,)
        assert fold_names(index, EmoboxProtocol(), NAMES)[fold - 1] == f'actors {str(sorted(actors))[1:-1]}'
    assert set().union(*ACTORS) == set(range(1, 25)) and sum(map(len, ACTORS)) == 24


def test_iemocap_is_folded_by_its_sessions():
    index = index_of(clips('IEMOCAP', 10, says=lambda number, take: {'session': f'Session{number // 2 + 1}'}))
    assert fold_names(index, EmoboxProtocol(), NAMES) == tuple(f'session {i}' for i in range(1, 6))
    split = make_split(index, EmoboxProtocol(fold=5), NAMES)
    assert values(index, split, lambda row: row.metadata['session'])['test'] == {'Session5'} and split.speaker_disjoint


def test_a_part_of_the_corpus_and_what_is_none_of_it():
    split = make_split(ravdess(20), EmoboxProtocol(), NAMES)
    assert 'of the fold the shards lack actors 21' in split.notes
    refused(ravdess(3), EmoboxProtocol(fold=6), 'the test part is empty')
    refused(ravdess(), EmoboxProtocol(fold=7), 'protocol.fold 7 is out of range: folds are numbered 1 to 6')
    refused(index_of(clips('ravdess', ['x', '02'])), EmoboxProtocol(), "'x' is no RAVDESS actor; they are 1 to 24")
    refused(index_of(clips('ravdess', 25)), EmoboxProtocol(), "'25' is no RAVDESS actor")
    refused(index_of(clips('iemocap', 4)), EmoboxProtocol(), "have no 'session' in their JSON")
    refused(index_of(clips('emodb', 4)), EmoboxProtocol(), "the folds of 'emodb' are in EmoBox's own lists. Clone "
            'EmoBox and name its folder: --set protocol.folder=EmoBox')
    refused(index_of(clips('a', 4), clips('b', 4)), EmoboxProtocol(), 'is about one corpus; these shards are of a, b')
    refused(index_of(clips(None, 4)), EmoboxProtocol(), 'these shards are of none that has a name')


def test_shards_of_emoboxs_own_lists_say_their_corpus():
    rows = clips('emobox', 24, says=lambda number, take: {'emobox_dataset': 'ravdess'})
    split = make_split(index_of(rows), EmoboxProtocol(fold=2), NAMES)
    assert values(index_of(rows), split, lambda row: int(row.speaker))['test'] == ACTORS[1]


def test_a_set_is_still_its_corpus():
    split = make_split(index_of(clips('ravdess', 24, set_name='mine')), EmoboxProtocol(), NAMES)
    assert len(split.parts['test']) == 64


def test_lists_of_a_checkout(tmp_path):
    rows = clips('crema-d', 8)
    index = index_of(rows)
    folder = checkout(tmp_path, rows)
    split = make_split(index, EmoboxProtocol(folder=folder), NAMES)
    assert keys(index, split)['test'] == {row.key for row in rows[::4]}
    speakers = values(index, split, lambda row: row.speaker)
    assert not speakers['train'] & speakers['valid'] and split.speaker_disjoint is False
    assert split.notes == (DRAWN, f'speakers in both train and test: {len(speakers["train"])}',
                           f'speakers in both valid and test: {len(speakers["valid"])}')
    assert fold_names(index, EmoboxProtocol(folder=folder), NAMES) == ('EmoBox fold 1',)
    for place in ('data', 'data/cremad'):
        again = make_split(index, EmoboxProtocol(folder=str(tmp_path / place)), NAMES)
        assert again.digest == split.digest
    refused(index, EmoboxProtocol(folder=folder, fold=2), 'protocol.fold 2 is out of range: folds are numbered 1 to 1')


def test_a_list_for_validation_is_used(tmp_path):
    rows = clips('crema-d', 8)
    folder = checkout(tmp_path, rows, lambda i: ('train', 'valid', 'test')[i % 3])
    split = make_split(index_of(rows), EmoboxProtocol(folder=folder), NAMES)
    assert [members.tolist() for members in split.parts.values()] == [list(range(i, 128, 3)) for i in range(3)]
    assert split.notes[0] == "validation is EmoBox's own list"


def test_clips_that_the_lists_do_not_have(tmp_path):
    rows = clips('crema-d', 8)
    folder = checkout(tmp_path, rows[:100])
    split = make_split(index_of(rows), EmoboxProtocol(folder=folder), NAMES)
    assert "in no part: 28 clips that EmoBox's lists do not have" in split.notes
    assert sum(map(len, split.parts.values())) == 100
    split = make_split(index_of(rows[:60]), EmoboxProtocol(folder=folder), NAMES)
    assert "10 of EmoBox's 25 test clips are not in the shards" in split.notes
    few = checkout(tmp_path / 'few', rows[:50])
    refused(index_of(rows), EmoboxProtocol(folder=few), '78 of 128 clips are in no list of',
            'such as crema-d-3-neutral-2', "Clips are found by their JSON 'emobox_key'")


@pytest.mark.parametrize('speakers', [['a', 'b'], [None] * 4])
def test_validation_by_clip_where_speakers_are_few(tmp_path, speakers):
    rows = clips('crema-d', speakers)
    split = make_split(index_of(rows), EmoboxProtocol(folder=checkout(tmp_path, rows)), NAMES)
    assert any(note.startswith('validation is drawn by clip') for note in split.notes)
