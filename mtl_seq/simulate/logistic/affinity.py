"""Scores of pairs: how much a user and an item draw a click, a conversion, an action.

Shapes: N pairs, T tastes, J further scores.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Preferences"]

FloatArray = NDArray[np.float64]
Ids = NDArray[np.int64]

_USER_TO_ITEM = 5 / 4


class Preferences(NamedTuple):
    """Effects of users and items, and what their scores are made of.

    Every score is ``sqrt(u) user + sqrt(v) item + sqrt(interaction) taste`` with u : v = 5 : 4 and
    u + v + interaction = 1; the taste is an inner product of T latent tastes over sqrt(T). Under
    the popularity of users and items it has mean 0 and variance 1 exactly, and any two scores are
    uncorrelated.

    Attributes:
        users: ``(U, 2 + 2T)`` effects: on the first score, on the second, tastes for each.
        items: ``(I, 2 + T)`` effects: on the first, on the second, what tastes it meets.
        interaction: Share of the two scores' variance that lies in tastes.
        further_users: ``(U, J)`` effects on further scores, which have no tastes.
        further_items: ``(I, J)``.
    """

    users: FloatArray
    items: FloatArray
    interaction: float
    further_users: FloatArray
    further_items: FloatArray

    def pair(self, user: Ids, item: Ids) -> tuple[FloatArray, FloatArray]:
        """The two scores of some pairs, ``(N,)`` each: of clicking, and a second one."""
        tastes = self.items.shape[1] - 2
        u, v = self.users[user], self.items[item]
        additive = 1 - self.interaction
        by_item = np.sqrt(additive / (1 + _USER_TO_ITEM))
        by_user = np.sqrt(additive - by_item**2)
        first = by_user * u[:, 0] + by_item * v[:, 0]
        second = by_user * u[:, 1] + by_item * v[:, 1]
        if self.interaction:
            by_taste = np.sqrt(self.interaction / tastes)
            liked = v[:, 2:]
            first += by_taste * np.einsum("nk,nk->n", u[:, 2 : 2 + tastes], liked)
            second += by_taste * np.einsum("nk,nk->n", u[:, 2 + tastes :], liked)
        return first, second

    def further(self, which: int, user: Ids, item: Ids) -> FloatArray:
        """A further score of some pairs, ``(N,)``."""
        by_item = np.sqrt(1 / (1 + _USER_TO_ITEM))
        by_user = np.sqrt(1 - by_item**2)
        score: FloatArray = (
            by_user * self.further_users[user, which] + by_item * self.further_items[item, which]
        )
        return score
