"""Dynamic weight average (Liu et al., CVPR 2019)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.fit.balance.base import Balance
from mtl_seq.fit.balance.parts import Parts

__all__ = ["DWA"]


class DWA(Balance):
    """Weights ``K softmax(r / T)`` with ``r_k = L_k(t - 1) / L_k(t - 2)``, means over periods.

    A task whose loss fell less in the last period has more weight in this one; the weights of the
    first two are 1. The paper's period is an epoch; training for one epoch would balance nothing,
    so a period can also be a number of steps.

    Args:
        losses: Names of the objective's losses.
        temperature: T; the paper has 2.
        steps: Steps of a period; None for an epoch, as published.
        tasks: By task, the losses whose sum is its loss.

    Raises:
        CompositionError: A temperature that is not positive, or a period without a step.
    """

    distributed = True
    present: Tensor

    def __init__(
        self,
        losses: Sequence[str],
        *,
        temperature: float = 2.0,
        steps: int | None = None,
        tasks: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(losses, tasks=tasks)
        if not temperature > 0:
            raise CompositionError(f"`temperature` must be above 0, found {temperature}")
        if steps is not None and steps < 1:
            raise CompositionError(f"`steps` must be at least 1, found {steps}")
        self.temperature = temperature
        self.steps = steps
        self.register_buffer("present", torch.ones(len(self.tasks)))
        self._sums: list[Tensor] = []
        self._means: list[Tensor] = []

    def backward(self, losses: Tensor, parts: Parts) -> None:  # noqa: ARG002
        """See `Balance.backward`."""
        (losses * self.present).sum().backward()  # type: ignore[no-untyped-call]
        self._sums.append(losses.detach())
        if self.steps is not None and len(self._sums) == self.steps:
            self._end_period()

    def end_epoch(self) -> None:
        """Start a period, where a period is an epoch."""
        if self.steps is None:
            self._end_period()

    def weights(self) -> Tensor:
        """``(K,)`` weights, which add up to K."""
        return self.present.clone()

    def get_extra_state(self) -> dict[str, list[Tensor]]:
        """For a checkpoint: the losses of this period and the means of those before."""
        return {"sums": list(self._sums), "means": list(self._means)}

    def set_extra_state(self, state: dict[str, list[Tensor]]) -> None:
        """Read what `get_extra_state` gave."""
        self._sums, self._means = list(state["sums"]), list(state["means"])

    def _end_period(self) -> None:
        self._means = [*self._means[-1:], torch.stack(self._sums).mean(0)]
        self._sums = []
        if len(self._means) == 2:
            # A loss of 0 cannot fall: its rate is 1.
            last, before = self._means[1], self._means[0]
            rate = torch.where(before > 0, last / before, torch.ones_like(before))
            self.present = len(rate) * torch.softmax(rate / self.temperature, dim=0)
