"""nEMO: Christop 2024, LREC-COLING, "nEMO: Dataset of Emotional Speech in Polish".

A file name is `SSS_emotion_N`: speaker, emotion, number of the sentence. data.tsv has what the sentences are.
"""

import dataclasses
import re
from pathlib import PurePosixPath

from ser.corpora.names import check_codes, find_beside, misnamed, read_beside
from ser.corpora.scan import parse_names
from ser.corpora.utterance import Corpus, CorpusFacts, Utterance
from ser.labels import canonical, ordered

EMOTIONS = ('anger', 'fear', 'happiness', 'neutral', 'sadness', 'surprised')
# Speaker -> (gender, age), as data.tsv has them.
SPEAKERS = {'EB0': ('female', 27), 'IC0': ('female', 28), 'KD0': ('female', 28), 'KS0': ('male', 23),
            'MK0': ('female', 23), 'MP0': ('male', 24), 'SM0': ('male', 24), 'TP0': ('male', 26), 'WR0': ('male', 23)}
SENTENCES = tuple(str(number) for number in range(1, 91))

FACTS = CorpusFacts(
    name='nemo', title='nEMO, emotional speech in Polish', licence='CC BY-NC-SA 4.0', language='pl',
    homepage='https://github.com/amu-cai/nEMO', speakers=9, emotions=ordered(map(canonical, EMOTIONS)), utterances=4481,
    example='EB0_anger_1.wav',
    layout='samples (or any folder) with SSS_emotion_N names: speaker, emotion, sentence; data.tsv where there is one',
    obtain='free: git clone its homepage')


def describe(path, relative):
    """Utterance or Skip of one file. Raises SerError for a code that the corpus does not have."""
    match = re.fullmatch(r'([a-z]{2}\d)_([a-z]+)_(\d{1,2})', PurePosixPath(relative).stem, re.IGNORECASE)
    if not match:
        return misnamed(relative, 'SSS_emotion_N')
    speaker, raw, sentence = match[1].upper(), match[2].lower(), match[3].lstrip('0')
    check_codes(relative, 'nEMO', [
        ('speaker', speaker, SPEAKERS), ('emotion', raw, EMOTIONS), ('sentence', sentence, SENTENCES)])
    gender, age = SPEAKERS[speaker]
    return Utterance(
        path=path, relative=relative, corpus=FACTS.name, emotion=canonical(raw), raw_label=raw, speaker=speaker,
        language=FACTS.language, gender=gender, text_id=sentence, extra={'age': age})


def parse(source):
    """Utterances and skips below `source`, with the sentences (`text`) where data.tsv lies there too."""
    table = find_beside(source, 'data.tsv')
    texts = {} if table is None else {
        PurePosixPath(row['file_id']).stem: row['raw_text'] for row in read_beside(table, ('file_id', 'raw_text'))}
    for found in parse_names(source, describe):
        text = texts.get(PurePosixPath(found.relative).stem)
        if isinstance(found, Utterance) and text:
            found = dataclasses.replace(found, extra=found.extra | {'text': text})
        yield found


NEMO = Corpus(FACTS, parse)
