import io
import json
import unicodedata
from collections import Counter

import numpy as np
import pytest
import soundfile

from ser.corpora import read_corpus
from ser.corpora.emobox import parse
from ser.corpora.utterance import Skip
from ser.errors import SerError

FOLDER = 'downloads/ravdess/audio/Audio_Speech_Actors_01-24'
RAVDESS = [('03-01-05-01-02-01-18', 'Angry'), ('03-01-08-01-02-01-18', 'Surprised'),
           ('03-01-06-02-02-01-01', 'Fearful'), ('03-01-01-01-01-01-01', 'Neutral')]
MAP = {'Angry': 'Angry', 'Surprised': 'Surprise', 'Fearful': 'Fear', 'Neutral': 'Neutral'}


def entry(name, emotion, dataset='ravdess', **more):
    wav = f'{FOLDER}/Actor_{name[-2:]}/{name}.wav' if dataset == 'ravdess' else f'downloads/{dataset}/{name}.wav'
    return {'key': f'{dataset}-{name}', 'dataset': dataset, 'wav': wav, 'type': 'raw', 'sample_rate': 48000,
            'num_frame': 171371.0, 'task': 'category', 'length': 3.57, 'emo': emotion, 'channel': 1, **more}


def write_list(path, entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(json.dumps(item) + '\n' for item in entries))


def checkout(root, entries=None, dataset='ravdess', label_map=MAP, speakers=True, audio=None):
    entries = [entry(*item) for item in RAVDESS] if entries is None else entries
    home = root / 'data' / dataset
    write_list(home / f'{dataset}.jsonl', entries)
    (home / 'label_map.json').write_text(json.dumps(label_map))
    if speakers:
        (home / 'data.seg.wrd.stm').write_text(''.join(
            f"{item['key']} 1 {item['key'][-2:]} 0 3.6 <id={item['key']},lang=en,spk={item['key'][-2:]},"
            f"emotion={item['emo']}> {item['emo']}\n" for item in entries))
    for item in entries:
        path = (audio or root) / item['wav']
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return home


def test_a_corpus_folder_of_a_checkout(tmp_path):
    utterances, skips = read_corpus('emobox', checkout(tmp_path))
    assert Counter(found.emotion for found in utterances) == Counter(('angry', 'surprise', 'fear', 'neutral'))
    assert Counter(found.speaker for found in utterances) == {'18': 2, '01': 2} and not skips
    first = utterances[0]
    assert first.extra == {'emobox_key': 'ravdess-03-01-05-01-02-01-18', 'emobox_dataset': 'ravdess'}
    assert (first.relative, first.raw_label, first.language) == ('ravdess-03-01-05-01-02-01-18.wav', 'Angry', 'en')
    assert first.data is None and first.path.is_file()


def test_a_fold_s_file_says_fold_and_part(tmp_path):
    home = checkout(tmp_path)
    write_list(home / 'fold_2/ravdess_test_fold_2.jsonl', [entry(*RAVDESS[0])])
    found, = parse(home / 'fold_2/ravdess_test_fold_2.jsonl')
    assert (found.extra['fold'], found.extra['part'], found.speaker, found.emotion) == (2, 'test', '18', 'angry')
    assert found.extra['emobox_key'] == 'ravdess-03-01-05-01-02-01-18'


def test_the_label_map_is_emobox_s_own_unless_another_is_given(tmp_path):
    home = checkout(tmp_path)
    (tmp_path / 'two.json').write_text(json.dumps({**MAP, 'Neutral': 'Calm'}))
    assert [item.emotion for item in parse(home, label_map=str(tmp_path / 'two.json'))][-1] == 'calm'
    assert [item.emotion for item in parse(home, label_map='none')][1] == 'surprise'
    (home / 'label_map.json').write_text('{"Angry": "Angry"}')
    with pytest.raises(SerError, match="ravdess.jsonl line 2: label 'Surprised' is not in the label map. It has Angry"):
        list(parse(home))
    with pytest.raises(SerError, match='option label_map: no such file'):
        list(parse(home, label_map='none.json'))
    for text, message in (('{', 'label_map.json: not JSON'), ('[1]', 'label_map.json: must map labels to labels')):
        (home / 'label_map.json').write_text(text)
        with pytest.raises(SerError, match=message):
            list(parse(home))


