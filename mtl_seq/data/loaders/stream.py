"""Batches of a log that is larger than memory."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtl_seq.data.encode.codec import Codec
from mtl_seq.data.encode.labels import user_codes
from mtl_seq.data.encode.target_encoding import FloatTable
from mtl_seq.data.loaders.packed_rows import Block, batch_of
from mtl_seq.data.loaders.prefetch import prefetched
from mtl_seq.data.loaders.shuffle_plan import Plan
from mtl_seq.data.parquet.source import READ_ROWS, Piece, Source, joined_pieces
from mtl_seq.errors import DataError, MtlSeqError
from mtl_seq.records import FunnelBatch

__all__ = ["StreamLoader"]

_AHEAD = 8


class StreamLoader:
    """Iterates over the rows of a source, encoded, shuffled anew each epoch.

    Every row is in one batch of an epoch. What a batch holds is a function of the source, the seed,
    the epoch, `batch_size`, `shuffle_buffer` and `lanes`; it depends neither on the number of
    processes nor on where reading began. Each process reads the row groups of its own lanes.

    A pass that is over, or was left, is followed by the next epoch, unless `set_epoch` or
    `load_state_dict` says otherwise.

    Args:
        source: The rows.
        codec: Encodes them.
        batch_size: Rows of a batch, of all processes together. A rest of fewer rows than lanes
            joins the batch before it.
        seed: Seed of the order of the rows and of the id dropout.
        epoch: The epoch of the first pass.
        rank: Which of the processes this one is.
        world_size: How many processes there are; at most as many as lanes.
        shuffle_buffer: Rows among which a row is shuffled; 0 keeps the order within each lane.
        lanes: Places of the log from which a batch takes its rows, no more of them than it has
            rows. With one lane and no `shuffle_buffer` rows come in the order of the log.
        id_dropout: Share of ids replaced by 0, so that the row of the unseen is trained.
        folds: Tables of target encodings from other folds, where `source` is what the codec was
            fitted on: what `fold_tables` gave. None encodes rows as new ones.
        labels: Whether labels are there and wanted.

    Raises:
        SchemaError: The source lacks a column, or its files do not agree on one.
        DataError: A setting outside its range, or fewer rows than processes.
    """

    def __init__(
        self,
        source: Source,
        codec: Codec,
        batch_size: int,
        *,
        seed: int,
        epoch: int = 0,
        rank: int = 0,
        world_size: int = 1,
        shuffle_buffer: int = 262_144,
        lanes: int = 8,
        id_dropout: float = 0.0,
        folds: Mapping[str, FloatTable] | None = None,
        labels: bool = True,
    ) -> None:
        least = {"seed": 0, "epoch": 0, "shuffle_buffer": 0, "lanes": 1, "world_size": 1}
        found = {"seed": seed, "epoch": epoch, "shuffle_buffer": shuffle_buffer, "lanes": lanes}
        for name, value in {**found, "world_size": world_size}.items():
            if value < least[name]:
                raise DataError(f"`{name}` must be at least {least[name]}, found {value}")
        if not 0 <= id_dropout < 1:
            raise DataError(f"`id_dropout` must lie in [0, 1), found {id_dropout}")
        if not 0 <= rank < world_size:
            raise DataError(f"`rank` must lie in 0..{world_size - 1}, found {rank}")
        if world_size > min(lanes, batch_size, source.rows):
            raise DataError(
                f"`lanes`, `batch_size` and the rows of the source must be at least as many as "
                f"there are processes, {world_size}, found {lanes}, {batch_size} and "
                f"{source.rows:,}: raise `lanes` or `batch_size`, or take fewer processes"
            )
        if batch_size < 1:
            raise DataError(f"`batch_size` must be at least 1, found {batch_size}")
        self.source = source.select(codec.columns(labels=labels))
        self.codec = codec
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.shuffle_buffer = shuffle_buffer
        # With a row of each lane in every batch, no process is left without rows.
        self.lanes = min(lanes, batch_size, source.rows)
        self.id_dropout = id_dropout
        self.folds = folds
        self.labels = labels
        self._epoch, self._batch, self._begun = epoch, 0, False

    @property
    def rows(self) -> int:
        """Rows of an epoch, of all processes together."""
        return self.source.rows

    def __len__(self) -> int:
        return self._plan(self._epoch).batches

    def __iter__(self) -> Iterator[FunnelBatch]:
        if self._begun:
            self._epoch, self._batch = self._epoch + 1, 0
        self._begun = True
        plan = self._plan(self._epoch)
        batches = prefetched(self._batches(plan, self._batch), _AHEAD)
        try:
            for batch in batches:
                self._batch += 1
                yield batch
        finally:
            batches.close()

    def set_epoch(self, epoch: int) -> None:
        """The next pass is that of an epoch, from its start."""
        self._epoch, self._batch, self._begun = epoch, 0, False

    def state_dict(self) -> dict[str, Any]:
        """Where the pass stands: batches that were given out, and of which rows."""
        return {"epoch": self._epoch, "batch": self._batch, **self._metadata}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The next pass gives exactly what was left when `state_dict` was called.

        The number of processes may be another one. A pass that was over is followed by the next
        epoch.

        Raises:
            DataError: The state is of other rows or other settings; it says which.
        """
        for name, value in self._metadata.items():
            if state[name] != value:
                raise DataError(
                    f"the state to go on from has `{name}` {state[name]}, found {value}: give the "
                    "same log and settings, or begin anew"
                )
        self._epoch, self._batch = state["epoch"], state["batch"]
        self._begun = self._batch >= len(self)

    @property
    def _metadata(self) -> dict[str, Any]:
        return {
            "source": self.source.fingerprint,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "shuffle_buffer": self.shuffle_buffer,
            "lanes": self.lanes,
            "id_dropout": self.id_dropout,
        }

    def _plan(self, epoch: int) -> Plan:
        return Plan(
            self.source.group_rows,
            self.batch_size,
            lanes=self.lanes,
            window=-(-self.shuffle_buffer // self.lanes),
            seed=self.seed,
            epoch=epoch,
        )

    def _batches(self, plan: Plan, start: int) -> Iterator[FunnelBatch]:
        own = range(
            self.lanes * self.rank // self.world_size,
            self.lanes * (self.rank + 1) // self.world_size,
        )
        lanes = {lane: _Lane(self._blocks(plan, lane, start)) for lane in own}
        for lane, rows in lanes.items():
            rows.begin_at(plan.done(lane, start))
        for batch in range(start, plan.batches):
            yield batch_of(
                [
                    part
                    for lane, rows in lanes.items()
                    for part in rows.take(plan.share(batch, lane))
                ]
            )

    def _blocks(
        self, plan: Plan, lane: int, batch: int
    ) -> Iterator[tuple[int, Block, NDArray[np.int64]]]:
        """A lane's windows: where each begins, its rows, and their order."""
        block: Block | None = None
        pieces: Iterator[Piece] | None = None
        rest: list[Piece] = []
        for window in plan.windows(lane, batch):
            if pieces is None:
                pieces = self._pieces(plan, lane, window.start)
            size, found = window.stop - window.start, []
            while size:
                piece = rest.pop() if rest else next(pieces)
                if len(piece.numbers) > size:
                    piece, after = piece.cut(size)
                    rest.append(after)
                size -= len(piece.numbers)
                found.append(piece)
            rng = plan.rng(lane, window.number)
            block = Block.of([self._encoded(one) for one in joined_pieces(found)], block)
            order = rng.permutation(block.rows) if plan.window else np.arange(block.rows)
            if self.id_dropout:
                drop = rng.random(block.ids.shape, dtype=np.float32) < self.id_dropout
                block.ids[torch.from_numpy(drop)] = 0
            yield window.start, block, order

    def _pieces(self, plan: Plan, lane: int, start: int) -> Iterator[Piece]:
        for stretch in plan.stretches(lane, start):
            yield from self.source.read(*stretch, batch_rows=READ_ROWS)

    def _encoded(self, piece: Piece) -> FunnelBatch:
        frame = piece.frame()
        try:
            if self.folds is None:
                batch = self.codec.encode(frame, labels=self.labels)
            else:
                positions = np.arange(piece.position, piece.position + len(frame))
                batch = self.codec.encode_out_of_fold(frame, positions, self.folds)
        except MtlSeqError as error:
            raise type(error)(f"{piece.file}: {error}") from error
        group = self.codec.schema.group
        if batch.labels is None or group is None:
            return batch
        return batch._replace(labels=batch.labels._replace(group=user_codes(frame[group])))


class _Lane:
    """The rows of a lane, taken one after the other."""

    def __init__(self, blocks: Iterator[tuple[int, Block, NDArray[np.int64]]]) -> None:
        self._blocks = blocks
        self._block: Block | None = None
        self._order = torch.empty(0, dtype=torch.int64)

    def begin_at(self, row: int) -> None:
        """Leave out the rows before one, counted within the lane."""
        self._begin = row

    def take(self, rows: int) -> Iterator[Block]:
        """The next rows, copied: the memory of a block is used again for the next."""
        while rows:
            if not len(self._order):
                start, self._block, order = next(self._blocks)
                self._order = torch.from_numpy(order[max(self._begin - start, 0) :])
            assert self._block is not None
            taken, self._order = self._order[:rows], self._order[rows:]
            rows -= len(taken)
            yield self._block.take(taken)
