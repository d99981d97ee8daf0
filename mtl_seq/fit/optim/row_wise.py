"""Optimiser that updates only the table rows a step touched, and all else by fused AdamW.

Shapes: V rows of a table, D width, U rows that a step touched.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.adam import adam

from mtl_seq.errors import CompositionError, DataError
from mtl_seq.fit.optim.base import OptimizerFactory, split_tables

__all__ = ["RowOptimizer", "RowWise", "table_gradients"]


class RowWise(ABC):
    """Update rule of touched table rows; calling it builds the optimiser of a network.

    A row that no id of a batch names is neither read nor written, so a step costs what the batch
    holds and not what the table holds. Dense Adam keeps updating such a row by its momentum.

    Attributes:
        rate: The tables' learning rate over that of everything else.
    """

    rate: float

    @abstractmethod
    def start(self, table: Tensor) -> dict[str, Tensor]:
        """State of a table ``(V, D)``, by name, before its first step."""

    @abstractmethod
    def move(self, rows: Tensor, gradient: Tensor, memory: dict[str, Tensor], step: int) -> Tensor:
        """Update the state of rows by their gradient, and compute their update.

        Args:
            rows: ``(U,)`` int64, each once.
            gradient: ``(U, D)``, summed over a row's occurrences in the batch.
            memory: State of the table; changed in place.
            step: Steps taken, this one included.

        Returns:
            ``(U, D)``; times minus the learning rate it is added to the rows.
        """

    def __call__(
        self, network: nn.Module, *, lr: float, weight_decay: float = 0.0
    ) -> "RowOptimizer":
        """Build the optimiser.

        Args:
            network: The network to train; see `table_gradients`.
            lr: Learning rate of all but tables.
            weight_decay: Decoupled decay of all but tables.

        Raises:
            CompositionError: A table that is sharded over devices.
            DataError: A rate that is not positive.
        """
        if not self.rate > 0:
            raise DataError(f"`rate` of {type(self).__name__} must be above 0, found {self.rate}")
        return RowOptimizer(network, self, lr=lr, weight_decay=weight_decay)


class RowOptimizer(Optimizer):
    """A `RowWise` rule for tables and fused AdamW for the rest, with one state and one schedule.

    Args:
        network: The network to train. Gradients of tables may be sparse (`table_gradients`)
            or dense; of a dense one the rows that are not 0 count as touched.
        rule: The update rule of rows.
        lr: Learning rate of all but tables.
        weight_decay: Decoupled decay of all but tables.

    Raises:
        CompositionError: A table that is sharded over devices.
    """

    def __init__(
        self, network: nn.Module, rule: RowWise, *, lr: float, weight_decay: float
    ) -> None:
        from torch.distributed.tensor import DTensor  # slow to import

        rest, tables = split_tables(network)
        if any(isinstance(table, DTensor) for table in tables):
            raise CompositionError(
                f"{type(rule).__name__} moves single rows of a table and cannot reach those of a "
                "table sharded over devices (DTensor): use `fit.DenseAdam()`"
            )
        self._rule = rule
        self._places: dict[Parameter, Tensor] = {}
        groups = [
            {"params": rest, "weight_decay": weight_decay},
            {"params": tables, "lr": lr * rule.rate, "row_wise": True},
        ]
        defaults = {
            "lr": lr,
            "betas": (0.9, 0.999),
            "eps": 1e-8,
            "weight_decay": 0.0,
            "row_wise": False,
        }
        super().__init__([g for g in groups if g["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            if group["row_wise"]:
                for table in moved:
                    self._move_rows(table, group["lr"])
            elif moved:
                self._adamw(moved, group)
        return loss

    def _move_rows(self, table: Parameter, lr: float) -> None:
        state = self.state[table]
        if not state:
            state["step"] = 0
            state |= self._rule.start(table)
        state["step"] += 1
        assert table.grad is not None
        if table.grad.is_sparse:
            rows, gradient = self._summed(table, table.grad)
        else:
            rows = table.grad.ne(0).any(1).nonzero().squeeze(1)
            gradient = table.grad.index_select(0, rows).float()
        if len(rows):
            move = self._rule.move(rows, gradient, state, state["step"])
            # Times the rate beforehand: with `alpha` torch adds one row at a time, on a CPU.
            table.index_add_(0, rows, move.mul_(-lr).to(table.dtype))

    def _summed(self, table: Parameter, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """``(U,)`` rows, each once, and their ``(U, D)`` gradients in at least float32.

        Coalescing the gradient or making ids unique would sort them: instead every occurrence
        writes its number to its row's slot, and the number that is left represents the row.
        """
        index, values = gradient._indices()[0], gradient._values()
        number = torch.arange(len(index), device=index.device)
        place = self._places.setdefault(table, index.new_empty(len(table)))
        place.index_copy_(0, index, number)
        rows = index[place.index_select(0, index) == number]
        place.index_copy_(0, rows, number[: len(rows)])
        summed = values.new_zeros(len(rows), values.shape[1], dtype=torch.float32)
        return rows, summed.index_add_(0, place.index_select(0, index), values.float())

    def _adamw(self, moved: list[Parameter], group: dict[str, Any]) -> None:
        for parameter in moved:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros((), device=parameter.device)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
        states = [self.state[p] for p in moved]
        adam(
            list(moved),
            [p.grad for p in moved if p.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            decoupled_weight_decay=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


@contextmanager
def table_gradients(network: nn.Module, optimizer: OptimizerFactory) -> Iterator[None]:
    """Give tables sparse gradients for a row-wise optimiser, and dense ones again at the end.

    A dense gradient has as many numbers as its table, nearly all of them 0; filling it costs more
    time than the rest of a small network's step.

    Args:
        network: The network to train.
        optimizer: Its optimiser; nothing happens unless it is a `RowWise` one.
    """
    row_wise = isinstance(optimizer, RowWise)
    tables = [m for m in network.modules() if row_wise and isinstance(m, nn.Embedding)]
    before = [table.sparse for table in tables]
    for table in tables:
        table.sparse = True
    try:
        yield
    finally:
        for table, sparse in zip(tables, before, strict=True):
            table.sparse = sparse
