"""`protocol`: who is in which part. One run is one fold."""

from typing import Annotated, Literal

from pydantic import Field

from ser.config.section import NUMBER, Count, OpenFraction, PositiveInt, Section

FoldCount = Annotated[int, Field(ge=2), NUMBER]


class SpeakerProtocol(Section):
    """Whole speakers per part, drawn with the seed, as stratified as whole speakers allow.

    70/15/15 is test_fraction 0.15 (valid_fraction 0.15), 80/10/10 is 0.1 and 0.1.
    """

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
    groups: tuple[tuple[str, ...], ...] = ()
    """Names of the speakers that each fold tests, such as [['03', '08'], ['09', '10']], as many groups as `folds`;
    empty: the groups are drawn."""
    valid_fraction: OpenFraction = 0.15
    """Share of the remaining clips for validation."""
    seed: Count = 0
    """Draws the groups and the validation speakers."""


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


class LeaveOneSessionOutProtocol(Section):
    """One recording session is the test part (IEMOCAP's five folds); validation speakers come from the rest."""

    kind: Literal['leave-one-session-out'] = 'leave-one-session-out'
    """One fold per session, by the samples' JSON `session`."""
    fold: PositiveInt = 1
    """Which session this run tests, from 1, in natural order."""
    valid_fraction: OpenFraction = 0.2
    """Share of the remaining clips for validation, whole speakers: two of IEMOCAP's remaining eight."""
    seed: Count = 0
    """Draws the validation speakers."""


class EmoboxProtocol(Section):
    """The folds that EmoBox published, so that scores stand beside its tables; validation speakers come from train."""

    kind: Literal['emobox'] = 'emobox'
    """EmoBox's test parts; its validation, clips drawn at random from train, is not used."""
    fold: PositiveInt = 1
    """Which of its folds this run tests, from 1."""
    folder: str | None = None
    """A checkout of EmoBox, whose lists then decide; without one: RAVDESS (6 folds) and IEMOCAP (5) are known."""
    valid_fraction: OpenFraction = 0.2
    """Share of the training clips for validation, whole speakers; where EmoBox lists a validation part, that is it."""
    seed: Count = 0
    """Draws the validation speakers."""


class TextProtocol(Section):
    """Whole sentences per part, by the samples' JSON `text_id`: unseen words, but the speakers are shared."""

    kind: Literal['text'] = 'text'
    """Sentence-disjoint train, validation and test."""
    valid_fraction: OpenFraction = 0.15
    """Share of the clips for validation."""
    test_fraction: OpenFraction = 0.2
    """Share of the clips for test."""
    seed: Count = 0
    """Draws the sentences."""


class SpeakerTextProtocol(Section):
    """Unseen speakers saying unseen sentences; clips of only one of the two are in no part."""

    kind: Literal['speaker+text'] = 'speaker+text'
    """Disjoint in speakers and in sentences."""
    valid_fraction: OpenFraction = 0.15
    """Share of the clips whose speakers validate."""
    test_fraction: OpenFraction = 0.2
    """Share of the clips whose speakers are tested."""
    text_fraction: OpenFraction = 0.2
    """Share of the clips whose sentences are tested."""
    seed: Count = 0
    """Draws speakers and sentences."""


class OfficialProtocol(Section):
    """The corpus's own split, read from a key of each sample's JSON; clips of other parts are in none."""

    kind: Literal['official'] = 'official'
    """The parts that came with the corpus, such as MSP-Podcast's."""
    column: str = 'split_set'
    """JSON key of each sample that says its part."""
    train: str = 'Train'
    """Its value for training; upper and lower case are one."""
    valid: str = 'Development'
    """Its value for validation."""
    test: str = 'Test1'
    """Its value for test: MSP-Podcast has Test1, Test2 and Test3."""


class CrossProtocol(Section):
    """Train on some corpora, test on others, by the names of the sets or of the corpora."""

    kind: Literal['cross'] = 'cross'
    """Corpus-disjoint train and test."""
    train: tuple[str, ...] = ()
    """Corpora to train on, validation speakers among them; empty: all that are not tested."""
    test: tuple[str, ...] = ()
    """Corpora to test on, with all their clips."""
    valid_fraction: OpenFraction = 0.15
    """Share of each training corpus for validation, whole speakers."""
    seed: Count = 0
    """Draws the validation speakers."""


class LeaveOneCorpusOutProtocol(Section):
    """One corpus is the test part; validation speakers come from the others."""

    kind: Literal['leave-one-corpus-out'] = 'leave-one-corpus-out'
    """One fold per corpus."""
    fold: PositiveInt = 1
    """Which corpus this run tests, from 1, in natural order of their names."""
    valid_fraction: OpenFraction = 0.15
    """Share of each training corpus for validation, whole speakers."""
    seed: Count = 0
    """Draws the validation speakers."""


class UtteranceProtocol(Section):
    """A stratified random hold-out by clip: test speakers are trained on as well, so the scores are optimistic."""

    kind: Literal['utterance'] = 'utterance'
    """Speaker-dependent; labelled so wherever its score is shown."""
    valid_fraction: OpenFraction = 0.1
    """Share of the clips for validation, whole speakers where they are known."""
    test_fraction: OpenFraction = 0.2
    """Share of the clips for test."""
    seed: Count = 0
    """Draws the split."""


ProtocolConfig = Annotated[
    SpeakerProtocol | SpeakerKFoldProtocol | LeaveOneSpeakerOutProtocol | LeaveOneSessionOutProtocol | EmoboxProtocol
    | TextProtocol | SpeakerTextProtocol | OfficialProtocol | CrossProtocol | LeaveOneCorpusOutProtocol | GivenProtocol
    | UtteranceProtocol,
    Field(discriminator='kind')]
