"""EmoBox: Ma et al. 2024, Interspeech, "EmoBox: Multilingual Multi-corpus Speech Emotion Recognition Toolkit and
Benchmark". Its JSON lines list the recordings of 32 corpora, its fold files name them again by the same `key`.

A corpus folder holds `<corpus>.jsonl`, `label_map.json` (the corpus's words to EmoBox's classes) and, in
`data.seg.wrd.stm`, who speaks. The recordings lie where the user put them.
"""

import functools
import json
import re
from pathlib import Path, PurePosixPath

from ser.corpora.columns import clean, text_of
from ser.corpora.iemocap_labels import read_turn
from ser.corpora.scan import spelt
from ser.corpora.segments import cut
from ser.corpora.table_reading import read_table
from ser.corpora.utterance import Corpus, CorpusFacts, Skip, Utterance
from ser.errors import SerError, did_you_mean
from ser.labels import canonical

# As EmoBox's own table of corpora says; its files call every corpus English. Those in several languages are left out.
LANGUAGES = {
    'aesdd': 'el', 'ased': 'am', 'cafe': 'fr', 'casia': 'zh', 'cremad': 'en', 'emns': 'en', 'emodb': 'de',
    'emovdb': 'en', 'emovo': 'it', 'emozionalmente': 'it', 'enterface': 'en', 'iemocap': 'en', 'jlcorpus': 'en',
    'm3ed': 'zh', 'mead': 'en', 'meld': 'en', 'mer2023': 'zh', 'mesd': 'es', 'msppodcast': 'en', 'oreau': 'fr',
    'pavoque': 'de', 'polish': 'pl', 'ravdess': 'en', 'resd': 'ru', 'savee': 'en', 'shemo': 'fa', 'subesco': 'bn',
    'tess': 'en', 'turevdb': 'tr', 'urdu': 'ur'}
_STM = 'data.seg.wrd.stm'
_MAP = 'label_map.json'
_FOLD = re.compile(r'_(train|valid|test)_fold_(\d+)$')

FACTS = CorpusFacts(
    name='emobox', title='A corpus as EmoBox lists it', licence='as the corpus\'s own; the lists are MIT',
    language=None, homepage='https://github.com/emo-box/EmoBox', speakers=None, emotions=(), utterances=None,
    example='data/ravdess/ravdess.jsonl',
    layout='a corpus folder of an EmoBox checkout (data/ravdess), or one of its .jsonl files; recordings where they '
           'say, or below --option audio=FOLDER',
    obtain='the lists are free in its repository; each corpus is obtained from its owner')


def parse(source, label_map=None, audio=None):
    """Utterances and skips in the list's order.

    source: a corpus folder of EmoBox, or one of its .jsonl files. label_map: FILE, or 'none' to keep the corpus's
    words; by default label_map.json beside the list. audio: the folder above the recordings' paths, or one that holds
    any last part of them. Extra values: `emobox_key`, `emobox_dataset`, and of a fold's file `fold` and `part`.
    Raises SerError for missing files, a line without key, wav or emo, a label that the map lacks, and a key that is
    there twice.
    """
    table = _find_list(Path(source))
    home = table.parent.parent if re.fullmatch(r'fold_\d+', table.parent.name) else table.parent
    mapping = _read_map(home, label_map)
    _, rows = read_table(table)
    speakers = _read_speakers(home / _STM)
    folders = _folders(table, audio)
    fold = _FOLD.search(table.stem)
    lines = {}
    for line, row in rows:
        where = f'{table.name} line {line}'
        key = _field(row, 'key', where)
        if lines.setdefault(key, line) != line:
            raise SerError(f"{table.name}: key '{key}' is in lines {lines[key]} and {line}. Keep one")
        extra = {'emobox_key': key, 'emobox_dataset': text_of(row.get('dataset')) or home.name}
        if fold:
            extra |= {'fold': int(fold.group(2)), 'part': fold.group(1)}
        yield _utterance(row, key, folders, mapping, speakers, extra, where)


