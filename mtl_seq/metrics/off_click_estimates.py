"""AUC and log loss of pCVR over all impressions, estimated from a log with clicks alone.

Every `update` takes pCVR, the log's labels, and propensities; nothing needs the truth. For the
assumptions see `mtl_seq.functional.ips_log_loss` and `mtl_seq.functional.dr_log_loss`.
"""

from abc import abstractmethod
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


class _FromLog(Reasoned):
    """Base of the estimates: columns of a log in, checked rows out."""

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
            conversion: ``(B,)`` conversions; values off the clicks have no influence.
            click: ``(B,)`` clicks.
            propensity: ``(B,)`` propensities, in (0, 1] on clicks.
            weight: ``(B,)`` non-negative row weights.

        Raises:
            DataError: Columns of different lengths, values outside their range, or a clicked row
                without propensity.
        """
        self.select(prediction, click, weight, propensity=propensity, conversion=conversion)

    def select(
        self, prediction: Array, click: Array, weight: Array | None, **columns: Array
    ) -> None:
        """Check a batch and add its rows; an imputation makes their labels doubly robust."""
        rows = rows_in("all", prediction, click, click=None, weight=weight, **columns)
        propensity, conversion, *imputation = rows.others
        inverted = inverse(rows.target, propensity)
        label = torch.where(rows.target > 0, conversion.double(), 0.0)
        probability("conversion", label)
        if imputation:
            probability("imputation", imputation[0])
            label = doubly_robust_label(imputation[0].double(), inverted, label)
        self.add_rows(_Logged(rows.prediction, label, inverted, rows.weight))

    @abstractmethod
    def add_rows(self, rows: _Logged) -> None:
        """Add checked rows."""


class _DoublyRobust(_FromLog):
    """Base of the doubly robust estimates."""

    def update(  # type: ignore[override]
        self,
        prediction: Array,
        conversion: Array,
        click: Array,
        propensity: Array,
        imputation: Array,
        *,
        weight: Array | None = None,
    ) -> None:
        """Add a batch as `IPSAUC.update` does, with ``(B,)`` imputed conversion probabilities."""
        columns = {"propensity": propensity, "conversion": conversion, "imputation": imputation}
        self.select(prediction, click, weight, **columns)


class IPSAUC(_FromLog, KeptRows):
    """AUC over pairs of clicks, each weighted by ``1 / (p_i p_j)``.

    AUC is a ratio, so this is the IPS and the SNIPS estimate at once.

    Args:
        exact_rows: How many clicks are kept; beyond it, and over several processes, they are binned
            by logit.
    """

    higher_is_better = True

    def __init__(self, *, exact_rows: int = EXACT_ROWS) -> None:
        super().__init__("ips", values=2, exact_rows=exact_rows)

    def add_rows(self, rows: _Logged) -> None:
        """Add the clicks, weighted."""
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


class DRAUC(_DoublyRobust, KeptRows):
    """AUC over pairs of impressions, each row labelled by its doubly robust pseudo-label.

    Args:
        exact_rows: How many rows are kept; beyond it, and over several processes, they are binned
            by logit.
    """

    higher_is_better = True

    def __init__(self, *, exact_rows: int = EXACT_ROWS) -> None:
        super().__init__("dr", values=3, exact_rows=exact_rows)

    def add_rows(self, rows: _Logged) -> None:
        """Add all impressions; the last column is the mass of pairs of a row with itself."""
        itself = rows.weight * rows.label * (1 - rows.label)
        self.add(rows.weight, rows.prediction, rows.label, itself)

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.dr_auc`."""
        table = self.table()
        prediction, label, itself = table.values
        positive, negative = table.weight * label, table.weight * (1 - label)
        value = mass_auc(prediction, positive, negative, (table.weight * itself).sum())
        if bool(value.isfinite()):
            return value, None
        return value, "pairs have no positive mass" if self.rows > 0 else empty_reason("all")


class _Weighted(_FromLog):
    """Base of the log losses that read the clicks alone."""

    higher_is_better = False
    sums: Tensor

    def __init__(self) -> None:
        super().__init__("weighted loss")
        self.add_sums("sums", 3)

    def add_rows(self, rows: _Logged) -> None:
        """Add the sums of the mass, of the weights, and of the weighted losses."""
        scaled = rows.weight * rows.inverted
        loss = probability_loss(rows.prediction, rows.label)
        self.sums += torch.stack([part.sum() for part in (rows.weight, scaled, scaled * loss)])


class IPSLogLoss(_Weighted):
    """``mean over all impressions of o / p * loss``, in nats."""

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.ips_log_loss`."""
        mass, _, loss = self.sums
        return ratio(loss, mass), None if mass > 0 else empty_reason("all")


class SNIPSLogLoss(_Weighted):
    """The weighted loss over the sum of the weights, in nats."""

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.snips_log_loss`."""
        _, scaled, loss = self.sums
        return ratio(loss, scaled), None if scaled > 0 else empty_reason("clicks")


class DRLogLoss(_DoublyRobust):
    """The loss imputed on all impressions, corrected on clicks, in nats."""

    higher_is_better = False
    sums: Tensor

    def __init__(self) -> None:
        super().__init__("doubly robust loss")
        self.add_sums("sums", 2)

    def add_rows(self, rows: _Logged) -> None:
        """Add the sums of the mass and of the losses."""
        loss = probability_loss(rows.prediction, rows.label)
        self.sums += torch.stack((rows.weight.sum(), (rows.weight * loss).sum()))

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.dr_log_loss`."""
        mass, loss = self.sums
        return ratio(loss, mass), None if mass > 0 else empty_reason("all")
