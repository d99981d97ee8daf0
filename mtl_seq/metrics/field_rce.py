"""Calibration within the values of a field."""

import torch
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.functional import Array
from mtl_seq.functional.field_rce import field_error
from mtl_seq.metrics.base import SpaceMetric
from mtl_seq.metrics.spaces import Rows
from mtl_seq.records import Space

__all__ = ["FieldRCE"]


class FieldRCE(SpaceMetric):
    """Field-level relative calibration error (Pan et al., WWW 2020), on the rows of one space.

    Args:
        values: How many values the field has; ids run from 0 to one below it.
        space: ``"all"`` impressions, ``"clicks"`` or ``"non-clicks"``.
        smoothing: Added to each label of the denominator.
    """

    higher_is_better = False
    sums: Tensor

    def __init__(self, values: int, space: Space = "all", *, smoothing: float = 0.01) -> None:
        super().__init__("field", space=space)
        self.values, self.smoothing = values, smoothing
        self.add_sums("sums", 3, values)

    def update(  # type: ignore[override]
        self,
        prediction: Array,
        target: Array,
        field: Array,
        *,
        click: Array | None = None,
        weight: Array | None = None,
    ) -> None:
        """Add a batch as `AUC.update` does, with ``(B,)`` integer ids of the field's value."""
        self.select(prediction, target, click, weight, field=field)

    def add_rows(self, rows: Rows) -> None:
        """Add checked rows of the space, whose ids must lie in their range."""
        (ids,) = rows.others
        inside = (ids >= 0) & (ids < self.values)
        if ids.is_floating_point() or not bool(inside.all()):
            found = f"{int(ids[~inside][0])}" if not bool(inside.all()) else str(ids.dtype)
            raise DataError(
                f"`field` must hold integer ids from 0 to {self.values - 1}, found {found}"
            )
        for total, part in zip(
            self.sums,
            (rows.weight, rows.weight * rows.prediction, rows.weight * rows.target),
            strict=True,
        ):
            total += torch.bincount(ids, part, minlength=self.values)

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.field_rce`."""
        error = field_error(*self.sums, smoothing=self.smoothing)
        return error, self.empty(self.sums[0].sum())
