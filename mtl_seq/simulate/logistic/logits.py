"""The logit model: from impressions to the logits of click, actions and conversion.

Shapes: N impressions, J actions.
"""

from typing import NamedTuple

import numpy as np

from mtl_seq.records import FloatArray
from mtl_seq.simulate.logistic.actions import Actions
from mtl_seq.simulate.logistic.affinity import Affinity
from mtl_seq.simulate.logistic.context import Directions
from mtl_seq.simulate.logistic.drift import Drift
from mtl_seq.simulate.logistic.outcome_probabilities import ActionClasses
from mtl_seq.simulate.logistic.sample_impressions import Impressions

__all__ = ["Intercepts", "LogitModel", "Logits"]


class Intercepts(NamedTuple):
    """Intercepts of the click logit, the conversion logit, and each action's."""

    click: float = 0.0
    conversion: float = 0.0
    actions: tuple[float, ...] = ()


class Logits(NamedTuple):
    """Logits of some impressions, without the hidden confounder.

    Attributes:
        click: ``(N,)``.
        conversion: ``(N,)``, without any action's lift.
        actions: ``(J, N)``.
        scores: ``(N,)`` each, the click and the conversion score behind them.
    """

    click: FloatArray
    conversion: FloatArray
    actions: FloatArray
    scores: tuple[FloatArray, FloatArray]

    def classes(self, actions: Actions | None) -> ActionClasses | None:
        """The actions' probabilities; None where the scenario has no actions."""
        return (
            None if actions is None else ActionClasses(actions.chances(self.actions), actions.lifts)
        )


class LogitModel(NamedTuple):
    """The formulas of `LogisticFunnel` with their coefficients.

    Attributes:
        affinity: Scores of user-item pairs.
        rho: Correlation of click and conversion score.
        slopes: Slopes of the click and of the conversion logit.
        curvature: Curvature of the conversion logit in the click score.
        position_effect: What log(position) takes from the click logit.
        directions: Directions of the context features; None without context.
        drift: Daily drift; None without.
        actions: Actions between click and conversion; None without.
        intercepts: Intercepts of all logits.
    """

    affinity: Affinity
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
        """Correlation of click and conversion score; None where no formula gives it."""
        if self.directions is None:
            return self.rho
        if self.directions.sines:
            return None
        cosine = float(self.directions.click @ self.directions.conversion)
        return (1 - self.directions.share) * self.rho + self.directions.share * cosine

    def logits(self, impressions: Impressions) -> Logits:
        """The logits of some impressions."""
        click, other = self.affinity.pair(impressions.user, impressions.item)
        further = 0
        day = None if impressions.time is None else np.floor(impressions.time)
        if self.drift is not None and day is not None:
            new = self.affinity.further(further, impressions.user, impressions.item)
            other = self.drift.turned(day, other, new)
            further += 1
        conversion = self.rho * click + np.sqrt(1 - self.rho**2) * other
        if self.directions is not None and impressions.context is not None:
            click, conversion = self.directions.join(impressions.context, click, conversion)
        a = self.intercepts.click + self.slopes[0] * click
        b = self.intercepts.conversion + self.slopes[1] * conversion
        if self.curvature:
            b += self.curvature * (click**2 - 1) / np.sqrt(2)
        if self.position_effect and impressions.position is not None:
            a -= self.position_effect * np.log(impressions.position)
        if self.drift is not None and day is not None:
            a += self.drift.click * day
            b += self.drift.conversion * day
        return Logits(a, b, self._actions(impressions, conversion, further), (click, conversion))

    def _actions(
        self, impressions: Impressions, conversion: FloatArray, further: int
    ) -> FloatArray:
        if self.actions is None:
            return np.zeros((0, 0))
        rho = self.actions.rho
        rows = []
        for j, gamma in enumerate(self.intercepts.actions):
            own = self.affinity.further(further + j, impressions.user, impressions.item)
            score = rho * conversion + np.sqrt(1 - rho**2) * own
            rows.append(gamma + self.actions.slope * score)
        return np.stack(rows)
