"""The dependence of click and potential conversion, from a feature that moves clicks only.

Shapes: N impressions, K levels of the click-only feature, n clicks.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.fit.monotone import sigmoid
from mtl_seq.functional.dependence import dependent_cells
from mtl_seq.records import SelectionTest, Verdict

__all__ = ["IDENTIFIED", "WEAK", "dependence_moment"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

IDENTIFIED, WEAK = 0.2, 1.0
"""Largest standard errors of lambda that are called identified, and weak."""

_REACH, _GRID = 6.0, 13
_STEP = 1e-4


def dependence_moment(
    p: FloatArray,
    clicked_rate: FloatArray,
    level: IntArray,
    click: FloatArray,
    conversion: FloatArray,
    level_share: FloatArray,
    *,
    weight: FloatArray | None = None,
    group: IntArray | None = None,
) -> SelectionTest:
    """Estimate lambda by the centred-instrument moment.

    Among clicks the log odds of a conversion are ``b(x) + F(a + lambda) - F(a)`` with a the click's
    own logit at the row's level: if lambda = 0, the level says nothing of conversions given x. So
    the evidence comes from the click-only feature alone, and errors of `clicked_rate` cancel to
    first order. Those of `p` in the level do not: p is recalibrated first, one intercept a level,
    and the standard error carries that step (stacked moments).

    The nuisances must have been fitted on other rows than these. The verdict goes by the standard
    error, not by the size of lambda or of t.

    Args:
        p: ``(N, K)`` P(click | x, level) at every level, in (0, 1).
        clicked_rate: ``(N,)`` P(conversion | click, x), in (0, 1), from a tower that does not see
            the level.
        level: ``(N,)`` the row's level, 0 to K - 1.
        click: ``(N,)`` 0 or 1.
        conversion: ``(N,)`` 0 or 1.
        level_share: ``(N, K)`` or ``(K,)`` P(level | x): logged, estimated, or declared uniform.
        weight: ``(N,)`` weights of the rows; None for equal ones.
        group: ``(N,)`` codes of the user; standard errors are then clustered by it.

    Returns:
        The estimate, its standard error, the test of lambda = 0, and the verdict.

    Raises:
        DataError: Nuisances that are no probabilities, a level without rows, or no clicks.
    """
    _check(p, clicked_rate, level, click, level_share)
    weight = np.ones(len(p)) if weight is None else weight
    logit = np.log(p) - np.log1p(-p)
    shift = _intercepts(logit, level, click, weight)
    clicked = np.flatnonzero((click == 1) & (weight > 0))
    rows = _Clicked(
        torch.from_numpy(logit[clicked]),
        torch.from_numpy(clicked_rate[clicked].copy()),
        torch.from_numpy(level[clicked]),
        torch.from_numpy(conversion[clicked].astype(np.float64)),
        torch.from_numpy(np.ascontiguousarray(np.broadcast_to(level_share, p.shape)[clicked])),
    )

    def mean(lam: float, moved: FloatArray = shift) -> float:
        return float(weight[clicked] @ rows.score(lam, moved))

    def error(lam: float) -> float:
        scores = np.zeros(len(p))
        scores[clicked] = weight[clicked] * rows.score(lam, shift)
        residual = weight * (click - sigmoid(logit[np.arange(len(p)), level] + shift[level]))
        influence = _without_intercepts(scores, residual, logit, level, weight, shift, mean, lam)
        if group is not None:
            influence = np.bincount(group, influence).astype(np.float64)
        return float(np.sqrt((influence**2).sum()))

    score_error = error(0.0)
    t = mean(0.0) / score_error if score_error > 0 else float("nan")
    lam = _root(mean)
    slope = (mean(lam + _STEP) - mean(lam - _STEP)) / (2 * _STEP) if lam is not None else 0.0
    if lam is None or slope == 0:
        return SelectionTest(float("nan"), float("nan"), t, "not identified")
    spread = error(lam) / abs(slope)
    return SelectionTest(lam, spread, t, _verdict(spread))


def _verdict(spread: float) -> Verdict:
    if spread <= IDENTIFIED:
        return "identified"
    return "weak" if spread <= WEAK else "not identified"


class _Clicked:
    """The clicked rows, whose score is wanted at many values of lambda."""

    def __init__(
        self, logit: Tensor, rate: Tensor, level: Tensor, conversion: Tensor, share: Tensor
    ) -> None:
        self.logit, self.rate, self.share = logit, rate, share
        self.level, self.conversion = level[:, None], conversion

    def score(self, lam: float, shift: FloatArray) -> FloatArray:
        """``(n,)`` ``(r - m_z) (h_z - h_bar)``."""
        p = torch.sigmoid(self.logit + torch.from_numpy(shift))
        cells = dependent_cells(p, self.share, self.rate, lam)
        m, h = cells.conversion, cells.instrument
        # Centred with these weights, an error of the clicked rate moves the mean score to second
        # order only, at every lambda.
        pull = self.share * p * m * (1 - m) * cells.tilt
        centre = (pull * h).sum(1) / pull.sum(1)
        own = [column.gather(1, self.level).squeeze(1) for column in (m, h)]
        score: FloatArray = ((self.conversion - own[0]) * (own[1] - centre)).numpy()
        return score


def _root(mean: Callable[[float], float]) -> float | None:
    """The root nearest to 0 within the reach; None where the sign does not change."""
    grid = np.linspace(-_REACH, _REACH, _GRID)
    values = np.array([mean(float(lam)) for lam in grid])
    changes = np.flatnonzero(np.sign(values[:-1]) * np.sign(values[1:]) <= 0)
    if len(changes) == 0:
        return None
    at = changes[np.argmin(np.abs(grid[changes] + grid[changes + 1]))]
    low, high, f_low, f_high = grid[at], grid[at + 1], values[at], values[at + 1]
    # Illinois: false position that cannot stall at one end.
    for _ in range(60):
        lam = float((low * f_high - high * f_low) / (f_high - f_low)) if f_high != f_low else low
        f = mean(lam)
        if f == 0 or abs(high - low) < 1e-10:
            break
        if f * f_high < 0:
            low, f_low = high, f_high
        else:
            f_low /= 2
        high, f_high = lam, f
    return lam


def _without_intercepts(
    scores: FloatArray,
    residual: FloatArray,
    logit: FloatArray,
    level: IntArray,
    weight: FloatArray,
    shift: FloatArray,
    mean: Callable[[float, FloatArray], float],
    lam: float,
) -> FloatArray:
    """``(N,)`` influence on the mean score, that of the estimated intercepts included."""
    fitted = sigmoid(logit[np.arange(len(level)), level] + shift[level])
    levels = len(shift)
    curvature = np.bincount(level, weight * fitted * (1 - fitted), minlength=levels)
    slopes = np.empty(levels)
    for k in range(levels):
        step = np.zeros(levels)
        step[k] = _STEP
        slopes[k] = (mean(lam, shift + step) - mean(lam, shift - step)) / (2 * _STEP)
    influence: FloatArray = scores + (slopes / curvature)[level] * residual
    return influence


def _intercepts(
    logit: FloatArray, level: IntArray, click: FloatArray, weight: FloatArray
) -> FloatArray:
    """``(K,)`` shifts of the logit at which each level's clicks add up, by Newton."""
    levels = logit.shape[1]
    own = logit[np.arange(len(level)), level]
    shift = np.zeros(levels)
    clicks = np.bincount(level, weight * click, minlength=levels)
    for _ in range(100):
        p = sigmoid(own + shift[level])
        excess = clicks - np.bincount(level, weight * p, minlength=levels)
        step = excess / np.bincount(level, weight * p * (1 - p), minlength=levels)
        shift += np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-12:
            break
    return shift


def _check(
    p: FloatArray, rate: FloatArray, level: IntArray, click: FloatArray, share: FloatArray
) -> None:
    for name, values in (("p", p), ("clicked_rate", rate)):
        outside = int((~((values > 0) & (values < 1))).sum())
        if outside:
            raise DataError(
                f"`{name}` must hold probabilities in (0, 1), found {outside} others: hand in the "
                "model's own, without rounding"
            )
    if not np.allclose(np.broadcast_to(share, p.shape).sum(1), 1):
        raise DataError("`level_share` must add up to 1 over the levels of every row")
    found = np.bincount(level[click == 1], minlength=p.shape[1])
    if len(found) > p.shape[1] or (found == 0).any():
        empty = [int(k) for k in np.flatnonzero(found == 0)]
        raise DataError(
            f"`level` must run from 0 to {p.shape[1] - 1} with clicks at each, found none at "
            f"{empty or 'a level beyond'}: pool levels"
        )
