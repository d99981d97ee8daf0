"""Batches for ranking losses: pairs and lists of comparable rows."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mtl_seq.data.loaders.batch import BatchLoader
from mtl_seq.data.loaders.resume import Position, Resumable
from mtl_seq.errors import DataError
from mtl_seq.functional import PairIndex, draw_pairs, draw_pool, index_pairs
from mtl_seq.records import FunnelBatch

__all__ = ["ListLoader", "PairLoader"]


class PairLoader(Resumable):
    """Iterates over pairs of graded rows, redrawn each epoch; each pair is one group.

    Args:
        rows: All rows, with groups.
        grade: ``(N,)`` their grades.
        batch_size: Rows per batch, two a pair; at least 2.
        per_group: Pairs of each group that has any; None for as many as there are rows, per group,
            that are better than some other.
        pool: Draw as many pairs evenly from all pairs instead.
        generator: Generator of the pairs, their order and the id dropout.
        id_dropout: Share of ids replaced by 0, which trains the row of unseen ids.

    Raises:
        DataError: Rows without groups or without a pair, or a batch size below 2.
    """

    def __init__(
        self,
        rows: FunnelBatch,
        grade: Tensor,
        batch_size: int,
        *,
        per_group: int | None = None,
        pool: bool = False,
        generator: torch.Generator,
        id_dropout: float = 0.0,
    ) -> None:
        if batch_size < 2:
            raise DataError(f"`batch_size` must be at least 2, a pair, found {batch_size}")
        self.index = _indexed(rows, grade)
        self.batch_size = batch_size
        better = int((self.index.below.diff() > 0).sum())
        equal = max(1, round(better / len(self.index.sizes)))
        self.per_group = equal if per_group is None else per_group
        self.pool = pool
        self.generator = generator
        self._position = Position(generator)
        self._rows = BatchLoader(rows, batch_size, generator=generator, id_dropout=id_dropout)

    @property
    def pairs(self) -> int:
        """Pairs of an epoch."""
        return self.per_group * len(self.index.sizes)

    def __len__(self) -> int:
        return -(-self.pairs // (self.batch_size // 2))

    def __iter__(self) -> Iterator[FunnelBatch]:
        done = self._position.begin(len(self))
        if self.pool:
            pairs = draw_pool(self.index, self.pairs, self.generator)
        else:
            pairs = draw_pairs(self.index, self.per_group, self.generator)
        both = torch.stack(pairs, dim=1)
        order = torch.randperm(len(both), generator=self.generator)
        self._position.skip()
        for some in torch.split(both[order], self.batch_size // 2)[done:]:
            batch = self._rows.take(some.flatten())
            assert batch.labels is not None
            group = torch.arange(len(some)).repeat_interleave(2)
            self._position.batch += 1
            yield batch._replace(labels=batch.labels._replace(group=group))


class ListLoader(Resumable):
    """Iterates over whole groups, in a new order each epoch; groups without a pair are skipped.

    Args:
        rows: All rows, with groups.
        grade: ``(N,)`` their grades.
        batch_size: Rows per batch on average: a batch has a fixed number of groups, at least one.
        longest: Most rows of a group in a batch; of a longer one, as many are drawn each epoch.
        generator: Generator of the order, the draws and the id dropout.
        id_dropout: Share of ids replaced by 0, which trains the row of unseen ids.

    Raises:
        DataError: Rows without groups, or without a single pair.
    """

    def __init__(
        self,
        rows: FunnelBatch,
        grade: Tensor,
        batch_size: int,
        *,
        longest: int,
        generator: torch.Generator,
        id_dropout: float = 0.0,
    ) -> None:
        index = _indexed(rows, grade)
        start = torch.unique_consecutive(index.start)
        end = torch.cat((start[1:], start.new_tensor([len(index.order)])))
        graded = index.below[end] > index.below[start]
        self.start, self.end, self.order = start[graded], end[graded], index.order
        self.longest = longest
        self.generator = generator
        self._position = Position(generator)
        self._rows = BatchLoader(rows, batch_size, generator=generator, id_dropout=id_dropout)
        mean = float((self.end - self.start).clamp(max=longest).double().mean())
        self.groups = max(1, round(batch_size / mean))

    def __len__(self) -> int:
        return -(-len(self.start) // self.groups)

    def __iter__(self) -> Iterator[FunnelBatch]:
        done = self._position.begin(len(self))
        order = torch.randperm(len(self.start), generator=self.generator)
        self._position.skip()
        for some in torch.split(order, self.groups)[done:]:
            batch = self._rows.take(torch.cat([self._list(number) for number in some.tolist()]))
            self._position.batch += 1
            yield batch

    def _list(self, number: int) -> Tensor:
        rows = self.order[self.start[number] : self.end[number]]
        if len(rows) <= self.longest:
            return rows
        drawn = torch.randperm(len(rows), generator=self.generator)[: self.longest]
        return rows[drawn]


def _indexed(rows: FunnelBatch, grade: Tensor) -> PairIndex:
    assert rows.labels is not None
    if rows.labels.group is None:
        raise DataError(
            "a ranker compares impressions of one user or request, but the rows name none: give "
            "the schema its column, `Schema(group=...)`"
        )
    index = index_pairs(grade, rows.labels.group)
    if index.pairs == 0:
        raise DataError(
            f"a ranker needs users or requests with impressions of different grades, found none in "
            f"{len(grade):,} rows: every group is clicked and converted throughout, or not at all; "
            "take a longer log, or a wider `group`"
        )
    return index
