"""Probabilities of click and potential conversion from their logits.

a is the click logit, b the logit of the potential conversion, h a standard normal confounder that
enters both with a loading each, d what a potential conversion adds to the click logit (MNAR).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Classes", "Outcome", "marginal", "outcome", "sigmoid"]

FloatArray = NDArray[np.float64]

_NODES = 21
_NO_WAYS: FloatArray = np.zeros((2, 0, 0))


class Classes(NamedTuple):
    """Exclusive actions that a conversion may follow.

    Attributes:
        chance: ``(J + 1, N)`` P(action | x), that of none first.
        lift: ``(J + 1,)`` what each adds to the conversion logit.
    """

    chance: FloatArray
    lift: FloatArray


class Outcome(NamedTuple):
    """Probabilities, ``(N,)`` each.

    Attributes:
        click: P(o = 1).
        conversion: P(r = 1).
        both: P(o = 1, r = 1).
        ways: ``(2, J, N)`` P(o = 1, action j), and P(o = 1, action j, r = 1).
    """

    click: FloatArray
    conversion: FloatArray
    both: FloatArray
    ways: FloatArray = _NO_WAYS


def sigmoid(logit: FloatArray) -> FloatArray:
    """The logistic function, without overflow."""
    shrunk = np.exp(-np.abs(logit))
    probability: FloatArray = np.where(logit >= 0, 1.0, shrunk) / (1 + shrunk)
    return probability


def outcome(a: FloatArray, b: FloatArray, mnar: float, classes: Classes | None = None) -> Outcome:
    """Probabilities given everything, h included.

    ``P(o = 1) = q s(a + d) + (1 - q) s(a)`` with ``q = s(b)``; without MNAR that is ``s(a)``.
    With classes, ``q = sum_j chance_j s(b + lift_j)``.
    """
    if classes is not None:
        return _by_classes(a, b, mnar, classes)
    conversion = sigmoid(b)
    if mnar == 0:
        click = sigmoid(a)
        return Outcome(click, conversion, click * conversion)
    both = conversion * sigmoid(a + mnar)
    return Outcome(both + (1 - conversion) * sigmoid(a), conversion, both)


def _by_classes(a: FloatArray, b: FloatArray, mnar: float, classes: Classes) -> Outcome:
    converts = sigmoid(b + classes.lift[:, None])
    without, within = sigmoid(a), sigmoid(a + mnar)
    paths = classes.chance * converts * within
    reached = paths + classes.chance * (1 - converts) * without
    return Outcome(
        reached.sum(axis=0),
        (classes.chance * converts).sum(axis=0),
        paths.sum(axis=0),
        np.stack([reached[1:], paths[1:]]),
    )


def marginal(
    a: FloatArray,
    b: FloatArray,
    mnar: float,
    loadings: tuple[float, float],
    classes: Classes | None = None,
) -> Outcome:
    """Probabilities given what the log shows: h, a standard normal, is integrated out.

    Up to loadings of 1 by Gauss-Hermite quadrature with 21 nodes (error below 1e-6). A steeper
    function of h needs more nodes: there by the trapezoidal rule, whose step shrinks with the
    distance of the logistic function's poles, pi over the loading (error below 1e-9).

    Args:
        a: ``(N,)`` click logits without h.
        b: ``(N,)`` conversion logits without h.
        mnar: What a potential conversion adds to the click logit.
        loadings: Of h on a and on b.
        classes: Actions between click and conversion.
    """
    if not any(loadings):
        return outcome(a, b, mnar, classes)
    nodes, weights = _quadrature(max(abs(loading) for loading in loadings))

    def given(node: float) -> Outcome:
        return outcome(a + loadings[0] * node, b + loadings[1] * node, mnar, classes)

    total = [weights[0] * part for part in given(nodes[0])]
    for node, weight in zip(nodes[1:], weights[1:], strict=True):
        for accumulated, part in zip(total, given(node), strict=True):
            accumulated += weight * part
    return Outcome(*total)


def _quadrature(steepest: float) -> tuple[FloatArray, FloatArray]:
    if steepest <= 1:
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    else:
        half = int(np.ceil(8.5 / (0.75 / steepest)))
        nodes = np.linspace(-8.5, 8.5, 2 * half + 1)
        weights = np.exp(-(nodes**2) / 2)
    return nodes, weights / weights.sum()
