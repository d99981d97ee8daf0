"""What the CVR over all impressions would be if something hidden tied clicks to conversions.

Notation: o click, r the conversion there would be after a click, p = P(o = 1 | x) and
t = P(o = 1, r = 1 | x), which a log identifies, and q = P(r = 1 | x), which it does not. psi is the
odds ratio between click and potential conversion given the features: 1 where nothing hidden moves
both. Whatever psi is assumed, p and t stay as they are, so no model is fitted again.

Marginal sensitivity models bound the propensity instead and need an inner maximisation; the odds
ratio gives a closed form. The worst case is that of Manski (American Economic Review, 1990).
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_seq.errors import DataError, rows_text

__all__ = [
    "Bounds",
    "SensitivityCurve",
    "TippingPoint",
    "mean_odds_ratio_cvr",
    "odds_ratio_cvr",
    "sensitivity_curve",
    "sensitivity_interval",
    "tipping_point",
    "worst_case_bounds",
]

Array = Tensor | NDArray[np.floating]

# Float32 probabilities of a row agree to about 1e-7; beyond ten times that, pctcvr is no joint.
_ROUNDING = 1e-6
_STEPS = 60
_FARTHEST = 700.0  # exp of it is still a float64


class Bounds(NamedTuple):
    """A lower and an upper bound, float64.

    Attributes:
        low: The lower one.
        high: The upper one.
    """

    low: Tensor
    high: Tensor


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


def odds_ratio_cvr(pctr: Array, pctcvr: Array, psi: Tensor | float) -> Tensor:
    """The CVR over the entire space at an assumed odds ratio: ``t + t(1 - p) / (t + psi(p - t))``.

    Off the clicks the odds of a conversion are those on the clicks, divided by psi; on the clicks
    they are as the log shows them. So psi above 1 says that clicks pick out those who would
    convert, and the CVR over all impressions is lower than t / p. At psi = 1 it is t / p.

    Args:
        pctr: ``(N,)`` P(click | x) in (0, 1].
        pctcvr: ``(N,)`` P(click and conversion | x), at most `pctr`.
        psi: Odds ratio above 0, a number or one for each row.

    Returns:
        ``(N,)`` float64, falling in psi; within `worst_case_bounds`.

    Raises:
        DataError: Values that are no probabilities, a pctcvr above its pctr, a pctr of 0 (nothing
            is known of that row's CVR), or an odds ratio that is not above 0.

    >>> odds_ratio_cvr(torch.tensor([0.5]), torch.tensor([0.25]), psi=3.0)
    tensor([0.3750], dtype=torch.float64)
    """
    p, t = _checked(pctr, pctcvr, known=True)
    return _closed_form(p, t, _checked_psi(psi))


def worst_case_bounds(pctr: Array, pctcvr: Array) -> Bounds:
    """What q can be if nothing is assumed of those who did not click: ``t <= q <= t + 1 - p``.

    Args:
        pctr: ``(N,)`` P(click | x) in [0, 1].
        pctcvr: ``(N,)`` P(click and conversion | x), at most `pctr`.

    Returns:
        Two ``(N,)`` tensors, the limits of `odds_ratio_cvr` for psi to infinity and to 0 wherever
        0 < t < p.

    Raises:
        DataError: Values that are no probabilities, or a pctcvr above its pctr.
    """
    p, t = _checked(pctr, pctcvr, known=False)
    return Bounds(t, t + (1 - p))


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
    p, t = _some_rows(*_checked(pctr, pctcvr, known=True))
    return _means(p, t, _checked_psi(psi))


def sensitivity_curve(
    pctr: Array, pctcvr: Array, *, gamma: float = 3.0, points: int = 41
) -> SensitivityCurve:
    """The mean CVR over all impressions for odds ratios from 1 / gamma to gamma.

    Args:
        pctr: ``(N,)`` P(click | x) in (0, 1], at least one row.
        pctcvr: ``(N,)`` P(click and conversion | x), at most `pctr`.
        gamma: The largest odds ratio, above 1.
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
    p, t = _some_rows(*_checked(pctr, pctcvr, known=True))
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


def _closed_form(p: Tensor, t: Tensor, psi: Tensor | float) -> Tensor:
    return t + t * (1 - p) / (t + psi * (p - t))


def _mean(p: Tensor, t: Tensor, psi: Tensor | float) -> Tensor:
    return _closed_form(p, t, psi).mean()


def _means(p: Tensor, t: Tensor, psi: Tensor) -> Tensor:
    # One odds ratio at a time: a matrix of all of them would not fit for a large log.
    means = [_mean(p, t, one) for one in psi.reshape(-1)]
    return torch.stack(means).reshape(psi.shape) if means else psi.clone()


def _unreached(p: Tensor, t: Tensor, target: float) -> str:
    low, high = float(t.mean()), float((t + 1 - p).mean())
    where = "outside" if not low <= target <= high else "at the end of"
    return (
        f"no odds ratio makes the mean CVR {target:.4g}: it is {where} what the log leaves open, "
        f"{low:.4g} to {high:.4g}"
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


def _checked_psi(psi: Tensor | float) -> Tensor:
    ratio = torch.as_tensor(psi, dtype=torch.float64)
    if not bool(((ratio > 0) & ratio.isfinite()).all()):
        raise DataError(
            f"`psi` must be an odds ratio above 0, found {float(ratio.reshape(-1).min())}: for its "
            "limits take `worst_case_bounds`"
        )
    return ratio


def _checked(pctr: Array, pctcvr: Array, *, known: bool) -> tuple[Tensor, Tensor]:
    p, t = _probabilities("pctr", pctr), _probabilities("pctcvr", pctcvr)
    if p.shape != t.shape:
        raise DataError(
            f"`pctcvr` must have one entry per row of `pctr`, {p.numel():,}, found {t.numel():,}"
        )
    above = t > p * (1 + _ROUNDING)
    if bool(above.any()):
        raise DataError(
            f"`pctcvr` must be at most `pctr`, found it above in {_where(above)}: it is the "
            "probability of a click and a conversion, not of a conversion given a click"
        )
    if known and bool((p == 0).any()):
        raise DataError(
            f"`pctr` must be above 0, found 0 in {_where(p == 0)}: nothing is known of the CVR "
            "where nobody clicks; leave those rows out, or raise their pctr to a floor"
        )
    return p, torch.minimum(t, p)


def _probabilities(name: str, values: Array) -> Tensor:
    # A copy, since a column of a frame may be read-only, which torch would warn of.
    given = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    if given.dim() != 1:
        raise DataError(f"`{name}` must be (N,), found {tuple(given.shape)}")
    given = given.detach().double()
    outside = ~((given >= 0) & (given <= 1))
    if bool(outside.any()):
        raise DataError(
            f"`{name}` must lie in [0, 1], found {float(given[outside][0]):.4g} in "
            f"{_where(outside)}: pass probabilities, not logits"
        )
    return given


def _where(rows: Tensor) -> str:
    found = rows.nonzero()[:, 0]
    return rows_text(found.tolist(), int(found.numel()))
