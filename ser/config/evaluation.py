"""`evaluation`: how scores are computed."""

from typing import Literal

from ser.config.section import Count, Fraction, OpenFraction, PositiveInt, Section


class EvaluationConfig(Section):
    """Scores and intervals."""

    batch_size: PositiveInt = 32
    """Clips per evaluation step, over all ranks; it changes no score."""
    bootstrap: PositiveInt = 2000
    """Resamples behind each interval."""
    confidence: OpenFraction = 0.95
    """Coverage that the intervals aim at."""
    seed: Count = 0
    """Draws the resamples."""
    unknown_risk: Fraction | None = 0.25
    """Share of wrong answers among the named ones that the threshold for 'unknown' is chosen for, on validation; null:
    a class is always named."""
    details: Literal['none', 'summary', 'clips'] = 'summary'
    """Of a network with a gate, what is written of its weights: nothing; their means over the clips of each class
    (gates.csv, gates.json); or those and the weights of each clip (gates-clips.csv)."""
