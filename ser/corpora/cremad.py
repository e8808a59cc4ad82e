"""CREMA-D: Cao et al. 2014, IEEE Transactions on Affective Computing 5(4), "CREMA-D: Crowd-sourced Emotional Multimodal
Actors Dataset".

A file name is `AAAA_SSS_EEE_LL`: actor, sentence, the emotion that was to be acted, its intensity (XX: unspecified).
What raters heard in it lies in a table of the release, in blocks by what they were shown: rows 100001 on are of the
voice alone, 200001 on of the face alone, 300001 on of both. Only the first is of use here.
"""

import dataclasses
import re
from pathlib import Path, PurePosixPath

from ser.corpora.names import check_choice, check_codes, find_beside, misnamed, read_beside
from ser.corpora.scan import parse_names
from ser.corpora.utterance import Corpus, CorpusFacts, Skip, Utterance
from ser.errors import SerError
from ser.labels import canonical, ordered

ACTORS = tuple(str(actor) for actor in range(1001, 1092))
SENTENCES = {
    'IEO': "It's eleven o'clock", 'TIE': 'That is exactly what happened', 'IOM': "I'm on my way to the meeting",
    'IWW': 'I wonder what this is about', 'TAI': 'The airplane is almost full', 'MTI': 'Maybe tomorrow it will be cold',
    'IWL': 'I would like a new alarm clock', 'ITH': 'I think I have a doctor\'s appointment',
    'DFA': "Don't forget a jacket", 'ITS': "I think I've seen this before", 'TSI': 'The surface is slick',
    'WSI': "We'll stop in a couple of minutes"}
EMOTIONS = {'ANG': 'anger', 'DIS': 'disgust', 'FEA': 'fear', 'HAP': 'happy', 'NEU': 'neutral', 'SAD': 'sad'}
# One file of the release ends in a single X.
INTENSITIES = {'LO': 'low', 'MD': 'medium', 'HI': 'high', 'XX': None, 'X': None}
VOTES = {'A': 'anger', 'D': 'disgust', 'F': 'fear', 'H': 'happy', 'N': 'neutral', 'S': 'sad'}
LABELS = ('intended', 'perceived')
VOICE_ONLY = 1
TABLES = ('tabulatedVotes.csv', 'summaryTable.csv')

FACTS = CorpusFacts(
    name='crema-d', title='Crowd-sourced Emotional Multimodal Actors Dataset',
    licence='ODbL 1.0, its contents DbCL 1.0', language='en',
    homepage='https://github.com/CheyneyComputerScience/CREMA-D', speakers=91,
    emotions=ordered(map(canonical, EMOTIONS.values())), utterances=7442, example='1001_DFA_ANG_XX.wav',
    layout='AudioWAV (or any folders) with AAAA_SSS_EEE_LL names; the tables of the release where they lie there too',
    obtain='free: git clone its homepage, with Git LFS')


def describe(path, relative):
    """Utterance or Skip of one file. Raises SerError for a code that the corpus does not have."""
    match = re.fullmatch(r'(\d{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})', PurePosixPath(relative).stem.upper())
    if not match:
        return misnamed(relative, 'AAAA_SSS_EEE_LL')
    actor, sentence, code, level = match.groups()
    check_codes(relative, 'CREMA-D', [('actor', actor, ACTORS), ('sentence', sentence, SENTENCES),
                                      ('emotion', code, EMOTIONS), ('intensity', level, INTENSITIES)])
    raw = EMOTIONS[code]
    return Utterance(
        path=path, relative=relative, corpus=FACTS.name, emotion=canonical(raw), raw_label=raw, speaker=actor,
        language=FACTS.language, text_id=sentence, intensity=INTENSITIES[level])


def _identity(utterance):
    return utterance.speaker, utterance.text_id, utterance.raw_label, utterance.intensity


def parse(source, label='intended', votes=None):
    """Utterances and skips below `source`, with votes, gender and age where the tables of the release lie there too.

    label: 'intended' or 'perceived'. votes: the table to read instead of the one found.
    Raises SerError for another label, for 'perceived' without a table, and for a table that is not one of the two.
    """
    check_choice(FACTS.name, 'label', label, LABELS)
    votes = Path(votes) if votes else find_beside(source, *TABLES)
    if label == 'perceived' and votes is None:
        raise SerError(f"label=perceived needs the raters' votes: there is no {' or '.join(TABLES)} in '{source}'. "
                       'Give one of them: --option votes=FILE')
    heard = {} if votes is None else read_votes(votes)
    people = read_people(find_beside(source, 'VideoDemographics.csv'))
    for found in parse_names(source, describe, same=_identity):
        if isinstance(found, Utterance):
            gender, age = people.get(found.speaker, (None, None))
            found = dataclasses.replace(found, gender=gender, extra={} if age is None else {'age': age})
            found = judged(found, heard.get(_identity(found)), label)
        yield found


def judged(utterance, heard, label):
    """The utterance with what raters heard in it, labelled as `label` says, or the Skip of one without a majority.

    heard: (winners, counts or None) of read_votes, or None where nobody judged the clip.
    """
    winners, counts = heard or ((), None)
    extra = utterance.extra | ({} if counts is None else {'votes': counts})
    if label == 'intended':
        return dataclasses.replace(utterance, extra=extra)
    if not winners:
        return Skip(utterance.relative, 'no votes')
    if len(winners) > 1:
        return Skip(utterance.relative, 'no majority in votes', ' and '.join(winners))
    return dataclasses.replace(utterance, emotion=canonical(winners[0]), raw_label=winners[0],
                               extra=extra | {'intended': utterance.emotion})


def read_votes(path):
    """Clip (as _identity) -> (emotions with most votes, counts), of what raters heard in the voice alone.

    path: tabulatedVotes.csv, whose counts come back as canonical emotion -> votes, or summaryTable.csv, which has only
    the winners (counts None). Raises SerError for another table and for a row that cannot be read.
    """
    heard = {}
    for number, row in enumerate(read_beside(path, ('', *VOTES, 'fileName'), ('FileName', 'VoiceVote')), start=2):
        clip = row.get('fileName') or row.get('FileName')
        # Practice clips are not part of the corpus.
        if re.fullmatch(r'\d{4}(_[A-Z]+){3}', clip):
            key = _identity(describe(Path(clip), f'{clip}.wav'))
            try:
                if 'VoiceVote' in row:
                    heard[key] = tuple(VOTES[letter] for letter in row['VoiceVote'].split(':') if letter), None
                elif int(row['']) // 100000 == VOICE_ONLY:
                    heard[key] = _winners({letter: int(row[letter]) for letter in VOTES})
            except (ValueError, KeyError) as error:
                raise SerError(f'{path.name} line {number}: cannot be read ({error}). Take the table of the release '
                               'as it is') from None
    return heard


def _winners(counts):
    most = max(counts.values())
    return (tuple(VOTES[letter] for letter, count in counts.items() if count == most > 0),
            {canonical(VOTES[letter]): count for letter, count in counts.items()})


def read_people(path):
    """Actor -> (gender, age in years) of VideoDemographics.csv; empty where there is none."""
    rows = [] if path is None else read_beside(path, ('ActorID', 'Age', 'Sex'))
    return {row['ActorID']: (row['Sex'].lower() or None, int(row['Age']) if row['Age'].isdecimal() else None)
            for row in rows}


CREMAD = Corpus(FACTS, parse, options={
    'label': "'intended' (default, what the actor was to express) or 'perceived' (what most raters heard)",
    'votes': 'the release\'s tabulatedVotes.csv, or summaryTable.csv; by default the one in the source'})
