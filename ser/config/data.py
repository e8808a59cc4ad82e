"""`data`: which shards, which labels, how audio is read and batched."""

from typing import Literal

from pydantic import Field

from ser.config.section import Count, Positive, PositiveInt, Probability, Section


class DataConfig(Section):
    """Where the samples are and how they become batches."""

    shards: tuple[str, ...] = ()
    """Tar files, globs, brace ranges or folders; NAME=PATH names the set that a path belongs to (`emodb=data/emodb`).
    With valid_shards and test_shards: the training part."""
    valid_shards: tuple[str, ...] = ()
    """Tars of the validation part, where each part has shards of its own."""
    test_shards: tuple[str, ...] = ()
    """Tars of the test part, where each part has shards of its own."""
    remote: bool = False
    """Whether shards may be addresses: s3://, gs:// or https:// (a folder with the builder's index, tars, braces);
    http:// on this machine alone."""
    scan_remote: bool = False
    """Whether remote shards without the builder's index may be downloaded and scanned for it."""
    cache: str | None = None
    """Where remote shards are kept, shared by runs; null is serstream/shards in the user's cache folder."""
    cache_gb: Positive = 50.0
    """Most bytes kept there, in units of 10^9: at least two shuffle windows."""
    label: str = 'auto'
    """Where a sample's label is: 'auto' (JSON `emotion` or `label`, then .cls, then .txt), or SUFFIX, or json.KEY."""
    labels: Literal['auto', 'shared', 'all8', 'seven', 'six', 'four', 'iemocap4'] | tuple[str, ...] | dict[
        str, str | None] = 'auto'
    """The classes: 'auto' for every label present; 'shared' for those that every corpus has; all8 (neutral calm happy
    sad angry fear disgust surprise), seven (calm counts as neutral), six (no surprise either), four (neutral happy sad
    angry), iemocap4 (neutral happy angry sad); a list; or a mapping label: class that speaks of every label, null to
    drop it. Clips of other labels are dropped and counted."""
    merge: dict[str, str] = {}
    """Labels counted as another before `labels` chooses, such as {calm: neutral} or {excited: happy}."""
    drop: tuple[str, ...] = ()
    """Labels left out, whatever `labels` says."""
    audit: Literal['full', 'quick'] = 'full'
    """The look for leaks before training: 'full' decodes every clip to find recordings that are alike (once, then
    cached), 'quick' compares encoded bytes and metadata only."""
    classes: tuple[str, ...] = ()
    """Names of the integers in `.cls` members, in index order."""
    sample_rate: PositiveInt = 44100
    """Hz of every batch; a clip stored at another rate is resampled by the worker (soxr)."""
    max_seconds: Positive = 30.0
    """Longest clip: training crops longer ones at a random place, evaluation does what `long` says; so do svm and
    majority, which hear the training part as evaluation would."""
    long: Literal['error', 'window'] = 'error'
    """A clip over max_seconds in evaluation: 'error', or 'window' (the mean of its windows' probabilities)."""
    shuffle_window_shards: Literal['all'] | PositiveInt = 'all'
    """Shards per shuffle window: 'all' is one uniform permutation; a number reads a huge or remote set window by
    window."""
    balance: Literal['none', 'class', 'corpus', 'speaker'] = 'none'
    """What every epoch of training draws equally often: 'none' takes each clip once; otherwise as many clips as there
    are, small groups repeated, each copy augmented on its own, large ones in turn over the epochs."""
    workers: Literal['auto'] | Count = 'auto'
    """Reader processes: 'auto' is one fewer than the cores, at most 8, and 0 where a network runs on two cores itself;
    0 reads in the training process."""
    prefetch: PositiveInt = 4
    """Batches that each worker prepares ahead."""
    on_error: Literal['raise', 'skip'] = 'raise'
    """A sample that cannot be decoded in training: stop, or repeat a neighbour at weight 0 and count it."""
    max_bad: Probability = Field(default=0.001)
    """With on_error 'skip': the share of bad samples above which training stops all the same."""
