"""The card's words about data, licences and limits follow from what the run says."""

from ser.evaluation.card_words import ACTED, data_lines, limit_lines, purpose_lines


def corpus(name, licence, language='en', train=10, homepage=None):
    return {'name': name, 'title': name.upper(), 'licence': licence, 'language': language, 'homepage': homepage,
            'clips': {'train': train, 'valid': 2, 'test': 3}}


def origin(*corpora, pretrained=()):
    return {'origin': {'corpora': list(corpora), 'pretrained': list(pretrained)}}


def text(lines):
    assert lines[-1] == '' and all('\n' not in line for line in lines)
    return '\n'.join(lines)


def test_licences_are_told_and_what_is_unknown_is_said():
    said = text(data_lines(origin(corpus('ravdess', 'CC BY-NC-SA 4.0', homepage='https://x.org'),
                                  corpus('csv', None, None, 1200), corpus('emodb', 'CC0 1.0', 'de', train=0))))
    assert '| [ravdess](https://x.org): RAVDESS | CC BY-NC-SA 4.0 | en | 10 | 2 | 3 |' in said
    assert '| csv: CSV | **unknown** | unknown | 1,200 | 2 | 3 |' in said
    assert 'under which licence the recordings of csv may be used' in said
    assert 'The recordings of ravdess are not free for every use' in said
    assert 'learnt from ravdess (10 clips), csv (1200 clips);' in said
    assert 'They started from random numbers.' in said
    free = text(data_lines(origin(corpus('emodb', 'CC0 1.0'))))
    assert 'not free' not in free and 'Nobody has said' not in free


def test_weights_that_were_trained_elsewhere_are_named():
    said = text(data_lines(origin(corpus('emodb', 'CC0 1.0'), pretrained=['a/b, from the Hugging Face hub'])))
    assert 'They started from a/b, from the Hugging Face hub: what those have learnt from' in said


def test_a_run_that_does_not_say_where_it_comes_from_says_that():
    assert 'the licences of the recordings are unknown' in text(data_lines({}))
    assert 'not known for all its data' in text(limit_lines({}))


def test_limits_follow_the_data():
    said = text(limit_lines(origin(corpus('ravdess', 'x'), corpus('emodb', 'x', 'de'), corpus('tess', 'x', train=0))))
    assert 'The emotions in ravdess, emodb are played.' in said and 'It has heard en, de.' in said
    assert 'Not for hiring' in said and 'Article 5(1)(f) of Regulation (EU) 2024/1689' in said
    assert 'Many corpora' in text(limit_lines(origin(corpus('msp-podcast', 'x'))))
    assert 'agree' in text(purpose_lines())


def test_acted_corpora_are_corpora():
    from ser.corpora import CORPORA

    assert set(ACTED) <= set(CORPORA)