def test_the_speaker_of_an_iemocap_turn_is_who_speaks(tmp_path):
    """EmoBox's own files name the actor with the markers: woman and man of a session under two mixed names."""
    entries = [entry('Ses01F_impro01_M000', 'hap', 'iemocap'), entry('Ses01M_impro01_M000', 'exc', 'iemocap')]
    home = checkout(tmp_path, entries, 'iemocap', {'hap': 'Happy', 'exc': 'Happy'})
    found = list(parse(home))
    assert [(item.speaker, item.session, item.gender) for item in found] == [('1M', '1', 'male')] * 2
    assert [item.raw_label for item in found] == ['hap', 'exc']


def test_recordings_may_lie_anywhere(tmp_path):
    home = checkout(tmp_path / 'box', audio=tmp_path / 'disk')
    assert all(item.reason == 'missing file' and item.bad for item in parse(home))
    for folder in ('disk', 'disk/downloads', 'disk/downloads/ravdess', f'disk/{FOLDER}'):
        assert len(read_corpus('emobox', home, {'audio': str(tmp_path / folder)})[0]) == 4
    with pytest.raises(SerError, match='option audio: no such folder'):
        list(parse(home, audio=str(tmp_path / 'no')))


def test_accents_of_the_list_and_of_the_disk_may_be_put_in_two_ways(tmp_path):
    entries = [entry('01-C-1-1', 'c', 'cafe', wav=unicodedata.normalize('NFC', 'downloads/Colère/01-C-1-1.wav'))]
    home = checkout(tmp_path, entries, 'cafe', {'c': 'Angry'})
    (tmp_path / 'downloads' / unicodedata.normalize('NFC', 'Colère')).rename(
        tmp_path / 'downloads' / unicodedata.normalize('NFD', 'Colère'))
    found, = parse(home)
    assert (found.emotion, found.path.is_file()) == ('angry', True)


def test_a_stretch_of_a_recording_is_cut_out(tmp_path):
    entries = [entry('spk-1', 'happy', 'pavoque', start_time=0.25, end_time=0.5), entry('spk-2', 'happy', 'pavoque')]
    entries[0]['wav'] = entries[1]['wav'] = 'downloads/pavoque/all.wav'
    home = checkout(tmp_path, entries, 'pavoque', {'happy': 'Happy'}, speakers=False)
    samples = np.arange(1000, dtype='int16')
    soundfile.write(tmp_path / 'downloads/pavoque/all.wav', samples, 1000)
    first, second = parse(home)
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(first.data()))[0] * 2**15, samples[250:500])
    assert second.data is None and first.relative == 'pavoque-spk-1.wav' and first.language == 'de'
    write_list(home / 'pavoque.jsonl', [entries[0] | {'end_time': 'x'}])
    with pytest.raises(SerError, match="pavoque.jsonl line 1: start_time and end_time must be seconds, not 'x'"):
        list(parse(home))


def test_features_and_other_tasks_are_skipped(tmp_path):
    entries = [entry(*RAVDESS[0], type='feature'), entry(*RAVDESS[1], task='valence'), entry(*RAVDESS[2], speaker=7)]
    first, second, third = parse(checkout(tmp_path, entries))
    assert first == Skip('ravdess-03-01-05-01-02-01-18.wav', 'type feature', 'only raw is taken')
    assert second.reason == 'task valence' and third.speaker == '7'


@pytest.mark.parametrize(('change', 'message'), [
    ({'key': None}, "ravdess.jsonl line 1: no 'key' in it. Present: key, dataset, wav"),
    ({'wav': ''}, "no 'wav' in it"), ({'emo': None}, "no 'emo' in it"),
])
def test_a_line_that_lacks_something_is_named(tmp_path, change, message):
    home = checkout(tmp_path)
    write_list(home / 'ravdess.jsonl', [entry(*RAVDESS[0]) | change])
    with pytest.raises(SerError, match=message):
        list(parse(home))


def test_wrong_sources_and_keys_given_twice_are_refused(tmp_path):
    home = checkout(tmp_path, [entry(*RAVDESS[0]), entry(*RAVDESS[0])])
    with pytest.raises(SerError, match="ravdess.jsonl: key 'ravdess-03-01-05-01-02-01-18' is in lines 1 and 2"):
        list(parse(home))
    with pytest.raises(SerError, match='is not a list of EmoBox'):
        list(parse(home / 'label_map.json'))
    with pytest.raises(SerError, match='no .jsonl list in'):
        list(parse(tmp_path / 'data'))
    with pytest.raises(SerError, match='no such folder or list'):
        list(parse(tmp_path / 'none'))
    (home / 'ravdess.jsonl').rename(home / 'a.jsonl')
    (home / 'b.jsonl').touch()
    with pytest.raises(SerError, match='several .jsonl lists in'):
        list(parse(home))
