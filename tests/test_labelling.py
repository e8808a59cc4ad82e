from collections import Counter

from ser.config.data import DataConfig
from ser.shards.index import build_index
from ser.shards.labelling import label_index
from tests.shard_factory import sample, write_tar

LABELS = ('neutral', 'calm', 'happy', 'excited', 'sad', 'boredom')


def index_of(folder):
    members = [member for i, label in enumerate(LABELS)
               for member in sample(f'k{i}', i, seconds=0.05, emotion=label, raw_label=label)]
    write_tar(folder / 'a.tar', members)
    return build_index(DataConfig(shards=(str(folder / 'a.tar'),)))


def test_rows_say_their_class_and_dropped_ones_say_nothing(tmp_path):
    index = index_of(tmp_path)
    labelled = label_index(index, DataConfig(labels='seven', merge={'excited': 'happy'}))
    assert labelled.names == ('neutral', 'happy', 'sad')
    assert [row.emotion for row in labelled.index.rows] == ['neutral', 'neutral', 'happy', 'happy', 'sad', '']
    assert labelled.dropped == Counter(boredom=1) and labelled.rows() == [0, 1, 2, 3, 4]
    assert list(labelled.left_out()) == ['1 clip labelled boredom']
    # What was read is known by its own digest; labels are the run's business.
    assert labelled.digest == index.digest != labelled.index.digest


def test_nothing_changes_where_every_label_is_a_class(tmp_path):
    index = index_of(tmp_path)
    assert label_index(index, DataConfig()).index is index


def test_a_run_meets_other_labels_than_it_was_trained_on(tmp_path):
    index = index_of(tmp_path)
    data = DataConfig(labels={'neutral': 'neutral', 'angry': 'bad', 'sad': 'bad'}, merge={'calm': 'neutral'},
                      drop=('happy', 'fear'))
    labelled = label_index(index, data, names=('neutral', 'bad'))
    assert [row.emotion for row in labelled.index.rows] == ['neutral', 'neutral', '', '', 'bad', '']
    assert labelled.dropped == Counter(happy=1, excited=1, boredom=1)
    # The calm of a run with the label set 'seven' is neutral here too.
    seven = label_index(index, DataConfig(labels='seven'), names=('neutral', 'sad'))
    assert [row.emotion for row in seven.index.rows] == ['neutral', 'neutral', '', '', 'sad', '']


def test_a_class_of_another_name_does_not_take_a_dropped_label_in(tmp_path):
    # 'calm' is dropped, although a class that others are mapped to is called so.
    wanted = {'neutral': 'calm', 'calm': None, 'happy': 'happy', 'excited': 'happy', 'sad': None, 'boredom': None}
    labelled = label_index(index_of(tmp_path), DataConfig(labels=wanted))
    assert [row.emotion for row in labelled.index.rows] == ['calm', '', 'happy', 'happy', '', '']
    assert labelled.names == ('calm', 'happy')


def test_a_class_that_looks_misspelt_is_noted_with_the_cure(tmp_path):
    members = [m for i, label in enumerate(('hapyp', 'sad', 'neutrl'))
               for m in sample(f'k{i}', i, seconds=0.05, emotion=label, raw_label=label)]
    write_tar(tmp_path / 'a.tar', members)
    index = build_index(DataConfig(shards=(str(tmp_path / 'a.tar'),)))
    note = ("label 'hapyp' (1 clips) looks like 'happy' misspelt; it is a class of its own "
            "(--set 'data.merge={hapyp: happy}' makes it happy)")
    assert label_index(index, DataConfig(labels=('hapyp', 'sad'))).index.notes == (note,)
    assert label_index(index, DataConfig(merge={'hapyp': 'happy'}, drop=('neutrl',))).index.notes == ()


def test_clips_without_a_label_are_in_no_class(tmp_path):
    members = [m for i, label in enumerate(('happy', 'sad', None, None))
               for m in sample(f'k{i}', i, seconds=0.05, emotion=label, raw_label=label, arousal=float(i))]
    write_tar(tmp_path / 'a.tar', members)
    index = build_index(DataConfig(shards=(str(tmp_path / 'a.tar'),)))
    for data in (DataConfig(), DataConfig(labels='all8'), DataConfig(labels={'happy': 'x', 'sad': 'y'})):
        labelled = label_index(index, data)
        assert labelled.rows() == [0, 1] and list(labelled.left_out()) == ['2 clips without a label']
    assert label_index(index, DataConfig(), names=('happy', 'sad')).rows() == [0, 1]
