"""Ratios of sums over the rows of one space: bias, PCOC, log loss, normalised entropy, RMSE."""

from abc import abstractmethod

import torch
from torch import Tensor

from mtl_seq.functional.pointwise import binary_entropy, probability_loss, ratio
from mtl_seq.metrics.base import SpaceMetric
from mtl_seq.metrics.spaces import Rows, one_class_reason
from mtl_seq.records import Space

__all__ = ["PCOC", "RMSE", "LogLoss", "MeanBias", "NormalisedEntropy", "RelativeBias"]


class _Sums(SpaceMetric):
    """Base of metrics that only need sums over the rows of a space.

    Args:
        space: ``"all"`` impressions, ``"clicks"`` or ``"non-clicks"``.
    """

    sums: Tensor

    def __init__(self, space: Space = "all") -> None:
        super().__init__(type(self).column.__qualname__, space=space)
        self.add_sums("sums", 3)

    @staticmethod
    @abstractmethod
    def column(prediction: Tensor, target: Tensor) -> Tensor:
        """What is added up beside the mass and the target, ``(n,)``."""

    def add_rows(self, rows: Rows) -> None:
        """Add checked rows of the space."""
        column = self.column(rows.prediction, rows.target)
        parts = (rows.weight, rows.weight * rows.target, rows.weight * column)
        self.sums += torch.stack([part.sum() for part in parts])

    def no_positive(self) -> str | None:
        """Why a share of the positives is undefined; None where it is defined."""
        if self.sums[1] > 0:
            return None
        return self.empty(self.sums[0]) or f"no positive in space {self.space!r}"


class _Predicted(_Sums):
    """Base of metrics of the mean prediction."""

    @staticmethod
    def column(prediction: Tensor, target: Tensor) -> Tensor:  # noqa: ARG004
        """The prediction."""
        return prediction


class _Loss(_Sums):
    """Base of metrics of the log loss."""

    column = staticmethod(probability_loss)


class MeanBias(_Predicted):
    """Mean prediction less mean target."""

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.mean_bias`."""
        mass, target, predicted = self.sums
        return ratio(predicted - target, mass), self.empty(mass)


class PCOC(_Predicted):
    """Predicted over observed; 1 is right on average."""

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.pcoc`."""
        _, target, predicted = self.sums
        return ratio(predicted, target), self.no_positive()


class RelativeBias(_Predicted):
    """Mean prediction over mean target, minus 1."""

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.relative_bias`."""
        _, target, predicted = self.sums
        return ratio(predicted, target) - 1, self.no_positive()


class LogLoss(_Loss):
    """Mean cross-entropy, in nats."""

    higher_is_better = False

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.log_loss`."""
        mass, _, loss = self.sums
        return ratio(loss, mass), self.empty(mass)


class NormalisedEntropy(_Loss):
    """Log loss over that of always predicting the base rate."""

    higher_is_better = False

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.normalised_entropy`."""
        mass, target, loss = self.sums
        entropy = ratio(ratio(loss, mass), binary_entropy(ratio(target, mass)))
        return entropy, one_class_reason(self.space, target, mass - target)


class RMSE(_Sums):
    """Root mean squared distance to the target, which should be the true probability."""

    higher_is_better = False

    @staticmethod
    def column(prediction: Tensor, target: Tensor) -> Tensor:
        """The squared distance."""
        return (prediction - target) ** 2

    def measured(self) -> tuple[Tensor, str | None]:
        """See `mtl_seq.functional.rmse`."""
        mass, _, squared = self.sums
        return ratio(squared, mass).sqrt(), self.empty(mass)
