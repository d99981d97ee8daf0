"""Batches of encoded rows in memory."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mtl_seq.data.loaders.resume import Position, Resumable
from mtl_seq.errors import DataError
from mtl_seq.records import FunnelBatch, FunnelLabels

__all__ = ["BatchLoader"]


class BatchLoader(Resumable):
    """Iterates over the rows of one large batch, reshuffled each epoch.

    Columns of one type are packed into a matrix, so that a batch is a few gathers, independent of
    the number of columns.

    Args:
        rows: All rows.
        batch_size: Rows per batch; the last batch may be smaller.
        generator: Generator of the order and the id dropout; None keeps the order of the rows.
        id_dropout: Share of ids replaced by 0, which trains the row of unseen ids.
        rank: Index of this process; each process has a slice of every batch.
        world_size: Number of processes. With one seed, their slices together are the batches of a
            single process.

    Raises:
        DataError: A batch size below 1, an id dropout outside [0, 1) or without a generator, or a
            rank outside the processes.
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
            raise DataError(f"`batch_size` must be at least 1, found {batch_size}")
        if not 0 <= id_dropout < 1:
            raise DataError(f"`id_dropout` must lie in [0, 1), found {id_dropout}")
        if id_dropout and generator is None:
            raise DataError("`id_dropout` needs a `generator`")
        if not 0 <= rank < world_size:
            raise DataError(f"`rank` must lie in 0..{world_size - 1}, found {rank}")
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

    def take(self, index: Tensor) -> FunnelBatch:
        """The rows at some positions as a batch, with id dropout."""
        # Each process draws for the whole batch, so that draws do not depend on their number.
        of_rank = slice(
            len(index) * self.rank // self.world_size,
            len(index) * (self.rank + 1) // self.world_size,
        )
        shape = (len(index), len(self._id_names))
        index = index[of_rank]
        # On a CPU, `index_select` copies whole rows several times faster than `x[index]`.
        features = {name: x.index_select(0, index) for name, x in self._bags.items()}
        if self._ids is not None:
            ids = self._ids.index_select(0, index)
            if self.id_dropout:
                kept = torch.rand(shape, generator=self.generator)[of_rank] >= self.id_dropout
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
