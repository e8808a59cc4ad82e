"""CaFE, Canadian French Emotional speech: Gournay, Lahaie and Lefebvre 2018, MMSys, "A Canadian French emotional speech
dataset".

A file name is `AA-E-I-S`: actor, the emotion's French initial, intensity, sentence; neutral has no intensity,
`AA-N-S`. The folders (Colère/Faible ...) say nothing that the name does not, so how their accents arrive is no matter.
"""

import re
from pathlib import PurePosixPath

from ser.corpora.names import check_codes, misnamed
from ser.corpora.scan import parse_names
from ser.corpora.utterance import Corpus, CorpusFacts, Download, Utterance
from ser.labels import ordered

# Code -> (the corpus's word, canonical emotion).
EMOTIONS = {'C': ('colère', 'angry'), 'D': ('dégoût', 'disgust'), 'J': ('joie', 'happy'), 'N': ('neutre', 'neutral'),
            'P': ('peur', 'fear'), 'S': ('surprise', 'surprise'), 'T': ('tristesse', 'sad')}
INTENSITIES = {'1': 'low', '2': 'high'}
SENTENCES = {'1': 'Un cheval fou dans mon jardin', '2': 'Deux ânes aigris au pelage brun',
             '3': 'Trois cygnes aveugles au bord du lac', '4': 'Quatre vieilles truies éléphantesques',
             '5': 'Cinq pumas fiers et passionnés', '6': 'Six ours aimants domestiqués'}
# Odd actors are men, even ones women.
AGES = {'01': 46, '02': 64, '03': 18, '04': 50, '05': 22, '06': 34, '07': 15, '08': 25, '09': 42, '10': 20, '11': 35,
        '12': 37}

FACTS = CorpusFacts(
    name='cafe', title='Canadian French Emotional speech dataset', licence='CC BY-NC-SA 4.0', language='fr',
    homepage='https://zenodo.org/records/1478765', speakers=12,
    emotions=ordered(emotion for _, emotion in EMOTIONS.values()), utterances=936, example='01-C-1-1.wav',
    layout='Colère/Faible ... Tristesse/Fort, Neutre (or any folders) with AA-E-I-S names; neutral AA-N-S',
    obtain='free download, no registration',
    downloads=(Download('https://zenodo.org/records/1478765/files/CaFE_48k.zip', 'CaFE_48k.zip'),))


def describe(path, relative):
    """Utterance or Skip of one file. Raises SerError for a code that the corpus does not have."""
    match = re.fullmatch(r'(\d\d)-([a-z])(?:-(\d))?-(\d)', PurePosixPath(relative).stem, re.IGNORECASE)
    if not match or (match[3] is None and match[2].upper() != 'N'):
        return misnamed(relative, 'AA-E-I-S')
    actor, letter, intensity, sentence = match.groups()
    letter = letter.upper()
    check_codes(relative, 'CaFE', [('actor', actor, AGES), ('emotion', letter, EMOTIONS),
                                   ('intensity', intensity or '1', INTENSITIES), ('sentence', sentence, SENTENCES)])
    raw, emotion = EMOTIONS[letter]
    return Utterance(
        path=path, relative=relative, corpus=FACTS.name, emotion=emotion, raw_label=raw, speaker=actor,
        language=FACTS.language, gender='male' if int(actor) % 2 else 'female', text_id=sentence,
        intensity=None if letter == 'N' else INTENSITIES[intensity], extra={'age': AGES[actor]})


def parse(source):
    """Utterances and skips below `source`; the same recording at 48 and 192 kHz is taken once."""
    return parse_names(source, describe)


CAFE = Corpus(FACTS, parse)
