"""Ranges of knobs, and errors that name the knob at fault."""

from collections.abc import Sequence
from numbers import Integral, Real

from mtl_seq.errors import SimulationError

__all__ = ["KnobError", "check_choice", "check_number", "check_numbers", "check_share"]


class KnobError(SimulationError):
    """A knob outside its range.

    Attributes:
        knob: Its name, with a dot where it belongs to a mechanism: ``"delay.mean"``.
    """

    def __init__(self, message: str, knob: str = "") -> None:
        super().__init__(message)
        self.knob = knob


def check_number(knob: str, value: object, low: float, high: float, *, whole: bool = False) -> None:
    """The knob is a number, whole where asked, in ``[low, high]``.

    Raises:
        KnobError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        kind = "a whole number" if whole else "a number"
        raise KnobError(f"`{knob}` must be {kind}, found {value!r}", knob)
    if not low <= float(value) <= high:
        raise KnobError(f"`{knob}` must lie in [{low:g}, {high:g}], found {value}", knob)


def check_share(knob: str, value: object) -> None:
    """The knob is a number strictly between 0 and 1.

    Raises:
        KnobError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise KnobError(f"`{knob}` must lie in (0, 1), found {value!r}", knob)


def check_numbers(
    knob: str, values: object, low: float, high: float, *, whole: bool = False
) -> None:
    """The knob is a list of numbers in ``[low, high]``, one at least.

    Raises:
        KnobError: It is not.
    """
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise KnobError(f"`{knob}` must be a list of numbers, found {values!r}", knob)
    for value in values:
        check_number(knob, value, low, high, whole=whole)


def check_choice(knob: str, value: object, choices: Sequence[str]) -> None:
    """The knob is one of some words.

    Raises:
        KnobError: It is not.
    """
    if value not in choices:
        raise KnobError(f"`{knob}` must be one of {', '.join(choices)}, found {value!r}", knob)
