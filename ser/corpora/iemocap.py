"""IEMOCAP: Busso et al. 2008, "IEMOCAP: interactive emotional dyadic motion capture database", LREC 42(4).

Five sessions of a woman and a man. Recordings are the turns in `sentences/wav/<dialog>/<turn>.wav`, labels lie in
`dialog/EmoEvaluation/<dialog>.txt` (see iemocap_labels). `dialog/wav` holds whole dialogs and is not used.
"""

import re
from dataclasses import replace
from pathlib import Path

from ser.corpora.iemocap_labels import EMOTIONS, UNDECIDED, read_evaluations, read_turn
from ser.corpora.names import check_choice
from ser.corpora.parquet import is_export
from ser.corpora.parquet import parse as parse_export
from ser.corpora.scan import find_audio
from ser.corpora.utterance import Corpus, CorpusFacts, Skip, Utterance
from ser.errors import SerError
from ser.files import natural
from ser.labels import canonical, ordered

STYLES = ('all', 'improvised', 'scripted')
NO_AGREEMENT = 'no agreement'
_DISAGREED = (NO_AGREEMENT, 'raters differ; --option undecided=keep takes it')
FACTS = CorpusFacts(
    name='iemocap', title='Interactive Emotional Dyadic Motion Capture', licence='research use by signed release form',
    language='en', homepage='https://sail.usc.edu/iemocap/', speakers=10,
    emotions=ordered(map(canonical, EMOTIONS.values())), utterances=10039,
    example='Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav',
    layout='IEMOCAP_full_release with Session1 ... Session5, each with sentences/wav and dialog/EmoEvaluation; or its '
           'parquet export',
    obtain='by request form from the SAIL laboratory at USC; no free download')


def parse(source, undecided='skip', style='all'):
    """Utterances and skips of the release (its folder, or the one above it), or of a parquet export of it.

    undecided: 'skip' or 'keep' turns on which the raters do not agree. style: 'all', 'improvised', 'scripted'.
    Raises SerError for a folder that is not the release, a dialog or turn in the wrong session, an unknown code.
    """
    check_choice(FACTS.name, 'undecided', undecided, ('skip', 'keep'))
    check_choice(FACTS.name, 'style', style, STYLES)
    root = _root(Path(source))
    if root is None:
        yield from (_of_export(found, undecided, style) for found in parse_export(source, corpus=FACTS.name))
        return
    for session, folder in sessions_of(root).items():
        yield from _session(root, session, folder, undecided, style)


def sessions_of(folder):
    """Number ('1' to '5') -> folder of the sessions directly in a folder, whatever the case of their names."""
    matches = [(re.fullmatch(r'session[ _]?([1-5])', path.name.lower()), path) for path in folder.iterdir()
               if path.is_dir()]
    return {match.group(1): path for match, path in sorted(matches, key=lambda item: item[1].name.lower()) if match}


def _root(source):
    """The folder with the sessions: the source or one in it. None where the source is a parquet export."""
    if not source.is_dir():
        if is_export(source):
            return None
        raise SerError(f"no such folder: '{source}'" if not source.exists() else
                       f"'{source}' is not a folder: give the one that holds Session1 ... Session5")
    if sessions_of(source):
        return source
    below = [path for path in sorted(source.iterdir()) if path.is_dir() and not path.name.startswith('.')
             and sessions_of(path)]
    if len(below) > 1:
        raise SerError(f"several releases in '{source}': {', '.join(path.name for path in below)}. Give one of them")
    if below:
        return below[0]
    if is_export(source):
        return None
    hint = f" Give '{source.parent}'" if sessions_of(source.resolve().parent) else ''
    raise SerError(f"no session in '{source}': expected the folders Session1 ... Session5 in it, or in one below it."
                   f'{hint}')


def _inside(folder, *names):
    """The folder at these names, whatever their case. Raises SerError when there is none."""
    place = folder
    for name in names:
        below = (path for path in sorted(place.iterdir()) if path.is_dir())
        place = next((path for path in below if path.name.lower() == name.lower()), None)
        if place is None:
            raise SerError(f"no folder {'/'.join(names)} in '{folder}': the full release of IEMOCAP is wanted")
    return place


