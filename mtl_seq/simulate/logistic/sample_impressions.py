"""What is shown to whom, and when: the impressions before anything happens.

Shapes: N impressions, d context features.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.simulate.logistic.affinity import Preferences
from mtl_seq.simulate.logistic.exposure import Exposure
from mtl_seq.simulate.logistic.inverse_cdf_sampler import Wheel

__all__ = ["Showing", "Shown"]

FloatArray = NDArray[np.float64]
Ids = NDArray[np.int64]


class Shown(NamedTuple):
    """Impressions, ``(N,)`` each; None where the scenario has no such thing.

    Attributes:
        user: Who.
        item: What.
        position: Slot of the slate, from 1.
        propensity: Probability that the slot shows this item.
        time: Days since the log began.
        context: ``(N, d)``.
    """

    user: Ids
    item: Ids
    position: Ids | None = None
    propensity: FloatArray | None = None
    time: FloatArray | None = None
    context: FloatArray | None = None

    def take(self, rows: slice) -> "Shown":
        """Some of them."""
        return Shown(
            self.user[rows],
            self.item[rows],
            None if self.position is None else self.position[rows],
            None if self.propensity is None else self.propensity[rows],
            None if self.time is None else self.time[rows],
            None if self.context is None else self.context[rows],
        )


class Showing(NamedTuple):
    """How impressions come about.

    Attributes:
        users: Popularity of the users.
        items: Popularity of the items.
        preferences: What a logging model knows.
        exposure: The policy; None for items by popularity, one at a time.
        days: Length of the log; 0 for one without time.
        features: d; 0 for none.
    """

    users: Wheel
    items: Wheel
    preferences: Preferences
    exposure: Exposure | None
    days: int
    features: int

    def draw(self, n: int, rng: np.random.Generator) -> Shown:
        """Draw n impressions, independent of each other but for those of one slate."""
        slots = 1 if self.exposure is None else self.exposure.slots
        requests = -(-n // slots)
        user = self.users.draw(rng.random(requests))
        if self.exposure is None:
            shown = Shown(user, self.items.draw(rng.random(n)))
        else:
            shown = self.answer(self.exposure, user, rng).take(slice(n))
        if self.days:
            time = np.repeat(self.days * rng.random(requests), slots)
            shown = shown._replace(time=time[:n])
        if self.features:
            shown = shown._replace(context=rng.standard_normal((n, self.features)))
        return shown

    def answer(self, exposure: Exposure, user: Ids, rng: np.random.Generator) -> Shown:
        """Answer requests, ``(R,)``, by slates: ``(R * slots,)`` impressions, slate by slate."""
        slate = exposure.slates(user, self.items, self.preferences, rng)
        slots = np.arange(1, exposure.slots + 1)
        position = np.tile(slots, len(user))
        return Shown(np.repeat(user, exposure.slots), slate.item, position, slate.propensity)
