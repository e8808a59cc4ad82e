"""What a model card says of its data, their licences, what the model is for and where it fails."""

from ser.evaluation.tables import counted, markdown_table

ACTED = ('ravdess', 'emodb', 'crema-d', 'savee', 'tess', 'cafe', 'emofilm', 'emovo', 'nemo', 'iemocap')
"""Corpora whose emotions are played."""
NON_COMMERCIAL = ('NC', 'research')
"""Marks of licences that do not allow everything, looked for as words."""


def data_lines(metrics):
    """The section on data and licences as Markdown lines, ending in an empty one.

    metrics: a test_metrics.json dict; its `origin` is that of ser.evaluation.origin, none in runs of earlier versions.
    """
    origin = metrics.get('origin')
    lines = ['## Data and licences', '']
    if not origin:
        return [*lines, 'What this model was trained on is not written down in its run. Ask whoever trained it before '
                        'passing it on: the licences of the recordings are unknown.', '']
    rows = [(_linked(corpus), corpus['licence'] or '**unknown**', corpus['language'] or 'unknown',
             *(f'{corpus["clips"][part]:,}' for part in ('train', 'valid', 'test'))) for corpus in origin['corpora']]
    lines += [*markdown_table(('corpus', 'licence', 'language', 'training', 'validation', 'test'), rows, 'lllrrr'), '',
              f'{_seen(origin)} {_started(origin)}', '']
    lines += [text for remark in _remarks(origin) for text in (remark, '')]
    return lines


def _linked(corpus):
    name = corpus['name'] or 'unnamed'
    title = f": {corpus['title']}" if corpus['title'] else ''
    return f"[{name}]({corpus['homepage']}){title}" if corpus['homepage'] else f'{name}{title}'


def _seen(origin):
    trained = [f"{corpus['name'] or 'unnamed corpora'} ({counted(corpus['clips']['train'], 'clip')})"
               for corpus in origin['corpora'] if corpus['clips']['train']]
    return (f"The weights have learnt from {', '.join(trained) or 'no clip'}; validation clips chose which weights are "
            'kept.')


def _started(origin):
    if not origin['pretrained']:
        return 'They started from random numbers.'
    return (f"They started from {'; '.join(origin['pretrained'])}: what those have learnt from, and under which "
            'licence they may be used, is for their publishers to say.')


def _remarks(origin):
    trained = [corpus for corpus in origin['corpora'] if corpus['clips']['train'] or corpus['clips']['valid']]
    unknown = [corpus['name'] or 'unnamed' for corpus in trained if not corpus['licence']]
    bound = [corpus['name'] for corpus in trained if corpus['licence'] and any(
        mark in corpus['licence'].replace('-', ' ').replace(',', ' ').split() for mark in NON_COMMERCIAL)]
    if unknown:
        yield (f"Nobody has said under which licence the recordings of {', '.join(unknown)} may be used. Find out "
               'before passing this model on.')
    if bound:
        yield (f"The recordings of {', '.join(bound)} are not free for every use, commercial use among them. Whether "
               'that binds what was learnt from them is a question of law that this card does not answer.')
    yield 'No recording is part of this model. Whoever wants one gets it from its owner, under its own licence.'


def purpose_lines():
    """The section on intended use as Markdown lines, ending in an empty one."""
    return ['## Intended use', '',
            'Research and teaching: comparing methods, sorting recordings for people to listen to, trying out an idea '
            'where a wrong answer harms nobody. The people recorded should know of it and agree.', '']


def limit_lines(metrics):
    """The section on limits as Markdown lines, ending in an empty one. metrics: as for `data_lines`."""
    corpora = [corpus for corpus in (metrics.get('origin') or {}).get('corpora', ()) if corpus['clips']['train']]
    acted = [corpus['name'] for corpus in corpora if corpus['name'] in ACTED]
    languages = list(dict.fromkeys(corpus['language'] for corpus in corpora if corpus['language']))
    whose = f"The emotions in {', '.join(acted)} are played." if acted else 'Many corpora of emotions are played.'
    heard = f"It has heard {', '.join(languages)}." if languages and len(languages) == len(
        {corpus['language'] for corpus in corpora}) else 'Which languages it has heard is not known for all its data.'
    return ['## Limits', '', *(f'- {text}' for text in (
        f'**Acted speech.** {whose} What people feel unasked is mostly weaker and mixed: expect lower scores there.',
        f'**Language and culture.** {heard} How emotions are voiced, and what they are called, differs; for other '
        'languages, dialects, ages and cultures the scores above say nothing.',
        '**Recordings.** Other microphones, rooms, noise, codecs and short clips change what it hears. '
        '`ser report RUN --robustness` measures that; test it on your own recordings before relying on it.',
        '**What it is.** It hears how something is said, as listeners labelled it or as it was meant to be played. It '
        'does not know what a person feels.',
        '**Not for judging individuals.** Not for hiring, work or school, policing, borders, courts, credit, '
        'insurance, medicine or therapy, nor for anything else that decides about a person.',
        '**Law.** In the European Union, Article 5(1)(f) of Regulation (EU) 2024/1689 (AI Act) prohibits systems that '
        'infer the emotions of people at work and in education, other than for medical or safety reasons. Other rules '
        'may apply where you are.')), '']
