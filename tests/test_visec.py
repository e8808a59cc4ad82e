from collections import Counter

import pytest

from ser.corpora import read_corpus
from ser.corpora.visec import ACCENTS, EMOTIONS, parse
from ser.errors import SerError
from tests.test_parquet import export, first_sample


def test_the_hub_s_export(tmp_path):
    export(tmp_path / 'data/train-00000-of-00001.parquet', {
        'speaker_id': [0, 1, 1, 2], 'duration': [1.0, 2.0, 3.0, 4.0], 'accent': ['north', 'south', 'mid', None],
        'emotion': ['happy', 'neutral', 'sad', 'angry'], 'emotion_id': [0, 1, 2, 3],
        'gender': ['female', 'male', 'male', 'female']}, audio='path')
    utterances, skips = read_corpus('visec', tmp_path)
    assert Counter(found.emotion for found in utterances) == Counter(EMOTIONS) and not skips
    assert Counter(found.speaker for found in utterances) == {'0': 1, '1': 2, '2': 1}
    assert [found.extra['accent'] for found in utterances] == ['north', 'south', 'mid', None]
    assert {(found.language, found.corpus, found.extra['split']) for found in utterances} == {('vi', 'visec', 'train')}
    assert [first_sample(found.data()) for found in utterances] == [0, 1, 2, 3]
    assert utterances[3].gender == 'female' and utterances[3].extra['duration'] == 4.0


def tables(folder, accents, emotion='sad'):
    folder.mkdir()
    for name in ('train', 'val'):
        rows = [f'{name}{i}.wav,{emotion},{accent}' for i, accent in enumerate(accents)]
        (folder / f'{name}.csv').write_text('\n'.join(['file_path,emotion,accent', *rows]))
        for i in range(len(accents)):
            (folder / f'{name}{i}.wav').touch()


def test_the_two_tables_in_the_folder_or_below(tmp_path):
    tables(tmp_path / 'visec_dataset', ['0', '1', '2', '-1', '', 'Central', 'unknown'])
    for source, before in ((tmp_path, 'visec_dataset/'), (tmp_path / 'visec_dataset', '')):
        utterances, _ = read_corpus('visec', source)
        assert [found.extra['accent'] for found in utterances] == [*ACCENTS, None, None, 'mid', None] * 2
        assert Counter(found.extra['split'] for found in utterances) == {'train': 7, 'val': 7}
        assert (utterances[0].relative, utterances[-1].relative) == (f'{before}train0.wav', f'{before}val6.wav')
    assert len(list(parse(tmp_path / 'visec_dataset/val.csv'))) == 7


def test_unknown_emotions_and_accents_are_refused(tmp_path):
    tables(tmp_path / 'a', ['west'])
    with pytest.raises(SerError, match="train0.wav: unknown accent 'west'. ViSEC has north, south, mid"):
        list(parse(tmp_path / 'a'))
    tables(tmp_path / 'b', ['north'], 'disgust')
    with pytest.raises(SerError, match="unknown emotion 'disgust'. ViSEC has happy, neutral, sad, angry"):
        list(parse(tmp_path / 'b'))
    (tmp_path / 'c').mkdir()
    with pytest.raises(SerError, match='neither parquet files nor train.csv or val.csv'):
        list(parse(tmp_path / 'c'))
