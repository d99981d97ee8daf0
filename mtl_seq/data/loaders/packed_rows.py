"""Encoded rows, packed by type so that a batch is a few gathers."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mtl_seq.records import FunnelBatch, FunnelLabels

__all__ = ["Block", "batch_of"]


class Block(NamedTuple):
    """Rows of one or more batches, with the columns of one type in one matrix.

    Attributes:
        names: Names of the ids, then of the numbers.
        ids: ``(N, I)`` int64.
        dense: ``(N, D)`` float32.
        bags: By name, ``(N, L)``; ids are padded with -1, their weights with 0.
        labels: The labels; None where there are none.
        rows: N.
    """

    names: tuple[tuple[str, ...], tuple[str, ...]]
    ids: Tensor
    dense: Tensor
    bags: dict[str, Tensor]
    labels: FunnelLabels | None
    rows: int

    @classmethod
    def from_batches(cls, batches: Sequence[FunnelBatch], old: "Block | None" = None) -> "Block":
        """Concatenate batches with the same features.

        Args:
            batches: The batches.
            old: A block that is no longer needed; its memory is reused where it suffices.
        """
        flat = {name: x for name, x in batches[0].features.items() if x.dim() == 1}
        ids = tuple(name for name, x in flat.items() if x.dtype == torch.int64)
        dense = tuple(name for name in flat if name not in ids)
        rows = sum(len(next(iter(batch.features.values()))) for batch in batches)
        bags = {
            name: padded([batch.features[name] for batch in batches])
            for name, x in batches[0].features.items()
            if x.dim() > 1
        }
        return cls(
            (ids, dense),
            _packed(batches, ids, _space(old and old.ids, rows, len(ids), torch.int64)),
            _packed(batches, dense, _space(old and old.dense, rows, len(dense), torch.float32)),
            bags,
            joined([batch.labels for batch in batches]),
            rows,
        )

    def take(self, index: Tensor) -> "Block":
        """A copy of some rows."""
        labels = None
        if self.labels is not None:
            parts = (None if part is None else part.index_select(0, index) for part in self.labels)
            labels = FunnelLabels(*parts)  # type: ignore[arg-type]
        return Block(
            self.names,
            self.ids.index_select(0, index),
            self.dense.index_select(0, index),
            {name: bag.index_select(0, index) for name, bag in self.bags.items()},
            labels,
            len(index),
        )


def batch_of(blocks: Sequence[Block]) -> FunnelBatch:
    """Concatenate blocks into a batch."""
    ids, dense = blocks[0].names
    features = {name: padded([block.bags[name] for block in blocks]) for name in blocks[0].bags}
    features.update(zip(ids, torch.cat([block.ids for block in blocks]).unbind(1), strict=True))
    columns = torch.cat([block.dense for block in blocks]).unbind(1)
    features.update(zip(dense, columns, strict=True))
    return FunnelBatch(features, joined([block.labels for block in blocks]))


def padded(bags: Sequence[Tensor]) -> Tensor:
    """Concatenate bags, padded to the widest: ids with -1, weights with 0."""
    width = max(bag.shape[1] for bag in bags)
    empty = -1 if bags[0].dtype == torch.int64 else 0
    wide = [torch.nn.functional.pad(x, (0, width - x.shape[1]), value=empty) for x in bags]
    return torch.cat(wide)


def joined(labels: Sequence[FunnelLabels | None]) -> FunnelLabels | None:
    """Concatenate labels; None where there are none."""
    known = [one for one in labels if one is not None]
    if not known:
        return None
    columns = zip(*known, strict=True)
    return FunnelLabels(*(None if c[0] is None else torch.cat(c) for c in columns))  # type: ignore[arg-type]


def _space(old: Tensor | None, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    if old is not None and len(old) >= rows:
        return old[:rows]
    return torch.empty((rows, columns), dtype=dtype)


def _packed(batches: Sequence[FunnelBatch], names: Sequence[str], space: Tensor) -> Tensor:
    """Stack columns into a matrix."""
    start = 0
    for batch in batches if names else ():
        columns = [batch.features[name] for name in names]
        part = space[start : start + len(columns[0])]
        torch.stack(columns, dim=1, out=part)
        start += len(part)
    return space
