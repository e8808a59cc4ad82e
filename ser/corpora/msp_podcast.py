"""MSP-Podcast: Lotfian and Busso 2019, IEEE Transactions on Affective Computing 10(4). Speech found in podcasts.

`Labels/labels_consensus.csv` says what the raters agreed on, with one letter per emotion; `Audios` has a recording for
each of its rows. `Labels/labels_detailed.csv`, where it lies beside, has a row per rater.
"""

from collections import Counter
from pathlib import Path, PurePosixPath

from ser.corpora.columns import (
    ATTRIBUTES,
    COLUMNS,
    clean,
    column_options,
    columns_of,
    fields_and_extra,
    require,
    text_of,
)
from ser.corpora.names import check_choice
from ser.corpora.scan import AUDIO_SUFFIXES, find_audio
from ser.corpora.table_reading import OPTIONS, delimiter_hint, read_table
from ser.corpora.utterance import Corpus, CorpusFacts, Skip, Utterance
from ser.errors import SerError, did_you_mean
from ser.labels import canonical, ordered

EMOTIONS = {'A': 'angry', 'S': 'sad', 'H': 'happy', 'U': 'surprise', 'F': 'fear', 'D': 'disgust', 'C': 'contempt',
            'N': 'neutral', 'O': 'other'}
UNDECIDED = 'no agreement'
# Whole words that other tables of this corpus use, in lower case: a label is one of them or it is unknown.
WORDS = {
    **{letter.lower(): emotion for letter, emotion in EMOTIONS.items()}, 'x': UNDECIDED,
    **{emotion: emotion for emotion in EMOTIONS.values()}, UNDECIDED: UNDECIDED, 'no_agreement': UNDECIDED,
    'anger': 'angry', 'angry_anger': 'angry', 'sadness': 'sad', 'sad_sadness': 'sad', 'happiness': 'happy',
    'joy': 'happy', 'happiness_happy': 'happy', 'surprised': 'surprise', 'fearful': 'fear', 'disgusted': 'disgust',
    'calm': 'calm', 'excitement': 'excited', 'excited': 'excited'}
KNOWN = {
    **COLUMNS,
    'file': ('filename', 'file_name', 'file', 'segment_id', 'utterance_id', 'id', 'name'),
    'emotion': ('emoclass', 'emotion', 'emotion_label', 'emotionlabel', 'categorical', 'emotion_categorical',
                'consensus', 'label'),
    'split': ('split_set', 'split', 'partition', 'set', 'usage', 'train_test'),
}
_DETAIL = {'file': KNOWN['file'], 'emotion': ('emoclass_major', 'emoclass', 'emotion')}
_TABLE_NAMES = ('labels_consensus.csv', 'labels_concensus.csv')
_AUDIO_NAMES = ('audios', 'audio')

FACTS = CorpusFacts(
    name='msp-podcast', title='MSP-Podcast', licence='by agreement with the University of Texas at Dallas',
    language='en', homepage='https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html', speakers=None,
    emotions=ordered(EMOTIONS.values()), utterances=None, example='Audios/MSP-PODCAST_0001_0008.wav',
    layout='Labels/labels_consensus.csv (FileName, EmoClass, EmoAct, EmoVal, EmoDom, SpkrID, Gender, Split_Set) and '
           'Audios, of any release',
    obtain='by agreement with the MSP laboratory of the University of Texas at Dallas; no free download')


def parse(source, labels=None, audio=None, undecided='skip', delimiter=None, encoding=None, **chosen):
    """Utterances and skips in the order of the table, then recordings that it does not list.

    source: the release's folder, or the table. labels, audio: the table and the folder of recordings, relative to the
    source's folder. undecided: 'skip' or 'keep' rows without agreement. chosen: field of KNOWN -> column.
    Raises SerError for absent files and columns, an unknown label, and a name that several recordings have.
    """
    check_choice(FACTS.name, 'undecided', undecided, ('skip', 'keep'))
    root, table = _find_table(Path(source), labels)
    names, rows = read_table(table, KNOWN, delimiter, encoding)
    known = {field: usual for field, usual in KNOWN.items() if field != 'path'}
    columns = columns_of(names, chosen, known, table.name)
    require(columns, ('file', 'emotion'), names, known, table.name, delimiter_hint(table, names, delimiter))
    recordings, skips = _Recordings.below(root, _find_audio_folder(root, audio))
    votes = _votes(table.with_name('labels_detailed.csv'))
    lines = {}
    for line, row in rows:
        found = _utterance(row, columns, recordings, votes, f'{table.name} line {line}', undecided)
        if isinstance(found, Utterance) and lines.setdefault(found.relative, line) != line:
            raise SerError(f"{table.name}: '{found.relative}' is in lines {lines[found.relative]} and {line}. Keep one")
        yield found
    yield from recordings.unused()
    yield from skips


def _find_table(source, labels):
    """(root folder, table)."""
    if source.is_file():
        root = source.parent.parent if source.parent.name.lower() == 'labels' else source.parent
        return root, source
    if not source.is_dir():
        raise SerError(f"no such folder: '{source}'")
    if labels:
        if not (source / labels).is_file():
            raise SerError(f"option labels: no such file '{source / labels}'")
        return source, source / labels
    folders = [path for path in sorted(source.iterdir()) if path.is_dir() and path.name.lower() == 'labels'] + [source]
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.name.lower() in _TABLE_NAMES:
                return source, path
    raise SerError(f"no Labels/{_TABLE_NAMES[0]} in '{source}'. Give the table with --option labels=FILE")


