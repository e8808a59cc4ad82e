"""What is wrong with shards: every fault of every shard, and which samples are good all the same.

A sample is good when it has one audio member, which decodes; when its bytes are those that were recorded, as far as
anything was recorded; and when the index would take its label and its speaker.
"""

import functools
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from ser.shards.audio_check import check_audio
from ser.shards.decode import BadSample
from ser.shards.index import Row, Shard, row_of
from ser.shards.pool import cores, ordered_map
from ser.shards.publish import INDEX, MANIFEST
from ser.shards.salvage import Salvage
from ser.shards.sample_groups import Found, grouped
from ser.shards.shard_records import Records
from ser.shards.shard_scan import (
    AUDIO,
    MAX_AUDIO_BYTES,
    RawSample,
    cut_name,
    is_note,
    no_suffix,
    read_text,
    refusal,
    too_big,
)
from ser.shards.tarscan import ShardFault

HARMLESS = ('scattered', 'short end', 'manifest', 'no sample', 'copy')
"""Reasons of faults by which nothing is lost."""


@dataclass(frozen=True)
class Fault:
    """offset: byte, None for the shard as a whole. member, key: None where unknown. reason: a word or two to count by;
    detail: what is wrong, in words."""

    shard: str
    reason: str
    detail: str
    offset: int | None = None
    member: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Good:
    """A sample that can be trained on. row: as the index has it. members: its Found members, in their order.

    seconds: of its audio. vouched: whether anything would have told damage to its audio.
    """

    row: Row
    members: tuple[Found, ...]
    seconds: float
    vouched: bool


@dataclass(frozen=True)
class Examination:
    """What was found in one shard. sha256: None where the tar is damaged. recorded: whether its samples are listed.
    """

    path: str
    sha256: str | None
    size: int
    samples: tuple[Good, ...]
    faults: tuple[Fault, ...]
    recorded: bool = False

    @property
    def shard(self):
        """The Shard, for reading spans of it."""
        return Shard(self.path, Path(self.path).name, self.sha256 or '', self.size, None)

    @property
    def lost(self):
        """The faults by which something is lost: one for each sample that is not good, and what else is left out.

        A place that cannot be read counts where no record tells which samples lay there.
        """
        good, told = {sample.row.key for sample in self.samples}, set()
        for fault in self.faults:
            told_by_record = self.recorded and fault.key is None and fault.member is None
            if fault.reason in HARMLESS or fault.key in told or told_by_record:
                continue
            if fault.key is not None and fault.key not in good:
                told.add(fault.key)
            yield fault


def examine_shards(paths, source, classes=(), jobs=None):
    """(an iterator of an Examination for each path, in order; notes, complete when that has ended).

    source: the LabelSource of `data.label`. classes: names of integer labels. jobs: processes (None: all cores).
    Of samples that share a key, in whatever shards, the first good one stays good.
    """
    records = Records()
    work = functools.partial(_examine, source=source, classes=classes)
    found = ordered_map(work, ((str(path), records.of(path)) for path in paths), min(jobs or cores(), len(paths)))
    owners = {}
    return (_without_repeats(examination, owners) for examination in found), records.notes


def _examine(named, source, classes):
    path, record = named
    reader = _Reader(path, frozenset(source.wanted) | {'json'})
    members = reader.read()
    groups = grouped(members)
    judge = _Judge(path, record, (source, classes, Counter()), reader)
    samples = [sample for sample in map(judge.sample, groups) if sample]
    faults = reader.faults + judge.faults
    here = {group.key for group in groups}
    for key in record.lines or ():
        if key not in here:
            faults.append(Fault(path, 'not found', f'{INDEX} lists it, but the shard does not hold it', key=key))
    if reader.sha256 and record.sha256 not in (None, reader.sha256):
        faults.append(Fault(path, 'manifest', f'its sha256 is not the one in {MANIFEST} beside it: damaged or '
                                              'replaced'))
    if not members and not faults:
        faults.append(Fault(path, 'no sample', 'holds no sample'))
    faults.sort(key=lambda fault: (fault.offset is not None, fault.offset or 0))
    return Examination(path, reader.sha256, reader.size, tuple(samples), tuple(faults),
                       bool(record.lines))


