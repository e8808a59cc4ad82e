from pathlib import Path

import pytest

from ser.corpora import read_corpus
from ser.corpora.emofilm import EMOTIONS, FACTS, LANGUAGES, describe
from ser.errors import SerError
from tests.fixture_trees import built, counts, plant

# Clips by emotion in the release.
TOTALS = {'ans': 221, 'dis': 168, 'gio': 240, 'rab': 232, 'tri': 254}


def names(code, total):
    """As many names of an emotion as there are clips, over both genders, several cuts and three languages."""
    every = [f'{gender}_{code}{scene:03d}{cut}{language}' for gender in 'fm' for scene in range(1, 100) for cut in 'abs'
             for language in LANGUAGES]
    return every[::len(every) // total][:total]


RELEASE = [name for code, total in TOTALS.items() for name in names(code, total)]


def of(name):
    return describe(Path('/nowhere') / name, name)


def test_every_part_of_a_name_is_read():
    found = of('wav_corpus/F_ans001aES.WAV')
    assert (found.emotion, found.raw_label, found.gender, found.language) == ('fear', 'ansia', 'female', 'es')
    assert (found.speaker, found.text_id) == (None, 'f_ans001a')
    assert of('m_tri011git_16k.wav').text_id == 'm_tri011g'


def test_a_scene_has_one_text_in_all_its_languages():
    assert len({of(f'f_ans007s{language}.wav').text_id for language in LANGUAGES}) == 1


@pytest.mark.parametrize(('code', 'emotion'), list(zip(
    ('ans', 'dis', 'gio', 'rab', 'tri'), ('fear', 'contempt', 'happy', 'angry', 'sad'), strict=True)))
def test_emotions(code, emotion):
    assert of(f'f_{code}001aen.wav').emotion == emotion


@pytest.mark.parametrize('name', ['f_ans001en.wav', 'f_ans1aen.wav', 'noise.wav', 'f_ans001aen (1).wav'])
def test_other_names_are_skipped(name):
    assert of(name).reason == 'name does not fit G_EEENNNCLL'


@pytest.mark.parametrize(('name', 'field', 'code', 'allowed'), [
    ('f_neu001aen.wav', 'emotion', 'neu', 'ans, dis, gio, rab, tri'),
    ('x_ans001aen.wav', 'gender', 'x', 'f, m'),
    ('f_ans001ade.wav', 'language', 'de', 'en, es, it'),
])
def test_an_unknown_code_is_an_error_naming_file_code_and_allowed(name, field, code, allowed):
    with pytest.raises(SerError) as error:
        of(name)
    for part in (name, field, f"'{code}'", allowed):
        assert part in str(error.value)


@pytest.mark.parametrize('layout', ['{}.wav', 'EmoFilm/deep/wav_corpus/{}.WAV', 'resampled/{}_16k.wav'])
def test_as_many_clips_as_the_release_has_flat_and_nested(tmp_path, layout):
    plant(tmp_path, [layout.format(name) for name in RELEASE])
    emotions, speakers, skips = counts('emofilm', tmp_path)
    assert emotions == {EMOTIONS[code][1]: total for code, total in TOTALS.items()}
    assert (sum(emotions.values()), speakers, skips) == (FACTS.utterances, {None: 1115}, {})


def test_contempt_counts_as_disgust_only_where_that_is_asked_for(tmp_path):
    plant(tmp_path, ['f_dis008aen.wav', 'f_gio002aes.wav'])
    assert counts('emofilm', tmp_path)[0] == {'contempt': 1, 'happy': 1}
    assert counts('emofilm', tmp_path, {'dis': 'disgust'})[0] == {'disgust': 1, 'happy': 1}
    with pytest.raises(SerError, match="option dis must be one of contempt, disgust, not 'anger'"):
        read_corpus('emofilm', tmp_path, {'dis': 'anger'})


def test_a_legend_says_who_speaks_and_strangers_stay_strangers(tmp_path):
    plant(tmp_path, ['f_ans001aen.wav', 'f_dis027ait.wav', 'm_gio132ait.wav', 'm_gio133ait.wav', 'notes.wav'])
    legend = tmp_path / 'legend.csv'
    legend.write_text('file;film;speaker\nf_ans001aen_16k.wav;The Hours;Meryl Streep\nf_dis027ait;;unknown female\n'
                      'm_gio132ait;;???\n')
    utterances, _ = read_corpus('emofilm', tmp_path, {'legend': str(legend)})
    assert [(found.speaker, found.extra) for found in utterances] == [
        ('meryl streep', {'film': 'The Hours'}), (None, {}), (None, {}), (None, {})]
    with pytest.raises(SerError, match='cannot read'):
        read_corpus('emofilm', tmp_path, {'legend': str(tmp_path / 'none.csv')})


def test_planted_clips_become_shards(tmp_path):
    source = plant(tmp_path / 'source', [f'wav_corpus/f_ans001a{language}.wav' for language in LANGUAGES])
    summary, metadata = built('emofilm', source, tmp_path / 'out')
    assert summary.utterances == 3
    assert {key: values['language'] for key, values in metadata.items()} == {
        f'emofilm-wav_corpus_f_ans001a{language}': language for language in LANGUAGES}


def test_the_example_parses_and_nobody_may_download():
    assert of(FACTS.example).corpus == 'emofilm' and FACTS.downloads == ()
