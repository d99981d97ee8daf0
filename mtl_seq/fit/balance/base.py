"""Base class of loss balancing."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError
from mtl_seq.fit.balance.parts import Parts

__all__ = ["Balance", "BalanceFactory"]


class Balance(nn.Module, ABC):
    """Turns the losses of K tasks into the gradient of one step.

    Losses come with the objective's fixed weights applied.

    Args:
        losses: Names of the objective's losses.
        tasks: By task, the losses whose sum is its loss; by default every loss is a task. For
            ``models.escm2_ips``, for example, ``{"ctr": ["ctr"], "cvr": ["cvr", "ctcvr"]}``.

    Attributes:
        distributed: Whether it works where the rows of a batch are split over processes: it reads
            losses, which are those of all rows, and not gradients, which are reduced later.

    Raises:
        CompositionError: Fewer than two tasks, or a loss that is in no task or in several.
    """

    distributed: ClassVar[bool] = False

    def __init__(
        self, losses: Sequence[str], *, tasks: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        super().__init__()
        by_task = {name: (name,) for name in losses} if tasks is None else dict(tasks)
        named = [name for names in by_task.values() for name in names]
        if sorted(named) != sorted(losses):
            raise CompositionError(
                f"`tasks` must name each of the objective's losses {tuple(losses)} once, found "
                f"{named}"
            )
        if len(by_task) < 2:
            raise CompositionError(
                f"there must be at least two tasks to balance, found {tuple(by_task)}: leave "
                "`balance` out"
            )
        self.tasks = {name: tuple(names) for name, names in by_task.items()}

    def gather(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Scalar losses by loss -> ``(K,)`` losses by task."""
        return torch.stack(
            [torch.stack([losses[name] for name in names]).sum() for names in self.tasks.values()]
        )

    @abstractmethod
    def backward(self, losses: Tensor, parts: Parts) -> None:
        """Add the gradient of a step to the parameters' ``grad``.

        Args:
            losses: ``(K,)`` losses of a batch, with their graph.
            parts: The network's parameters.
        """

    def end_epoch(self) -> None:
        """Hook at the end of an epoch."""

    def learned(self) -> list[nn.Parameter]:
        """Parameters that the model's optimiser trains beside the network's."""
        return []

    def weights(self) -> Tensor | None:
        """``(K,)`` current weights of the tasks; None for a balance without weights."""
        return None

    def figures(self) -> dict[str, float]:
        """The current weights as ``balance/<task>``."""
        weights = self.weights()
        if weights is None:
            return {}
        return {f"balance/{name}": float(w) for name, w in zip(self.tasks, weights, strict=True)}


BalanceFactory = Callable[[Sequence[str]], Balance]
"""Builds a balance from the names of the objective's losses: a class, or a partial of one."""
