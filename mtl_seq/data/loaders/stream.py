"""Batches of a log on disk that is larger than memory."""

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
from mtl_seq.data.parquet.source import READ_ROWS, Chunk, Source, joined_chunks
from mtl_seq.errors import DataError, MtlSeqError
from mtl_seq.records import FunnelBatch

__all__ = ["StreamLoader"]

_AHEAD = 8


class StreamLoader:
    """Iterates over the encoded rows of a source, reshuffled each epoch.

    Every row is in one batch of an epoch. A batch is a function of the source, the seed, the epoch,
    `batch_size`, `shuffle_buffer` and `streams` only, not of the number of processes or of where
    reading started. Each process reads the row groups of its streams.

    Each iteration is the next epoch, also where the last one was left early, unless `set_epoch` or
    `load_state_dict` was called.

    Args:
        source: The rows.
        codec: Encodes them.
        batch_size: Rows of a batch, of all processes together. A rest of fewer rows than
            streams joins the batch before it.
        seed: Seed of the order of the rows and of the id dropout.
        epoch: The first epoch.
        rank: Index of this process.
        world_size: Number of processes; at most as many as streams.
        shuffle_buffer: Rows that are shuffled together, over all streams; 0 keeps the order within
            each stream.
        streams: Places of the log that a batch takes its rows from, at most one per row of a batch.
            With one stream and no `shuffle_buffer`, rows have the order of the log.
        id_dropout: Share of ids replaced by 0, which trains the row of unseen ids.
        folds: Out-of-fold target encodings, where `source` is what the codec was fitted on: those
            of `fit_source`. None encodes the rows as new ones.
        labels: Whether to encode the labels too.

    Raises:
        SchemaError: A column that is absent, or differs between files.
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
        streams: int = 8,
        id_dropout: float = 0.0,
        folds: Mapping[str, FloatTable] | None = None,
        labels: bool = True,
    ) -> None:
        least = {"seed": 0, "epoch": 0, "shuffle_buffer": 0, "streams": 1, "world_size": 1}
        values = {
            "seed": seed,
            "epoch": epoch,
            "shuffle_buffer": shuffle_buffer,
            "streams": streams,
        }
        for name, value in {**values, "world_size": world_size}.items():
            if value < least[name]:
                raise DataError(f"`{name}` must be at least {least[name]}, found {value}")
        if not 0 <= id_dropout < 1:
            raise DataError(f"`id_dropout` must lie in [0, 1), found {id_dropout}")
        if not 0 <= rank < world_size:
            raise DataError(f"`rank` must lie in 0..{world_size - 1}, found {rank}")
        if world_size > min(streams, batch_size, source.rows):
            raise DataError(
                f"`streams`, `batch_size` and the rows of the source must be at least as many as "
                f"there are processes, {world_size}, found {streams}, {batch_size} and "
                f"{source.rows:,}: raise `streams` or `batch_size`, or use fewer processes"
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
        # With a row of each stream in every batch, every process has rows.
        self.streams = min(streams, batch_size, source.rows)
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
        """Start the next iteration at the beginning of an epoch."""
        self._epoch, self._batch, self._begun = epoch, 0, False

    def state_dict(self) -> dict[str, Any]:
        """The number of batches given out in this epoch, and the settings that it depends on."""
        return {"epoch": self._epoch, "batch": self._batch, **self._metadata}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume in the next iteration with the batches left when `state_dict` was called.

        The number of processes may differ. A complete epoch is followed by the next one.

        Raises:
            DataError: The state is of other rows or other settings.
        """
        for name, value in self._metadata.items():
            if state[name] != value:
                raise DataError(
                    f"the state to resume from has `{name}` {state[name]}, found {value}: pass the "
                    "same log and settings, or start again without the state"
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
            "streams": self.streams,
            "id_dropout": self.id_dropout,
        }

    def _plan(self, epoch: int) -> Plan:
        return Plan(
            self.source.group_rows,
            self.batch_size,
            streams=self.streams,
            buffer=-(-self.shuffle_buffer // self.streams),
            seed=self.seed,
            epoch=epoch,
        )

    def _batches(self, plan: Plan, start: int) -> Iterator[FunnelBatch]:
        of_rank = range(
            self.streams * self.rank // self.world_size,
            self.streams * (self.rank + 1) // self.world_size,
        )
        streams = {stream: _Stream(self._blocks(plan, stream, start)) for stream in of_rank}
        for stream, rows in streams.items():
            rows.begin_at(plan.done(stream, start))
        for batch in range(start, plan.batches):
            yield batch_of(
                [
                    part
                    for stream, rows in streams.items()
                    for part in rows.take(plan.share(batch, stream))
                ]
            )

    def _blocks(
        self, plan: Plan, stream: int, batch: int
    ) -> Iterator[tuple[int, Block, NDArray[np.int64]]]:
        """The shuffle buffers of a stream: the first row of each, its rows, and their order."""
        block: Block | None = None
        chunks: Iterator[Chunk] | None = None
        rest: list[Chunk] = []
        for buffer in plan.buffers(stream, batch):
            if chunks is None:
                chunks = self._chunks(plan, stream, buffer.start)
            size, parts = buffer.stop - buffer.start, []
            while size:
                chunk = rest.pop() if rest else next(chunks)
                if len(chunk.numbers) > size:
                    chunk, after = chunk.cut(size)
                    rest.append(after)
                size -= len(chunk.numbers)
                parts.append(chunk)
            rng = plan.rng(stream, buffer.number)
            block = Block.from_batches(
                [self._encoded(part) for part in joined_chunks(parts)], block
            )
            order = rng.permutation(block.rows) if plan.buffer else np.arange(block.rows)
            if self.id_dropout:
                drop = rng.random(block.ids.shape, dtype=np.float32) < self.id_dropout
                block.ids[torch.from_numpy(drop)] = 0
            yield buffer.start, block, order

    def _chunks(self, plan: Plan, stream: int, start: int) -> Iterator[Chunk]:
        for row_range in plan.row_ranges(stream, start):
            yield from self.source.read(*row_range, batch_rows=READ_ROWS)

    def _encoded(self, chunk: Chunk) -> FunnelBatch:
        frame = chunk.frame()
        try:
            if self.folds is None:
                batch = self.codec.encode(frame, labels=self.labels)
            else:
                positions = np.arange(chunk.position, chunk.position + len(frame))
                batch = self.codec.encode_out_of_fold(frame, positions, self.folds)
        except MtlSeqError as error:
            raise type(error)(f"{chunk.file}: {error}") from error
        group = self.codec.schema.group
        if batch.labels is None or group is None:
            return batch
        return batch._replace(labels=batch.labels._replace(group=user_codes(frame[group])))


class _Stream:
    """The rows of a stream, taken in order."""

    def __init__(self, blocks: Iterator[tuple[int, Block, NDArray[np.int64]]]) -> None:
        self._blocks = blocks
        self._block: Block | None = None
        self._order = torch.empty(0, dtype=torch.int64)

    def begin_at(self, row: int) -> None:
        """Skip the rows before this one, counted within the stream."""
        self._begin = row

    def take(self, rows: int) -> Iterator[Block]:
        """The next rows, copied, since the memory of a block is reused for the next one."""
        while rows:
            if not len(self._order):
                start, self._block, order = next(self._blocks)
                self._order = torch.from_numpy(order[max(self._begin - start, 0) :])
            assert self._block is not None
            taken, self._order = self._order[:rows], self._order[rows:]
            rows -= len(taken)
            yield self._block.take(taken)