def _session(root, session, folder, undecided, style):
    wavs = _inside(folder, 'sentences', 'wav')
    recordings, skips = _recordings(wavs, session)
    labelled = set()
    files = [path for path in _inside(folder, 'dialog', 'EmoEvaluation').iterdir()
             if path.suffix.lower() == '.txt' and not path.name.startswith('.')]
    for file in sorted(files, key=lambda path: natural(path.name)):
        where = file.relative_to(root).as_posix()
        _check_session(file.stem, session, where)
        text = file.read_text(encoding='utf-8', errors='replace')
        for name, evaluation in read_evaluations(text, file.stem, where).items():
            path = recordings.get(name.lower())
            labelled.add(name.lower())
            relative = path.relative_to(root).as_posix() if path else name
            yield _turn(name, evaluation, path, relative, where, undecided, style)
    for name, path in recordings.items():
        if name not in labelled:
            yield Skip(path.relative_to(root).as_posix(), 'no label')
    for skip in skips:
        yield replace(skip, relative=(wavs / skip.relative).relative_to(root).as_posix())


def _check_session(dialog, session, where):
    match = re.match(r'ses0([1-5])[fm]_', dialog.lower())
    if not match or match.group(1) != session:
        raise SerError(f"{where}: a dialog of session {session} is called Ses0{session}F_... or Ses0{session}M_..., "
                       f"not '{dialog}'. Put it into its own session")


def _recordings(folder, session):
    """(turn in lower case -> path, skips) of a session's `sentences/wav`."""
    relatives, skips = find_audio(folder)
    recordings = {}
    for relative in relatives:
        path = folder / relative
        turn = read_turn(path.stem)
        if turn is None:
            skips.append(Skip(relative, 'not the name of a turn', bad=True))
            continue
        _check_session(turn.dialog, session, f"'{path}'")
        if recordings.setdefault(path.stem.lower(), path) != path:
            raise SerError(f"turn '{path.stem}' is recorded twice: '{recordings[path.stem.lower()]}' and '{path}'. "
                           'Keep one')
    return recordings, skips


def _turn(name, evaluation, path, relative, where, undecided, style):
    turn = read_turn(name)
    if style not in ('all', turn.style):
        return Skip(relative, f'{turn.style} turn')
    if path is None:
        return Skip(relative, 'missing file', f'labelled in {where}', bad=True)
    if evaluation.code == UNDECIDED and undecided == 'skip':
        return Skip(relative, *_DISAGREED)
    emotion = EMOTIONS.get(evaluation.code, NO_AGREEMENT)
    return Utterance(
        path=path, relative=relative, corpus=FACTS.name, emotion=canonical(emotion), raw_label=evaluation.code,
        speaker=turn.speaker, language=FACTS.language, gender=turn.gender, session=turn.session, text_id=turn.text_id,
        extra={'style': turn.style, 'votes': evaluation.votes, 'valence': evaluation.valence,
               'arousal': evaluation.arousal, 'dominance': evaluation.dominance})


def _of_export(found, undecided, style):
    """A row of a parquet export, completed by what the name of its turn says. Raises SerError for an unknown label."""
    if isinstance(found, Skip):
        return found
    name = found.extra.get('file') or found.extra.get('recording') or ''
    turn = read_turn(Path(name).stem)
    if turn is None:
        return Skip(found.relative, 'not the name of a turn', str(name), bad=True)
    if style not in ('all', turn.style):
        return Skip(found.relative, f'{turn.style} turn')
    emotion = NO_AGREEMENT if found.emotion == UNDECIDED else found.emotion
    if emotion not in (*FACTS.emotions, NO_AGREEMENT):
        raise SerError(f"{found.relative}: unknown emotion '{found.raw_label}'. IEMOCAP has "
                       f"{', '.join(FACTS.emotions)}, {UNDECIDED}. The corpus parquet takes any label")
    if emotion == NO_AGREEMENT and undecided == 'skip':
        return Skip(found.relative, *_DISAGREED)
    return replace(found, emotion=emotion, speaker=turn.speaker, language=FACTS.language, gender=turn.gender,
                   session=turn.session, text_id=turn.text_id, extra={**found.extra, 'style': turn.style})


IEMOCAP = Corpus(FACTS, parse, options={
    'undecided': 'skip (default) or keep turns on which the raters do not agree (xxx)',
    'style': 'all (default), improvised or scripted'})
