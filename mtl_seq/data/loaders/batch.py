"""Batches of rows that lie in memory, gathered by index."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mtl_seq.data.loaders.resume import Position
from mtl_seq.records import FunnelBatch, FunnelLabels

__all__ = ["BatchLoader"]


class BatchLoader:
    """Iterates over the rows of one large batch, shuffled anew each time.

    Columns of one type are packed into a matrix, so that a batch is a few gathers, whatever the
    number of columns, and no row is ever touched by Python.

    Args:
        rows: All rows.
        batch_size: Rows per batch; the last batch may be smaller.
        generator: Source of the order and of the id dropout; None keeps the order of the rows.
        id_dropout: Share of ids replaced by 0, so that the row of the unseen is trained.
        rank: Which of several processes this is; each has a slice of every batch.
        world_size: How many processes there are. All must have the same seed: together their
            slices are the batches of one process.

    Raises:
        ValueError: A batch size below 1, an id dropout outside [0, 1), or one without a generator;
            a rank that is none.
    """

    def __init__(
        self,
        rows: FunnelBatch,
        batch_size: int,
        *,
        generator: torch.Generator | None = None,
        id_dropout: float = 0.0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, found {batch_size}")
        if not 0 <= id_dropout < 1:
            raise ValueError(f"`id_dropout` must lie in [0, 1), found {id_dropout}")
        if id_dropout and generator is None:
            raise ValueError("`id_dropout` needs a `generator`")
        if not 0 <= rank < world_size:
            raise ValueError(f"`rank` must lie in 0..{world_size - 1}, found {rank}")
        self.batch_size = batch_size
        self.generator = generator
        self.id_dropout = id_dropout
        self.rank = rank
        self.world_size = world_size
        self._position = Position(generator)
        columns = {name: x for name, x in rows.features.items() if x.dim() == 1}
        self._id_names = [name for name, x in columns.items() if x.dtype == torch.int64]
        self._dense_names = [name for name, x in columns.items() if x.dtype != torch.int64]
        self._bags = {name: x for name, x in rows.features.items() if x.dim() > 1}
        self._ids = _packed([columns[name] for name in self._id_names])
        self._dense = _packed([columns[name] for name in self._dense_names])
        self._labels = rows.labels
        self.rows = next(iter(rows.features.values())).shape[0]

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __iter__(self) -> Iterator[FunnelBatch]:
        done = self._position.begin(len(self))
        order = (
            torch.arange(self.rows)
            if self.generator is None
            else torch.randperm(self.rows, generator=self.generator)
        )
        self._position.skip()
        for index in torch.split(order, self.batch_size)[done:]:
            batch = self.take(index)
            self._position.batch += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Where the pass stands; `load_state_dict` has another loader of the rows go on there."""
        return self._position.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next pass goes on where `state_dict` was called."""
        self._position.load_state_dict(state)

    def take(self, index: Tensor) -> FunnelBatch:
        """The rows at some positions as a batch; ids are dropped as in any other."""
        # Draws are those of the whole batch, so that any number of processes makes the same.
        own = slice(
            len(index) * self.rank // self.world_size,
            len(index) * (self.rank + 1) // self.world_size,
        )
        shape = (len(index), len(self._id_names))
        index = index[own]
        # On a CPU `index_select` copies whole rows, several times faster than `x[index]`.
        features = {name: x.index_select(0, index) for name, x in self._bags.items()}
        if self._ids is not None:
            ids = self._ids.index_select(0, index)
            if self.id_dropout:
                kept = torch.rand(shape, generator=self.generator)[own] >= self.id_dropout
                ids = ids * kept
            features.update(zip(self._id_names, ids.unbind(1), strict=True))
        if self._dense is not None:
            dense = self._dense.index_select(0, index)
            features.update(zip(self._dense_names, dense.unbind(1), strict=True))
        if self._labels is None:
            return FunnelBatch(features)
        labels = (None if part is None else part.index_select(0, index) for part in self._labels)
        return FunnelBatch(features, FunnelLabels(*labels))  # type: ignore[arg-type]


def _packed(columns: list[Tensor]) -> Tensor | None:
    return torch.stack(columns, dim=1) if columns else None
