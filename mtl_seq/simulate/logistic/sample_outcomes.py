"""Outcome sampling and ground truth.

Shapes: N impressions, J actions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mtl_seq.records import FloatArray, FunnelTruth, IntArray
from mtl_seq.simulate.logistic.delay import Delay
from mtl_seq.simulate.logistic.logits import LogitModel
from mtl_seq.simulate.logistic.outcome_probabilities import (
    ActionClasses,
    conditional_probabilities,
    marginal_probabilities,
)
from mtl_seq.simulate.logistic.sample_impressions import Impressions

__all__ = ["OutcomeSampler", "Outcomes"]

Labels = IntArray

_BLOCK_ROWS = 1 << 14
_MARGINALS = (
    "further_pctr_without_confounder",
    "further_pcvr_without_confounder",
    "further_pctcvr_without_confounder",
)


class Outcomes(NamedTuple):
    """Labels by stage, ``(N,)`` int64 each, and the truth."""

    labels: dict[str, Labels]
    truth: FunnelTruth


class _Noise(NamedTuple):
    """The random draws of some rows; None where the scenario has no use for them."""

    confounder: FloatArray | None
    action: FloatArray | None
    potential: FloatArray
    click: FloatArray
    delay: FloatArray | None

    def take(self, rows: slice) -> "_Noise":
        return _Noise(*(None if part is None else part[rows] for part in self))  # type: ignore[arg-type]


class OutcomeSampler(NamedTuple):
    """The process that generates clicks, actions and conversions.

    Attributes:
        logit_model: The scenario's formulas.
        mnar: What a potential conversion adds to the click logit.
        loadings: Of the confounder on click and conversion.
        user_confounder: ``(U,)`` each user's confounder; None where it is drawn per impression.
        delay: Distribution of the conversion delay.
        cutoff: When the log is read, in days.
    """

    logit_model: LogitModel
    mnar: float
    loadings: tuple[float, float]
    user_confounder: FloatArray | None
    delay: Delay | None
    cutoff: float

    def draw(self, impressions: Impressions, rng: np.random.Generator) -> Outcomes:
        """Draw the outcomes of some impressions."""
        n = len(impressions.user)
        per_impression = self.loadings != (0, 0) and self.user_confounder is None
        noise = _Noise(
            confounder=rng.standard_normal(n) if per_impression else None,
            action=None if self.logit_model.actions is None else rng.random(n),
            potential=rng.random(n),
            click=rng.random(n),
            delay=None if self.delay is None else rng.random(n),
        )
        arrays: dict[str, NDArray[Any]] = {}
        # In blocks that stay in the processor's cache.
        for start in range(0, n, _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            for name, values in self._draw_block(impressions.take(rows), noise.take(rows)).items():
                if name not in arrays:
                    arrays[name] = np.empty(n, dtype=values.dtype)
                arrays[name][rows] = values
        for name in ("pctr", "pcvr"):
            arrays.setdefault(f"{name}_hidden", arrays[name])
        stages = ("click", *self.action_names, "conversion")
        return Outcomes({name: arrays[name] for name in stages}, FunnelTruth.of_arrays(arrays))

    @property
    def action_names(self) -> Sequence[str]:
        """Stages between click and conversion."""
        return () if self.logit_model.actions is None else self.logit_model.actions.names

    def _draw_block(self, impressions: Impressions, noise: _Noise) -> dict[str, NDArray[Any]]:
        """Labels and truth of a block of rows, by column."""
        logits = self.logit_model.logits(impressions)
        a, b, classes = logits.click, logits.conversion, logits.classes(self.logit_model.actions)
        arrays: dict[str, NDArray[Any]] = {}
        truth = marginal_probabilities(a, b, self.mnar, self.loadings, classes)
        confounder = noise.confounder
        if self.user_confounder is not None:
            confounder = self.user_confounder[impressions.user]
        if confounder is not None:
            arrays["hidden_confounder"] = confounder
            a, b = a + self.loadings[0] * confounder, b + self.loadings[1] * confounder
            full = conditional_probabilities(a, b, self.mnar, classes)
            if self.user_confounder is None:
                arrays |= {"pctr_hidden": full.click, "pcvr_hidden": full.conversion}
            else:
                # The id in x identifies the user, so x determines the confounder too.
                arrays |= dict(zip(_MARGINALS, truth, strict=False))
                truth = full
        arrays |= {"pctr": truth.click, "pcvr": truth.conversion, "pctcvr": truth.both}
        for j, name in enumerate(self.action_names):
            arrays[f"further_{name}"] = truth.by_action[0, j]
            arrays[f"further_{name}_then_conversion"] = truth.by_action[1, j]
        self._draw_labels(arrays, a, b, classes, noise)
        if self.delay is not None and noise.delay is not None and impressions.time is not None:
            days = self.delay.draw(logits.scores[1], noise.delay)
            arrays["hidden_delay"] = days
            in_time = self.delay.known(logits.scores[1], self.cutoff - impressions.time)
            arrays["further_conversion_known"] = truth.both * in_time
            arrays["conversion"] *= impressions.time + days <= self.cutoff
        return arrays

    def _draw_labels(
        self,
        arrays: dict[str, NDArray[Any]],
        a: FloatArray,
        b: FloatArray,
        classes: ActionClasses | None,
        noise: _Noise,
    ) -> None:
        converts = arrays.get("pcvr_hidden", arrays["pcvr"])
        if classes is not None and noise.action is not None:
            below = np.cumsum(classes.probability[:-1], axis=0)
            drawn = (noise.action >= below).sum(axis=0)
            converts = expit(b + classes.lift[drawn])
            for j, name in enumerate(self.action_names):
                arrays[f"hidden_potential_{name}"] = (drawn == j + 1).astype(np.float64)
        potential = noise.potential < converts
        click = noise.click < expit(a + self.mnar * potential)
        arrays["potential"] = potential.astype(np.float64)
        arrays["click"] = click.astype(np.int64)
        arrays["conversion"] = (click & potential).astype(np.int64)
        for name in self.action_names:
            acted = arrays[f"hidden_potential_{name}"] == 1
            arrays[name] = (click & acted).astype(np.int64)
