"""What every balancing of tasks promises."""

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

    Losses come as the objective weighs them: fixed weights are those of the objective.

    Args:
        losses: Names of the objective's losses.
        tasks: By task, the losses whose sum is its loss; by default every loss is a task. For
            ``models.escm2_ips``, for example, ``{"ctr": ["ctr"], "cvr": ["cvr", "ctcvr"]}``.

    Attributes:
        parted: Whether it is right where the rows of a batch are parted over processes: it looks at
            losses, which are those of all rows, and not at gradients, which are reduced later.

    Raises:
        CompositionError: Fewer than two tasks, or tasks that do not part the losses.
    """

    parted: ClassVar[bool] = False

    def __init__(
        self, losses: Sequence[str], *, tasks: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        super().__init__()
        found = {name: (name,) for name in losses} if tasks is None else dict(tasks)
        named = [name for some in found.values() for name in some]
        if sorted(named) != sorted(losses):
            raise CompositionError(
                f"`tasks` must name each of the objective's losses {tuple(losses)} once, found "
                f"{named}"
            )
        if len(found) < 2:
            raise CompositionError(
                f"there must be at least two tasks to balance, found {tuple(found)}: leave "
                "`balance` out"
            )
        self.tasks = {name: tuple(some) for name, some in found.items()}

    def gather(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Scalar losses by loss -> ``(K,)`` losses by task."""
        sums = [torch.stack([losses[name] for name in some]).sum() for some in self.tasks.values()]
        return torch.stack(sums)

    @abstractmethod
    def backward(self, losses: Tensor, parts: Parts) -> None:
        """Add the gradient of a step to the parameters' ``grad``.

        Args:
            losses: ``(K,)`` losses of a batch, with their graph.
            parts: The network's parameters.
        """

    def end_epoch(self) -> None:
        """Take note that an epoch is over."""

    def learned(self) -> list[nn.Parameter]:
        """Parameters that the model's optimiser is to train beside the network's."""
        return []

    def weights(self) -> Tensor | None:
        """``(K,)`` present weights of the tasks; None where a step has no such weights."""
        return None

    def figures(self) -> dict[str, float]:
        """The present weights as ``balance/<task>``."""
        found = self.weights()
        if found is None:
            return {}
        return {f"balance/{name}": float(w) for name, w in zip(self.tasks, found, strict=True)}


BalanceFactory = Callable[[Sequence[str]], Balance]
"""Builds a balance from the names of the objective's losses: a class, or a partial of one."""
