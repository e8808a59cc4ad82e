"""RAVDESS: Livingstone and Russo 2018, PLoS ONE 13(5), e0196391.

A file name is seven two-digit codes, `MM-VC-EE-II-SS-RR-AA`: modality, vocal channel, emotion, intensity,
statement, repetition, actor. Only the speech channel is taken.
"""

import re
from pathlib import PurePosixPath

from ser.corpora.scan import parse_names
from ser.corpora.utterance import Corpus, CorpusFacts, Skip, Utterance
from ser.errors import SerError
from ser.labels import CANONICAL, canonical

EMOTIONS = {'01': 'neutral', '02': 'calm', '03': 'happy', '04': 'sad', '05': 'angry', '06': 'fearful', '07': 'disgust',
            '08': 'surprised'}
INTENSITIES = {'01': 'normal', '02': 'strong'}
FIELDS = {
    'modality': {'01': 'audio and video', '02': 'video only', '03': 'audio only'},
    'vocal channel': {'01': 'speech', '02': 'song'},
    'emotion': EMOTIONS,
    'intensity': INTENSITIES,
    'statement': {'01': 'Kids are talking by the door', '02': 'Dogs are sitting by the door'},
    'repetition': {'01': 'first', '02': 'second'},
    'actor': {f'{actor:02d}': 'female' if actor % 2 == 0 else 'male' for actor in range(1, 25)},
}

FACTS = CorpusFacts(
    name='ravdess', title='Ryerson Audio-Visual Database of Emotional Speech and Song', licence='CC BY-NC-SA 4.0',
    language='en', homepage='https://zenodo.org/records/1188976', speakers=24, emotions=CANONICAL, utterances=1440,
    example='03-01-06-01-02-01-12.wav',
    layout='Actor_01 ... Actor_24 (or any folders) with MM-VC-EE-II-SS-RR-AA names: emotion is the third code')


def describe(path, relative):
    """Utterance or Skip of one file. Raises SerError for a code that the corpus does not have."""
    stem = PurePosixPath(relative).stem
    if not re.fullmatch(r'\d\d(-\d\d){6}', stem):
        return Skip(relative, 'name does not fit MM-VC-EE-II-SS-RR-AA')
    codes = dict(zip(FIELDS, stem.split('-'), strict=True))
    for field, code in codes.items():
        if code not in FIELDS[field]:
            raise SerError(f"{relative}: unknown {field} code '{code}'. RAVDESS has {', '.join(FIELDS[field])}. "
                           'Rename or remove the file')
    if codes['vocal channel'] == '02':
        return Skip(relative, 'song')
    if codes['modality'] != '03':
        return Skip(relative, f'modality {codes["modality"]} ({FIELDS["modality"][codes["modality"]]})')
    raw = EMOTIONS[codes['emotion']]
    return Utterance(
        path=path, relative=relative, corpus=FACTS.name, emotion=canonical(raw), raw_label=raw,
        speaker=codes['actor'], language=FACTS.language, gender=FIELDS['actor'][codes['actor']],
        text_id=codes['statement'], intensity=INTENSITIES[codes['intensity']],
        extra={'repetition': codes['repetition']})


def parse(source):
    """Utterances and skips below `source`."""
    return parse_names(source, describe)


RAVDESS = Corpus(FACTS, parse)
