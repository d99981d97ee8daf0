"""A scenario that changes from day to day."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtl_seq.simulate.common.parameter_checks import check_number

__all__ = ["Drift"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """What a day, 0, 1, ..., adds to the logits, and how far it turns the conversion's direction.

        click logit        + click * day
        conversion logit   + conversion * day
        the conversion's own part   cos(turn * day) z_o + sin(turn * day) z_n

    z_o is the part of the conversion score that has nothing to do with the click; z_n a score
    uncorrelated with both. So a turn leaves the variance of the score and its correlation with the
    click's as they are on every day, while what a model learned on day 0 loses its meaning: after
    90 degrees nothing of z_o is left. Rates are met over the whole log, not on each day.

    Attributes:
        click: Per day, in [-5, 5].
        conversion: Per day, in [-5, 5].
        turn: Degrees per day, in [-180, 180].

    Raises:
        ParameterError: One outside its range.
    """

    click: float = 0.0
    conversion: float = 0.0
    turn: float = 0.0

    def __post_init__(self) -> None:
        check_number("drift.click", self.click, -5, 5)
        check_number("drift.conversion", self.conversion, -5, 5)
        check_number("drift.turn", self.turn, -180, 180)

    def turned(self, day: FloatArray, old: FloatArray, new: FloatArray) -> FloatArray:
        """The conversion's own part on some days, ``(N,)`` each."""
        angle = np.deg2rad(self.turn) * day
        part: FloatArray = np.cos(angle) * old + np.sin(angle) * new
        return part
