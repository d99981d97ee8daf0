"""A metric that says why it is undefined."""

from abc import abstractmethod
from typing import Any
from zlib import crc32

import torch
from torch import Tensor
from torchmetrics import Metric

__all__ = ["Reasoned"]


class Reasoned(Metric):
    """Base of the metrics here: ``compute()`` is NaN where undefined, and `reason` says why.

    A metric collection lets metrics whose states agree after the first batch share one state from
    then on. Two spaces agree on a batch of clicks alone and must not, so what a metric adds up is
    part of its state.

    Args:
        adds: What is added up; metrics with equal states and equal `adds` may share them.
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
