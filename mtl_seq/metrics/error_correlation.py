"""Correlation of the errors of pCTR and pCVR, streamed."""

from torch import Tensor

from mtl_seq.functional import Array
from mtl_seq.functional.error_correlation import correlation, correlation_sums
from mtl_seq.metrics.base import Reasoned
from mtl_seq.metrics.spaces import empty_reason, probability, rows_in

__all__ = ["ErrorCorrelation"]


class ErrorCorrelation(Reasoned):
    """Correlation of the errors of pCTR and pCVR over all impressions; simulation only."""

    higher_is_better = None
    sums: Tensor

    def __init__(self) -> None:
        super().__init__("errors")
        self.add_sums("sums", 6)

    def update(
        self,
        pctr: Array,
        pcvr: Array,
        true_pctr: Array,
        true_pcvr: Array,
        *,
        weight: Array | None = None,
    ) -> None:
        """Add a batch: ``(B,)`` probabilities, and non-negative row weights.

        Raises:
            DataError: Columns of different lengths, or values outside [0, 1].
        """
        rows = rows_in(
            "all", pctr, true_pctr, click=None, weight=weight, pcvr=pcvr, true_pcvr=true_pcvr
        )
        conversions, truth = rows.others
        probability("pcvr", conversions)
        probability("true_pcvr", truth)
        self.sums += correlation_sums(
            rows.weight, rows.prediction - rows.target, conversions.double() - truth.double()
        )

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.error_correlation`."""
        coefficient = correlation(self.sums)
        if bool(coefficient.isfinite()):
            return coefficient, None
        constant = "an error is the same for every row"
        return coefficient, constant if self.sums[0] > 0 else empty_reason("all")
