"""AUC and KS on one space."""

from torch import Tensor

from mtl_seq.functional import Array, as_tensor, auc, ks
from mtl_seq.metrics.base import SpaceMetric
from mtl_seq.metrics.exact_or_binned import EXACT_ROWS, KeptRows, Table
from mtl_seq.metrics.spaces import Rows, one_class_reason
from mtl_seq.records import Space

__all__ = ["AUC", "CTCVRAUC", "KS", "ScoredRows"]


class ScoredRows(SpaceMetric, KeptRows):
    """Base of metrics of a prediction against a target, on the rows of one space.

    Args:
        space: ``"all"`` impressions, ``"clicks"`` or ``"non-clicks"``.
        exact_rows: How many rows are kept; beyond it, and over several processes, rows are binned
            by logit, 0.0006 wide.
    """

    adds = "prediction and target"

    def __init__(self, space: Space = "all", *, exact_rows: int = EXACT_ROWS) -> None:
        super().__init__(self.adds, space=space, values=2, exact_rows=exact_rows)

    def add_rows(self, rows: Rows) -> None:
        """Add checked rows of the space."""
        self.add(rows.weight, rows.prediction, rows.target)

    def one_class(self, table: Table) -> str | None:
        """Why a metric that needs both classes is undefined; None where it is defined."""
        target = table.values[1]
        return one_class_reason(
            self.space, (table.weight * target).sum(), (table.weight * (1 - target)).sum()
        )


class AUC(ScoredRows):
    """Probability that a random positive scores above a random negative, ties counting one half.

    Against true probabilities it is free of label noise. On clicks it is selection-biased: it can
    put models in another order than over all impressions.
    """

    higher_is_better = True

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.auc`."""
        table = self.table()
        prediction, target = table.values
        weight = None if bool((table.weight == 1).all()) else table.weight
        return auc(prediction, target, weight), self.one_class(table)


class CTCVRAUC(AUC):
    """AUC of ``pCTR * pCVR`` against conversions over all impressions.

    With each model's own pCTR it ranks whole models. The protocol of ESMM (Ma et al., SIGIR 2018)
    multiplies every model's pCVR by one common pCTR, so that only pCVR differs.

    Args:
        exact_rows: As of `AUC`.
    """

    adds = "product of pCTR and pCVR, and conversion"

    def __init__(self, *, exact_rows: int = EXACT_ROWS) -> None:
        super().__init__(exact_rows=exact_rows)

    def update(  # type: ignore[override]
        self, pctr: Array, pcvr: Array, conversion: Array, *, weight: Array | None = None
    ) -> None:
        """Add a batch.

        Args:
            pctr: ``(B,)`` the model's own pCTR, or one common to all models.
            pcvr: ``(B,)`` pCVR.
            conversion: ``(B,)`` conversions, 0 off the clicks.
            weight: ``(B,)`` non-negative row weights.
        """
        product = as_tensor(pctr).double() * as_tensor(pcvr).double()
        super().update(product, conversion, weight=weight)


class KS(ScoredRows):
    """Greatest distance between true and false positive rate over all thresholds."""

    higher_is_better = True

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.ks`."""
        table = self.table()
        prediction, target = table.values
        return ks(prediction, target, table.weight), self.one_class(table)
