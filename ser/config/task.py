"""`task`: what is learnt of a clip: its emotion, or where it lies on continuous dimensions."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ser.config.losses import ClassWeights
from ser.config.section import NonNegative, Section


class AuxiliaryTarget(Section):
    """Something else that a second head learns beside the emotion."""

    key: str | None = None
    """JSON key of each sample that holds it; null is the target's own name. This head ignores clips without it."""
    weight: NonNegative = 0.3
    """How much its loss counts beside the emotion's, whose weight is 1."""
    class_weights: ClassWeights = 'none'
    """As training.loss.class_weights, of this target's values."""


class EmotionTask(Section):
    """One class per clip."""

    kind: Literal['emotion'] = 'emotion'
    """Classification."""
    auxiliary: dict[str, AuxiliaryTarget] = {}
    """Further heads by name, such as {accent: {weight: 0.8}}: gender, accent, intensity or any JSON key of text."""
    soft_labels: bool = False
    """Train on the shares of the raters' votes where a clip has them; scores count the label all the same."""


def _different(names):
    if len(set(names)) < len(names) or not all(name.strip() for name in names):
        raise ValueError('should be different names')
    return names


Names = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_different)]


class DimensionsTask(Section):
    """Numbers per clip: arousal, valence, dominance or any others, scored by the concordance correlation (CCC)."""

    kind: Literal['dimensions'] = 'dimensions'
    """Regression; training.loss.kind is then 'ccc'."""
    dimensions: Literal['auto'] | Names = 'auto'
    """JSON keys that hold numbers; 'auto' is those of arousal, valence and dominance that clips have. Clips that lack
    any are left out and counted."""


TaskConfig = Annotated[EmotionTask | DimensionsTask, Field(discriminator='kind')]
