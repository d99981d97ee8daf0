"""Moment estimate of the dependence of click and potential conversion, and its verdict.

Shapes: N impressions, K levels of the click-only feature, n clicks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor

from mtl_seq.dependence.nuisance_calibration import (
    information,
    likelihood_ratio,
    recalibrate,
)
from mtl_seq.errors import DataError
from mtl_seq.functional.latent_dependence import dependent_cells
from mtl_seq.records import FloatArray, IntArray, SelectionTest, Verdict

__all__ = ["IDENTIFIED", "WEAK", "dependence_moment", "verdict"]

IDENTIFIED, WEAK = 0.2, 1.0
"""Largest standard errors of lambda of the verdicts "identified" and "weak"."""

_REACH = 6


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

    Among clicks the log odds of a conversion are ``b(x) + F(a + lambda) - F(a)`` with a the logit
    of the click at the row's level, without a conversion: if lambda = 0, conversions do not depend
    on the level given x. So the evidence comes from the click-only feature alone, and errors of
    `clicked_rate` cancel to first order. Those of `p` in the level do not: p is recalibrated first,
    by a slope and an intercept per level, and the standard error includes that step (stacked
    moments). `clicked_rate` is recalibrated on the clicks, by a slope and an intercept.

    The nuisances must be fitted to other rows than these. The verdict depends on the standard
    error, not on the size of lambda or of t.

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
        DataError: Nuisances that are no probabilities, or a level without clicks.
    """
    _check(p, clicked_rate, level, click, level_share)
    weight = np.ones(len(p)) if weight is None else weight
    click_logit, rate_logit = logit(p), logit(clicked_rate)
    recalibration = recalibrate(click_logit, rate_logit, level, click, conversion, weight)
    clicked = np.flatnonzero((click == 1) & (weight > 0))
    rows = _Clicked(
        torch.from_numpy(click_logit[clicked]),
        torch.from_numpy(recalibration.rate(rate_logit[clicked])),
        torch.from_numpy(level[clicked])[:, None],
        torch.from_numpy(conversion[clicked].astype(np.float64)),
        torch.from_numpy(np.ascontiguousarray(np.broadcast_to(level_share, p.shape)[clicked])),
        torch.from_numpy(weight[clicked]),
        torch.tensor([recalibration.slope, *recalibration.shift], dtype=torch.float64),
    )

    own = click_logit[np.arange(len(p)), level]
    fitted = recalibration.click(click_logit)[np.arange(len(p)), level]
    curvature = information(own, level, p.shape[1], weight * fitted * (1 - fitted))
    inverse = np.linalg.pinv(curvature, rcond=1e-12, hermitian=True)
    residual = weight * (click - fitted)

    def error(at: _At) -> float:
        """Of the mean score, the estimated slope and intercepts of p included."""
        pull = inverse @ at.by_click
        influence = residual * (pull[0] * own + pull[1:][level])
        influence[clicked] += at.terms
        if group is not None:
            influence = np.bincount(group, influence).astype(np.float64)
        return float(np.sqrt((influence**2).sum()))

    averaged = logit((np.broadcast_to(level_share, p.shape) * p).sum(1))
    strength = likelihood_ratio(averaged, level, p.shape[1], click, weight)
    at_zero = rows.at(0.0)
    score_error = error(at_zero)
    t = at_zero.total / score_error if score_error > 0 else float("nan")
    log_odds_ratio = _root(rows.total)
    at = rows.at(log_odds_ratio) if log_odds_ratio is not None else at_zero
    if log_odds_ratio is None or at.by_log_odds_ratio == 0:
        return SelectionTest(float("nan"), float("nan"), t, "not identified", strength)
    spread = error(at) / abs(at.by_log_odds_ratio)
    return SelectionTest(log_odds_ratio, spread, t, verdict(spread), strength)


def verdict(spread: float) -> Verdict:
    """The verdict of a standard error of lambda."""
    if spread <= IDENTIFIED:
        return "identified"
    return "weak" if spread <= WEAK else "not identified"


