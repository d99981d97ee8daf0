"""Records that the packages exchange.

Shapes: B rows, K stages, C conditionals (logits of the head).
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "ROW_ID",
    "TRUTH_PREFIX",
    "FloatArray",
    "FunnelBatch",
    "FunnelLabels",
    "FunnelPrediction",
    "FunnelTruth",
    "IntArray",
    "Scores",
    "SelectionTest",
    "Space",
    "Verdict",
]

FloatArray = NDArray[np.float64]
"""An array of float64."""

IntArray = NDArray[np.int64]
"""An array of int64."""

Space = Literal["all", "clicks", "non-clicks"]
"""All impressions, those that were clicked, or those that were not."""

ROW_ID = "row_id"
"""Column, of int64, that joins a log and its truth where they are kept apart."""

TRUTH_PREFIX = "true_"
"""Prefix of a truth's columns, so that none is taken for a feature or a prediction."""


class Scores(NamedTuple):
    """One model's predictions, ``(N,)`` float64 in [0, 1]."""

    pctr: FloatArray
    pcvr: FloatArray
    pctcvr: FloatArray


_NONE: Mapping[str, FloatArray] = {}


class FunnelLabels(NamedTuple):
    """Labels of impressions.

    Attributes:
        stages: ``(B, K)`` 0 or 1, the funnel's stages in order; a stage is 0 where its parent is 0.
        weight: ``(B,)`` row weights, mean 1; None for equal weights.
        group: ``(B,)`` int64 codes of the user; None where there is none.
        propensity: ``(B,)`` click propensities from outside the model (logged, or cross-fitted).
        potential: ``(B,)`` conversion if the impression is clicked; simulation only.
    """

    stages: Tensor
    weight: Tensor | None = None
    group: Tensor | None = None
    propensity: Tensor | None = None
    potential: Tensor | None = None

    @classmethod
    def of(
        cls,
        *,
        weight: Tensor | None = None,
        group: Tensor | None = None,
        propensity: Tensor | None = None,
        potential: Tensor | None = None,
        **stages: Tensor,
    ) -> "FunnelLabels":
        """Labels from one tensor per stage, given in the funnel's order.

        >>> FunnelLabels.of(click=torch.tensor([1, 1]), conversion=torch.tensor([0, 1])).stages
        tensor([[1., 0.],
                [1., 1.]])
        """
        columns = torch.stack([column.float() for column in stages.values()], dim=1)
        return cls(columns, weight, group, propensity, potential)

    @property
    def click(self) -> Tensor:
        """``(B,)`` the first stage."""
        return self.stages[:, 0]

    @property
    def conversion(self) -> Tensor:
        """``(B,)`` the last stage."""
        return self.stages[:, -1]


class FunnelBatch(NamedTuple):
    """Features and labels of impressions.

    Attributes:
        features: By name: ids ``(B,)`` int64, bags ``(B, L)`` int64 padded with -1, dense ``(B,)``
            float32.
        labels: The labels; None for prediction.
    """

    features: dict[str, Tensor]
    labels: FunnelLabels | None = None


