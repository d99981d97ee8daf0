"""Click and potential conversion with a log odds ratio given the features.

Given x and the level k of what moves clicks only, let p be P(click), q = P(conversion if clicked)
over ALL impressions, and lambda the log odds ratio of the two. With a the logit of a click by
a row without a potential conversion, s the sigmoid and F its logarithm:

    P(click, conversion) = q s(a + lambda)      P(click, no conversion) = (1 - q) s(a)

All of it is NumPy-like arithmetic on float64 tensors without a branch on lambda = 0.

Shapes: N rows, K levels.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

__all__ = ["DependentCells", "dependent_cells", "logit_click", "potential_logit"]

_ROUNDS = 200
_TOLERANCE = 1e-10


def logit_click(p: Tensor, b: Tensor, log_odds_ratio: Tensor | float) -> Tensor:
    """The logit a of a click without a potential conversion, from P(click).

    It solves ``p = q s(a + lambda) + (1 - q) s(a)`` with ``q = s(b)``: a quadratic in exp(a), of
    which one root is positive.

    Args:
        p: P(click), in (0, 1), any shape.
        b: Logit of the conversion if clicked, broadcastable.
        log_odds_ratio: Log odds ratio, broadcastable.

    Returns:
        a, of the broadcast shape.
    """
    log_odds_ratio = torch.as_tensor(log_odds_ratio, dtype=p.dtype)
    q, ratio = torch.sigmoid(b), torch.exp(log_odds_ratio)
    linear = q * ratio + (1 - q) - p * (1 + ratio)
    root = torch.sqrt(linear * linear + 4 * ratio * p * (1 - p))
    # Of the two forms of the root, the one that adds numbers of one sign.
    above = 2 * p / (linear.abs() + root)
    below = (linear.abs() + root) / (2 * ratio * (1 - p))
    return torch.log(torch.where(linear >= 0, above, below))


class DependentCells(NamedTuple):
    """Quantities that a log odds ratio implies for every row and level; ``(N, K)`` except `b`.

    Attributes:
        b: ``(N,)`` logit of the conversion if clicked, over all impressions.
        a: Logit of a click without a potential conversion.
        gain: g, log odds of conversion among clicks minus b.
        conversion: P(conversion | click) at each level, ``s(b + g)``.
        instrument: ``s(-a - lambda)``, the derivative of g by lambda at fixed a.
        tilt: ``1 + dg/db``, with a adjusted so that p stays.
    """

    b: Tensor
    a: Tensor
    gain: Tensor
    conversion: Tensor
    instrument: Tensor
    tilt: Tensor


def potential_logit(
    p: Tensor,
    level_share: Tensor,
    clicked_rate: Tensor,
    log_odds_ratio: Tensor | float,
    *,
    start: Tensor | None = None,
) -> Tensor:
    """The logit b of the conversion over all impressions, from the conversion rate among clicks.

    It solves ``sum_k w_k q s(a_k + lambda) = mu0 sum_k w_k p_k``, whose left side rises with q from
    0 to the mean of p: the solution is unique. Newton steps on b inside a bracket.

    Args:
        p: ``(N, K)`` P(click) at every level, in (0, 1).
        level_share: ``(N, K)`` or ``(K,)`` P(level | x), adding up to 1.
        clicked_rate: ``(N,)`` mu0 = P(conversion | click, x), in (0, 1).
        log_odds_ratio: Log odds ratio.
        start: ``(N,)`` b to start from, such as that of a lambda nearby.

    Returns:
        ``(N,)`` b, with the gradient of an implicit function.
    """
    log_odds_ratio = torch.as_tensor(log_odds_ratio, dtype=p.dtype)
    share = level_share.expand_as(p)
    with torch.no_grad():
        middle = torch.logit(clicked_rate)
        span = log_odds_ratio.abs() + 1e-9
        # The odds among clicks are exp(-|lambda|) to exp(|lambda|) times the odds over all.
        low, high = middle - span, middle + span
        b = middle - 0.5 * log_odds_ratio if start is None else torch.clamp(start, low, high)
        for _ in range(_ROUNDS):
            excess, slope = _excess(p, share, clicked_rate, b, log_odds_ratio)
            low = torch.where(excess < 0, b, low)
            high = torch.where(excess < 0, high, b)
            step = b - excess / slope
            inside = (step >= low) & (step <= high)
            following = torch.where(inside, step, (low + high) / 2)
            moved = (following - b).abs().amax() if len(b) else torch.zeros(())
            b = following
            if float(moved) < _TOLERANCE:
                break
    if not torch.is_grad_enabled():
        return b
    excess, slope = _excess(p, share, clicked_rate, b, log_odds_ratio)
    return b - (excess - excess.detach()) / slope.detach()


def _excess(
    p: Tensor, share: Tensor, clicked_rate: Tensor, b: Tensor, log_odds_ratio: Tensor
) -> tuple[Tensor, Tensor]:
    """Excess of the conversions at b, and its derivative by b."""
    a = logit_click(p, b[:, None], log_odds_ratio)
    joint = torch.sigmoid(b)[:, None] * torch.sigmoid(a + log_odds_ratio)
    excess = (share * joint).sum(1) - clicked_rate * (share * p).sum(1)
    slope = (share * joint * (1 - joint / p) * _tilt(a, b, log_odds_ratio)).sum(1)
    return excess, slope


def dependent_cells(
    p: Tensor,
    level_share: Tensor,
    clicked_rate: Tensor,
    log_odds_ratio: Tensor | float,
    *,
    start: Tensor | None = None,
) -> DependentCells:
    """Compute the quantities of `DependentCells`, with the arguments of `potential_logit`."""
    log_odds_ratio = torch.as_tensor(log_odds_ratio, dtype=p.dtype)
    b = potential_logit(p, level_share, clicked_rate, log_odds_ratio, start=start)
    a = logit_click(p, b[:, None], log_odds_ratio)
    gain = logsigmoid(a + log_odds_ratio) - logsigmoid(a)
    conversion = torch.sigmoid(b[:, None] + gain)
    return DependentCells(
        b, a, gain, conversion, torch.sigmoid(-a - log_odds_ratio), _tilt(a, b, log_odds_ratio)
    )


def _tilt(a: Tensor, b: Tensor, log_odds_ratio: Tensor) -> Tensor:
    """``1 + dg/db``, with da/db such that p stays: ``(N, K)``."""
    q = torch.sigmoid(b)[:, None]
    with_conversion, without = torch.sigmoid(a + log_odds_ratio), torch.sigmoid(a)
    spread = q * with_conversion * (1 - with_conversion) + (1 - q) * without * (1 - without)
    da = -q * (1 - q) * (with_conversion - without) / spread
    return 1 + (without - with_conversion) * da