def _find_audio_folder(root, audio):
    if audio:
        if not (root / audio).is_dir():
            raise SerError(f"option audio: no such folder '{root / audio}'")
        return root / audio
    return next((path for name in _AUDIO_NAMES for path in sorted(root.iterdir())
                 if path.is_dir() and path.name.lower() == name), root)


class _Recordings:
    """The audio files below a folder, found by name: the exact path, else the whole stem, at any depth."""

    def __init__(self, root, folder, relatives):
        self.root, self.folder, self.relatives = root, folder, relatives
        self._present, self._used = frozenset(relatives), set()
        self._by_stem = {}
        for relative in relatives:
            self._by_stem.setdefault(PurePosixPath(relative).stem.lower(), []).append(relative)

    @classmethod
    def below(cls, root, folder):
        """(recordings, skips of other files)."""
        relatives, skips = find_audio(folder)
        found = cls(root, folder, relatives)
        return found, [Skip(found.name(skip.relative), skip.reason) for skip in skips]

    def name(self, relative):
        """A path relative to the root, where the folder lies inside it."""
        inside = self.folder.is_relative_to(self.root)
        return (self.folder.relative_to(self.root) / relative).as_posix() if inside else relative

    def find(self, given, where):
        """The relative path of what a table calls `given`, or None. Raises SerError when several files are."""
        path = PurePosixPath(given.replace('\\', '/'))
        stem = path.stem if path.suffix.lower() in AUDIO_SUFFIXES else path.name
        found = self._by_stem.get(stem.lower(), [])
        if path.as_posix() in self._present:
            found = [path.as_posix()]
        else:
            found = [name for name in found if PurePosixPath(name).name == path.name] or found
        if len(found) > 1:
            raise SerError(f"{where}: '{given}' is there more than once: {', '.join(found)}. Give one folder with "
                           '--option audio=FOLDER')
        self._used.update(found)
        return found[0] if found else None

    def unused(self):
        """Skips of recordings that nobody asked for."""
        for relative in self.relatives:
            if relative not in self._used:
                yield Skip(self.name(relative), 'no label')


def _utterance(row, columns, recordings, votes, where, undecided):
    given = text_of(row.get(columns['file']))
    if given is None:
        return Skip(where, 'no file name in its row')
    relative = recordings.find(given, where)
    raw = text_of(row.get(columns['emotion']))
    name = given if relative is None else recordings.name(relative)
    if raw is None:
        return Skip(name, 'no emotion label', where)
    emotion = WORDS.get(raw.lower())
    if emotion is None:
        raise SerError(f"{where}: unknown emotion '{raw}'. Allowed: {', '.join(EMOTIONS)}, X, or the words "
                       f"{', '.join(word for word in WORDS if len(word) > 1)}.{did_you_mean(raw, WORDS)}")
    if relative is None:
        return Skip(name, 'missing file', where, bad=True)
    if emotion == UNDECIDED and undecided == 'skip':
        return Skip(name, UNDECIDED, 'raters differ; --option undecided=keep takes it')
    split = columns.get('split')
    fields, extra = fields_and_extra({key: value for key, value in row.items() if key != split}, {
        field: column for field, column in columns.items() if field != 'split'}, where)
    fields = {field: None if value and value.lower() == 'unknown' else value for field, value in fields.items()}
    fields['gender'] = (fields.get('gender') or '').lower() or None
    if split:
        extra['split_set'] = clean(row[split])
    if votes is not None:
        extra['votes'] = dict(votes.get(_key(given), {}))
    return Utterance(path=recordings.folder / relative, relative=name, corpus=FACTS.name, emotion=canonical(emotion),
                     raw_label=raw, extra=extra, **{'language': FACTS.language, **fields})


def _key(given):
    return PurePosixPath(given).name.lower()


def _votes(table):
    """File -> canonical emotion -> raters, of a detailed table of either layout; None where there is none.

    Newer releases have the rater's emotion in a column, older ones `WORKER; emotion; ...` in the second of two. Words
    of the raters' own ('Other-Curious') count as other.
    """
    if not table.is_file():
        return None
    names, rows = read_table(table, _DETAIL)
    columns = columns_of(names, known=_DETAIL)
    if len(names) == 2 and 'emotion' not in columns:
        rows = [(line, {names[0]: row[names[0]], names[1]: (row[names[1]].split(';') + [''])[1]}) for line, row in rows]
        columns = {'file': names[0], 'emotion': names[1]}
    require(columns, ('file', 'emotion'), names, _DETAIL, table.name)
    votes = {}
    for _, row in rows:
        word = text_of(row[columns['emotion']])
        if word:
            votes.setdefault(_key(row[columns['file']]), Counter())[canonical(WORDS.get(word.lower(), 'other'))] += 1
    return votes


MSP_PODCAST = Corpus(FACTS, parse, options={
    'labels': 'FILE with the labels; by default Labels/labels_consensus.csv',
    'audio': 'FOLDER of the recordings, at any depth; by default Audios or Audio',
    'file': f'COLUMN that names the recording; by default the first of {", ".join(KNOWN["file"])}',
    'emotion': f'COLUMN that holds the emotion; by default the first of {", ".join(KNOWN["emotion"])}',
    'split': f'COLUMN that holds the partition; by default the first of {", ".join(KNOWN["split"])}',
    **column_options('speaker', 'gender', *ATTRIBUTES),
    'undecided': 'skip (default) or keep rows without agreement (X)',
    **OPTIONS})
