"""Models against one another on the same rows: paired differences, and orders that contradict."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.report.compute.grouped_sums import percentiles

__all__ = ["DIFFERENCE_COLUMNS", "Contradiction", "Lead", "contradictions", "differences", "lead"]

FloatArray = NDArray[np.float64]
At = tuple[str, str, str]
Twins = Mapping[tuple[str, str, str, str], FloatArray]

DIFFERENCE_COLUMNS = (
    *("model", "control", "quantity", "space", "metric", "value", "low", "high", "reason"),
)

_BIAS, _SIZE = "relative_bias", "absolute_relative_bias"


class Contradiction(NamedTuple):
    """Two models whose order by AUC on clicks is not their order over all impressions.

    Attributes:
        clicked: The model that is ahead on clicks.
        entire: The model that is ahead over all impressions.
        lead_on_clicks: AUC of the first minus that of the second on clicks: value, low, high.
        lead_on_all: AUC of the second minus that of the first over all impressions.
    """

    clicked: str
    entire: str
    lead_on_clicks: tuple[float, float, float]
    lead_on_all: tuple[float, float, float]


class Lead(NamedTuple):
    """The model with the least log loss, and the next one.

    Attributes:
        first: The model ahead.
        second: The next.
        lead: Log loss of the second minus that of the first: value, low, high.
    """

    first: str
    second: str
    lead: tuple[float, float, float]

    @property
    def sure(self) -> bool:
        """Whether the interval of the lead excludes 0."""
        return self.lead[1] > 0


def differences(
    metrics: pd.DataFrame, twins: Twins, models: Sequence[str], control: str
) -> pd.DataFrame:
    """Every figure of every model minus the control's, with an interval of the difference.

    Args:
        metrics: Long form, as `Findings.metrics`.
        twins: Resampled values, paired over models.
        models: The models.
        control: The one that the others are held against.

    Returns:
        Long form, columns `DIFFERENCE_COLUMNS`, of every metric that was resampled, and of
        ``absolute_relative_bias``, the distance of the relative bias from 0: below 0 where the
        model is less biased than the control, whatever the sign.
    """
    values = metrics.set_index(["model", "quantity", "space", "metric"])["value"]
    asked = list(dict.fromkeys(key[1:] for key in twins if key[0] == control))
    records = []
    for model in (name for name in models if name != control):
        for at in asked:
            pair = [(float(values[(name, *at)]), twins[(name, *at)]) for name in (model, control)]
            records.append((model, control, *at, *_difference(*pair)))
            if at[2] == _BIAS:
                sizes = [(abs(value), np.abs(drawn)) for value, drawn in pair]
                records.append((model, control, *at[:2], _SIZE, *_difference(*sizes)))
    return pd.DataFrame(records, columns=list(DIFFERENCE_COLUMNS))


def contradictions(
    metrics: pd.DataFrame, twins: Twins, models: Sequence[str]
) -> tuple[Contradiction, ...]:
    """Pairs of models of which one is surely ahead on clicks and the other over all impressions.

    Surely: the interval of the paired difference excludes 0, in both spaces. The AUC is that of
    pCVR.
    """
    values = metrics.set_index(["model", "quantity", "space", "metric"])["value"]
    clicks, entire = ("pcvr", "clicks", "auc"), ("pcvr", "all", "auc")
    found = []
    for one, other in permutations(models, 2):
        leads = []
        for ahead, behind, at in ((one, other, clicks), (other, one, entire)):
            pair = [(float(values[(name, *at)]), twins[(name, *at)]) for name in (ahead, behind)]
            leads.append(_difference(*pair)[:3])
        if all(low > 0 for _, low, _ in leads):
            found.append(Contradiction(one, other, *leads))
    return tuple(found)


def lead(metrics: pd.DataFrame, twins: Twins, models: Sequence[str], at: At) -> Lead | None:
    """Which of the models is ahead by a loss, and by how much; None for fewer than two."""
    values = metrics.set_index(["model", "quantity", "space", "metric"])["value"]
    order = sorted(models, key=lambda name: float(values[(name, *at)]))
    if len(order) < 2:
        return None
    pair = [(float(values[(name, *at)]), twins[(name, *at)]) for name in (order[1], order[0])]
    return Lead(order[0], order[1], _difference(*pair)[:3])


def _difference(
    one: tuple[float, FloatArray], other: tuple[float, FloatArray]
) -> tuple[float, float, float, str | None]:
    value = one[0] - other[0]
    low, high = percentiles(one[1] - other[1])
    reason = None if np.isfinite(value) else "undefined for one of the two"
    return value, float(low), float(high), reason
