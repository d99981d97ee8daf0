"""Bases of the metrics: a reason where they are undefined, and the rows of one space."""

from abc import abstractmethod
from typing import Any
from zlib import crc32

import torch
from torch import Tensor
from torchmetrics import Metric

from mtl_seq.functional import Array
from mtl_seq.metrics.spaces import Rows, check_space, empty_reason, rows_in
from mtl_seq.records import Space

__all__ = ["Reasoned", "SpaceMetric"]


class Reasoned(Metric):
    """Base of the metrics here: ``compute()`` is NaN where undefined, and `reason` says why.

    A metric collection lets metrics whose states are equal after the first batch share one state
    from then on. Two spaces agree on a batch of clicks alone but must not share, so a code of what
    a metric adds up is part of its state.

    Args:
        adds: What is added up; metrics with equal states and equal `adds` may share a state.
    """

    is_differentiable = False
    full_state_update = False
    layout: Tensor

    def __init__(self, *adds: object) -> None:
        super().__init__()
        code = crc32(repr(adds).encode())
        bits = torch.tensor([code >> bit & 1 for bit in range(32)], dtype=torch.float64)
        self.add_state("layout", bits, dist_reduce_fx="max")
        self._reason: str | None = None

    def add_sums(self, name: str, *shape: int) -> None:
        """Add a float64 state of zeros that adds up over batches and processes."""
        self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    @abstractmethod
    def measured(self) -> tuple[Any, str | None]:
        """The value, and why it is NaN where it is."""

    def compute(self) -> Any:
        """The value over everything since the last reset."""
        value, self._reason = self.measured()
        return value

    @property
    def reason(self) -> str | None:
        """Why the last `compute` gave NaN, or None where it did not."""
        return self._reason


class SpaceMetric(Reasoned):
    """Base of metrics of a prediction against a target, on the rows of one space."""

    def __init__(self, *adds: object, space: Space, **settings: Any) -> None:
        check_space(space)
        super().__init__(*adds, space, **settings)
        self.space: Space = space

    def update(
        self,
        prediction: Array,
        target: Array,
        *,
        click: Array | None = None,
        weight: Array | None = None,
    ) -> None:
        """Add a batch.

        Args:
            prediction: ``(B,)`` probabilities.
            target: ``(B,)`` labels or true probabilities.
            click: ``(B,)`` clicks; needed where the space is not ``"all"``.
            weight: ``(B,)`` non-negative row weights.

        Raises:
            DataError: Columns of different lengths, or values outside [0, 1] within the space.
        """
        self.select(prediction, target, click, weight)

    def select(
        self,
        prediction: Array,
        target: Array,
        click: Array | None,
        weight: Array | None,
        **others: Array,
    ) -> None:
        """Add the rows of the space; further columns go with them."""
        rows = rows_in(self.space, prediction, target, click=click, weight=weight, **others)
        self.add_rows(rows)

    @abstractmethod
    def add_rows(self, rows: Rows) -> None:
        """Add checked rows of the space."""

    def empty(self, mass: Tensor) -> str | None:
        """Why a mean over rows of some mass is undefined; None where it is defined."""
        return None if mass > 0 else empty_reason(self.space)
