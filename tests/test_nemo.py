from pathlib import Path

import pytest

from ser.corpora import read_corpus
from ser.corpora.nemo import EMOTIONS, FACTS, SENTENCES, SPEAKERS, describe
from ser.errors import SerError
from tests.fixture_trees import built, counts, plant

NAMES = [f'{speaker}_{emotion}_{sentence}' for speaker in SPEAKERS for emotion in EMOTIONS for sentence in SENTENCES]


def of(name):
    return describe(Path('/nowhere') / name, name)


def test_every_part_of_a_name_is_read():
    found = of('samples/WR0_surprised_64.WAV')
    assert (found.emotion, found.raw_label, found.speaker, found.gender) == ('surprise', 'surprised', 'WR0', 'male')
    assert (found.text_id, found.language, found.extra) == ('64', 'pl', {'age': 23})
    assert of('eb0_Anger_07.wav').text_id == '7'


@pytest.mark.parametrize(('raw', 'emotion'), list(zip(
    ('anger', 'fear', 'happiness', 'neutral', 'sadness', 'surprised'),
    ('angry', 'fear', 'happy', 'neutral', 'sad', 'surprise'), strict=True)))
def test_emotions(raw, emotion):
    assert of(f'KD0_{raw}_1.wav').emotion == emotion


@pytest.mark.parametrize('name', ['EB0_anger.wav', 'EB_anger_1.wav', 'EB0_anger_100.wav', 'noise.wav'])
def test_other_names_are_skipped(name):
    assert of(name).reason == 'name does not fit SSS_emotion_N'


@pytest.mark.parametrize(('name', 'field', 'code', 'allowed'), [
    ('EB0_disgust_1.wav', 'emotion', 'disgust', 'anger, fear, happiness, neutral, sadness, surprised'),
    ('XY0_anger_1.wav', 'speaker', 'XY0', 'EB0, IC0'),
    ('EB0_anger_91.wav', 'sentence', '91', '89, 90'),
])
def test_an_unknown_code_is_an_error_naming_file_code_and_allowed(name, field, code, allowed):
    with pytest.raises(SerError) as error:
        of(name)
    for part in (name, field, f"'{code}'", allowed):
        assert part in str(error.value)


def test_as_many_clips_as_the_corpus_has_flat_and_nested(tmp_path):
    # Of 9 x 6 x 90 recordings some were left out; which ones is no matter here.
    flat, nested = tmp_path / 'flat', tmp_path / 'nested' / 'nEMO-main' / 'samples'
    plant(flat, [f'{name}.{"WAV" if number % 2 else "wav"}' for number, name in enumerate(NAMES[:FACTS.utterances])])
    found = emotions, speakers, skips = counts('nemo', flat)
    assert sum(emotions.values()) == FACTS.utterances == 8 * 540 + 161
    assert speakers == dict.fromkeys(SPEAKERS, 540) | {'WR0': 161} and skips == {}
    assert (emotions['angry'], emotions['fear'], emotions['happy']) == (810, 791, 720)
    nested.parent.mkdir(parents=True)
    flat.rename(nested)
    assert counts('nemo', tmp_path / 'nested') == found


def test_sentences_come_from_the_table_where_there_is_one(tmp_path):
    plant(tmp_path, ['samples/EB0_anger_1.wav', 'samples/EB0_fear_2.wav'])
    (tmp_path / 'data.tsv').write_text(
        'file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n'
        'EB0_anger_1.wav\tanger\tLubię "czytać", przed snem.\tlubię\t        EB0\tfemale\t27\n', encoding='utf-8')
    found, other = read_corpus('nemo', tmp_path)[0]
    assert found.extra == {'age': 27, 'text': 'Lubię "czytać", przed snem.'}
    assert other.extra == {'age': 27}


def test_a_table_of_something_else_is_refused(tmp_path):
    plant(tmp_path, ['EB0_anger_1.wav'])
    (tmp_path / 'data.tsv').write_text('path\ttext\n')
    with pytest.raises(SerError, match=r'data.tsv: expected the columns file_id, raw_text, found path, text'):
        read_corpus('nemo', tmp_path)


def test_planted_clips_become_shards(tmp_path):
    source = plant(tmp_path / 'source', [f'samples/EB0_{emotion}_1.wav' for emotion in EMOTIONS])
    (source / 'data.tsv').write_text('file_id\traw_text\nEB0_fear_1.wav\tTak\n')
    summary, metadata = built('nemo', source, tmp_path / 'out')
    assert (summary.utterances, set(summary.emotions)) == (6, set(FACTS.emotions))
    assert metadata['nemo-samples_EB0_fear_1']['text'] == 'Tak'


def test_the_example_parses():
    assert of(FACTS.example).corpus == 'nemo'
