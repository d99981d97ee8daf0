"""What happens to impressions: the draws, and the truth they are drawn from.

Shapes: N impressions, J actions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.records import FunnelTruth
from mtl_seq.simulate.logistic.delay import Delay
from mtl_seq.simulate.logistic.logits import Law
from mtl_seq.simulate.logistic.outcome_probabilities import Classes, marginal, outcome, sigmoid
from mtl_seq.simulate.logistic.sample_impressions import Shown

__all__ = ["Happened", "Happening"]

FloatArray = NDArray[np.float64]
Labels = NDArray[np.int64]

_AT_ONCE = 1 << 14
_MARGINALS = (
    "further_pctr_without_confounder",
    "further_pcvr_without_confounder",
    "further_pctcvr_without_confounder",
)


class Happened(NamedTuple):
    """Labels by stage, ``(N,)`` int64 each, and the truth."""

    labels: dict[str, Labels]
    truth: FunnelTruth


class _Noise(NamedTuple):
    """The randomness of some rows; None where the scenario has no use for it."""

    confounder: FloatArray | None
    action: FloatArray | None
    potential: FloatArray
    click: FloatArray
    delay: FloatArray | None

    def take(self, rows: slice) -> "_Noise":
        return _Noise(
            None if self.confounder is None else self.confounder[rows],
            None if self.action is None else self.action[rows],
            self.potential[rows],
            self.click[rows],
            None if self.delay is None else self.delay[rows],
        )


class Happening(NamedTuple):
    """How clicks, actions and conversions come about.

    Attributes:
        law: The scenario's formulas.
        mnar: What a potential conversion adds to the click logit.
        loadings: Of the confounder on click and conversion.
        by_user: ``(U,)`` each user's confounder; None where each impression has its own.
        delay: How long conversions take.
        cutoff: When the log is read, in days.
    """

    law: Law
    mnar: float
    loadings: tuple[float, float]
    by_user: FloatArray | None
    delay: Delay | None
    cutoff: float

    def draw(self, shown: Shown, rng: np.random.Generator) -> Happened:
        """Draw what happens to some impressions."""
        n = len(shown.user)
        own = self.loadings != (0, 0) and self.by_user is None
        noise = _Noise(
            confounder=rng.standard_normal(n) if own else None,
            action=None if self.law.actions is None else rng.random(n),
            potential=rng.random(n),
            click=rng.random(n),
            delay=None if self.delay is None else rng.random(n),
        )
        arrays: dict[str, NDArray[Any]] = {}
        # In pieces that stay in the processor's cache.
        for start in range(0, n, _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            for name, values in self._happen(shown.take(rows), noise.take(rows)).items():
                if name not in arrays:
                    arrays[name] = np.empty(n, dtype=values.dtype)
                arrays[name][rows] = values
        for name in ("pctr", "pcvr"):
            arrays.setdefault(f"{name}_hidden", arrays[name])
        stages = ("click", *self.action_names, "conversion")
        return Happened({name: arrays[name] for name in stages}, FunnelTruth.of_arrays(arrays))

    @property
    def action_names(self) -> Sequence[str]:
        """Stages between click and conversion."""
        return () if self.law.actions is None else self.law.actions.names

    def _happen(self, shown: Shown, noise: _Noise) -> dict[str, NDArray[Any]]:
        logits = self.law.logits(shown)
        a, b, classes = logits.click, logits.conversion, logits.classes(self.law.actions)
        found: dict[str, NDArray[Any]] = {}
        given = marginal(a, b, self.mnar, self.loadings, classes)
        confounder = noise.confounder if self.by_user is None else self.by_user[shown.user]
        if confounder is not None:
            found["hidden_confounder"] = confounder
            a, b = a + self.loadings[0] * confounder, b + self.loadings[1] * confounder
            known = outcome(a, b, self.mnar, classes)
            if self.by_user is None:
                found |= {"pctr_hidden": known.click, "pcvr_hidden": known.conversion}
            else:
                # The id in x tells who it is, so x tells the confounder too.
                for name, values in zip(_MARGINALS, given, strict=False):
                    found[name] = values
                given = known
        found |= {"pctr": given.click, "pcvr": given.conversion, "pctcvr": given.both}
        for j, name in enumerate(self.action_names):
            found[f"further_{name}"] = given.ways[0, j]
            found[f"further_{name}_then_conversion"] = given.ways[1, j]
        self._draw(found, a, b, classes, noise)
        if self.delay is not None and noise.delay is not None and shown.time is not None:
            days = self.delay.draw(logits.scores[1], noise.delay)
            found["hidden_delay"] = days
            in_time = self.delay.known(logits.scores[1], self.cutoff - shown.time)
            found["further_conversion_known"] = given.both * in_time
            found["conversion"] *= shown.time + days <= self.cutoff
        return found

    def _draw(
        self,
        found: dict[str, NDArray[Any]],
        a: FloatArray,
        b: FloatArray,
        classes: Classes | None,
        noise: _Noise,
    ) -> None:
        converts = found.get("pcvr_hidden", found["pcvr"])
        if classes is not None and noise.action is not None:
            below = np.cumsum(classes.chance[:-1], axis=0)
            drawn = (noise.action >= below).sum(axis=0)
            converts = sigmoid(b + classes.lift[drawn])
            for j, name in enumerate(self.action_names):
                found[f"hidden_potential_{name}"] = (drawn == j + 1).astype(np.float64)
        potential = noise.potential < converts
        click = noise.click < sigmoid(a + self.mnar * potential)
        found["potential"] = potential.astype(np.float64)
        found["click"] = click.astype(np.int64)
        found["conversion"] = (click & potential).astype(np.int64)
        for name in self.action_names:
            found[name] = (click & (found[f"hidden_potential_{name}"] == 1)).astype(np.int64)
