import pytest

from ser.errors import SerError
from ser.labels import ALIASES, CANONICAL, NAMED_SETS, canonical, choose_classes, misspelt, ordered


def test_aliases_become_canonical_and_others_are_lower_cased():
    assert canonical(' Fearful ') == 'fear'
    assert canonical('Surprised') == 'surprise'
    assert canonical('Boredom') == 'boredom'
    assert list(ALIASES)[:8] == list(CANONICAL)
    assert [canonical(label) for label in ('bored', 'exc', 'Frustration')] == ['boredom', 'excited', 'frustrated']


def test_excited_is_not_merged_into_happy():
    assert canonical('excited') == 'excited'


def test_empty_label_is_refused():
    with pytest.raises(SerError, match='empty emotion label'):
        canonical('  ')


def test_misspelt_names_the_likely_emotion():
    assert misspelt('hapy') == 'happy'
    assert misspelt('suprised') == 'surprise'
    assert misspelt('boredom') is None
    assert misspelt('happy') is None


def test_order_is_canonical_first_then_alphabetical():
    assert ordered(['zeal', 'disgust', 'boredom', 'neutral']) == ('neutral', 'disgust', 'boredom', 'zeal')


LABELS = ['neutral', 'calm', 'happy', 'sad', 'excited', 'zeal', 'happy']
CORPORA = ['a', 'a', 'b', 'a', 'b', 'b', 'a']


def chosen(wanted='auto', merge=None, drop=()):
    found = choose_classes(LABELS, CORPORA, wanted, merge, drop)
    return found.names, {label: name for label, name in found.class_of.items() if label != name}


@pytest.mark.parametrize(('wanted', 'names', 'moved'), [
    ('auto', ('neutral', 'calm', 'happy', 'sad', 'excited', 'zeal'), {}),
    ('all8', ('neutral', 'calm', 'happy', 'sad'), {'excited': None, 'zeal': None}),
    ('seven', ('neutral', 'happy', 'sad'), {'calm': 'neutral', 'excited': None, 'zeal': None}),
    ('six', ('neutral', 'happy', 'sad'), {'calm': 'neutral', 'excited': None, 'zeal': None}),
    ('four', ('neutral', 'happy', 'sad'), {'calm': None, 'excited': None, 'zeal': None}),
    ('iemocap4', ('neutral', 'happy', 'sad'), {'calm': None, 'excited': None, 'zeal': None}),
    (('sad', 'happiness'), ('sad', 'happy'), {'neutral': None, 'calm': None, 'excited': None, 'zeal': None}),
])
def test_label_sets(wanted, names, moved):
    assert chosen(wanted) == (names, moved)


def test_named_sets_are_those_of_the_field():
    assert {name: len(found.names) for name, found in NAMED_SETS.items()} == {
        'all8': 8, 'seven': 7, 'six': 6, 'four': 4, 'iemocap4': 4}
    assert NAMED_SETS['all8'].names == CANONICAL and 'calm' not in NAMED_SETS['seven'].names
    assert NAMED_SETS['iemocap4'].names == ('neutral', 'happy', 'angry', 'sad')
    assert not any('excited' in found.merge for found in NAMED_SETS.values())


def test_merging_comes_first_and_dropping_wins():
    assert chosen('four', {'exc': 'happiness'})[1] == {'calm': None, 'excited': 'happy', 'zeal': None}
    assert chosen('auto', {'calm': 'neutral'}, ('zeal', 'sad'))[0] == ('neutral', 'happy', 'excited')
    assert chosen('auto', {'zeal': 'happy'}, ('zeal',))[1] == {'zeal': None}
    # A label that this corpus happens not to have may be spoken of; its spelling is known.
    assert chosen('auto', {'fearful': 'sad'}, ('contempt',))[1] == {}


def test_shared_labels_are_those_of_every_corpus():
    names, moved = chosen('shared', {'excited': 'happy', 'zeal': 'sad'})
    assert names == ('happy', 'sad') and moved['neutral'] is None and moved['zeal'] == 'sad'


def test_a_mapping_names_every_label_and_null_drops():
    names, moved = chosen({'neutral': 'rest', 'calm': 'rest', 'happy': 'happiness', 'sad': None, 'excited': 'happy',
                           'zeal': 'fervour'})
    assert names == ('happy', 'fervour', 'rest')
    assert moved == {'neutral': 'rest', 'calm': 'rest', 'sad': None, 'excited': 'happy', 'zeal': 'fervour'}


@pytest.mark.parametrize(('options', 'message'), [
    ({'wanted': ('happy', 'angre')}, "no clip is labelled 'angre'"),
    ({'wanted': ('happy', 'joy')}, 'named twice'),
    ({'wanted': ('happy', 'zael')}, "no clip is labelled 'zael'.*Did you mean 'zeal'"),
    ({'wanted': ('happy',)}, r'only one class \(happy\) among 7 clips.*Labels present: neutral 1, calm 1, happy 2'),
    ({'wanted': 'shared'}, 'the corpora have happy in common.*a: neutral, calm, happy, sad; b: happy, excited, zeal'),
    ({'wanted': {'neutral': 'x', 'happy': 'y'}}, 'data.labels: says nothing of calm, sad, excited, zeal'),
    ({'wanted': dict.fromkeys(LABELS)}, 'no class is left among 7 clips: at least two'),
    ({'wanted': dict.fromkeys(LABELS, ' ')}, 'empty emotion label'),
    ({'wanted': {'x': 'neutral', 'zeal': 'happy'}}, "no clip is labelled 'x'"),
    ({'wanted': {'zeal': 'happy', 'sad': 'excited'}}, 'says nothing of .* or to null to drop it. Was it turned round'),
    ({'wanted': {'neutrl': 'x'}}, "data.labels: no clip is labelled 'neutrl'.*Did you mean 'neutral'"),
    ({'merge': {'clam': 'neutral'}}, "data.merge: no clip is labelled 'clam'.*Did you mean 'calm'"),
    ({'drop': ('zael',)}, "data.drop: no clip is labelled 'zael'.*Did you mean 'zeal'"),
])
def test_what_does_not_fit_is_refused_in_one_line(options, message):
    with pytest.raises(SerError, match=message) as error:
        chosen(**options)
    assert '\n' not in str(error.value)


def test_shared_labels_need_several_corpora():
    with pytest.raises(SerError, match=r'there is only one \(ravdess\)'):
        choose_classes(['happy', 'sad'], ['ravdess'] * 2, 'shared')


def test_a_named_set_of_which_nothing_is_present_says_how_to_map():
    with pytest.raises(SerError, match=r"data.labels six: none of neutral, .* labels present: kolera, ĝoja. Map them"):
        choose_classes(['kolera', 'ĝoja'], [None] * 2, 'six')