class _Reader:
    """The members of one shard, audio decoded and labels parsed, with the faults of the tar and of each member."""

    def __init__(self, path, wanted):
        self.path, self.wanted = path, wanted
        self.faults, self.bad = [], {}
        self.sha256, self.size = None, 0

    def read(self):
        """The Found members; what is wrong with one is in `.bad` (offset -> (reason, detail))."""
        salvage = Salvage(self.path, self._is_wanted)
        found = [self._found(*one) for one in salvage]
        self.sha256, self.size = salvage.sha256, salvage.size
        for fault in dict.fromkeys((fault.offset, fault.kind, fault.what, fault.member) for fault in salvage.faults):
            self._add(*fault)
        for offset in salvage.overrun:
            self.bad[offset] = ('damaged header', 'runs into the members behind it: a part of it is missing')
        return [member for member in found if member]

    def _is_wanted(self, member):
        _, suffix = cut_name(member.name) or ('', '')
        if suffix.rpartition('.')[2] in AUDIO:
            return member.size <= MAX_AUDIO_BYTES
        return suffix in self.wanted and not too_big(suffix, member.size)

    def _found(self, member, data, sha256):
        if is_note(member.name):
            return None
        cut = cut_name(member.name)
        if not cut:
            self._add(member.offset, 'no suffix', no_suffix(member.name), member.name)
            return None
        key, suffix = cut
        refused = refusal(member.name, suffix)
        if refused:
            self._add(member.offset, *refused, member.name)
            return None
        kind, value = 'other', None
        if suffix.rpartition('.')[2] in AUDIO:
            kind, value = 'audio', self._heard(member, suffix, data)
        elif suffix in self.wanted:
            kind, value = 'label', self._text(member, suffix, data)
        return Found(member.name, key, suffix, member.offset, member.size, sha256, kind, value)

    def _heard(self, member, suffix, data):
        if data is None:
            self.bad[member.offset] = ('too long', f'has {member.size} bytes, more than {MAX_AUDIO_BYTES}')
            return None
        try:
            return check_audio(data, suffix)
        except BadSample as bad:
            self.bad[member.offset] = (bad.kind, str(bad))
            return None

    def _text(self, member, suffix, data):
        try:
            return read_text(suffix, member, data)
        except ValueError as error:
            self.bad[member.offset] = ('damaged JSON', str(error))
            return None

    def _add(self, offset, reason, detail, member=None):
        cut = cut_name(member) if member else None
        self.faults.append(Fault(self.path, reason, detail, offset, member, cut and cut[0]))


class _Judge:
    """Whether a group of members is a sample that can be trained on."""

    def __init__(self, path, record, settings, reader):
        self.record, self.settings, self.bad = record, settings, reader.bad
        self.shard = Shard(path, Path(path).name, reader.sha256 or '', reader.size, None)
        self.faults = []

    def sample(self, group):
        """The Good of a Group, or None; whatever is wrong is added to `.faults`."""
        if group.scattered:
            self._add(group.members[0], 'scattered', 'the members of the sample are no neighbours')
        before = len(self.faults)
        for member in group.members:
            if member.offset in self.bad:
                self._add(member, *self.bad[member.offset])
        audio = group.of_kind('audio')
        if len(audio) != 1:
            names = ', '.join(sorted(member.name for member in group.members))
            count = 'no audio member' if not audio else f'{len(audio)} audio members'
            self._add(group.members[0], 'no one audio member', f'sample {group.key!r} has {count} (it has {names})')
        if len(self.faults) > before:
            return None
        row = self._row(group, audio[0])
        fault = row and self._differs(row, group, audio[0])
        if fault:
            self._add(audio[0], *fault)
        if not row or fault:
            return None
        rate, frames, signed = audio[0].value
        recorded = group.key in (self.record.lines or ()) or _by_builder(row)
        return Good(row, tuple(group.members), frames / rate, signed or recorded)

    def _row(self, group, audio):
        texts = {member.suffix: member.value for member in group.of_kind('label')}
        metadata = texts.pop('json', {})
        if not isinstance(metadata, dict):
            self._add(audio, 'damaged JSON', f'its JSON is a {type(metadata).__name__}, not an object')
            return None
        raw = RawSample(group.key, f'.{audio.suffix}', audio.offset, audio.size, audio.sha256, metadata, texts)
        try:
            return row_of(raw, 0, self.shard, self.settings)
        except ShardFault as fault:
            self._add(audio, fault.kind, fault.what)
            return None

    def _differs(self, row, group, audio):
        """(reason, detail) of a sample that is not what was recorded, or None."""
        sha256, metadata = (self.record.lines or {}).get(group.key, (audio.sha256, row.metadata))
        if row.audio_sha256 != audio.sha256:
            return 'sha256', 'its bytes are not those that its JSON recorded (sha256 differs)'
        if sha256 != audio.sha256:
            return 'sha256', f'its bytes are not those that {INDEX} recorded (sha256 differs)'
        if metadata != row.metadata:
            return 'damaged JSON', f'its JSON is not the one that {INDEX} recorded'
        rate, frames, _ = audio.value
        if _by_builder(row) and (row.sample_rate, row.frames) != (rate, frames):
            return 'length', (f'holds {frames} frames at {rate} Hz, but its JSON says {row.frames} frames at '
                              f'{row.sample_rate} Hz')
        return None

    def _add(self, member, reason, detail):
        self.faults.append(Fault(self.shard.path, reason, detail, member.offset, member.name, member.key))


def _by_builder(row):
    """Whether a sample's JSON records what the builder's does."""
    return {'raw_label', 'frames', 'sample_rate', 'sha256'} <= row.metadata.keys()


def _without_repeats(examination, owners):
    """The Examination with every sample whose key another one has taken turned into a fault."""
    samples, faults = [], []
    for sample in examination.samples:
        audio = next(member for member in sample.members if member.kind == 'audio')
        row = sample.row
        said = (row.emotion, row.raw_label, row.speaker, row.metadata)
        other = owners.setdefault(row.key, (examination.path, audio, said))
        if other[1] is audio:
            samples.append(sample)
            continue
        copy = (other[1].sha256, other[2]) == (audio.sha256, said)
        same = 'the same sample as' if copy else 'another sample than'
        detail = f'key {row.key!r} is taken: this is {same} the one in {other[0]} at byte {other[1].offset}'
        faults.append(Fault(examination.path, 'copy' if copy else 'key again', detail, audio.offset, audio.name,
                            row.key))
    return replace(examination, samples=tuple(samples), faults=(*examination.faults, *faults))
