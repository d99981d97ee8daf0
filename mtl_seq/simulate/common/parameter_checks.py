"""Range checks of parameters, each raising a `ParameterError` that names the parameter."""

from collections.abc import Sequence
from numbers import Integral, Real

from mtl_seq.errors import SimulationError

__all__ = ["ParameterError", "check_choice", "check_number", "check_numbers", "check_share"]


class ParameterError(SimulationError):
    """A parameter outside its range.

    Attributes:
        parameter: Its name, with a dot where it belongs to a mechanism: ``"delay.mean"``.
    """

    def __init__(self, message: str, parameter: str = "") -> None:
        super().__init__(message)
        self.parameter = parameter

    @classmethod
    def of(cls, parameter: str, requirement: str) -> "ParameterError":
        """An error whose message starts with the parameter's name."""
        return cls(f"`{parameter}` {requirement}", parameter)


def check_number(
    parameter: str, value: object, low: float, high: float, *, whole: bool = False
) -> None:
    """Check that a parameter is a number, whole where asked, in ``[low, high]``."""
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        kind = "a whole number" if whole else "a number"
        raise ParameterError.of(parameter, f"must be {kind}, found {value!r}")
    if not low <= float(value) <= high:
        raise ParameterError.of(parameter, f"must lie in [{low:g}, {high:g}], found {value}")


def check_share(parameter: str, value: object) -> None:
    """Check that a parameter is a number strictly between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise ParameterError.of(parameter, f"must lie in (0, 1), found {value!r}")


def check_numbers(
    parameter: str, values: object, low: float, high: float, *, whole: bool = False
) -> None:
    """Check that a parameter is a list of at least one number, all in ``[low, high]``."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise ParameterError.of(parameter, f"must be a list of numbers, found {values!r}")
    for value in values:
        check_number(parameter, value, low, high, whole=whole)


def check_choice(parameter: str, value: object, choices: Sequence[str]) -> None:
    """Check that a parameter is one of several words."""
    if value not in choices:
        raise ParameterError.of(parameter, f"must be one of {', '.join(choices)}, found {value!r}")
