"""What every config section shares: frozen, no unknown keys, booleans are not numbers."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _refuse_bool(value):
    if isinstance(value, bool):
        raise ValueError('a number is wanted, not a boolean')
    return value


NUMBER = BeforeValidator(_refuse_bool)
# Field first: pydantic writes the bounds of a validated type into the JSON schema under names of its own.
Count = Annotated[int, Field(ge=0), NUMBER]
PositiveInt = Annotated[int, Field(gt=0), NUMBER]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), NUMBER]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), NUMBER]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), NUMBER]
OpenFraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False), NUMBER]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), NUMBER]


class Section(BaseModel):
    """A frozen mapping of the config; the docstring under a field is its description."""

    model_config = ConfigDict(frozen=True, extra='forbid', use_attribute_docstrings=True,
                              validate_default=True)
