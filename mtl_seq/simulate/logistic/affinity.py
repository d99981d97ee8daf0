"""Affinity scores of user-item pairs, for click, conversion and actions.

Shapes: N pairs, T tastes, J further scores.
"""

from typing import NamedTuple

import numpy as np

from mtl_seq.records import FloatArray, IntArray

__all__ = ["Affinity"]

_USER_TO_ITEM = 5 / 4


class Affinity(NamedTuple):
    """User and item effects, and the scores computed from them.

    Every score is ``sqrt(u) user + sqrt(v) item + sqrt(interaction) taste`` with u : v = 5 : 4 and
    u + v + interaction = 1; the taste is an inner product of T latent tastes over sqrt(T). Under
    the popularity of users and items it has mean 0 and variance 1 exactly, and any two scores are
    uncorrelated.

    Attributes:
        users: ``(U, 2 + 2T)`` effects: on the first score, on the second, tastes for each.
        items: ``(I, 2 + T)`` effects: on the first, on the second, loadings on the tastes.
        interaction: Share of the two scores' variance explained by tastes.
        further_users: ``(U, J)`` effects on further scores, which have no tastes.
        further_items: ``(I, J)``.
    """

    users: FloatArray
    items: FloatArray
    interaction: float
    further_users: FloatArray
    further_items: FloatArray

    def pair(self, user: IntArray, item: IntArray) -> tuple[FloatArray, FloatArray]:
        """The click score of some pairs, and a second one uncorrelated with it, ``(N,)`` each."""
        tastes = self.items.shape[1] - 2
        u, v = self.users[user], self.items[item]
        additive = 1 - self.interaction
        item_weight = np.sqrt(additive / (1 + _USER_TO_ITEM))
        user_weight = np.sqrt(additive - item_weight**2)
        first = user_weight * u[:, 0] + item_weight * v[:, 0]
        second = user_weight * u[:, 1] + item_weight * v[:, 1]
        if self.interaction:
            taste_weight = np.sqrt(self.interaction / tastes)
            loadings = v[:, 2:]
            first += taste_weight * np.einsum("nk,nk->n", u[:, 2 : 2 + tastes], loadings)
            second += taste_weight * np.einsum("nk,nk->n", u[:, 2 + tastes :], loadings)
        return first, second

    def further(self, which: int, user: IntArray, item: IntArray) -> FloatArray:
        """A further score of some pairs, ``(N,)``."""
        item_weight = np.sqrt(1 / (1 + _USER_TO_ITEM))
        user_weight = np.sqrt(1 - item_weight**2)
        score: FloatArray = (
            user_weight * self.further_users[user, which]
            + item_weight * self.further_items[item, which]
        )
        return score
