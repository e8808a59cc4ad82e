"""Where labels are found, and every way in which they can be wrong."""

import pytest

from ser.errors import SerError
from ser.shards.sample_label import LabelSource, find_label, parse_label_option
from ser.shards.shard_scan import RawSample

AUTO = LabelSource()
CLASSES = ('neutral', 'happy', 'sad')


def raw(metadata=None, **texts):
    return RawSample('k', '.wav', 0, 1, '0' * 64, metadata or {}, texts)


@pytest.mark.parametrize(('option', 'source'), [
    ('auto', AUTO), ('cls', LabelSource('cls')), ('.EMO', LabelSource('emo')),
    ('json.label', LabelSource('json', ('label',))), ('json:a.b', LabelSource('json', ('a', 'b'))),
    ('meta.json:emotion', LabelSource('meta.json', ('emotion',)))])
def test_the_option_is_parsed(option, source):
    assert parse_label_option(option) == source


@pytest.mark.parametrize('option', ['', 'json', 'json.', 'json.a..b', 'txt:a', ':a', 'a/b'])
def test_options_that_make_no_sense(option):
    with pytest.raises(SerError, match="data.label: .* is not 'auto', a suffix"):
        parse_label_option(option)


@pytest.mark.parametrize(('sample', 'label'), [
    (raw({'emotion': 'happiness'}), 'happiness'), (raw({'label': 'sad', 'emotion': None}), 'sad'),
    (raw(cls=' angry\n'), 'angry'), (raw(txt='Joy'), 'Joy'), (raw(cls='2'), 'sad'), (raw({'label': 1}), 'happy'),
    (raw({'emotion': 'joy', 'label': 'happy'}, cls='1', txt='hap'), 'joy')])
def test_auto_takes_the_first_when_all_agree(sample, label):
    assert find_label(sample, AUTO, CLASSES) == (label, ())


def test_a_sentence_beside_a_label_is_a_transcript():
    assert find_label(raw({'emotion': 'sad'}, txt='kids are talking by the door'), AUTO) == ('sad', ('txt',))
    assert find_label(raw({'emotion': 'sad'}, txt=None), AUTO) == ('sad', ('txt',))


@pytest.mark.parametrize(('sample', 'said'), [
    (raw({'emotion': 'sad', 'label': 'happy'}), "json.emotion says 'sad', json.label says 'happy'"),
    (raw({'emotion': 'sad'}, cls='angry'), "disagree: json.emotion says 'sad', .cls says 'angry'. Choose one: --set "
                                           'data.label=json.emotion'),
    (raw(cls='0', txt='sad'), 'Choose one: --set data.label=cls'),
    (raw(), "no label: neither 'emotion' nor 'label' in its JSON, no .cls and no .txt"),
    (raw({'emotion': ['sad']}), 'json.emotion is a list; a label is text or an integer'),
    (raw({'emotion': True}), 'json.emotion is a bool'), (raw({'emotion': 1.0}), 'json.emotion is a float'),
    (raw({'emotion': '  '}), 'json.emotion is empty'), (raw(txt='x' * 101), 'over 100 characters'),
    (raw(txt='a\nb'), 'several lines'), (raw(cls='3'), '.cls is the integer 3, but data.classes names only 0 to 2'),
    (raw(cls='-1'), 'the integer -1'), (raw(cls=''), '.cls is empty'), (raw(cls=None), '.cls is empty, too long')])
def test_labels_that_are_refused(sample, said):
    with pytest.raises(SerError) as error:
        find_label(sample, AUTO, CLASSES)
    assert said in str(error.value)


def test_integers_need_names():
    for sample in (raw(cls='1'), raw({'label': 1, 'emotion': 'happy'})):
        with pytest.raises(SerError, match='Name the integers with data.classes'):
            find_label(sample, AUTO)


def test_a_chosen_place_is_the_only_one_read():
    sample = raw({'emotion': 'sad', 'a': {'b': 'fear'}}, cls='1', emo='calm')
    sample.texts['meta.json'] = {'x': 'angry'}
    for option, label in (('json.a.b', 'fear'), ('cls', 'happy'), ('emo', 'calm'), ('meta.json:x', 'angry')):
        assert find_label(sample, parse_label_option(option), CLASSES) == (label, ())
    for option in ('json.none', 'json.emotion.deeper', 'txt'):
        with pytest.raises(SerError, match=r'no label at .*Say where it is'):
            find_label(sample, parse_label_option(option), CLASSES)
    with pytest.raises(SerError, match='too long for a label or not UTF-8'):
        find_label(raw(emo=None), parse_label_option('emo'))


def test_a_sample_with_numbers_on_dimensions_needs_no_label():
    assert find_label(raw({'arousal': 2, 'valence': None}), AUTO) == ('', ())
    assert find_label(raw({'arousal': 2, 'emotion': 'joy'}), AUTO)[0] == 'joy'
    for metadata in ({'arousal': None}, {'loudness': 2}):
        with pytest.raises(SerError, match='no label'):
            find_label(raw(metadata), AUTO)
    with pytest.raises(SerError, match='no label at json:mood'):
        find_label(raw({'arousal': 2}), LabelSource('json', ('mood',)))
