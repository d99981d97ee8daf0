"""Batches of rows that lie in memory, gathered by index."""

from collections.abc import Iterator

import torch
from torch import Tensor

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

    Raises:
        ValueError: A batch size below 1, an id dropout outside [0, 1), or one without a generator.
    """

    def __init__(
        self,
        rows: FunnelBatch,
        batch_size: int,
        *,
        generator: torch.Generator | None = None,
        id_dropout: float = 0.0,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, found {batch_size}")
        if not 0 <= id_dropout < 1:
            raise ValueError(f"`id_dropout` must lie in [0, 1), found {id_dropout}")
        if id_dropout and generator is None:
            raise ValueError("`id_dropout` needs a `generator`")
        self.batch_size = batch_size
        self.generator = generator
        self.id_dropout = id_dropout
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
        order = (
            torch.arange(self.rows)
            if self.generator is None
            else torch.randperm(self.rows, generator=self.generator)
        )
        for index in torch.split(order, self.batch_size):
            yield self.take(index)

    def take(self, index: Tensor) -> FunnelBatch:
        """The rows at some positions as a batch; ids are dropped as in any other."""
        features = {name: x[index] for name, x in self._bags.items()}
        if self._ids is not None:
            ids = self._ids[index]
            if self.id_dropout:
                kept = torch.rand(ids.shape, generator=self.generator) >= self.id_dropout
                ids = ids * kept
            features.update(zip(self._id_names, ids.unbind(1), strict=True))
        if self._dense is not None:
            features.update(zip(self._dense_names, self._dense[index].unbind(1), strict=True))
        if self._labels is None:
            return FunnelBatch(features)
        labels = (None if part is None else part[index] for part in self._labels)
        return FunnelBatch(features, FunnelLabels(*labels))  # type: ignore[arg-type]


def _packed(columns: list[Tensor]) -> Tensor | None:
    return torch.stack(columns, dim=1) if columns else None
