"""Bias by bins of the propensity."""

from functools import partial
from typing import NamedTuple

from torch import Tensor

from mtl_seq.functional import Array, calibration_bins
from mtl_seq.functional.pointwise import ratio
from mtl_seq.metrics.base import SpaceMetric
from mtl_seq.metrics.exact_or_binned import EXACT_ROWS, KeptRows
from mtl_seq.metrics.spaces import Rows, probability
from mtl_seq.records import Space

__all__ = ["BiasByPropensity", "BiasCurve"]


class BiasCurve(NamedTuple):
    """Prediction against target by bins of the propensity, ascending: ``(M,)`` each, float64.

    Attributes:
        rows: Mass of the bin.
        propensity: Mean propensity.
        predicted: Mean prediction.
        observed: Mean target.
        mean_bias: Mean prediction less mean target.
        relative_bias: Mean prediction over mean target, minus 1; NaN without positives.
    """

    rows: Tensor
    propensity: Tensor
    predicted: Tensor
    observed: Tensor
    mean_bias: Tensor
    relative_bias: Tensor


class BiasByPropensity(SpaceMetric, KeptRows):
    """Mean and relative bias by deciles of the propensity: a `BiasCurve`, not a number.

    Selection bias shows as a trend: a model trained on clicks is least biased where clicks are
    likely.

    Args:
        space: ``"all"`` impressions, ``"clicks"`` or ``"non-clicks"``.
        bins: How many bins of equal mass; propensities that tie share one.
        exact_rows: How many rows are kept; beyond it, and over several processes, rows are binned
            by the logit of the propensity.
    """

    higher_is_better = None

    def __init__(
        self, space: Space = "all", *, bins: int = 10, exact_rows: int = EXACT_ROWS
    ) -> None:
        super().__init__("by propensity", space=space, values=3, exact_rows=exact_rows)
        self.bins = bins

    def update(  # type: ignore[override]
        self,
        prediction: Array,
        target: Array,
        propensity: Array,
        *,
        click: Array | None = None,
        weight: Array | None = None,
    ) -> None:
        """Add a batch as `AUC.update` does, with ``(B,)`` click propensities."""
        self.select(prediction, target, click, weight, propensity=propensity)

    def add_rows(self, rows: Rows) -> None:
        """Add checked rows of the space."""
        (key,) = rows.others
        probability("propensity", key)
        self.add(rows.weight, key.double(), rows.prediction, rows.target)

    def measured(self) -> tuple[BiasCurve, str | None]:
        """The bins."""
        table = self.table()
        key, predicted, target = table.values
        cut = partial(calibration_bins, by=key, bins=self.bins, weight=table.weight)
        mass, prediction, observed = cut(predicted, target)
        propensity = cut(key, key).predicted
        curve = BiasCurve(
            mass,
            propensity,
            prediction,
            observed,
            prediction - observed,
            ratio(prediction, observed) - 1,
        )
        return curve, self.empty(self.rows)
