"""Bias by bins of the propensity."""

from functools import partial
from typing import NamedTuple

from torch import Tensor

from mtl_seq.functional import Array, calibration_bins
from mtl_seq.functional.pointwise import ratio
from mtl_seq.metrics.exact_or_binned import EXACT_ROWS, KeptRows
from mtl_seq.metrics.spaces import Space, check_space, empty_reason, probability, rows_in

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


class BiasByPropensity(KeptRows):
    """Mean and relative bias by deciles of the propensity: a `BiasCurve`, not a number.

    Selection bias shows as a trend: a model trained on clicks is right where clicks are likely.

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
        check_space(space)
        super().__init__("by propensity", space, values=3, exact_rows=exact_rows)
        self.space: Space = space
        self.bins = bins

    def update(
        self,
        prediction: Array,
        target: Array,
        propensity: Array,
        *,
        click: Array | None = None,
        weight: Array | None = None,
    ) -> None:
        """Add a batch.

        Args:
            prediction: ``(B,)`` probabilities.
            target: ``(B,)`` labels or true probabilities.
            propensity: ``(B,)`` click propensities.
            click: ``(B,)`` clicks; needed where the space is not ``"all"``.
            weight: ``(B,)`` non-negative row weights.

        Raises:
            DataError: Columns of different lengths, or values outside [0, 1] within the space.
        """
        rows = rows_in(
            self.space, prediction, target, click=click, weight=weight, propensity=propensity
        )
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
        found = BiasCurve(
            mass,
            propensity,
            prediction,
            observed,
            prediction - observed,
            ratio(prediction, observed) - 1,
        )
        return found, None if self.rows > 0 else empty_reason(self.space)
