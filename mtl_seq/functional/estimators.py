"""Estimators of a mean over all impressions from clicks, and their moments.

Every one of them has the form

    mean(m) + sum over clicks of w (v - m) / D,     D = N, or the sum over clicks of w

where v is what is averaged (the error of a prediction, or the conversion itself), m an imputed v
and w a weight:

    estimator           weight w   imputed m   D
    naive               1          0           sum of weights
    IPS                 1 / p^     0           N
    SNIPS               1 / p^     0           sum of weights
    direct (EIB)        1          v^          N
    DR                  1 / p^     v^          N
    self-normalised DR  1 / p^     v^          sum of weights

Clicks and conversions are drawn given the features x: P(click | x) = p and
P(click and conversion | x) = t, independent between rows. Where t = p q they are independent given
x; a hidden confounder gives another t, with the same formulas.

Shapes: N rows, R redraws, M estimators.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["ClickLaw", "MeanEstimator", "Moments", "Values", "estimate_means", "moments", "redraw"]

_CELLS = 200 * 16_384  # uniform numbers drawn at a time


class MeanEstimator(NamedTuple):
    """One member of the family above, float64.

    Attributes:
        weight: ``(N,)`` weights of clicked rows, at least 0.
        imputed: ``(N,)`` imputed values.
        normalised: Whether to divide by the sum of the weights of clicked rows instead of by N.
    """

    weight: Tensor
    imputed: Tensor
    normalised: bool


class Values(NamedTuple):
    """Values to average, by the potential conversion of the row, ``(N,)`` float64 each.

    Attributes:
        converted: v where it converts; 1 for the mean CVR, ``-log q^`` for the log loss of q^.
        unconverted: v where it does not; 0, or ``-log(1 - q^)``.
    """

    converted: Tensor
    unconverted: Tensor


class ClickLaw(NamedTuple):
    """Distribution of click and conversion given the features, ``(N,)`` float64 each.

    Attributes:
        pctr: p = P(click | x).
        pctcvr: t = P(click and conversion | x).
    """

    pctr: Tensor
    pctcvr: Tensor


class Moments(NamedTuple):
    """Mean and standard deviation over redraws, ``(M,)`` float64 each.

    Exact where the estimator divides by N. A self-normalised one is a ratio: its mean is then the
    ratio of the expectations (off by a term in 1 / N) and its deviation that of the linearised
    ratio.

    Attributes:
        mean: Expected estimate.
        deviation: Standard deviation.
    """

    mean: Tensor
    deviation: Tensor


def estimate_means(
    estimators: Sequence[MeanEstimator], values: Values, clicked: Tensor, converted: Tensor
) -> Tensor:
    """``(R, M)`` estimates from ``(R, N)`` clicks, and conversions, which are 0 off the clicks.

    NaN where a self-normalised estimator meets a log without clicks.
    """
    rows = clicked.shape[1]
    sums = _sums(estimators, values, clicked.double(), converted.double())
    return _finished(estimators, *sums, rows)


def redraw(
    estimators: Sequence[MeanEstimator],
    values: Values,
    law: ClickLaw,
    *,
    replicates: int,
    generator: torch.Generator,
) -> Tensor:
    """``(R, M)`` estimates of R logs whose clicks and conversions are drawn from the law.

    Rows are visited in blocks, so that memory grows with ``N M + R M`` and not with ``N R``. The
    same state of the generator and number of redraws give the same logs, whatever the estimators
    and values are. NaN where a self-normalised estimator meets a log without clicks.
    """
    rows = law.pctr.numel()
    numerator = torch.zeros(replicates, len(estimators), dtype=torch.float64)
    denominator = torch.zeros_like(numerator)
    step = max(1, _CELLS // replicates)
    for start in range(0, rows, step):
        block = slice(start, min(start + step, rows))
        part = [MeanEstimator(e.weight[block], e.imputed[block], e.normalised) for e in estimators]
        shape = (replicates, block.stop - start)
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
        top, bottom = _sums(
            part,
            Values(values.converted[block], values.unconverted[block]),
            (uniform < law.pctr[block]).double(),
            (uniform < law.pctcvr[block]).double(),
        )
        numerator += top
        denominator += bottom
    return _finished(estimators, numerator, denominator, rows)


def moments(estimators: Sequence[MeanEstimator], values: Values, law: ClickLaw) -> Moments:
    """Expectation and standard deviation of the estimators over redraws, in closed form.

    With t = p q: the bias of IPS is ``mean((p - p^) / p^ * v)``, that of DR
    ``mean((p - p^) / p^ * (v - v^))``, that of the naive mean ``Cov(p, v) / mean(p)``.
    """
    p, t = law
    pairs = []
    for weight, imputed, normalised in estimators:
        hit, miss = weight * (values.converted - imputed), weight * (values.unconverted - imputed)
        total = float((t * hit + (p - t) * miss).sum())
        scale = float((p * weight).sum()) if normalised else float(p.numel())
        if normalised:  # each row's deviation from the ratio
            hit, miss = hit - total / scale * weight, miss - total / scale * weight
        mean = t * hit + (p - t) * miss
        variance = (t * hit**2 + (p - t) * miss**2 - mean**2).sum()
        pairs.append((float(imputed.mean()) + total / scale, float(variance.sqrt()) / scale))
    columns = torch.tensor(pairs, dtype=torch.float64).reshape(-1, 2)
    return Moments(columns[:, 0], columns[:, 1])


def _sums(
    estimators: Sequence[MeanEstimator], values: Values, clicked: Tensor, converted: Tensor
) -> tuple[Tensor, Tensor]:
    """Sums over clicks of ``w (v - m)`` and of w, ``(R, M)`` each."""
    weight = torch.stack([e.weight for e in estimators], dim=1)
    imputed = torch.stack([e.imputed for e in estimators], dim=1)
    missed = weight * (values.unconverted[:, None] - imputed)
    gained = weight * (values.converted - values.unconverted)[:, None]
    return clicked @ missed + converted @ gained, clicked @ weight


def _finished(
    estimators: Sequence[MeanEstimator], numerator: Tensor, denominator: Tensor, rows: int
) -> Tensor:
    imputed = torch.stack([e.imputed.mean() for e in estimators])
    normalised = torch.tensor([e.normalised for e in estimators])
    return imputed + numerator / torch.where(normalised, denominator, float(rows))
