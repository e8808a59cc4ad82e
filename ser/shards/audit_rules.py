"""The rules of an audit about who and what is where: each takes a Subject and yields Findings."""

from ser.files import natural
from ser.shards.audit_subject import LEAK, NOTE, SEVERITIES, WARNING, Finding, counted
from ser.shards.index import PARTS
from ser.shards.split import voices

_WHERE = {LEAK: 'in test and also in train or valid: a model is scored on what it has heard',
          WARNING: 'in train and in valid: the choice of the best epoch is optimistic',
          NOTE: 'more than once within one part: they count that often'}


def recording_findings(subject):
    """Recordings that several clips hold: identical, near-identical, under different labels."""
    for how in ('identical', 'near-identical'):
        for severity in SEVERITIES:
            found = [one for one in subject.recordings if (one.how, one.severity) == (how, severity)]
            if found:
                clips = sum(len(one.keys) for one in found)
                yield Finding(f'{how}-recordings', severity,
                              f'{counted(len(found), f"{how} recording")} ({clips} clips) {_WHERE[severity]}',
                              {'recordings': len(found), 'clips': clips}, tuple(map(str, found)))
    torn = [one for one in subject.recordings if len(set(one.labels)) > 1]
    if torn:
        yield Finding('labels-disagree', WARNING, f'{counted(len(torn), "recording")} held under different labels: one '
                      'of them is wrong, or listeners disagreed', {'recordings': len(torn)}, tuple(map(str, torn)))
    if subject.sounds and subject.sounds.unheard:
        yield Finding('copies-not-compared', WARNING, f'{subject.sounds.unheard} further pairs of clips sound alike '
                      'and were not compared: there are too many', {'pairs': subject.sounds.unheard})


def speaker_findings(subject):
    """Speakers that parts share, and clips whose speaker nobody knows."""
    for one, other, kind, severity, why in (
            ('train', 'test', 'speakers-shared', LEAK, 'the model knows the voices that it is scored on'),
            ('valid', 'test', 'validation-from-test-speakers', LEAK, 'the best epoch is chosen on voices of the test'),
            ('train', 'valid', 'validation-speakers-shared', WARNING, 'validation does not show how the model does on '
                                                                      'new voices')):
        known = set().union(*map(voices, subject.clips(one))) - {None}
        shared = {subject.index.speaker_name(row) for row in subject.clips(other) if voices(row) & known}
        if shared:
            total = len({subject.index.speaker_name(row) for row in subject.clips(other)} - {None})
            yield Finding(kind, severity, f'{len(shared)} of {counted(total, "speaker")} of {other} are in {one} too: '
                          f'{why}', {'shared': len(shared), 'speakers': total}, _list(shared))
    unknown = [row.key for row in subject.clips() if row.speaker is None]
    if unknown:
        yield Finding('unknown-speakers', WARNING, f'{len(unknown)} of {len(subject.rows)} clips have no speaker: '
                      'whether their voices are in several parts cannot be told',
                      {'clips': len(unknown)}, tuple(unknown[:5]))


def session_findings(subject):
    """Sessions that test shares with training or validation."""
    session = _named('session')
    seen = {session(row) for row in subject.clips('train', 'valid')} - {None}
    shared = {session(row) for row in subject.clips('test')} & seen
    if shared:
        yield Finding('sessions-shared', WARNING, f'{counted(len(shared), "session")} of test in train or valid too: '
                      'the same room, microphone and partner', {'sessions': len(shared)}, _list(map(_words, shared)))


def sentence_findings(subject):
    """Sentences that test shares with training or validation."""
    sentence = _named('text_id')
    tested = {sentence(row) for row in subject.clips('test')} - {None}
    shared = tested & {sentence(row) for row in subject.clips('train', 'valid')}
    if shared:
        yield Finding('sentences-shared', NOTE, f'{len(shared)} of {counted(len(tested), "sentence")} of test are in '
                      'train or valid too, as is usual in acted corpora: its scores say nothing about unseen text',
                      {'shared': len(shared), 'sentences': len(tested)}, _list(map(_words, shared)))


def class_findings(subject):
    """Classes that a part has no clip of."""
    for part in PARTS:
        present = {row.emotion for row in subject.clips(part)}
        lacking = [name for name in subject.names if name not in present]
        if lacking:
            yield Finding('classes-missing', WARNING, f'{part} has no clip of {", ".join(lacking)}',
                          {'part': part, 'classes': lacking})


def corpus_findings(subject):
    """Classes that only one of several corpora has."""
    corpora = {}
    for row in subject.clips():
        corpora.setdefault(row.emotion, set()).add(row.corpus or '')
    everywhere = set().union(*corpora.values())
    alone = {name: next(iter(corpora[name])) for name in subject.names if len(corpora.get(name, ())) == 1}
    if len(everywhere) > 1 and alone:
        listed = ', '.join(f'{name} (only {corpus or "unnamed"})' for name, corpus in alone.items())
        yield Finding('class-is-corpus', WARNING, f'{listed}: a model may learn the corpus (room, microphone, '
                      'language) instead of the emotion', {'classes': alone})


def sound_findings(subject):
    """Clips that cannot be decoded, and clips without any sound; nothing in a quick audit."""
    if subject.sounds is None:
        return
    prints, keys = subject.sounds.prints, subject.index.rows
    bad = [row for row in subject.rows if row in prints.bad]
    if bad:
        yield Finding('undecodable', WARNING, f'{counted(len(bad), "clip")} could not be decoded, so not compared',
                      {'clips': len(bad)}, tuple(f'{keys[row].key} {prints.bad[row]}' for row in bad))
    silent = [int(row) for row in subject.rows[prints.spread[subject.rows] == 0] if row not in prints.bad]
    if silent:
        yield Finding('silent', WARNING, f'{counted(len(silent), "clip")} without any sound under 3.2 kHz',
                      {'clips': len(silent)}, tuple(keys[row].key for row in silent))


def normalisation_findings(transductive):
    """What else than a clip itself decides how it is normalised."""
    if transductive:
        yield Finding('normalisation', WARNING, 'transductive: a clip is normalised with other clips of its part, '
                      'which a model in use does not have; do not compare the scores with others',
                      {'transductive': True})
    else:
        yield Finding('normalisation', NOTE, 'per clip, nothing from other test clips', {'transductive': False})


def _named(field):
    """Row -> (corpus, value) of a metadata field that corpora number alike, None where unknown."""
    def value(row):
        said = row.metadata.get(field)
        return None if said is None or isinstance(said, (list, dict)) else (row.corpus or '', str(said))
    return value


def _words(pair):
    return '/'.join(filter(None, pair))


def _list(words):
    return (', '.join(sorted(words, key=natural)),)
