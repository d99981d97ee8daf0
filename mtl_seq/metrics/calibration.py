"""Calibration on one space: error over bins of equal mass, its curve, and a logistic fit."""

import torch
from torch import Tensor

from mtl_seq.functional import (
    CalibrationBins,
    Recalibrated,
    calibration_bins,
    expected_calibration_error,
    expected_null_ece,
    recalibration,
)
from mtl_seq.metrics.exact_or_binned import EXACT_ROWS
from mtl_seq.metrics.ranking import ScoredRows
from mtl_seq.records import Space

__all__ = ["ECE", "NullECE", "Recalibration", "ReliabilityCurve"]


class _Binned(ScoredRows):
    """Base of metrics over bins of equal mass.

    Args:
        space: As of `AUC`.
        bins: How many bins; predictions that tie share one.
        exact_rows: As of `AUC`.
    """

    def __init__(
        self, space: Space = "all", *, bins: int = 20, exact_rows: int = EXACT_ROWS
    ) -> None:
        super().__init__(space, exact_rows=exact_rows)
        self.bins = bins


class ECE(_Binned):
    """Mean distance between prediction and target over bins of equal mass.

    0 for the truth against itself; against drawn labels see `NullECE`.
    """

    higher_is_better = False

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.expected_calibration_error`."""
        table = self.table()
        found = expected_calibration_error(*table.values, bins=self.bins, weight=table.weight)
        return found, self.empty(self.rows)


class NullECE(_Binned):
    """The `ECE` to expect against drawn labels, were every prediction the truth."""

    higher_is_better = None

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.expected_null_ece`."""
        table = self.table()
        found = expected_null_ece(
            table.values[0], bins=self.bins, weight=table.weight, square=table.square
        )
        return found, self.empty(self.rows)


class ReliabilityCurve(_Binned):
    """Mean prediction and mean target by bins of equal mass: a `CalibrationBins`, not a number."""

    higher_is_better = None

    def measured(self) -> tuple[CalibrationBins, str | None]:
        """See `mtl_seq.functional.calibration_bins`."""
        table = self.table()
        curve = calibration_bins(*table.values, bins=self.bins, weight=table.weight)
        return curve, self.empty(self.rows)


class Recalibration(ScoredRows):
    """Intercept and slope of the logistic fit of the target on the predicted logit.

    (0, 1) is right; a slope below 1 is overconfident. For the propensity, pass pCTR and clicks.
    """

    higher_is_better = None

    def measured(self) -> tuple[Recalibrated, str | None]:
        """See `mtl_seq.functional.recalibration`."""
        table = self.table()
        prediction, target = table.values
        found = recalibration(prediction, target, table.weight)
        reason = self.one_class(table)
        if reason is None and bool(torch.isnan(found.slope)):
            reason = f"no finite slope fits the predictions in space {self.space!r}"
        return found, reason
