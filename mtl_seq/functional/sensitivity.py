"""Sensitivity of the mean CVR over all impressions to hidden confounding.

Notation as in `mtl_seq.functional.odds_ratio`: psi is the odds ratio between click and potential
conversion given the features.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.functional.arrays import Array
from mtl_seq.functional.odds_ratio import Bounds, checked_odds_ratio, checked_probabilities

__all__ = [
    "SensitivityCurve",
    "TippingPoint",
    "mean_odds_ratio_cvr",
    "sensitivity_curve",
    "sensitivity_interval",
    "tipping_point",
]

_STEPS, _CLOSE = 100, 1e-12
_FARTHEST = 700.0  # exp of it is still a float64
_BLOCK = 32_768


class SensitivityCurve(NamedTuple):
    """The mean CVR over all impressions by assumed odds ratio: ``(S,)`` float64 each.

    Attributes:
        psi: Odds ratios, ascending.
        mean: The mean of q over all impressions at each, descending.
    """

    psi: Tensor
    mean: Tensor


class TippingPoint(NamedTuple):
    """The odds ratio at which a conclusion reverses.

    Attributes:
        psi: The odds ratio; NaN where there is none.
        reason: Why there is none; None where there is one.
    """

    psi: float
    reason: str | None


def mean_odds_ratio_cvr(pctr: Array, pctcvr: Array, psi: Tensor | float) -> Tensor:
    """The mean of `odds_ratio_cvr` over all impressions, at each of some odds ratios.

    Args:
        pctr: ``(N,)`` P(click | x) in (0, 1], at least one row.
        pctcvr: ``(N,)`` P(click and conversion | x), at most `pctr`.
        psi: ``(S,)`` odds ratios above 0, or a number.

    Returns:
        Float64 of the shape of `psi`.

    Raises:
        DataError: As for `odds_ratio_cvr`, or no rows.
    """
    rows = _Rows.of(*checked_probabilities(pctr, pctcvr, known=True))
    ratio = checked_odds_ratio(psi)
    means = [rows.mean(math.log(one))[0] for one in ratio.reshape(-1).tolist()]
    return torch.tensor(means, dtype=torch.float64).reshape(ratio.shape)


def sensitivity_curve(
    pctr: Array, pctcvr: Array, *, gamma: float = 3.0, points: int = 41
) -> SensitivityCurve:
    """The mean CVR over all impressions for odds ratios from 1 / gamma to gamma.

    Args:
        pctr: ``(N,)`` P(click | x) in (0, 1], at least one row.
        pctcvr: ``(N,)`` P(click and conversion | x), at most `pctr`.
        gamma: The largest odds ratio, at least 1.
        points: How many odds ratios, evenly spaced in log psi; odd, so that 1 is among them.

    Raises:
        DataError: As for `odds_ratio_cvr`, no rows, or a `gamma` or `points` out of range.
    """
    reach = math.log(_checked_gamma(gamma))
    if points < 3 or points % 2 == 0:
        raise DataError(f"`points` must be odd and at least 3, found {points}")
    psi = torch.linspace(-reach, reach, points, dtype=torch.float64).exp()
    return SensitivityCurve(psi, mean_odds_ratio_cvr(pctr, pctcvr, psi))


def sensitivity_interval(pctr: Array, pctcvr: Array, gamma: float) -> Bounds:
    """Bounds of the mean CVR over all impressions if psi lies in [1 / gamma, gamma].

    The arguments are those of `sensitivity_curve`.

    Returns:
        Two scalars. They hold also where psi differs from row to row within that range, since each
        row's q is monotone in its own psi.

    Raises:
        DataError: As for `odds_ratio_cvr`, no rows, or a `gamma` below 1.
    """
    gamma = _checked_gamma(gamma)
    ends = torch.tensor([gamma, 1 / gamma], dtype=torch.float64)
    low, high = mean_odds_ratio_cvr(pctr, pctcvr, ends)
    return Bounds(low, high)


def tipping_point(pctr: Array, pctcvr: Array, target: float) -> TippingPoint:
    """The odds ratio at which the mean CVR over all impressions is `target`.

    A model whose mean pCVR is m has relative bias b where the mean CVR is ``m / (1 + b)``; two
    models with means m and n are equally far from it where it is ``(m + n) / 2``.

    Args:
        pctr: ``(N,)`` P(click | x) in (0, 1], at least one row.
        pctcvr: ``(N,)`` P(click and conversion | x), at most `pctr`.
        target: A mean CVR.

    Returns:
        The odds ratio to a relative accuracy of about 1e-12: the mean falls in psi, so Newton steps
        within a bracket, and bisection where they leave it, find it.

    Raises:
        DataError: As for `odds_ratio_cvr`, no rows, or a `target` that is not finite.
    """
    rows = _Rows.of(*checked_probabilities(pctr, pctcvr, known=True))
    if not math.isfinite(target):
        raise DataError(f"`target` must be a finite mean CVR, found {target}")
    worst = rows.worst()
    none = TippingPoint(math.nan, rows.unreached(target))
    if not worst[0] < target < worst[1]:
        return none
    low, high = -1.0, 1.0
    while rows.mean(low)[0] < target:
        if low <= -_FARTHEST:
            return none
        low = max(2 * low, -_FARTHEST)
    while rows.mean(high)[0] > target:
        if high >= _FARTHEST:
            return none
        high = min(2 * high, _FARTHEST)
    at = (low + high) / 2
    for _ in range(_STEPS):
        mean, slope = rows.mean(at)
        low, high = (at, high) if mean > target else (low, at)
        newton = at - (mean - target) / slope if slope < 0 else low
        step = newton if low < newton < high else (low + high) / 2
        if abs(step - at) <= _CLOSE or high - low <= _CLOSE:
            return TippingPoint(math.exp(step), None)
        at = step
    return TippingPoint(math.exp(at), None)


class _Rows(NamedTuple):
    """Row terms of the mean of q: ``q = t + gain / (t + psi miss)``."""

    t: Tensor
    miss: Tensor
    gain: Tensor

    @classmethod
    def of(cls, p: Tensor, t: Tensor) -> "_Rows":
        if p.numel() == 0:
            raise DataError("`pctr` must hold at least one row to average over, found none")
        return cls(t, p - t, t * (1 - p))

    def mean(self, log_psi: float) -> tuple[float, float]:
        """The mean at an odds ratio, and its derivative by the odds ratio's logarithm."""
        psi, total, slope = math.exp(log_psi), 0.0, 0.0
        # In blocks that fit the cache: a large log is otherwise bound by memory.
        for start in range(0, self.t.numel(), _BLOCK):
            t, miss, gain = (column[start : start + _BLOCK] for column in self)
            odds = psi * miss
            whole = t + odds
            rest = gain / whole
            total += float((t + rest).sum())
            slope -= float((rest * odds / whole).sum())
        return total / self.t.numel(), slope / self.t.numel()

    def worst(self) -> tuple[float, float]:
        """Bounds of the mean without any assumption."""
        return float(self.t.mean()), float((1 - self.miss).mean())

    def unreached(self, target: float) -> str:
        """Why no odds ratio gives the mean `target`."""
        low, high = self.worst()
        why = "only the worst case reaches it" if low <= target <= high else "it is outside"
        return (
            f"no odds ratio makes the mean CVR {target:.4g}: {why}; the bounds are {low:.4g} "
            f"to {high:.4g}"
        )


def _checked_gamma(gamma: float) -> float:
    if not 1 <= gamma < math.inf:
        raise DataError(
            f"`gamma` must be at least 1 and finite, found {gamma}: the odds ratio is taken from "
            "1 / gamma to gamma"
        )
    return float(gamma)
