import pytest

from ser.errors import SerError
from ser.labels import ALIASES, CANONICAL, canonical, label_set, misspelt, ordered


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


def test_label_set_takes_all_labels_or_counts_what_it_drops():
    names, dropped = label_set(['happy', 'sad', 'sad', 'calm'])
    assert names == ('calm', 'happy', 'sad') and not dropped
    names, dropped = label_set(['happy', 'sad', 'sad', 'calm'], ('sad', 'happiness'))
    assert names == ('sad', 'happy') and dropped == {'calm': 1}


@pytest.mark.parametrize(('labels', 'wanted', 'message'), [
    (['happy', 'sad'], ('happy', 'angre'), "no clip is labelled 'angre'"),
    (['happy', 'sad'], ('happy', 'joy'), 'named twice'),
    (['happy', 'happy'], 'auto', r'only one class \(happy\) among 2 clips'),
    (['happy', 'sad'], ('happy',), 'only one class'),
])
def test_unusable_label_sets_are_refused(labels, wanted, message):
    with pytest.raises(SerError, match=message):
        label_set(labels, wanted)
