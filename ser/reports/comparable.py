"""What a score may be held against, and what it may not, in words that follow from the run's own facts."""

from ser.evaluation.card import PROTOCOLS
from ser.evaluation.summary import is_ensemble
from ser.evaluation.tables import counted, percent

FEW_SPEAKERS = 10
"""Test speakers below which a page says what so few mean."""

_SINGLE_TEST = ('speaker', 'text', 'speaker+text', 'utterance')
_FOLDED = ('speaker-kfold', 'leave-one-speaker-out', 'leave-one-session-out', 'leave-one-corpus-out', 'emobox')


def comparable_words(contents, corpora=()):
    """(what compares, what does not): lists of sentences.

    contents: Contents. corpora: names of the corpora of the test clips, where known.
    """
    metrics, data = contents.metrics, contents.data or {}
    return ([*_same_test(contents, data), *_same_protocol(contents, data, corpora)],
            [*_other_protocols(metrics), *_other_labels(contents), *_other_speech(metrics, corpora),
             *_other_systems(contents, data)])


def _same_test(contents, data):
    digest, split = data.get('digest'), data.get('split')
    clips = counted(contents.metrics['n'], 'test clip')
    how = f': data.json then has the same digest {digest[:12]} and the same split {split[:12]}' \
        if isinstance(digest, str) and isinstance(split, str) else ''
    pairs = '' if contents.of_dimensions else (
        ' ser compare pairs the two, clip by clip and speaker by speaker, which shows far smaller differences than '
        'two intervals beside each other.')
    yield f'Scores of the same {clips}{how}.{pairs}'


def _same_protocol(contents, data, corpora):
    metrics = contents.metrics
    where = f'on {_listed(corpora)}' if corpora else 'on the same corpora'
    kind, seed = metrics['protocol_kind'], data.get('protocol_seed')
    if kind in _SINGLE_TEST and seed is not None and contents.kind == 'run':
        speakers = metrics['n_speakers']
        who = 'other speakers' if metrics['speaker_disjoint'] else 'other clips'
        many = '' if speakers is None else f', {counted(speakers, "speaker")} here'
        yield (f"With care: protocol '{kind}' {where} with the same {_targets(contents)} and another protocol.seed "
               f'({seed} here). Such a run tests {who}{many}, and their luck is what the interval shows.')
    elif kind in _FOLDED:
        yield f"Published scores under protocol '{kind}' {where} with the same {_targets(contents)} and folds."
    elif kind in ('official', 'given'):
        yield f'Other scores on the same given test part {where} with the same {_targets(contents)}.'


def _other_protocols(metrics):
    kind, disjoint = metrics['protocol_kind'], metrics['speaker_disjoint']
    if disjoint:
        yield ("Scores whose test speakers are in training too (random splits of clips; protocol 'utterance' or "
               "'text'): they are higher for the same model, often by far, and say nothing about somebody new.")
    elif disjoint is False:
        yield ('Scores of speakers that the model has never heard: this one is speaker-dependent, the easier task, and '
               'no sign of being better.')
    else:
        yield 'Scores of unseen speakers: here nobody knows whether the test speakers are in training.'
    words = PROTOCOLS.get(kind)
    if words:
        yield f"Scores under another kind of protocol than '{kind}' ({words[0].lower()}{words[1:].rstrip('.')})."


def _other_labels(contents):
    metrics = contents.metrics
    if contents.of_dimensions:
        yield 'Scores of classes, and of dimensions rated by other people or on another scale.'
        yield 'Pearson correlation or RMSE: CCC also counts a wrong level and a wrong spread.'
        return
    yield (f'Scores over other classes than these {len(contents.names)}: fewer or easier ones raise UA by themselves '
           f"(chance is {percent(metrics['chance'])} here).")
    yield ('WA against UA: WA counts clips, so frequent classes count more; UA is the mean recall of the classes (also '
           'called UAR or balanced accuracy).')


def _other_speech(metrics, corpora):
    if metrics.get('synthetic'):
        yield 'Anything about human voices: this speech is synthetic.'
    where = f'Speech other than that of {_listed(corpora)}' if corpora else 'Speech of other corpora'
    yield (f'{where}: another language, microphone, or feelings that are not acted. ser matrix shows what is left when '
           'the corpus changes.')


def _other_systems(contents, data):
    metrics = contents.metrics
    if contents.kind == 'ensemble' or is_ensemble(metrics):
        yield 'A single model: this score is of the mean of several, which cost several times as much to run.'
    elif contents.kind == 'seeds':
        yield ('The best of several seeds: this score is their mean, and the best one was found by looking at the '
               'test part.')
    elif contents.kind == 'folds':
        yield 'One fold alone: this score pools the test parts of all folds, each answered by its own model.'
    elif data.get('fold') is not None:
        yield (f"A score of all folds: this is fold {data['fold']} of {data.get('folds')} alone. ser evaluate on the "
               'folder of the folds pools them.')


def _targets(contents):
    return f'{len(contents.names)} {"dimensions" if contents.of_dimensions else "classes"}'


def _listed(corpora):
    return ', '.join(corpora)


def doubts(contents):
    """What a reader must know before the score, most important first: warnings of the test, leaks, few speakers."""
    metrics = contents.metrics
    lines = list(metrics['notes'])
    audit = metrics.get('audit') or {}
    lines += [f'the audit found a leak: {text}' for text in audit.get('leaks', ())]
    if not metrics['excludes_chance']:
        lines.append('chance lies inside the interval: this test does not show that the model does better than '
                     'guessing')
    speakers = metrics['n_speakers']
    if speakers is not None and speakers < FEW_SPEAKERS and metrics['covers_new_speakers']:
        lines.append(f'{counted(speakers, "test speaker")} only: another draw of speakers may score anywhere in the '
                     'interval, and an interval of so few is itself rough')
    return [*lines, *(f'audit: {text}' for text in audit.get('warnings', ()))]
