"""RAVDESS: Livingstone and Russo 2018, PLoS ONE 13(5), e0196391.

A file name is seven two-digit codes, `MM-VC-EE-II-SS-RR-AA`: modality, vocal channel, emotion, intensity,
statement, repetition, actor. Speech is taken, and song where it is asked for: 23 of the actors sing (not 18), in six
emotions (neither disgust nor surprise).
"""

import functools
import re
from pathlib import PurePosixPath

from ser.corpora.names import check_choice, check_codes, misnamed
from ser.corpora.scan import parse_names
from ser.corpora.utterance import Corpus, CorpusFacts, Download, Skip, Utterance
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

SONG_EMOTIONS = {code: EMOTIONS[code] for code in ('01', '02', '03', '04', '05', '06')}
# Which vocal channels each value of the option takes.
SONG = {'no': ('01',), 'yes': ('01', '02'), 'only': ('02',)}
RECORD = 'https://zenodo.org/records/1188976'

FACTS = CorpusFacts(
    name='ravdess', title='Ryerson Audio-Visual Database of Emotional Speech and Song', licence='CC BY-NC-SA 4.0',
    language='en', homepage=RECORD, speakers=24, emotions=CANONICAL, utterances=1440,
    example='03-01-06-01-02-01-12.wav',
    layout='Actor_01 ... Actor_24 (or any folders) with MM-VC-EE-II-SS-RR-AA names: emotion is the third code',
    obtain='free download, no registration; song is in Audio_Song_Actors_01-24.zip of the same record',
    downloads=(
        Download(f'{RECORD}/files/Audio_Speech_Actors_01-24.zip', 'Audio_Speech_Actors_01-24.zip', bytes=208468073,
                 checksum='md5:bc696df654c87fed845eb13823edef8a', checksum_source=RECORD),))


def describe(path, relative, song='no'):
    """Utterance or Skip of one file; song: a key of SONG. Raises SerError for a code that the corpus does not have."""
    stem = PurePosixPath(relative).stem
    if not re.fullmatch(r'\d\d(-\d\d){6}', stem):
        return misnamed(relative, 'MM-VC-EE-II-SS-RR-AA')
    codes = dict(zip(FIELDS, stem.split('-'), strict=True))
    check_codes(relative, 'RAVDESS', [(field, code, FIELDS[field]) for field, code in codes.items()])
    channel = FIELDS['vocal channel'][codes['vocal channel']]
    if codes['vocal channel'] not in SONG[song]:
        return Skip(relative, channel)
    if codes['modality'] != '03':
        return Skip(relative, f'modality {codes["modality"]} ({FIELDS["modality"][codes["modality"]]})')
    if channel == 'song':
        check_codes(relative, 'RAVDESS song', [('emotion', codes['emotion'], SONG_EMOTIONS)])
    raw = EMOTIONS[codes['emotion']]
    return Utterance(
        path=path, relative=relative, corpus=FACTS.name, emotion=canonical(raw), raw_label=raw,
        speaker=codes['actor'], language=FACTS.language, gender=FIELDS['actor'][codes['actor']],
        text_id=codes['statement'], intensity=INTENSITIES[codes['intensity']],
        extra={'repetition': codes['repetition']} | ({} if song == 'no' else {'channel': channel}))


def parse(source, song='no'):
    """Utterances and skips below `source`; song: 'no', 'yes' or 'only'. Raises SerError for any other."""
    check_choice(FACTS.name, 'song', song, SONG)
    return parse_names(source, functools.partial(describe, song=song))


RAVDESS = Corpus(FACTS, parse, options={
    'song': "'no' (default), 'yes' (speech and song, told apart by `channel`) or 'only'"})
