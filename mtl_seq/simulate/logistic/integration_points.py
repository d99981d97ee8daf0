"""Weighted points of a scenario's joint logit distribution, for the intercept solver."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mtl_seq.records import FloatArray, IntArray
from mtl_seq.simulate.logistic.logits import LogitModel, Logits
from mtl_seq.simulate.logistic.quasi_monte_carlo import kronecker_points, normal_quantiles
from mtl_seq.simulate.logistic.sample_impressions import Impressions, ImpressionSampler

__all__ = ["MAX_PAIRS", "WeightedLogits", "pair_points", "sequence_points"]

_Bounds = tuple[float, float]

MAX_PAIRS = 6_000_000
"""Up to this many pairs of a user and an item, all pairs are enumerated."""

_CELLS = 400
_POINTS = 1 << 18
_MANY_POINTS = 1 << 21
_FEW_ENTITIES = 1 << 15
_BLOCK_POINTS = 1 << 16


class WeightedLogits(NamedTuple):
    """Logits at weighted points, ``(M,)`` each.

    Attributes:
        click: Click logit.
        conversion: Conversion logit.
        weight: Probability.
        actions: ``(J, M)`` logits of actions.
    """

    click: FloatArray
    conversion: FloatArray
    weight: FloatArray
    actions: FloatArray


def pair_points(
    sampler: ImpressionSampler, logit_model: LogitModel, shift: FloatArray | None
) -> WeightedLogits:
    """Condense the logits of all pairs of a scenario into cells with mass, each at its own mean.

    Within a cell the logits differ by about 0.02, so a rate computed on the cells is exact to about
    1e-5.

    Args:
        sampler: Of a scenario without mechanisms: only user and item matter.
        logit_model: The scenario's formulas.
        shift: ``(2, U)`` what each user adds to both logits.
    """
    user_weight, item_weight = sampler.users.popularity, sampler.items.popularity
    users, items = np.arange(len(user_weight)), np.arange(len(item_weight))
    totals = np.zeros((3, _CELLS * _CELLS))
    bounds: list[_Bounds] = []
    for some in np.array_split(users, max(1, len(users) * len(items) // 500_000)):
        impressions = Impressions(np.repeat(some, len(items)), np.tile(items, len(some)))
        weight = np.outer(user_weight[some], item_weight).ravel()
        a, b = _shifted(logit_model.logits(impressions), impressions, shift)
        bounds = bounds or [_bounds(a), _bounds(b)]
        totals += _totals(a, b, weight, (bounds[0], bounds[1]))
    return _cells(totals)


def sequence_points(
    sampler: ImpressionSampler,
    logit_model: LogitModel,
    shift: FloatArray | None,
    loadings: tuple[float, float],
    seed: list[int],
) -> WeightedLogits:
    """Logits at many points of a low-discrepancy sequence, where mechanisms matter too.

    Users, items, times, positions, contexts and the confounder are taken from a Kronecker sequence,
    and the points are weighted so that the scores have their known moments. Only the slates of a
    ranking policy are drawn at random, from `seed`; the moments of their scores are not known.
    Further arguments are those of `pair_points`, and the `loadings` of a confounder per impression.
    """
    rng = np.random.default_rng(seed)
    ranked = sampler.exposure is not None and sampler.exposure.policy != "uniform"
    many = len(sampler.users.popularity) + len(sampler.items.popularity) > _FEW_ENTITIES
    blocks, moments = [], []
    for first in range(0, _MANY_POINTS if ranked or many else _POINTS, _BLOCK_POINTS):
        u = kronecker_points(first, _BLOCK_POINTS, 7)
        impressions = _even(sampler, logit_model, u, first, rng)
        logits = logit_model.logits(impressions)
        a, b = _shifted(logits, impressions, shift)
        h = normal_quantiles(u[6])
        blocks.append((a + loadings[0] * h, b + loadings[1] * h, logits.actions))
        moments.append(np.ones((1, len(h))) if ranked else _moments(logit_model, logits, h))
    a, b, actions = (np.concatenate(part, axis=-1) for part in zip(*blocks, strict=True))
    weight = _weights(moments)
    if logit_model.actions is not None:
        return WeightedLogits(a, b, weight, actions)
    totals = _totals(a, b, weight, (_bounds(a), _bounds(b)))
    return _cells(totals)


def _moments(logit_model: LogitModel, logits: Logits, h: FloatArray) -> FloatArray:
    """``(M, N)`` functions: the constant 1, then those whose means over the scenario are 0."""
    click, conversion = logits.scores
    rows = [np.ones_like(h), click, conversion, click**2 - 1, conversion**2 - 1]
    if logit_model.correlation is not None:
        rows.append(click * conversion - logit_model.correlation)
    return np.stack([*rows, h, h**2 - 1, h * click, h * conversion])


def _weights(moments: Sequence[FloatArray]) -> FloatArray:
    """``(N,)`` weights nearest to equal ones that give the moments, in parts, their means."""
    equal = 1 / sum(part.shape[1] for part in moments)
    goal = np.zeros(len(moments[0]))
    goal[0] = 1.0
    products = sum(part @ part.T for part in moments)
    sums = sum(part.sum(axis=1) for part in moments)
    # Collinear moments, as at rho 1, leave the least squares solution.
    step, *_ = np.linalg.lstsq(products, goal - equal * sums)
    return np.concatenate([equal + step @ part for part in moments])


def _even(
    sampler: ImpressionSampler,
    logit_model: LogitModel,
    u: FloatArray,
    first: int,
    rng: np.random.Generator,
) -> Impressions:
    exposure = sampler.exposure
    impressions = Impressions(sampler.users.draw(u[0]), sampler.items.draw(u[1]))
    if exposure is not None and exposure.policy == "uniform":
        impressions = impressions._replace(position=(1 + u[3] * exposure.slots).astype(np.int64))
    elif exposure is not None:
        # Slots of one slate depend on each other, so the sequence runs over requests.
        begin, requests = first // exposure.slots, -(-u.shape[1] // exposure.slots)
        user = sampler.users.draw(kronecker_points(begin, requests, 1)[0])
        impressions = sampler.fill_slates(exposure, user, rng).take(slice(u.shape[1]))
    if sampler.days:
        impressions = impressions._replace(time=sampler.days * u[2])
    if logit_model.directions is not None:
        # Only the plane of both directions matters of the context.
        plane = np.stack([normal_quantiles(u[4]), normal_quantiles(u[5])], axis=1)
        impressions = impressions._replace(context=plane @ logit_model.directions.plane.T)
    return impressions


def _shifted(
    logits: Logits, impressions: Impressions, shift: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    if shift is None:
        return logits.click, logits.conversion
    return logits.click + shift[0][impressions.user], logits.conversion + shift[1][impressions.user]


def _totals(
    a: FloatArray, b: FloatArray, weight: FloatArray, bounds: tuple[_Bounds, _Bounds]
) -> FloatArray:
    """``(3, cells)`` sums of the weight, and of both logits under it."""
    cell = _cell(a, bounds[0]) * _CELLS + _cell(b, bounds[1])
    sums = [np.bincount(cell, v, minlength=_CELLS**2) for v in (weight, weight * a, weight * b)]
    return np.stack(sums)


def _cells(totals: FloatArray) -> WeightedLogits:
    mass, sum_a, sum_b = totals[:, totals[0] > 0]
    return WeightedLogits(sum_a / mass, sum_b / mass, mass / mass.sum(), np.zeros((0, len(mass))))


def _bounds(values: FloatArray) -> _Bounds:
    low, high = float(values.min()), float(values.max())
    return low, (_CELLS - 1) / max(high - low, 1e-9)


def _cell(values: FloatArray, bounds: _Bounds) -> IntArray:
    low, scale = bounds
    return np.clip((values - low) * scale, 0, _CELLS - 1).astype(np.int64)
