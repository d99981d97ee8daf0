"""From what is shown to the logits of what happens: the formulas of a scenario.

Shapes: N impressions, J actions.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.simulate.logistic.actions import Actions
from mtl_seq.simulate.logistic.affinity import Preferences
from mtl_seq.simulate.logistic.context import Directions
from mtl_seq.simulate.logistic.drift import Drift
from mtl_seq.simulate.logistic.outcome_probabilities import Classes
from mtl_seq.simulate.logistic.sample_impressions import Shown

__all__ = ["Intercepts", "Law", "Logits"]

FloatArray = NDArray[np.float64]


class Intercepts(NamedTuple):
    """What every logit starts from: of the click, of the conversion, of each action."""

    click: float = 0.0
    conversion: float = 0.0
    actions: tuple[float, ...] = ()


class Logits(NamedTuple):
    """Logits of some impressions, without what is hidden.

    Attributes:
        click: ``(N,)``.
        conversion: ``(N,)``, without any action's lift.
        actions: ``(J, N)``.
        scores: ``(N,)`` each, the click and the conversion score they are made of.
    """

    click: FloatArray
    conversion: FloatArray
    actions: FloatArray
    scores: tuple[FloatArray, FloatArray]

    def classes(self, actions: Actions | None) -> Classes | None:
        """The actions' probabilities; None where there are none."""
        return None if actions is None else Classes(actions.chances(self.actions), actions.lifts)


class Law(NamedTuple):
    """The formulas of `LogisticFunnel`, and the numbers that its parameters put in.

    Attributes:
        preferences: Scores of pairs.
        rho: Correlation of click and conversion score.
        slopes: Of the click and of the conversion.
        curvature: Of the conversion logit in the click score.
        position_effect: What log(position) takes from the click logit.
        directions: What the context adds to the scores.
        drift: What the day does.
        actions: What lies between click and conversion.
        intercepts: Of all logits.
    """

    preferences: Preferences
    rho: float
    slopes: tuple[float, float]
    curvature: float
    position_effect: float
    directions: Directions | None
    drift: Drift | None
    actions: Actions | None
    intercepts: Intercepts

    @property
    def correlation(self) -> float | None:
        """Of click and conversion score, by popularity; None where no formula gives it."""
        if self.directions is None:
            return self.rho
        if self.directions.sines:
            return None
        cosine = float(self.directions.click @ self.directions.conversion)
        return (1 - self.directions.share) * self.rho + self.directions.share * cosine

    def logits(self, shown: Shown) -> Logits:
        """The logits of some impressions."""
        click, other = self.preferences.pair(shown.user, shown.item)
        further = 0
        day = None if shown.time is None else np.floor(shown.time)
        if self.drift is not None and day is not None:
            new = self.preferences.further(further, shown.user, shown.item)
            other = self.drift.turned(day, other, new)
            further += 1
        conversion = self.rho * click + np.sqrt(1 - self.rho**2) * other
        if self.directions is not None and shown.context is not None:
            click, conversion = self.directions.join(shown.context, click, conversion)
        a = self.intercepts.click + self.slopes[0] * click
        b = self.intercepts.conversion + self.slopes[1] * conversion
        if self.curvature:
            b += self.curvature * (click**2 - 1) / np.sqrt(2)
        if self.position_effect and shown.position is not None:
            a -= self.position_effect * np.log(shown.position)
        if self.drift is not None and day is not None:
            a += self.drift.click * day
            b += self.drift.conversion * day
        return Logits(a, b, self._actions(shown, conversion, further), (click, conversion))

    def _actions(self, shown: Shown, conversion: FloatArray, further: int) -> FloatArray:
        if self.actions is None:
            return np.zeros((0, 0))
        rho = self.actions.rho
        rows = []
        for j, gamma in enumerate(self.intercepts.actions):
            own = self.preferences.further(further + j, shown.user, shown.item)
            score = rho * conversion + np.sqrt(1 - rho**2) * own
            rows.append(gamma + self.actions.slope * score)
        return np.stack(rows)