class FunnelPrediction(NamedTuple):
    """Predictions of a network, in log space.

    A probability is read from its logarithm; a loss reads the logit, since ``log(1 - p)`` computed
    from ``log p`` loses the gradient.

    Attributes:
        logits: ``(B, C)`` logits of the head.
        log_joint: By stage, ``(B,)`` log-probability that the impression reaches it.
        joint_logit: By stage, ``(B,)`` logit of the same.
        log_pcvr: ``(B,)`` log pCVR: the last stage given the first.
        pcvr_logit: ``(B,)`` its logit.
        aux: By name, ``(B,)`` logits of the extra towers that losses read.
    """

    logits: Tensor
    log_joint: dict[str, Tensor]
    joint_logit: dict[str, Tensor]
    log_pcvr: Tensor
    pcvr_logit: Tensor
    aux: dict[str, Tensor]

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages' names, in the funnel's order."""
        return tuple(self.log_joint)

    @property
    def pctr_logit(self) -> Tensor:
        """``(B,)`` logit of the first stage."""
        return self.joint_logit[self.stages[0]]

    @property
    def pctr(self) -> Tensor:
        """``(B,)`` probability of the first stage."""
        return self.log_joint[self.stages[0]].exp()

    @property
    def pcvr(self) -> Tensor:
        """``(B,)`` probability of the last stage given the first."""
        return self.log_pcvr.exp()

    @property
    def pctcvr(self) -> Tensor:
        """``(B,)`` probability of the last stage."""
        return self.log_joint[self.stages[-1]].exp()


class FunnelTruth(NamedTuple):
    """True probabilities of simulated impressions: ``(N,)`` float64 arrays.

    x is all features of the log; o the click; r the potential conversion, drawn for every
    impression, of which the log contains ``o * r``.

    Attributes:
        pctr: P(o = 1 | x).
        pcvr: P(r = 1 | x), over the entire space.
        pctcvr: P(o = 1, r = 1 | x).
        pctr_hidden: P(o = 1 | x, hidden variables); equal to `pctr` where there are none.
        pcvr_hidden: P(r = 1 | x, hidden variables).
        potential: The draws of r, 0 or 1.
        further: Further probabilities given x, by name, such as that of a stage between click and
            conversion; the simulator's docstring lists them.
        hidden: Hidden variables that were drawn, by name, such as a confounder; finite numbers.
    """

    pctr: FloatArray
    pcvr: FloatArray
    pctcvr: FloatArray
    pctr_hidden: FloatArray
    pcvr_hidden: FloatArray
    potential: FloatArray
    further: Mapping[str, FloatArray] = _NONE
    hidden: Mapping[str, FloatArray] = _NONE

    @property
    def pcvr_clicked(self) -> FloatArray:
        """P(r = 1 | x, o = 1): the best that methods without hidden variables can estimate."""
        return self.pctcvr / self.pctr

    @property
    def pcvr_unclicked(self) -> FloatArray:
        """P(r = 1 | x, o = 0)."""
        return (self.pcvr - self.pctcvr) / (1 - self.pctr)

    def take(self, rows: NDArray[np.int64]) -> "FunnelTruth":
        """The truth of some rows."""
        return self.of_arrays({name: array[rows] for name, array in self.arrays().items()})

    def arrays(self) -> dict[str, FloatArray]:
        """Every array by one flat name, such as ``further_<name>`` and ``hidden_<name>``.

        >>> truth = FunnelTruth(*np.full((6, 2), 0.5), hidden={"confounder": np.zeros(2)})
        >>> list(truth.arrays())[-2:]
        ['potential', 'hidden_confounder']
        """
        flat: dict[str, FloatArray] = {name: getattr(self, name) for name in _BASE}
        flat.update({f"further_{name}": array for name, array in self.further.items()})
        flat.update({f"hidden_{name}": array for name, array in self.hidden.items()})
        return flat

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, FloatArray]) -> "FunnelTruth":
        """Read what `arrays` returned; other names are ignored.

        Raises:
            KeyError: One of the six arrays of every truth is absent.
        """
        further, hidden = (
            {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            for prefix in ("further_", "hidden_")
        )
        pctr, pcvr, pctcvr, pctr_hidden, pcvr_hidden, potential = (arrays[n] for n in _BASE)
        return cls(
            pctr, pcvr, pctcvr, pctr_hidden, pcvr_hidden, potential, further=further, hidden=hidden
        )


_BASE = FunnelTruth._fields[:6]


Verdict = Literal["identified", "weak", "not identified"]
"""How well a log identifies a dependence."""


class SelectionTest(NamedTuple):
    """Estimate and test of a hidden dependence of click and conversion.

    Attributes:
        log_odds_ratio: lambda, the log odds ratio of click and potential conversion given the
            features; NaN where the moment has no root.
        standard_error: Its standard error.
        t: The test of lambda = 0: the mean score there over its standard error, about standard
            normal where nothing is hidden.
        verdict: How well lambda is identified, by its standard error.
        strength: Strength of the click-only features, given all others: the likelihood-ratio
            statistic per degree of freedom, about 1 where they are not predictive of the click.
        level_share: Source of P(level of the click-only features | x), in words.
    """

    log_odds_ratio: float
    standard_error: float
    t: float
    verdict: Verdict
    strength: float = float("nan")
    level_share: str = ""
