"""What every config section shares: frozen, no unknown keys, booleans are not numbers."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _refuse_bool(value):
    if isinstance(value, bool):
        raise ValueError('a number is wanted, not a boolean')
    return value


NUMBER = BeforeValidator(_refuse_bool)
Int = Annotated[int, NUMBER]
Float = Annotated[float, NUMBER, Field(allow_inf_nan=False)]
Count = Annotated[int, NUMBER, Field(ge=0)]
PositiveInt = Annotated[int, NUMBER, Field(gt=0)]
Positive = Annotated[float, NUMBER, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, NUMBER, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, NUMBER, Field(ge=0, lt=1, allow_inf_nan=False)]
OpenFraction = Annotated[float, NUMBER, Field(gt=0, lt=1, allow_inf_nan=False)]
Probability = Annotated[float, NUMBER, Field(ge=0, le=1, allow_inf_nan=False)]


class Section(BaseModel):
    """A frozen mapping of the config; the docstring under a field is its description."""

    model_config = ConfigDict(frozen=True, extra='forbid', use_attribute_docstrings=True,
                              validate_default=True)
