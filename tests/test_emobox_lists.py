"""EmoBox's lists: where they lie, which line is which clip, and what is refused."""

import dataclasses

import pytest

from ser.errors import SerError
from ser.shards.emobox_lists import EmoboxFold, EmoboxLists
from tests.made_index import clips

TRAIN = [('meld-dia0-utt0', 'downloads/meld/train_splits/dia0_utt0.wav'),
         ('savee-JE-n23', 'downloads/savee/JE_n23.wav'),
         ('iemocap-Ses02F_script03_1_M033', 'downloads/iemocap/Session2/sentences/wav/Ses02F_script03_1/'
          'Ses02F_script03_1_M033.wav')]
TEST = [('meld-test-dia0-utt0', 'downloads/meld/output_repeated/dia0_utt0.wav'),
        ('cafe-08-D-2-5', 'downloads/cafe/CaFE_48k/D\u201ago\u2013t/Fort/08-D-2-5.wav')]


def row_of(key, **metadata):
    row, = clips('x', ['s'], ['happy'], 1)
    return dataclasses.replace(row, key=key, metadata=metadata)


def place_of(*rows):
    places, count = EmoboxFold('fold', {'train': TRAIN, 'test': TEST}).places(rows)
    assert count == {'train': 3, 'valid': 0, 'test': 2}
    return places.tolist()


@pytest.mark.parametrize(('key', 'part'), [
    ('savee-AudioData_JE_n23', 'train'), ('savee-JE_n23', 'train'), ('anything-je-N23', 'train'),
    ('iemocap-Session2_sentences_wav_Ses02F_script03_1_Ses02F_script03_1_M033', 'train'),
    ('iemocap-Ses02F_script03_1_M033', 'train'), ('iemocap-M033', ''),
    ('cafe-CaFE_48k_D_go_t_Fort_08-D-2-5', 'test'), ('cafe-08-D-2-5', 'test'),
    ('meld-train_splits_dia0_utt0', 'train'), ('meld-output_repeated_dia0_utt0', 'test'), ('x-dia0_utt1', '')])
def test_a_clip_is_found_by_the_end_of_its_key(key, part):
    assert place_of(row_of(key)) == [part]


def test_names_that_two_lines_share_need_a_folder_or_the_key():
    # 'meld-dia0_utt0' is EmoBox's own key of one of them; beside another word the name alone could be either.
    assert place_of(row_of('x-dia0_utt0')) == ['']
    assert place_of(row_of('x', emobox_key='meld-test-dia0-utt0')) == ['test']
    assert place_of(row_of('savee-JE_n23', emobox_key='unknown')) == ['']
    assert place_of(row_of('a-JE_n23'), row_of('b-JE_n23'), row_of('cafe-08-D-2-5')) == ['', '', 'test']


def test_folders_that_are_none(tmp_path):
    (tmp_path / 'data' / 'cremad').mkdir(parents=True)
    with pytest.raises(SerError) as error:
        EmoboxLists(str(tmp_path), 'crema')
    assert str(error.value).endswith("crema_test_fold_1.jsonl. Name a checkout of EmoBox that has 'crema'. Did you "
                                     "mean 'cremad'?")
    with pytest.raises(SerError, match='Name a checkout of EmoBox'):
        EmoboxLists(str(tmp_path / 'nowhere'), 'crema')


def test_lists_that_are_damaged(tmp_path):
    fold = tmp_path / 'fold_1'
    fold.mkdir()
    test, train = fold / 'x_test_fold_1.jsonl', fold / 'x_train_fold_1.jsonl'
    good = '{"key": "x-1", "wav": "a/1.wav"}\n'
    test.write_text(good)
    (tmp_path / 'fold_3').mkdir()
    (tmp_path / 'fold_3' / 'x_test_fold_3.jsonl').write_text(good)
    lists = EmoboxLists(str(tmp_path), 'x')
    assert lists.folds == 1
    for content, said in ((None, 'cannot be read'), (b'\xff', 'not UTF-8'), (b'[]\n', 'line 1: not an object'),
                          (good.encode() + b'{"key": 1, "wav": "a"}\n', "line 2: not an object with 'key' and 'wav'"),
                          (good.encode(), "'x-1' is in the lists of both train and test")):
        if content is not None:
            train.write_bytes(content)
        with pytest.raises(SerError) as error:
            lists.read(1)
        assert said in str(error.value) and '\n' not in str(error.value)
