"""Diagnostics of inverse propensity weights, streamed."""

import torch
from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.functional import Array, Balanced, as_tensor
from mtl_seq.functional.pointwise import ratio
from mtl_seq.functional.weight_diagnostics import balance_sums, balanced, inverse
from mtl_seq.metrics.base import Reasoned
from mtl_seq.metrics.spaces import Rows, rows_in

__all__ = ["CovariateBalance", "EffectiveSampleSize", "LargestWeightShare"]

_NO_CLICK = "no clicked rows of positive weight"


def _clicked(click: Array, propensity: Array, weight: Array | None, **others: Array) -> Rows:
    """Checked rows whose `target` is the click and whose `prediction` is ``o / p``."""
    rows = rows_in(
        "all",
        torch.zeros_like(as_tensor(click), dtype=torch.float32),
        click,
        click=None,
        weight=weight,
        propensity=propensity,
        **others,
    )
    return rows._replace(prediction=inverse(rows.target, rows.others[0]), others=rows.others[1:])


class _Weights(Reasoned):
    """Base of metrics of the weights ``o / p``."""

    sums: Tensor
    top: Tensor

    def __init__(self) -> None:
        super().__init__("weights")
        self.add_sums("sums", 2)
        self.add_state("top", torch.zeros((), dtype=torch.float64), dist_reduce_fx="max")

    def update(self, click: Array, propensity: Array, *, weight: Array | None = None) -> None:
        """Add a batch.

        Args:
            click: ``(B,)`` clicks.
            propensity: ``(B,)`` propensities, in (0, 1] on clicks; raise them to a floor first
                where the estimate does.
            weight: ``(B,)`` non-negative row weights, which multiply.

        Raises:
            DataError: Columns of different lengths, or a clicked row without propensity.
        """
        rows = _clicked(click, propensity, weight)
        weights = rows.weight * rows.prediction
        self.sums += torch.stack((weights.sum(), (weights**2).sum()))
        if len(weights):
            self.top = torch.maximum(self.top, weights.max())

    def no_click(self) -> str | None:
        """Why there is no weight; None where there is one."""
        return None if self.sums[0] > 0 else _NO_CLICK


class EffectiveSampleSize(_Weights):
    """``(sum w)^2 / sum w^2``: the equivalent number of equal weights."""

    higher_is_better = True

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.effective_sample_size`."""
        return ratio(self.sums[0] ** 2, self.sums[1]), self.no_click()


class LargestWeightShare(_Weights):
    """``max w / sum w``: how much an estimate depends on a single row."""

    higher_is_better = False

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.largest_weight_share`."""
        return ratio(self.top, self.sums[0]), self.no_click()


class CovariateBalance(Reasoned):
    """Whether clicks weighted by 1 / p look like all impressions: a `Balanced`, not a number.

    Args:
        features: How many columns are compared.
    """

    higher_is_better = None
    totals: Tensor
    columns: Tensor

    def __init__(self, features: int) -> None:
        super().__init__("balance")
        self.features = features
        self.add_sums("totals", 2)
        self.add_sums("columns", 3, features)

    def update(
        self, click: Array, propensity: Array, features: Array, *, weight: Array | None = None
    ) -> None:
        """Add a batch as `EffectiveSampleSize.update` does, with ``(B, F)`` columns to compare.

        Raises:
            DataError: Other shapes, NaN, or a clicked row without propensity.
        """
        columns = as_tensor(features).double()
        if columns.shape != (len(as_tensor(click)), self.features) or bool(columns.isnan().any()):
            raise DataError(
                f"`features` must be numbers of shape (B, {self.features}), found "
                f"{tuple(columns.shape)}{' with NaN' if columns.isnan().any() else ''}"
            )
        place = torch.arange(len(columns), device=columns.device)
        rows = _clicked(click, propensity, weight, place=place)
        mass, weighted, *sums = balance_sums(rows.weight, rows.prediction, columns[rows.others[0]])
        self.totals += torch.stack((mass, weighted))
        self.columns += torch.stack(sums)

    def measured(self) -> tuple[Balanced, str | None]:
        """See `mtl_seq.functional.balance`."""
        return balanced(*self.totals, *self.columns), None if self.totals[0] > 0 else "no rows"
