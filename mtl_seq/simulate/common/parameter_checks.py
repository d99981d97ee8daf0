"""Range checks of parameters, with errors that name the parameter."""

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


def check_number(
    parameter: str, value: object, low: float, high: float, *, whole: bool = False
) -> None:
    """Check that a parameter is a number, whole where asked, in ``[low, high]``.

    Raises:
        ParameterError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        kind = "a whole number" if whole else "a number"
        raise ParameterError(f"`{parameter}` must be {kind}, found {value!r}", parameter)
    if not low <= float(value) <= high:
        raise ParameterError(
            f"`{parameter}` must lie in [{low:g}, {high:g}], found {value}", parameter
        )


def check_share(parameter: str, value: object) -> None:
    """Check that a parameter is a number strictly between 0 and 1.

    Raises:
        ParameterError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise ParameterError(f"`{parameter}` must lie in (0, 1), found {value!r}", parameter)


def check_numbers(
    parameter: str, values: object, low: float, high: float, *, whole: bool = False
) -> None:
    """Check that a parameter is a list of at least one number, all in ``[low, high]``.

    Raises:
        ParameterError: It is not.
    """
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise ParameterError(
            f"`{parameter}` must be a list of numbers, found {values!r}", parameter
        )
    for value in values:
        check_number(parameter, value, low, high, whole=whole)


def check_choice(parameter: str, value: object, choices: Sequence[str]) -> None:
    """Check that a parameter is one of several words.

    Raises:
        ParameterError: It is not.
    """
    if value not in choices:
        raise ParameterError(
            f"`{parameter}` must be one of {', '.join(choices)}, found {value!r}", parameter
        )
