"""EMOVO: Costantini et al. 2014, LREC, "EMOVO corpus: an Italian emotional speech database".

A file name is `EEE-AA-SS`: the emotion's Italian abbreviation, actor (f1 ... m3), sentence.
"""

import re
from pathlib import PurePosixPath

from ser.corpora.names import check_codes, misnamed
from ser.corpora.scan import parse_names
from ser.corpora.utterance import Corpus, CorpusFacts, Utterance
from ser.labels import ordered

# Code -> (Italian word, canonical emotion).
EMOTIONS = {'dis': ('disgusto', 'disgust'), 'gio': ('gioia', 'happy'), 'neu': ('neutro', 'neutral'),
            'pau': ('paura', 'fear'), 'rab': ('rabbia', 'angry'), 'sor': ('sorpresa', 'surprise'),
            'tri': ('tristezza', 'sad')}
ACTORS = {'f1': 'female', 'f2': 'female', 'f3': 'female', 'm1': 'male', 'm2': 'male', 'm3': 'male'}
SENTENCES = ('b1', 'b2', 'b3', 'd1', 'd2', 'l1', 'l2', 'l3', 'l4', 'n1', 'n2', 'n3', 'n4', 'n5')

FACTS = CorpusFacts(
    name='emovo', title='EMOVO, an Italian emotional speech database', licence='not stated: ask its authors',
    language='it', homepage='http://voice.fub.it/activities/corpora/emovo/index.html', speakers=6,
    emotions=ordered(emotion for _, emotion in EMOTIONS.values()), utterances=588, example='dis-f1-b1.wav',
    layout='f1 ... m3 (or any folders) with EEE-AA-SS names: emotion (dis gio neu pau rab sor tri), actor, sentence',
    obtain='from its homepage')


def describe(path, relative):
    """Utterance or Skip of one file. Raises SerError for a code that the corpus does not have."""
    match = re.fullmatch(r'([a-z]{3})-([a-z]\d)-([a-z]\d)', PurePosixPath(relative).stem.lower())
    if not match:
        return misnamed(relative, 'EEE-AA-SS')
    code, actor, sentence = match.groups()
    check_codes(relative, 'EMOVO', [
        ('emotion', code, EMOTIONS), ('actor', actor, ACTORS), ('sentence', sentence, SENTENCES)])
    raw, emotion = EMOTIONS[code]
    return Utterance(path=path, relative=relative, corpus=FACTS.name, emotion=emotion, raw_label=raw, speaker=actor,
                     language=FACTS.language, gender=ACTORS[actor], text_id=sentence)


def parse(source):
    """Utterances and skips below `source`."""
    return parse_names(source, describe)


EMOVO = Corpus(FACTS, parse)
