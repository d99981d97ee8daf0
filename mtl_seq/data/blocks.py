"""Encoded rows, packed so that some of them are gathered at once."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mtl_seq.records import FunnelBatch, FunnelLabels

__all__ = ["Block", "gathered"]


class Block(NamedTuple):
    """Rows of one or more batches, columns of one type side by side.

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
    def of(cls, batches: Sequence[FunnelBatch]) -> "Block":
        """Batches with the same features, one after the other."""
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
            _packed(batches, ids, rows, torch.int64),
            _packed(batches, dense, rows, torch.float32),
            bags,
            joined([batch.labels for batch in batches]),
            rows,
        )


def gathered(parts: Sequence[tuple[Block, Tensor]]) -> FunnelBatch:
    """One batch of some rows of each block."""
    ids = torch.cat([block.ids.index_select(0, index) for block, index in parts])
    dense = torch.cat([block.dense.index_select(0, index) for block, index in parts])
    first = parts[0][0]
    features = {
        name: padded([block.bags[name].index_select(0, index) for block, index in parts])
        for name in first.bags
    }
    features.update(zip(first.names[0], ids.unbind(1), strict=True))
    features.update(zip(first.names[1], dense.unbind(1), strict=True))
    return FunnelBatch(features, joined([_taken(*part) for part in parts]))


def padded(bags: Sequence[Tensor]) -> Tensor:
    """Bags one after the other, as wide as the widest; ids padded with -1, weights with 0."""
    width = max(bag.shape[1] for bag in bags)
    empty = -1 if bags[0].dtype == torch.int64 else 0
    wide = [torch.nn.functional.pad(x, (0, width - x.shape[1]), value=empty) for x in bags]
    return torch.cat(wide)


def joined(labels: Sequence[FunnelLabels | None]) -> FunnelLabels | None:
    """Labels one after the other; None where there are none."""
    known = [one for one in labels if one is not None]
    if not known:
        return None
    columns = zip(*known, strict=True)
    return FunnelLabels(*(None if c[0] is None else torch.cat(c) for c in columns))  # type: ignore[arg-type]


def _taken(block: Block, index: Tensor) -> FunnelLabels | None:
    if block.labels is None:
        return None
    parts = (None if part is None else part.index_select(0, index) for part in block.labels)
    return FunnelLabels(*parts)  # type: ignore[arg-type]


def _packed(
    batches: Sequence[FunnelBatch], names: Sequence[str], rows: int, dtype: torch.dtype
) -> Tensor:
    packed = torch.empty((rows, len(names)), dtype=dtype)
    for column, name in enumerate(names):
        torch.cat([batch.features[name] for batch in batches], out=packed[:, column])
    return packed
