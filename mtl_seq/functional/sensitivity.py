"""How the mean CVR over all impressions moves with what is assumed of hidden things.

Notation as in `mtl_seq.functional.odds_ratio`: psi is the odds ratio between click and potential
conversion given the features.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.functional.odds_ratio import (
    Array,
    Bounds,
    checked_odds_ratio,
    checked_probabilities,
    closed_form,
)

__all__ = [
    "SensitivityCurve",
    "TippingPoint",
    "mean_odds_ratio_cvr",
    "sensitivity_curve",
    "sensitivity_interval",
    "tipping_point",
]

_STEPS = 60
_FARTHEST = 700.0  # exp of it is still a float64


class SensitivityCurve(NamedTuple):
    """The mean CVR over all impressions by assumed odds ratio: ``(S,)`` float64 each.

    Attributes:
        psi: Odds ratios, ascending.
        mean: The mean of q over all impressions at each, descending.
    """

    psi: Tensor
    mean: Tensor


class TippingPoint(NamedTuple):
    """The odds ratio at which a conclusion turns.

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
    p, t = _some_rows(*checked_probabilities(pctr, pctcvr, known=True))
    return _means(p, t, checked_odds_ratio(psi))


def sensitivity_curve(
    pctr: Array, pctcvr: Array, *, gamma: float = 3.0, points: int = 41
) -> SensitivityCurve:
    """The mean CVR over all impressions for odds ratios from 1 / gamma to gamma.

    Args:
        pctr: ``(N,)`` P(click | x) in (0, 1], at least one row.
        pctcvr: ``(N,)`` P(click and conversion | x), at most `pctr`.
        gamma: The largest odds ratio, at least 1.
        points: How many odds ratios, evenly spaced in log psi; odd, so that 1 is among them.

    Returns:
        The curve.

    Raises:
        DataError: As for `odds_ratio_cvr`, no rows, or a `gamma` or `points` out of range.
    """
    reach = math.log(_checked_gamma(gamma))
    if points < 3 or points % 2 == 0:
        raise DataError(f"`points` must be odd and at least 3, found {points}")
    psi = torch.linspace(-reach, reach, points, dtype=torch.float64).exp()
    return SensitivityCurve(psi, mean_odds_ratio_cvr(pctr, pctcvr, psi))


def sensitivity_interval(pctr: Array, pctcvr: Array, gamma: float) -> Bounds:
    """What the mean CVR over all impressions can be if psi lies in [1 / gamma, gamma].

    Args:
        pctr: ``(N,)`` P(click | x) in (0, 1], at least one row.
        pctcvr: ``(N,)`` P(click and conversion | x), at most `pctr`.
        gamma: The largest odds ratio, at least 1.

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
        The odds ratio to a relative accuracy of 1e-12, by bisection: the mean falls in psi.

    Raises:
        DataError: As for `odds_ratio_cvr`, no rows, or a `target` that is not finite.
    """
    p, t = _some_rows(*checked_probabilities(pctr, pctcvr, known=True))
    if not math.isfinite(target):
        raise DataError(f"`target` must be a finite mean CVR, found {target}")
    low, high = -1.0, 1.0
    while float(_mean(p, t, math.exp(low))) < target:
        if low <= -_FARTHEST:
            return TippingPoint(math.nan, _unreached(p, t, target))
        low = max(2 * low, -_FARTHEST)
    while float(_mean(p, t, math.exp(high))) > target:
        if high >= _FARTHEST:
            return TippingPoint(math.nan, _unreached(p, t, target))
        high = min(2 * high, _FARTHEST)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if float(_mean(p, t, math.exp(middle))) > target:
            low = middle
        else:
            high = middle
    return TippingPoint(math.exp((low + high) / 2), None)


def _mean(p: Tensor, t: Tensor, psi: Tensor | float) -> Tensor:
    return closed_form(p, t, psi).mean()


def _means(p: Tensor, t: Tensor, psi: Tensor) -> Tensor:
    # One odds ratio at a time: a matrix of all of them would not fit for a large log.
    means = [_mean(p, t, one) for one in psi.reshape(-1)]
    return torch.stack(means).reshape(psi.shape) if means else psi.clone()


def _unreached(p: Tensor, t: Tensor, target: float) -> str:
    low, high = float(t.mean()), float((t + 1 - p).mean())
    why = "nothing but the worst case reaches it" if low <= target <= high else "it is outside"
    return (
        f"no odds ratio makes the mean CVR {target:.4g}: {why}; the log leaves open {low:.4g} to "
        f"{high:.4g}"
    )


def _some_rows(p: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    if p.numel() == 0:
        raise DataError("`pctr` must hold at least one row to average over, found none")
    return p, t


def _checked_gamma(gamma: float) -> float:
    if not 1 <= gamma < math.inf:
        raise DataError(
            f"`gamma` must be at least 1 and finite, found {gamma}: the odds ratio is taken from "
            "1 / gamma to gamma"
        )
    return float(gamma)
