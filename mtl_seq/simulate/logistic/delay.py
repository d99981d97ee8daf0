"""Delayed conversions, and labels as known on a given day."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtl_seq.errors import SimulationError
from mtl_seq.records import FloatArray, FunnelTruth
from mtl_seq.simulate.common.parameter_checks import ParameterError, check_number

__all__ = ["Delay", "known_at"]


@dataclass(frozen=True)
class Delay:
    """Delay from click to conversion: exponential, truncated at the attribution window.

        rate(x) = exp(slope * z_conversion) / mean
        P(D <= d | r = 1, x) = (1 - exp(-rate d)) / (1 - exp(-rate window)),   0 <= d <= window

    (Chapelle, KDD 2014, with a window.) r counts conversions within the window, so targets and
    truth are those of matured labels. The log shows ``conversion = o * r`` only where
    ``time + D <= cutoff``: until then a conversion is a false negative. `known_at` gives the labels
    of any other day.

    Attributes:
        mean: Mean of the untruncated delay at z_conversion = 0, in days, in (0, 1000].
        slope: In [-5, 5]. Positive: likely conversions come sooner, so immature labels are biased
            by x and not only too few.
        window: Attribution window in days, in (0, 1000].
        cutoff: Day on which the log is read, at least its `days`; None for its end, inf for fully
            matured labels.

    Raises:
        ParameterError: One outside its range.
    """

    mean: float = 1.0
    slope: float = 0.0
    window: float = 7.0
    cutoff: float | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "window"):
            check_number(f"delay.{name}", getattr(self, name), 0, 1000)
            if getattr(self, name) == 0:
                raise ParameterError.of(f"delay.{name}", "must lie in (0, 1000], found 0")
        check_number("delay.slope", self.slope, -5, 5)
        if self.cutoff is not None:
            check_number("delay.cutoff", self.cutoff, 0, np.inf)

    def read_on(self, days: int) -> float:
        """The cut-off of a log of a given number of days.

        Raises:
            ParameterError: The cut-off lies within the log.
        """
        if self.cutoff is None:
            return float(days)
        if self.cutoff < days:
            raise ParameterError.of(
                "delay.cutoff",
                f"must be at least the log's `days`, {days}, found {self.cutoff}: "
                "a log holds no impressions of later days; `known_at` gives earlier cut-offs",
            )
        return float(self.cutoff)

    def draw(self, score: FloatArray, uniform: FloatArray) -> FloatArray:
        """Draw days from click to conversion."""
        rate = self._rate(score)
        days: FloatArray = np.minimum(
            np.log1p(uniform * np.expm1(-rate * self.window)) / -rate, self.window
        )
        return days

    def known(self, score: FloatArray, age: FloatArray) -> FloatArray:
        """P(D <= age), for a click of the given age in days."""
        rate = self._rate(score)
        share: FloatArray = np.expm1(-rate * np.minimum(age, self.window))
        share /= np.expm1(-rate * self.window)
        return share

    def _rate(self, score: FloatArray) -> FloatArray:
        rate: FloatArray = np.exp(self.slope * score) / self.mean
        return rate


def known_at(log: pd.DataFrame, truth: FunnelTruth, day: float) -> tuple[pd.DataFrame, FunnelTruth]:
    """A delayed scenario's log as known on a given day.

    Args:
        log: Drawn from a scenario with a `Delay`.
        truth: Of the same rows.
        day: When the log is read; inf for matured labels.

    Returns:
        The impressions up to that day, with the conversions known by then, and their truth. The
        index is kept.

    Raises:
        SimulationError: The scenario has no delay, or no impression precedes that day.
    """
    if "delay" not in truth.hidden:
        raise SimulationError("`truth` must come from a scenario with a `delay`, found none")
    time = log["time"].to_numpy()
    rows = np.flatnonzero(time <= day)
    if len(rows) == 0:
        raise SimulationError(
            f"`day` must lie after the first impression, {time.min():.3g}, found {day}"
        )
    then, known = log.iloc[rows].copy(), truth.take(rows)
    # That probability is for the scenario's cut-off.
    further = {name: array for name, array in known.further.items() if name != "conversion_known"}
    known = known._replace(further=further)
    in_time = time[rows] + known.hidden["delay"] <= day
    converted = then["click"].to_numpy() * known.potential * in_time
    then["conversion"] = converted.astype(np.int64)
    return then, known
