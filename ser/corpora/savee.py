"""SAVEE, Surrey Audio-Visual Expressed Emotion: Haq and Jackson 2009, AVSP, "Speaker-dependent audio-visual emotion
recognition".

A file name is an emotion code and the sentence's number within that emotion, `sa07`; the speaker is the folder it lies
in (AudioData/DC/sa07.wav) or stands before it (DC_sa07.wav), as copies of the corpus have it.
"""

import re
from pathlib import PurePosixPath

from ser.corpora.names import check_codes, misnamed
from ser.corpora.scan import parse_names
from ser.corpora.utterance import Corpus, CorpusFacts, Skip, Utterance
from ser.labels import canonical, ordered

SPEAKERS = ('DC', 'JE', 'JK', 'KL')
EMOTIONS = {'a': 'anger', 'd': 'disgust', 'f': 'fear', 'h': 'happiness', 'n': 'neutral', 'sa': 'sadness',
            'su': 'surprise'}
SENTENCES = tuple(f'{number:02d}' for number in range(1, 16))
NEUTRAL_SENTENCES = tuple(f'{number:02d}' for number in range(1, 31))

FACTS = CorpusFacts(
    name='savee', title='Surrey Audio-Visual Expressed Emotion database',
    licence='for research, after registration with its authors', language='en',
    homepage='http://kahlan.eps.surrey.ac.uk/savee/', speakers=4,
    emotions=ordered(canonical(raw) for raw in EMOTIONS.values()), utterances=480, example='DC_a01.wav',
    layout='folders DC JE JK KL with names like a01.wav, or DC_a01.wav in any folder: emotion code and sentence number',
    obtain='register on its homepage')


def describe(path, relative):
    """Utterance or Skip of one file. Raises SerError for a code that the corpus does not have."""
    name = PurePosixPath(relative)
    match = re.fullmatch(r'(?:([a-z]{2})_)?([a-z]{1,2})(\d\d)', name.stem, re.IGNORECASE)
    if not match:
        return misnamed(relative, 'an emotion code and two digits, with or without a speaker before it')
    speaker, code, number = match.groups()
    speaker = (speaker or _folder_of_speaker(name)).upper()
    if not speaker:
        return Skip(relative, 'no speaker in its name or its folders', bad=True)
    code = code.lower()
    check_codes(relative, 'SAVEE', [
        ('speaker', speaker, SPEAKERS), ('emotion', code, EMOTIONS),
        ('sentence', number, NEUTRAL_SENTENCES if code == 'n' else SENTENCES)])
    # Three sentences are said in every emotion, but under which numbers is not published: each code has its own texts.
    return Utterance(
        path=path, relative=relative, corpus=FACTS.name, emotion=canonical(EMOTIONS[code]), raw_label=EMOTIONS[code],
        speaker=speaker, language=FACTS.language, gender='male', text_id=f'{code}{number}')


def _folder_of_speaker(name):
    """The nearest folder that is called like a speaker, or ''."""
    return next((folder.name for folder in name.parents if folder.name.upper() in SPEAKERS), '')


def parse(source):
    """Utterances and skips below `source`; a01.wav of one speaker is not a01.wav of another."""
    return parse_names(source, describe, same=lambda found: (found.speaker, found.text_id))


SAVEE = Corpus(FACTS, parse)
