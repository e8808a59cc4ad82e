"""Emo-DB, the Berlin Database of Emotional Speech: Burkhardt et al. 2005, "A database of German emotional speech".

A file name is `SSTTTEv`: speaker (two digits), text (letter and two digits), the emotion's German initial, version.
"""

import re
from pathlib import PurePosixPath

from ser.corpora.names import check_codes, misnamed
from ser.corpora.scan import parse_names
from ser.corpora.utterance import Corpus, CorpusFacts, Download, Utterance
from ser.labels import canonical, ordered

# Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral
EMOTIONS = {'W': 'anger', 'L': 'boredom', 'E': 'disgust', 'A': 'fear', 'F': 'happiness', 'T': 'sadness', 'N': 'neutral'}
GENDERS = {'03': 'male', '08': 'female', '09': 'female', '10': 'male', '11': 'male', '12': 'male', '13': 'female',
           '14': 'female', '15': 'male', '16': 'female'}
TEXTS = ('a01', 'a02', 'a04', 'a05', 'a07', 'b01', 'b02', 'b03', 'b09', 'b10')

FACTS = CorpusFacts(
    name='emodb', title='Berlin Database of Emotional Speech', licence='CC0 1.0, as published by audEERING',
    language='de', homepage='http://emodb.bilderbar.info/', speakers=10,
    emotions=ordered(canonical(raw) for raw in EMOTIONS.values()), utterances=535, example='03a01Fa.wav',
    layout='any folders with SSTTTEv names: speaker, text, emotion letter (W L E A F T N), version',
    obtain='free download, no registration',
    downloads=(Download('http://emodb.bilderbar.info/download/download.zip', 'emodb.zip'),))


def describe(path, relative):
    """Utterance or Skip of one file. Raises SerError for a code that the corpus does not have."""
    match = re.fullmatch(r'(\d\d)([a-z]\d\d)([a-z])([a-z])', PurePosixPath(relative).stem, re.IGNORECASE)
    if not match:
        return misnamed(relative, 'SSTTTEv')
    speaker, text, letter, version = match.groups()
    text, letter, version = text.lower(), letter.upper(), version.lower()
    check_codes(relative, 'Emo-DB', [
        ('speaker', speaker, GENDERS), ('text', text, TEXTS), ('emotion', letter, EMOTIONS)])
    return Utterance(
        path=path, relative=relative, corpus=FACTS.name, emotion=canonical(EMOTIONS[letter]),
        raw_label=EMOTIONS[letter], speaker=speaker, language=FACTS.language, gender=GENDERS[speaker], text_id=text,
        extra={'version': version})


def parse(source):
    """Utterances and skips below `source`."""
    return parse_names(source, describe)


EMODB = Corpus(FACTS, parse)
