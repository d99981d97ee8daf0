"""Drift: rates and conversion effects that change from day to day."""

from dataclasses import dataclass

import numpy as np

from mtl_seq.records import FloatArray
from mtl_seq.simulate.common.parameter_checks import check_number

__all__ = ["Drift"]


@dataclass(frozen=True)
class Drift:
    """Daily shifts of the logits, and a daily rotation of the conversion's direction.

        click logit        + click * day,   day = 0, 1, ...
        conversion logit   + conversion * day
        z_own becomes      cos(turn * day) z_own + sin(turn * day) z_new

    z_own is the part of the conversion score that is uncorrelated with the click score; z_new is a
    score uncorrelated with both. So the rotation keeps the variance of the score and its
    correlation with the click score on every day, while a model fitted on day 0 becomes outdated:
    after 90 degrees nothing of z_own is left. Target rates are met over the whole log, not on each
    day.

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
        """The rotated part of the conversion score on some days, ``(N,)`` each."""
        angle = np.deg2rad(self.turn) * day
        part: FloatArray = np.cos(angle) * old + np.sin(angle) * new
        return part
