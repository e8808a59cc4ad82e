"""`protocol`: who is in which part. One run is one fold."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.section import NUMBER, Count, OpenFraction, PositiveInt, Section

FoldCount = Annotated[int, Field(ge=2), NUMBER]


class SpeakerProtocol(Section):
    """Whole speakers per part, drawn with the seed, as stratified as whole speakers allow."""

    kind: Literal['speaker'] = 'speaker'
    """Speaker-disjoint train, validation and test."""
    valid_fraction: OpenFraction = 0.15
    """Share of the clips for validation."""
    test_fraction: OpenFraction = 0.2
    """Share of the clips for test."""
    seed: Count = 0
    """Draws the split; run.seed does not change it, so repeats with other seeds share their test speakers."""


class SpeakerKFoldProtocol(Section):
    """Speakers in k groups: fold i tests group i, validation speakers come from the rest."""

    kind: Literal['speaker-kfold'] = 'speaker-kfold'
    """Speaker-disjoint cross-validation."""
    folds: FoldCount = 5
    """How many groups of speakers."""
    fold: PositiveInt = 1
    """Which group this run tests, from 1."""
    valid_fraction: OpenFraction = 0.15
    """Share of the remaining clips for validation."""
    seed: Count = 0
    """Draws the groups."""


class LeaveOneSpeakerOutProtocol(Section):
    """One speaker is the test part; validation speakers come from the rest."""

    kind: Literal['leave-one-speaker-out'] = 'leave-one-speaker-out'
    """Speaker-disjoint, one fold per speaker."""
    fold: PositiveInt = 1
    """Which speaker this run tests, from 1, in natural order."""
    valid_fraction: OpenFraction = 0.15
    """Share of the remaining clips for validation."""
    seed: Count = 0
    """Draws the validation speakers."""


class GivenProtocol(Section):
    """Parts that somebody else decided: a column, a file, or shards per part."""

    kind: Literal['given'] = 'given'
    """The parts are read, not drawn; whether speakers are disjoint is found out and reported."""
    column: str | None = None
    """JSON key of each sample that says its part."""
    file: str | None = None
    """CSV file with the columns `key` and `part`."""
    names: dict[Literal['train', 'valid', 'test'], tuple[str, ...]] = {
        'train': ('train', 'training'), 'valid': ('valid', 'validation', 'val', 'dev', 'development'),
        'test': ('test', 'testing', 'eval')}
    """Which values of the column or file mean which part."""


class UtteranceProtocol(Section):
    """A stratified random hold-out by clip: the same speakers on both sides, so the scores are optimistic."""

    kind: Literal['utterance'] = 'utterance'
    """Speaker-dependent; labelled so wherever its score is shown."""
    valid_fraction: OpenFraction = 0.1
    """Share of the clips for validation."""
    test_fraction: OpenFraction = 0.2
    """Share of the clips for test."""
    seed: Count = 0
    """Draws the split."""


ProtocolConfig = Annotated[
    SpeakerProtocol | SpeakerKFoldProtocol | LeaveOneSpeakerOutProtocol | GivenProtocol | UtteranceProtocol,
    Field(discriminator='kind')]
