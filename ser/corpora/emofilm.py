"""EmoFilm: Parada-Cabaleiro et al. 2018, Interspeech, "Categorical vs dimensional perception of Italian emotional
speech".

A file name is `G_EEENNNCLL`: gender, the emotion's Italian abbreviation, number of the scene, the cut's letter,
language. Scenes come from films and their dubbed versions, so that one is spoken in up to three languages. `dis` is
disprezzo, contempt, one of the paper's five emotions, though often read as disgust. Who speaks only the legend says.
"""

import dataclasses
import functools
import re
from pathlib import Path, PurePosixPath

from ser.corpora.names import check_choice, check_codes, misnamed, read_beside
from ser.corpora.scan import parse_names
from ser.corpora.utterance import Corpus, CorpusFacts, Utterance
from ser.labels import ordered

# Code -> (Italian word, emotion).
EMOTIONS = {'ans': ('ansia', 'fear'), 'dis': ('disprezzo', 'contempt'), 'gio': ('gioia', 'happy'),
            'rab': ('rabbia', 'angry'), 'tri': ('tristezza', 'sad')}
DIS = ('contempt', 'disgust')
GENDERS = {'f': 'female', 'm': 'male'}
LANGUAGES = ('en', 'es', 'it')

FACTS = CorpusFacts(
    name='emofilm', title='EmoFilm, emotional speech from films', licence='granted on request, for research',
    language=None, homepage='https://zenodo.org/records/7665999', speakers=207,
    emotions=ordered(emotion for _, emotion in EMOTIONS.values()), utterances=1115, example='f_ans001aes.wav',
    layout='wav_corpus (or any folder) with G_EEENNNCLL names: gender, emotion (ans dis gio rab tri), scene, language',
    obtain='request access on its homepage')


def describe(path, relative, dis='contempt'):
    """Utterance or Skip of one file; dis: one of DIS. Raises SerError for a code that the corpus does not have."""
    match = re.fullmatch(r'([a-z])_([a-z]{3})(\d{3}[a-z])([a-z]{2})(?:_16k)?', PurePosixPath(relative).stem.lower())
    if not match:
        return misnamed(relative, 'G_EEENNNCLL')
    gender, code, scene, language = match.groups()
    check_codes(relative, 'EmoFilm', [
        ('gender', gender, GENDERS), ('emotion', code, EMOTIONS), ('language', language, LANGUAGES)])
    raw, emotion = EMOTIONS[code]
    return Utterance(
        path=path, relative=relative, corpus=FACTS.name, emotion=dis if code == 'dis' else emotion, raw_label=raw,
        language=language, gender=GENDERS[gender], text_id=f'{gender}_{code}{scene}')


def parse(source, dis='contempt', legend=None):
    """Utterances and skips below `source`; options as in EMOFILM. Raises SerError for other values."""
    check_choice(FACTS.name, 'dis', dis, DIS)
    rows = {} if legend is None else {
        _clip(row['file']): row for row in read_beside(Path(legend), ('file', 'speaker'))}
    for found in parse_names(source, functools.partial(describe, dis=dis)):
        row = rows.get(_clip(found.relative))
        if isinstance(found, Utterance) and row:
            extra = {'film': row['film']} if row.get('film') else {}
            found = dataclasses.replace(found, speaker=_speaker(row['speaker']), extra=extra)
        yield found


def _clip(name):
    """`f_ans001aes` of 'f_ans001aes', 'f_ans001aes.wav', 'x/f_ans001aes_16k.wav'."""
    return PurePosixPath(name).stem.lower().removesuffix('_16k')


def _speaker(name):
    """None for nobody in particular: all strangers are not one speaker."""
    name = name.lower()
    return None if not name.strip('?') or name.startswith('unknown') else name


EMOFILM = Corpus(FACTS, parse, options={
    'dis': "what the code dis counts as: 'contempt' (default, the corpus's own) or 'disgust'",
    'legend': 'the legend of the release saved as CSV, with the columns file and speaker (and film)'})