class _At(NamedTuple):
    """The weighted scores at one lambda: their sum, its derivatives, and each row's."""

    total: float
    by_log_odds_ratio: float
    by_click: FloatArray
    terms: FloatArray


@dataclass
class _Clicked:
    """The clicked rows and their scores at a value of lambda.

    Attributes:
        logit: ``(n, K)`` logit of the click at every level.
        rate: ``(n,)`` recalibrated P(conversion | click).
        level: ``(n, 1)`` the row's level.
        conversion: ``(n,)`` 0 or 1.
        share: ``(n, K)`` P(level | x).
        weight: ``(n,)`` weights of the rows.
        click: ``(1 + K,)`` slope and intercepts of the recalibration of the click.
        last: ``(n,)`` solution at the last lambda, where the next one starts.
    """

    logit: Tensor
    rate: Tensor
    level: Tensor
    conversion: Tensor
    share: Tensor
    weight: Tensor
    click: Tensor
    last: Tensor | None = None

    def total(self, log_odds_ratio: float) -> float:
        """The weighted sum of the scores."""
        with torch.no_grad():
            return float(
                self._terms(torch.tensor(log_odds_ratio, dtype=torch.float64), self.click).sum()
            )

    def at(self, log_odds_ratio: float) -> _At:
        """The sum with its derivatives by lambda and by the slope and intercepts of p."""
        free = torch.tensor(log_odds_ratio, dtype=torch.float64, requires_grad=True)
        click = self.click.clone().requires_grad_()
        terms = self._terms(free, click)
        by_log_odds_ratio, by_click = torch.autograd.grad(terms.sum(), (free, click))
        terms = terms.detach()
        return _At(float(terms.sum()), float(by_log_odds_ratio), by_click.numpy(), terms.numpy())

    def _terms(self, log_odds_ratio: Tensor, click: Tensor) -> Tensor:
        """``(n,)`` ``w (r - m_z) (h_z - h_bar)``."""
        p = torch.sigmoid(click[0] * self.logit + click[1:])
        cells = dependent_cells(p, self.share, self.rate, log_odds_ratio, start=self.last)
        self.last = cells.b.detach()
        m, h = cells.conversion, cells.instrument
        # Centred with these weights, an error of the clicked rate moves the mean score to second
        # order only, at every lambda.
        pull = self.share * p * m * (1 - m) * cells.tilt
        centre = (pull * h).sum(1) / pull.sum(1)
        own = [column.gather(1, self.level).squeeze(1) for column in (m, h)]
        return self.weight * (self.conversion - own[0]) * (own[1] - centre)


def _root(total: Callable[[float], float]) -> float | None:
    """The root nearest to 0 within 6 of it; None where the sign does not change."""
    from scipy.optimize import brentq  # slow to import, and only this needs it

    total = cache(total)
    for step in range(1, _REACH + 1):
        for side in (1.0, -1.0):
            near, far = side * (step - 1), side * step
            if total(near) * total(far) <= 0:
                root: float = brentq(total, near, far)
                return root
    return None


def _check(
    p: FloatArray, rate: FloatArray, level: IntArray, click: FloatArray, share: FloatArray
) -> None:
    for name, values in (("p", p), ("clicked_rate", rate)):
        outside = int((~((values > 0) & (values < 1))).sum())
        if outside:
            raise DataError(
                f"`{name}` must hold probabilities in (0, 1), found {outside} others: pass the "
                "model's, without rounding"
            )
    if not np.allclose(np.broadcast_to(share, p.shape).sum(1), 1):
        raise DataError("`level_share` must add up to 1 over the levels of every row")
    clicks = np.bincount(level[click == 1], minlength=p.shape[1])
    if len(clicks) > p.shape[1] or (clicks == 0).any():
        empty = [int(k) for k in np.flatnonzero(clicks == 0)]
        raise DataError(
            f"`level` must run from 0 to {p.shape[1] - 1} with clicks at each, found none at "
            f"{empty or 'a level beyond'}: pool levels"
        )
