"""What a run has heard: its training and validation clips, to tell whether other shards hold them or their speakers."""

from dataclasses import dataclass

from ser.corpora import CORPORA
from ser.errors import SerError
from ser.evaluation.reading import read_json
from ser.evaluation.run_files import read_split
from ser.shards.index import build_index
from ser.shards.paths import set_of
from ser.shards.split import voices

_SHOWN_CLIPS = 3


@dataclass(frozen=True)
class Heard:
    """The clips that a run was trained on or chosen by."""

    keys: frozenset
    audio: frozenset | None
    """sha256 of their audio; None when the run's own shards are not at hand."""
    speakers: frozenset
    """(corpus, speaker) of each, corpus '' where it cannot be told; None stands for an unknown speaker."""


def heard_by(run, config, names, corpora):
    """The Heard of a run directory, from split.csv and, where they are still there unchanged, its own shards.

    config, names: the run's. corpora: further names that may begin a key, besides those that can be built.
    """
    members = {member.key: member for member in read_split(run, names) if member.part in ('train', 'valid')}
    index = _own_index(run, config)
    if index is not None:
        rows = [row for row in index.rows if row.key in members]
        return Heard(frozenset(members), frozenset(row.audio_sha256 for row in rows) - {None},
                     frozenset().union(*(voices(row) for row in rows)))
    data = config.data
    sets = {set_of(entry)[0] for entry in (*data.shards, *data.valid_shards, *data.test_shards)} - {None}
    known = {*CORPORA, *corpora, *sets} - {''}
    speakers = frozenset().union(*(_identities(member, known, sets) for member in members.values()))
    return Heard(frozenset(members), None, speakers)


def _own_index(run, config):
    try:
        index = build_index(config.data)
    except SerError:
        return None
    return index if index.digest == read_json(run / 'data.json', dict).get('digest') else None


def _identities(member, known, sets):
    """The identities of the speaker of a Member of split.csv: both, where it can be read in two ways.

    Where several corpora meet, split.csv says '<corpus>/<speaker>' (Index.speaker_name), with 'None' for no corpus.
    """
    if member.speaker is None:
        return {None}
    prefix, slash, _ = member.speaker.partition('/')
    corpus = _longest({*known, prefix} if slash else known, member.key, '-')
    named = corpus if member.speaker.startswith(f'{corpus}/') else _longest({*known, 'None'}, member.speaker, '/')
    if not named:
        return {(corpus, member.speaker)}
    speaker = member.speaker[len(named) + 1:]
    found = {('' if named == 'None' else named, speaker)}
    if named in sets:
        # A set's name is the user's own; the key still begins with the corpus.
        return found | ({(corpus, speaker)} if corpus else set())
    # The key is of one corpus, the speaker named after another: that corpus' speaker, or a name with a slash in it.
    return found if corpus in ('', named) else found | {(corpus, member.speaker)}


def _longest(names, text, mark):
    """The longest of the names that `text` begins with, `mark` following, or ''."""
    return max((name for name in names if name and text.startswith(f'{name}{mark}')), key=len, default='')


def overlap_notes(rows, heard):
    """Lines that say which of `rows` (index rows) the run has heard, none when it has heard none."""
    by_audio, by_key = heard_clips(rows, heard)
    notes = []
    if by_audio or by_key:
        ways = [f'{len(clips)} by {way}' for clips, way in ((by_audio, 'audio'), (by_key, 'key')) if clips]
        found = by_audio | by_key
        first = [row.key for row in rows if row.key in found][:_SHOWN_CLIPS]
        more = f' and {len(found) - len(first)} more' if len(found) > len(first) else ''
        notes.append(f'LEAK: {len(found)} of {len(rows)} clips are in the training or validation part of this run '
                     f'({", ".join(ways)}: {", ".join(first)}{more}): the score is not that of a test')
    if heard.audio is None:
        notes.append("the run's own shards are not at hand: whether it has heard these clips was checked by key only")
    return tuple(notes)


def heard_clips(rows, heard):
    """Keys of the rows that the run has heard: (known by their audio, the others known by key)."""
    by_audio = {row.key for row in rows if heard.audio is not None and row.audio_sha256 in heard.audio}
    return by_audio, {row.key for row in rows if row.key in heard.keys} - by_audio


def speakers_disjoint(rows, heard):
    """Whether no speaker of `rows` is in the run's training or validation part; None where nobody can tell.

    Speakers are told apart by (corpus, speaker); a corpus without a name can only be compared with another such. Who
    speaks in a clip that the run has heard is known to it, whatever the speaker is called here.
    """
    if any(heard_clips(rows, heard)):
        return False
    tested = set().union(*(voices(row) for row in rows))
    if (tested & heard.speakers) - {None}:
        return False
    if None in tested | heard.speakers:
        return None
    corpora = {corpus for corpus, _ in tested}, {corpus for corpus, _ in heard.speakers}
    if any(one != other and '' in (one, other) for one in corpora[0] for other in corpora[1]):
        return None
    return True