def _find_list(source):
    if source.is_file():
        if source.suffix.lower() != '.jsonl':
            raise SerError(f"'{source}' is not a list of EmoBox: a .jsonl file is wanted")
        return source
    if not source.is_dir():
        raise SerError(f"no such folder or list: '{source}'")
    own = source / f'{source.name}.jsonl'
    found = [own] if own.is_file() else sorted(source.glob('*.jsonl'))
    if len(found) != 1:
        said = 'several .jsonl lists' if found else 'no .jsonl list'
        raise SerError(f"{said} in '{source}': give a corpus folder of EmoBox such as data/ravdess, or the list itself")
    return found[0]


def _read_map(home, given):
    """The corpus's words -> EmoBox's classes, or None."""
    if given == 'none':
        return None
    path = Path(given) if given else home / _MAP
    if not path.is_file():
        if given:
            raise SerError(f"option label_map: no such file '{given}'")
        return None
    try:
        mapping = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise SerError(f'{path.name}: not JSON ({error})') from None
    if not isinstance(mapping, dict) or not all(isinstance(name, str) for name in mapping.values()):
        raise SerError(f'{path.name}: must map labels to labels, {{"hap": "Happy"}}')
    return mapping


def _read_speakers(path):
    """Key -> speaker of the file that tells them; empty where it is absent."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
    found = (re.match(r'(\S+) .*<id=.*?,spk=(.*?),emotion=', line) for line in lines)
    return {match.group(1): match.group(2) for match in found if match}


def _folders(table, audio):
    """Where recordings may lie: the given folder, else the list's own and those above it."""
    if audio is None:
        return [(folder, False) for folder in table.resolve().parents]
    if not Path(audio).is_dir():
        raise SerError(f"option audio: no such folder '{audio}'")
    return [(Path(audio), True)]


def _locate(wav, folders):
    """The recording that a list calls `wav`, or None."""
    parts = PurePosixPath(wav).parts
    for folder, trailing in folders:
        for skipped in range(len(parts) if trailing else 1):
            path = spelt(folder, PurePosixPath(*parts[skipped:]))
            if path.is_file():
                return path
    return None


def _field(row, name, where):
    value = text_of(row.get(name))
    if value is None:
        raise SerError(f"{where}: no '{name}' in it. Present: {', '.join(row) or 'nothing'}")
    return value


def _utterance(row, key, folders, mapping, speakers, extra, where):
    wav, raw = _field(row, 'wav', where), _field(row, 'emo', where)
    relative = key + PurePosixPath(wav).suffix
    for name, wanted in (('type', 'raw'), ('task', 'category')):
        if row.get(name, wanted) != wanted:
            return Skip(relative, f'{name} {row[name]}', f'only {wanted} is taken')
    if mapping is not None and raw not in mapping:
        raise SerError(f"{where}: label '{raw}' is not in the label map. It has {', '.join(mapping)}."
                       f'{did_you_mean(raw, mapping)}')
    path = _locate(wav, folders)
    if path is None:
        return Skip(relative, 'missing file', wav, bad=True)
    start, end = (clean(row.get(name)) for name in ('start_time', 'end_time'))
    data = None if start is None and end is None else functools.partial(
        cut, str(path), _seconds(start or 0, where), None if end is None else _seconds(end, where))
    emotion = canonical(raw if mapping is None else mapping[raw])
    dataset = extra['emobox_dataset']
    return Utterance(path=path, relative=relative, corpus=dataset, emotion=emotion, raw_label=raw, extra=extra,
                     data=data, language=LANGUAGES.get(dataset), **_who(key, row, dataset, speakers))


def _seconds(value, where):
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise SerError(f'{where}: start_time and end_time must be seconds, not {value!r}')
    return float(value)


def _who(key, row, dataset, speakers):
    # EmoBox calls the actor with the markers the speaker of an IEMOCAP turn, which is wrong for half of them.
    turn = read_turn(key.removeprefix('iemocap-')) if dataset == 'iemocap' else None
    if turn:
        return {'speaker': turn.speaker, 'session': turn.session, 'gender': turn.gender, 'text_id': turn.text_id}
    given = text_of(row.get('speaker')) or text_of(row.get('spk'))
    return {'speaker': given or speakers.get(key)}


EMOBOX = Corpus(FACTS, parse, options={
    'label_map': "FILE that maps the corpus's labels to classes, or none; by default label_map.json beside the list",
    'audio': 'FOLDER of the recordings: the one above their paths in the list, or one that holds the last parts of '
             'them'})
