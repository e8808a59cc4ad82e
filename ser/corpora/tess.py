"""TESS, Toronto Emotional Speech Set: Pichora-Fuller and Dupuis 2020, doi 10.5683/SP2/E8H2MF.

A file name is speaker, word and emotion, `OAF_back_angry`: the older (64) or the younger (26) female speaker says the
word after "Say the word". `ps` is pleasant surprise. Folders are not looked at: every copy calls them differently.
"""

import re
from pathlib import PurePosixPath

from ser.corpora.names import check_codes, misnamed
from ser.corpora.scan import parse_names
from ser.corpora.utterance import Corpus, CorpusFacts, Utterance
from ser.labels import canonical, ordered

AGES = {'OAF': 64, 'YAF': 26}
# One file of the release is called OA_bite_neutral.
SPEAKERS = {'OAF': 'OAF', 'YAF': 'YAF', 'OA': 'OAF'}
EMOTIONS = {'angry': 'angry', 'disgust': 'disgust', 'fear': 'fear', 'happy': 'happy', 'neutral': 'neutral',
            'ps': 'pleasant surprise', 'sad': 'sad'}

FACTS = CorpusFacts(
    name='tess', title='Toronto Emotional Speech Set', licence='CC BY-NC-ND 4.0', language='en',
    homepage='https://doi.org/10.5683/SP2/E8H2MF', speakers=2,
    emotions=ordered(canonical(raw) for raw in EMOTIONS.values()), utterances=2800, example='OAF_back_angry.wav',
    layout='any folders with SPEAKER_word_emotion names: OAF or YAF; angry, disgust, fear, happy, neutral, ps, sad',
    obtain='free download, file by file, from the Borealis repository')


def describe(path, relative):
    """Utterance or Skip of one file. Raises SerError for a code that the corpus does not have."""
    match = re.fullmatch(r'([a-z]{2,3})_([a-z]+)_([a-z]+)', PurePosixPath(relative).stem, re.IGNORECASE)
    if not match:
        return misnamed(relative, 'SPEAKER_word_emotion')
    speaker, word, code = match.groups()
    speaker, word, code = speaker.upper(), word.lower(), code.lower()
    check_codes(relative, 'TESS', [('speaker', speaker, SPEAKERS), ('emotion', code, EMOTIONS)])
    speaker = SPEAKERS[speaker]
    return Utterance(
        path=path, relative=relative, corpus=FACTS.name, emotion=canonical(EMOTIONS[code]), raw_label=EMOTIONS[code],
        speaker=speaker, language=FACTS.language, gender='female', text_id=word, extra={'age': AGES[speaker]})


def parse(source):
    """Utterances and skips below `source`."""
    return parse_names(source, describe, same=lambda found: (found.speaker, found.text_id, found.emotion))


TESS = Corpus(FACTS, parse)
