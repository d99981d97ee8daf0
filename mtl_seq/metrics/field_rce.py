"""Calibration within the values of a field."""

import torch
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.functional import Array
from mtl_seq.functional.field_rce import field_error
from mtl_seq.metrics.base import Reasoned
from mtl_seq.metrics.spaces import Space, check_space, empty_reason, rows_in

__all__ = ["FieldRCE"]


class FieldRCE(Reasoned):
    """Field-level relative calibration error (Pan et al., WWW 2020), on the rows of one space.

    Args:
        values: How many values the field has; ids run from 0 to one below it.
        space: ``"all"`` impressions, ``"clicks"`` or ``"non-clicks"``.
        smoothing: Added to each label of the denominator.
    """

    higher_is_better = False
    sums: Tensor

    def __init__(self, values: int, space: Space = "all", *, smoothing: float = 0.01) -> None:
        check_space(space)
        super().__init__("field", space)
        self.values, self.smoothing = values, smoothing
        self.space: Space = space
        self.add_sums("sums", 3, values)

    def update(
        self,
        prediction: Array,
        target: Array,
        field: Array,
        *,
        click: Array | None = None,
        weight: Array | None = None,
    ) -> None:
        """Add a batch.

        Args:
            prediction: ``(B,)`` probabilities.
            target: ``(B,)`` labels or true probabilities.
            field: ``(B,)`` integer ids of the field's value.
            click: ``(B,)`` clicks; needed where the space is not ``"all"``.
            weight: ``(B,)`` non-negative row weights.

        Raises:
            DataError: Columns of different lengths, ids outside their range, or values outside
                [0, 1] within the space.
        """
        rows = rows_in(self.space, prediction, target, click=click, weight=weight, field=field)
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
        reason = None if self.sums[0].sum() > 0 else empty_reason(self.space)
        return field_error(*self.sums, smoothing=self.smoothing), reason
