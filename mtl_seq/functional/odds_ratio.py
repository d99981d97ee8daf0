"""The CVR over the entire space at an assumed odds ratio of click and potential conversion.

Notation: o click, r the potential conversion, p = P(o = 1 | x) and
t = P(o = 1, r = 1 | x), which a log identifies, and q = P(r = 1 | x), which it does not. psi is the
odds ratio between click and potential conversion given the features: 1 where nothing hidden moves
both. p and t do not depend on psi, so no model is refitted.

Marginal sensitivity models bound the propensity instead and need an inner maximisation; the odds
ratio gives a closed form. The worst case is that of Manski (American Economic Review, 1990).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.functional.arrays import Array, as_tensor, marked_rows

__all__ = [
    "Bounds",
    "checked_odds_ratio",
    "checked_probabilities",
    "odds_ratio_cvr",
    "worst_case_bounds",
]

# Float32 probabilities of a row agree to about 1e-7; beyond ten times that, pctcvr is no joint.
_ROUNDING = 1e-6


class Bounds(NamedTuple):
    """A lower and an upper bound, float64.

    Attributes:
        low: The lower one.
        high: The upper one.
    """

    low: Tensor
    high: Tensor


def odds_ratio_cvr(pctr: Array, pctcvr: Array, psi: Tensor | float) -> Tensor:
    """The CVR over the entire space at an assumed odds ratio: ``t + t(1 - p) / (t + psi(p - t))``.

    On non-clicks the odds of a conversion are those on clicks divided by psi; on clicks they are
    observed. So with psi above 1 clicks select the rows that convert, and the CVR over all
    impressions is below t / p. At psi = 1 it is t / p.

    Args:
        pctr: ``(N,)`` P(click | x) in (0, 1].
        pctcvr: ``(N,)`` P(click and conversion | x), at most `pctr`.
        psi: Odds ratio above 0, a number or one for each row.

    Returns:
        ``(N,)`` float64, falling in psi; within `worst_case_bounds`.

    Raises:
        DataError: Values that are no probabilities, a pctcvr above its pctr, a pctr of 0 (that
            row's CVR is not identified), or an odds ratio that is not above 0.

    >>> odds_ratio_cvr(torch.tensor([0.5]), torch.tensor([0.25]), psi=3.0)
    tensor([0.3750], dtype=torch.float64)
    """
    p, t = checked_probabilities(pctr, pctcvr, known=True)
    return t + t * (1 - p) / (t + checked_odds_ratio(psi) * (p - t))


def worst_case_bounds(pctr: Array, pctcvr: Array) -> Bounds:
    """Bounds of q without any assumption on non-clicks: ``t <= q <= t + 1 - p``.

    Args:
        pctr: ``(N,)`` P(click | x) in [0, 1].
        pctcvr: ``(N,)`` P(click and conversion | x), at most `pctr`.

    Returns:
        Two ``(N,)`` tensors, the limits of `odds_ratio_cvr` for psi to infinity and to 0 wherever
        0 < t < p.

    Raises:
        DataError: Values that are no probabilities, or a pctcvr above its pctr.
    """
    p, t = checked_probabilities(pctr, pctcvr, known=False)
    return Bounds(t, t + (1 - p))


def checked_odds_ratio(psi: Tensor | float) -> Tensor:
    """Check odds ratios, which must be above 0 and finite, and convert them to float64."""
    ratio = torch.as_tensor(psi, dtype=torch.float64)
    outside = ~((ratio > 0) & ratio.isfinite())
    if bool(outside.any()):
        raise DataError(
            f"`psi` must be a finite odds ratio above 0, found {float(ratio[outside][0])}: for its "
            "limits take `worst_case_bounds`"
        )
    return ratio


def checked_probabilities(pctr: Array, pctcvr: Array, *, known: bool) -> tuple[Tensor, Tensor]:
    """Check both and convert them to float64; a joint above its click by rounding is cut to it.

    With `known`, no pctr may be 0: every row's CVR on clicks must be identified.
    """
    p, t = _probabilities("pctr", pctr), _probabilities("pctcvr", pctcvr)
    if p.shape != t.shape:
        raise DataError(
            f"`pctcvr` must have one entry per row of `pctr`, {p.numel():,}, found {t.numel():,}"
        )
    above = t > p * (1 + _ROUNDING)
    if bool(above.any()):
        raise DataError(
            f"`pctcvr` must be at most `pctr`, found it above in {marked_rows(above)}: it is the "
            "probability of a click and a conversion, not of a conversion given a click"
        )
    if known and bool((p == 0).any()):
        raise DataError(
            f"`pctr` must be above 0, found 0 in {marked_rows(p == 0)}: the CVR is not "
            "identified where nobody clicks; leave those rows out, or raise their pctr to a floor"
        )
    return p, torch.minimum(t, p)


def _probabilities(name: str, values: Array) -> Tensor:
    column = as_tensor(values).double()
    if column.dim() != 1:
        raise DataError(f"`{name}` must be (N,), found {tuple(column.shape)}")
    outside = ~((column >= 0) & (column <= 1))
    if bool(outside.any()):
        raise DataError(
            f"`{name}` must lie in [0, 1], found {float(column[outside][0]):.4g} in "
            f"{marked_rows(outside)}: pass probabilities, not logits"
        )
    return column
