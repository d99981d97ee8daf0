"""Impression sampling: users, items, positions, times and context features.

Shapes: N impressions, R requests, d context features.
"""

from typing import NamedTuple

import numpy as np

from mtl_seq.records import FloatArray, IntArray
from mtl_seq.simulate.logistic.affinity import Affinity
from mtl_seq.simulate.logistic.exposure import Exposure
from mtl_seq.simulate.logistic.inverse_cdf_sampler import InverseCdfSampler

__all__ = ["ImpressionSampler", "Impressions"]


class Impressions(NamedTuple):
    """Impressions before any outcome, ``(N,)`` each; None where the scenario has no such column.

    Attributes:
        user: User id.
        item: Item id.
        position: Slot of the slate, from 1.
        propensity: Exposure propensity: probability that the slot shows this item.
        time: Days since the log began.
        context: ``(N, d)``.
    """

    user: IntArray
    item: IntArray
    position: IntArray | None = None
    propensity: FloatArray | None = None
    time: FloatArray | None = None
    context: FloatArray | None = None

    def take(self, rows: slice) -> "Impressions":
        """Select a slice of rows."""
        return Impressions(*(None if part is None else part[rows] for part in self))  # type: ignore[arg-type]


class ImpressionSampler(NamedTuple):
    """The process that generates impressions.

    Attributes:
        users: Popularity of the users.
        items: Popularity of the items.
        affinity: Scores of pairs, which a ranking policy reads.
        exposure: The exposure policy; None for single items by popularity.
        days: Length of the log; 0 for one without time.
        features: d; 0 for none.
    """

    users: InverseCdfSampler
    items: InverseCdfSampler
    affinity: Affinity
    exposure: Exposure | None
    days: int
    features: int

    def draw(self, n: int, rng: np.random.Generator) -> Impressions:
        """Draw n impressions, independent except within a slate."""
        slots = 1 if self.exposure is None else self.exposure.slots
        requests = -(-n // slots)
        user = self.users.draw(rng.random(requests))
        if self.exposure is None:
            impressions = Impressions(user, self.items.draw(rng.random(n)))
        else:
            impressions = self.fill_slates(self.exposure, user, rng).take(slice(n))
        if self.days:
            time = np.repeat(self.days * rng.random(requests), slots)
            impressions = impressions._replace(time=time[:n])
        if self.features:
            impressions = impressions._replace(context=rng.standard_normal((n, self.features)))
        return impressions

    def fill_slates(
        self, exposure: Exposure, user: IntArray, rng: np.random.Generator
    ) -> Impressions:
        """Fill a slate for each request ``(R,)``: ``(R * slots,)`` impressions, slate by slate."""
        slate = exposure.slates(user, self.items, self.affinity, rng)
        position = np.tile(np.arange(1, exposure.slots + 1), len(user))
        return Impressions(np.repeat(user, exposure.slots), slate.item, position, slate.propensity)
