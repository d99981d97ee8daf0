"""Probabilities of click and potential conversion from their logits.

a is the click logit, b the logit of the potential conversion, h a standard normal confounder that
enters both with a loading each, d what a potential conversion adds to the click logit (MNAR).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from mtl_seq.records import FloatArray

__all__ = [
    "ActionClasses",
    "OutcomeProbabilities",
    "conditional_probabilities",
    "marginal_probabilities",
]

_NODES = 21
_NO_ACTIONS: FloatArray = np.zeros((2, 0, 0))


class ActionClasses(NamedTuple):
    """Exclusive actions that a conversion may follow.

    Attributes:
        probability: ``(J + 1, N)`` P(action | x), no action first.
        lift: ``(J + 1,)`` what each adds to the conversion logit.
    """

    probability: FloatArray
    lift: FloatArray


class OutcomeProbabilities(NamedTuple):
    """Probabilities, ``(N,)`` each.

    Attributes:
        click: P(o = 1).
        conversion: P(r = 1).
        both: P(o = 1, r = 1).
        by_action: ``(2, J, N)`` P(o = 1, action j), and P(o = 1, action j, r = 1).
    """

    click: FloatArray
    conversion: FloatArray
    both: FloatArray
    by_action: FloatArray = _NO_ACTIONS


def conditional_probabilities(
    a: FloatArray, b: FloatArray, mnar: float, classes: ActionClasses | None = None
) -> OutcomeProbabilities:
    """Probabilities given everything, h included.

    ``P(o = 1) = q s(a + d) + (1 - q) s(a)`` with ``q = s(b)``; without MNAR that is ``s(a)``.
    With actions, ``q = sum_j P(action j) s(b + lift_j)``.
    """
    if classes is not None:
        return _with_actions(a, b, mnar, classes)
    conversion = expit(b)
    if mnar == 0:
        click = expit(a)
        return OutcomeProbabilities(click, conversion, click * conversion)
    both = conversion * expit(a + mnar)
    return OutcomeProbabilities(both + (1 - conversion) * expit(a), conversion, both)


def _with_actions(
    a: FloatArray, b: FloatArray, mnar: float, classes: ActionClasses
) -> OutcomeProbabilities:
    converts = expit(b + classes.lift[:, None])
    paths = classes.probability * converts * expit(a + mnar)
    reached = paths + classes.probability * (1 - converts) * expit(a)
    return OutcomeProbabilities(
        reached.sum(axis=0),
        (classes.probability * converts).sum(axis=0),
        paths.sum(axis=0),
        np.stack([reached[1:], paths[1:]]),
    )


def marginal_probabilities(
    a: FloatArray,
    b: FloatArray,
    mnar: float,
    loadings: tuple[float, float],
    classes: ActionClasses | None = None,
) -> OutcomeProbabilities:
    """Probabilities given what the log shows: h, a standard normal, is integrated out.

    The arguments are those of `conditional_probabilities`, a and b without h, and the `loadings` of
    h on a and on b. Up to loadings of 1 by Gauss-Hermite quadrature with 21 nodes (error below
    1e-6). A steeper function of h needs more nodes: there by the trapezoidal rule, whose step
    shrinks with the distance of the logistic function's poles, pi over the loading (error below
    1e-9).
    """
    if not any(loadings):
        return conditional_probabilities(a, b, mnar, classes)
    nodes, weights = _quadrature(max(abs(loading) for loading in loadings))

    def at(node: float) -> OutcomeProbabilities:
        return conditional_probabilities(
            a + loadings[0] * node, b + loadings[1] * node, mnar, classes
        )

    total = [weights[0] * part for part in at(nodes[0])]
    for node, weight in zip(nodes[1:], weights[1:], strict=True):
        for accumulated, part in zip(total, at(node), strict=True):
            accumulated += weight * part
    return OutcomeProbabilities(*total)


def _quadrature(steepest: float) -> tuple[FloatArray, FloatArray]:
    if steepest <= 1:
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    else:
        half = int(np.ceil(8.5 / (0.75 / steepest)))
        nodes = np.linspace(-8.5, 8.5, 2 * half + 1)
        weights = np.exp(-(nodes**2) / 2)
    return nodes, weights / weights.sum()
