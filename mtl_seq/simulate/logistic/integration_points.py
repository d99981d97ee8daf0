"""The joint law of the logits in a scenario, as weighted points for its intercepts to be solved on."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.simulate.logistic.logits import Law, Logits
from mtl_seq.simulate.logistic.quasi_monte_carlo import kronecker, normal
from mtl_seq.simulate.logistic.sample_impressions import Showing, Shown

__all__ = ["MOST_PAIRS", "Pilot", "pairs", "points"]

FloatArray = NDArray[np.float64]
_Bounds = tuple[float, float]

MOST_PAIRS = 6_000_000
"""Up to so many pairs of a user and an item all of them are looked at."""

_CELLS = 400
_POINTS = 1 << 18
_MANY_POINTS = 1 << 21
_FEW_ENTITIES = 1 << 15
_AT_ONCE = 1 << 16


class Pilot(NamedTuple):
    """Weighted points, ``(M,)`` each.

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


def pairs(showing: Showing, law: Law, shift: FloatArray | None) -> Pilot:
    """Condense the logits of all pairs of a scenario into cells, each at its own mean.

    Within a cell the logits differ by about 0.02, so a rate computed on the cells is exact to about
    1e-5.

    Args:
        showing: A scenario that shows pairs of users and items, and nothing else that matters.
        law: Its formulas.
        shift: ``(2, U)`` what each user adds to both logits.

    Returns:
        The cells that hold any mass.
    """
    user_weight, item_weight = showing.users.popularity, showing.items.popularity
    users, items = np.arange(len(user_weight)), np.arange(len(item_weight))
    totals = np.zeros((3, _CELLS * _CELLS))
    bounds: list[_Bounds] = []
    for some in np.array_split(users, max(1, len(users) * len(items) // 500_000)):
        shown = Shown(np.repeat(some, len(items)), np.tile(items, len(some)))
        weight = np.outer(user_weight[some], item_weight).ravel()
        a, b = _shifted(law.logits(shown), shown, shift)
        bounds = bounds or [_bounds(a), _bounds(b)]
        totals += _totals(a, b, weight, (bounds[0], bounds[1]))
    return _cells(totals)


def points(
    showing: Showing,
    law: Law,
    shift: FloatArray | None,
    loadings: tuple[float, float],
    seed: list[int],
) -> Pilot:
    """Logits at many points that fill the scenario evenly.

    Users, items, times, positions, contexts and the confounder are taken from a Kronecker sequence,
    and the points are weighted so that the scores' moments are what they are known to be. Only what
    a ranking policy shows is drawn at random, and its scores' moments are not known.

    Args:
        showing: How impressions come about.
        law: The scenario's formulas.
        shift: ``(2, U)`` what each user adds to both logits.
        loadings: Of a confounder that every impression has its own of.
        seed: Of the policy's draws.
    """
    rng = np.random.default_rng(seed)
    ranked = showing.exposure is not None and showing.exposure.policy != "uniform"
    many = len(showing.users.popularity) + len(showing.items.popularity) > _FEW_ENTITIES
    logits, moments = [], []
    for first in range(0, _MANY_POINTS if ranked or many else _POINTS, _AT_ONCE):
        u = kronecker(first, _AT_ONCE, 7)
        shown = _even(showing, law, u, first, rng)
        given = law.logits(shown)
        a, b = _shifted(given, shown, shift)
        h = normal(u[6])
        logits.append((a + loadings[0] * h, b + loadings[1] * h, given.actions))
        moments.append(np.ones((1, len(h))) if ranked else _moments(law, given, h))
    a, b, actions = (np.concatenate(part, axis=-1) for part in zip(*logits, strict=True))
    weight = _weights(moments)
    if law.actions is not None:
        return Pilot(a, b, weight, actions)
    totals = _totals(a, b, weight, (_bounds(a), _bounds(b)))
    return _cells(totals)


def _moments(law: Law, logits: Logits, h: FloatArray) -> FloatArray:
    """``(M, N)`` functions whose means over the scenario are 0, after one whose mean is 1."""
    click, conversion = logits.scores
    rows = [np.ones_like(h), click, conversion, click**2 - 1, conversion**2 - 1]
    if law.correlation is not None:
        rows.append(click * conversion - law.correlation)
    return np.stack([*rows, h, h**2 - 1, h * click, h * conversion])


def _weights(moments: Sequence[FloatArray]) -> FloatArray:
    """``(N,)`` weights nearest to equal ones that give the moments, in parts, their means."""
    equal = 1 / sum(part.shape[1] for part in moments)
    goal = np.zeros(len(moments[0]))
    goal[0] = 1.0
    products = sum(part @ part.T for part in moments)
    sums = sum(part.sum(axis=1) for part in moments)
    # Moments that are one and the same, as at rho 1, leave the least squares solution.
    step, *_ = np.linalg.lstsq(products, goal - equal * sums)
    return np.concatenate([equal + step @ part for part in moments])


def _even(showing: Showing, law: Law, u: FloatArray, first: int, rng: np.random.Generator) -> Shown:
    exposure = showing.exposure
    shown = Shown(showing.users.draw(u[0]), showing.items.draw(u[1]))
    if exposure is not None and exposure.policy == "uniform":
        shown = shown._replace(position=(1 + u[3] * exposure.slots).astype(np.int64))
    elif exposure is not None:
        # A slate belongs together, so the sequence of users is one of requests.
        begin, requests = first // exposure.slots, -(-u.shape[1] // exposure.slots)
        user = showing.users.draw(kronecker(begin, requests, 1)[0])
        shown = showing.answer(exposure, user, rng).take(slice(u.shape[1]))
    if showing.days:
        shown = shown._replace(time=showing.days * u[2])
    if law.directions is not None:
        # Only the plane of both directions matters of the context.
        plane = np.stack([normal(u[4]), normal(u[5])], axis=1)
        shown = shown._replace(context=plane @ law.directions.plane.T)
    return shown


def _shifted(
    logits: Logits, shown: Shown, shift: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    if shift is None:
        return logits.click, logits.conversion
    return logits.click + shift[0][shown.user], logits.conversion + shift[1][shown.user]


def _totals(
    a: FloatArray, b: FloatArray, weight: FloatArray, bounds: tuple[_Bounds, _Bounds]
) -> FloatArray:
    """``(3, cells)`` sums of the weight, and of both logits under it."""
    cell = _cell(a, bounds[0]) * _CELLS + _cell(b, bounds[1])
    sums = [np.bincount(cell, v, minlength=_CELLS**2) for v in (weight, weight * a, weight * b)]
    return np.stack(sums)


def _cells(totals: FloatArray) -> Pilot:
    mass, sum_a, sum_b = totals[:, totals[0] > 0]
    return Pilot(sum_a / mass, sum_b / mass, mass / mass.sum(), np.zeros((0, len(mass))))


def _bounds(values: FloatArray) -> _Bounds:
    low, high = float(values.min()), float(values.max())
    return low, (_CELLS - 1) / max(high - low, 1e-9)


def _cell(values: FloatArray, bounds: _Bounds) -> NDArray[np.int64]:
    low, scale = bounds
    return np.clip((values - low) * scale, 0, _CELLS - 1).astype(np.int64)
