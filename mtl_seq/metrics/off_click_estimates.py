"""AUC and log loss of pCVR over all impressions, estimated from a log with clicks alone.

Every `update` takes pCVR, what the log shows, and propensities; nothing needs the truth. What the
estimates assume is said in `mtl_seq.functional.log_estimates`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mtl_seq.functional import Array
from mtl_seq.functional.auc import mass_auc
from mtl_seq.functional.off_click_estimates import doubly_robust_label
from mtl_seq.functional.pointwise import probability_loss, ratio
from mtl_seq.functional.weight_diagnostics import inverse
from mtl_seq.metrics.base import Reasoned
from mtl_seq.metrics.exact_or_binned import EXACT_ROWS, KeptRows
from mtl_seq.metrics.spaces import empty_reason, one_class_reason, probability, rows_in

__all__ = ["DRAUC", "IPSAUC", "DRLogLoss", "IPSLogLoss", "SNIPSLogLoss"]


class _Logged(NamedTuple):
    """A batch of a log, ``(n,)`` each; `label` is the doubly robust one, or the conversion."""

    prediction: Tensor
    label: Tensor
    inverted: Tensor
    weight: Tensor


def _logged(
    prediction: Array,
    conversion: Array,
    click: Array,
    propensity: Array,
    weight: Array | None,
    **imputation: Array,
) -> _Logged:
    rows = rows_in(
        "all",
        prediction,
        click,
        click=None,
        weight=weight,
        propensity=propensity,
        conversion=conversion,
        **imputation,
    )
    clicked = rows.target > 0
    inverted = inverse(rows.target, rows.others[0])
    label = torch.where(clicked, rows.others[1].double(), 0.0)
    probability("conversion", label)
    if imputation:
        probability("imputation", rows.others[2])
        label = doubly_robust_label(rows.others[2].double(), inverted, label)
    return _Logged(rows.prediction, label, inverted, rows.weight)


class IPSAUC(KeptRows):
    """AUC over pairs of clicks, each weighted by ``1 / (p_i p_j)``.

    AUC is a ratio, so this is the IPS and the SNIPS estimate at once.

    Args:
        exact_rows: How many clicks are kept; beyond it, and over several processes, they are binned
            by logit.
    """

    higher_is_better = True

    def __init__(self, *, exact_rows: int = EXACT_ROWS) -> None:
        super().__init__("ips", values=2, exact_rows=exact_rows)

    def update(
        self,
        prediction: Array,
        conversion: Array,
        click: Array,
        propensity: Array,
        *,
        weight: Array | None = None,
    ) -> None:
        """Add a batch.

        Args:
            prediction: ``(B,)`` pCVR.
            conversion: ``(B,)`` conversions; what stands off the clicks has no influence.
            click: ``(B,)`` clicks.
            propensity: ``(B,)`` propensities, in (0, 1] on clicks.
            weight: ``(B,)`` non-negative row weights.

        Raises:
            DataError: Columns of different lengths, values outside their range, or a clicked row
                without propensity.
        """
        rows = _logged(prediction, conversion, click, propensity, weight)
        clicked = rows.inverted > 0
        scaled = (rows.weight * rows.inverted)[clicked]
        self.add(scaled, rows.prediction[clicked], rows.label[clicked])

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.ips_auc`."""
        table = self.table()
        prediction, label = table.values
        positive, negative = table.weight * label, table.weight * (1 - label)
        reason = one_class_reason("clicks", positive.sum(), negative.sum())
        return mass_auc(prediction, positive, negative), reason


class DRAUC(KeptRows):
    """AUC over pairs of impressions, each row labelled by its doubly robust pseudo-label.

    Args:
        exact_rows: How many rows are kept; beyond it, and over several processes, they are binned
            by logit.
    """

    higher_is_better = True

    def __init__(self, *, exact_rows: int = EXACT_ROWS) -> None:
        super().__init__("dr", values=3, exact_rows=exact_rows)

    def update(
        self,
        prediction: Array,
        conversion: Array,
        click: Array,
        propensity: Array,
        imputation: Array,
        *,
        weight: Array | None = None,
    ) -> None:
        """Add a batch: as of `IPSAUC`, and ``(B,)`` imputed conversion probabilities."""
        rows = _logged(prediction, conversion, click, propensity, weight, imputation=imputation)
        own = rows.weight * rows.label * (1 - rows.label)  # times the weight: a row with itself
        self.add(rows.weight, rows.prediction, rows.label, own)

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.dr_auc`."""
        table = self.table()
        prediction, label, own = table.values
        found = mass_auc(
            prediction,
            table.weight * label,
            table.weight * (1 - label),
            (table.weight * own).sum(),
        )
        if bool(found.isfinite()):
            return found, None
        return found, "pairs have no positive mass" if self.rows > 0 else empty_reason("all")


class _Weighted(Reasoned):
    """Base of the log losses that read the clicks alone."""

    higher_is_better = False
    sums: Tensor

    def __init__(self) -> None:
        super().__init__("weighted loss")
        self.add_sums("sums", 3)

    def update(
        self,
        prediction: Array,
        conversion: Array,
        click: Array,
        propensity: Array,
        *,
        weight: Array | None = None,
    ) -> None:
        """Add a batch: as of `IPSAUC`."""
        rows = _logged(prediction, conversion, click, propensity, weight)
        scaled = rows.weight * rows.inverted
        loss = probability_loss(rows.prediction, rows.label)
        parts = (rows.weight, scaled, scaled * loss)
        self.sums += torch.stack([part.sum() for part in parts])


class IPSLogLoss(_Weighted):
    """``mean over all impressions of o / p * loss``, in nats."""

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.ips_log_loss`."""
        mass, _, loss = self.sums
        return ratio(loss, mass), None if mass > 0 else empty_reason("all")


class SNIPSLogLoss(_Weighted):
    """The same over the sum of the weights, in nats."""

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.snips_log_loss`."""
        _, scaled, loss = self.sums
        return ratio(loss, scaled), None if scaled > 0 else empty_reason("clicks")


class DRLogLoss(Reasoned):
    """The loss imputed on all impressions, corrected on clicks, in nats."""

    higher_is_better = False
    sums: Tensor

    def __init__(self) -> None:
        super().__init__("doubly robust loss")
        self.add_sums("sums", 2)

    def update(
        self,
        prediction: Array,
        conversion: Array,
        click: Array,
        propensity: Array,
        imputation: Array,
        *,
        weight: Array | None = None,
    ) -> None:
        """Add a batch: as of `IPSAUC`, and ``(B,)`` imputed conversion probabilities."""
        rows = _logged(prediction, conversion, click, propensity, weight, imputation=imputation)
        loss = probability_loss(rows.prediction, rows.label)
        self.sums += torch.stack((rows.weight.sum(), (rows.weight * loss).sum()))

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.dr_log_loss`."""
        mass, loss = self.sums
        return ratio(loss, mass), None if mass > 0 else empty_reason("all")
