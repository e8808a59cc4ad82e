"""The audit of a split: what its scores would owe to leaks, and what else a model could learn instead of emotion."""

from collections import Counter
from dataclasses import asdict, dataclass, replace

from ser.shards.audit_cues import format_cues, measure_cues
from ser.shards.audit_rules import (
    class_findings,
    corpus_findings,
    normalisation_findings,
    recording_findings,
    sentence_findings,
    session_findings,
    sound_findings,
    speaker_findings,
)
from ser.shards.audit_subject import (
    LEAK,
    NOTE,
    SEVERITIES,
    WARNING,
    Finding,
    SameRecording,
    counted,
    make_subject,
)
from ser.shards.copies import find_copies
from ser.shards.index import PARTS
from ser.shards.split import speaker_identity

RULES = (recording_findings, speaker_findings, session_findings, sound_findings, corpus_findings, class_findings,
         format_cues, measure_cues, sentence_findings)
"""Subject -> Findings, in the order in which they are told within a severity."""

SPEAKER_KINDS = ('speakers-shared', 'validation-from-test-speakers')

_TITLES = {LEAK: 'leaks', WARNING: 'warnings', NOTE: 'notes'}
_LISTED = 5


@dataclass(frozen=True)
class Audit:
    """What was found about one split.

    findings: leaks first, then warnings, then notes. recordings: every recording that more than one clip holds.
    parts: part -> clips, speakers (None where any is unknown) and clips per class. compared: whether audio was compared
    and not only encoded bytes.
    """

    description: str
    split_digest: str
    parts: dict
    findings: tuple[Finding, ...]
    recordings: tuple[SameRecording, ...]
    compared: bool

    @property
    def leak(self):
        """Whether the test part shares a recording or a speaker with train or valid."""
        return bool(self.strict_failures)

    @property
    def strict_failures(self):
        """The findings that a strict audit refuses."""
        return self.of_severity(LEAK)

    def of_severity(self, severity):
        """The findings of a severity: 'leak', 'warning' or 'note'."""
        return tuple(finding for finding in self.findings if finding.severity == severity)

    @property
    def verdict(self):
        """One line."""
        kinds = {finding.kind for finding in self.findings}
        if kinds & set(SPEAKER_KINDS):
            return 'LEAK: every score of a run on this split is speaker-dependent'
        if self.leak:
            return 'LEAK: the test part holds recordings that train or validate; its scores would be too high'
        unsure = {'unknown-speakers': 'speakers are unknown', 'undecodable': 'some clips could not be decoded',
                  'copies-not-compared': 'not every pair of clips was compared'}
        but = [words for kind, words in unsure.items() if kind in kinds]
        if not self.compared:
            but.append('audio was not compared, only encoded bytes')
        return 'no leak found' + (f', but {" and ".join(but)}' if but else '')

    def lines(self):
        """What was found, for people: parts, findings by severity, the verdict last."""
        yield self.description
        for part, facts in self.parts.items():
            classes = ', '.join(f'{name} {count}' for name, count in facts['classes'].items())
            who = 'speakers unknown' if facts['speakers'] is None else counted(facts['speakers'], 'speaker')
            yield f"{part}: {counted(facts['clips'], 'clip')}, {who} ({classes})"
        for severity in SEVERITIES:
            found = self.of_severity(severity)
            if found:
                yield f'{_TITLES[severity]}:'
            for finding in found:
                yield f'  {finding.kind}: {finding.text}'
                yield from (f'    {example}' for example in finding.examples[:_LISTED])
                if len(finding.examples) > _LISTED:
                    yield f'    and {len(finding.examples) - _LISTED} more (--json FILE has all)'
        yield self.verdict

    def to_json(self, most=None):
        """A JSON-able dict.

        most: how many recordings, leaks first, and how many examples of a finding it holds; None for all of them.
        How many there are is in the findings' numbers.
        """
        findings = [replace(finding, examples=finding.examples[:most]) for finding in self.findings]
        recordings = sorted(self.recordings, key=lambda one: SEVERITIES.index(one.severity))[:most]
        return {'description': self.description, 'split': self.split_digest,
                'leak': self.leak, 'verdict': self.verdict, 'compared': self.compared, 'parts': self.parts,
                'findings': [asdict(finding) for finding in findings],
                'recordings': [asdict(recording) for recording in recordings]}


def audit(index, split, names, *, fingerprints=None, transductive=False):
    """The Audit of a Split of an Index.

    names: class names in index order. fingerprints: of copies.find_copies for the same index; None compares encoded
    bytes and metadata only. transductive: whether a clip is normalised with other clips of its part.
    """
    subject = make_subject(index, split, names, fingerprints)
    found = [finding for rule in RULES for finding in rule(subject)] + list(normalisation_findings(transductive))
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Audit(split.description, split.digest, _parts(index, split, names), tuple(found),
                 subject.recordings, fingerprints is not None)


def audit_for_run(index, split, names, data):
    """The Audit before training by a DataConfig's `audit`: 'full' decodes every clip that the cache does not know."""
    return audit(index, split, names, fingerprints=find_copies(index) if data.audit == 'full' else None)


def _parts(index, split, names):
    facts = {}
    for part in PARTS:
        rows = [index.rows[number] for number in split.parts[part]]
        speakers, counts = {speaker_identity(row) for row in rows}, Counter(row.emotion for row in rows)
        facts[part] = {'clips': len(rows), 'speakers': None if None in speakers else len(speakers),
                       'classes': {name: counts[name] for name in names}}
    return facts
