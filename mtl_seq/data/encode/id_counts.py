"""Counts of an id column by value, fold and stage, for vocabularies and target encodings."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtl_seq.data.encode.target_encoding import FoldCounts
from mtl_seq.data.encode.value_counts import KeyReader, RunningCounts, ValueCounts, count_values
from mtl_seq.data.encode.vocabulary import AnyVocabulary, HashedVocabulary, Vocabulary
from mtl_seq.data.parquet.arrow import series_of
from mtl_seq.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["IdCounts"]

IntArray = NDArray[np.int64]


class IdCounts:
    """Counts of one column's values.

    Args:
        column: Name of the column.
        hashed: Its vocabulary where it is hashed, so that table rows are counted, not values.
        folds: Number of folds; 1 for none.
        stages: Number of stages whose rows are counted too; 0 for none.
    """

    def __init__(
        self, column: str, hashed: AnyVocabulary | None, *, folds: int, stages: int
    ) -> None:
        self.column = column
        self.folds = folds
        self._hashed = hashed
        self._reader = KeyReader(column)
        # First all rows, then those that went on to each stage.
        self._counts = [[RunningCounts() for _ in range(folds)] for _ in range(1 + stages)]
        self._missing = np.zeros((1 + stages, folds), dtype=np.int64)

    def add(self, values: "pa.Array", position: int, labels: NDArray[np.bool_]) -> None:
        """Count some values.

        Args:
            values: The values.
            position: Position of the first among all rows.
            labels: ``(S, n)`` rows that went on to each stage.
        """
        if self._hashed is not None:
            codes = self._hashed.encode(series_of(values))
            self._add(codes, np.zeros(len(codes), dtype=bool), position, labels)
            return
        keys, null = self._reader.read(values)
        if null.any():
            whole = np.zeros(len(null), dtype=np.int64)
            whole[~null] = keys
            keys = whole
        self._add(keys, null, position, labels)

    def _add(
        self, keys: IntArray, null: NDArray[np.bool_], position: int, labels: NDArray[np.bool_]
    ) -> None:
        gaps = null.any()
        for fold in range(self.folds):
            of_fold = slice((fold - position) % self.folds, None, self.folds)
            for kind, running in enumerate(self._counts):
                some = keys[of_fold]
                absent = null[of_fold]
                if kind:
                    went_on = labels[kind - 1, of_fold]
                    some, absent = some[went_on], absent[went_on]
                if gaps:
                    self._missing[kind, fold] += absent.sum()
                    some = some[~absent]
                running[fold].add(some)

    def vocabulary(self, min_count: int) -> AnyVocabulary:
        """The vocabulary, equal to `Vocabulary.fit` of all values."""
        if self._hashed is not None:
            return self._hashed
        parts = [running.result() for running in self._counts[0]]
        total = count_values(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        keys: NDArray[np.generic] = total.keys[total.counts >= min_count]
        texts = self._reader.texts
        if texts is not None:
            keys = np.array(sorted(texts[key] for key in keys), dtype=object)
        return Vocabulary(self.column, keys, missing=bool(self._missing[0].any()))

    def by_fold(self, vocabulary: AnyVocabulary, schema: Schema) -> FoldCounts:
        """Counts of all rows, by fold and row of the vocabulary."""
        texts = self._reader.texts
        row_of = None
        if texts is not None and isinstance(vocabulary, Vocabulary):
            row_of = vocabulary.rows_of(np.array(texts, dtype=object))
        counts = np.stack(
            [
                np.stack([_on_rows(one.result(), vocabulary, row_of) for one in running])
                for running in self._counts
            ]
        )
        if not isinstance(vocabulary, HashedVocabulary):
            last = vocabulary.rows - 1 if vocabulary.missing else 0
            counts[:, :, last] += self._missing
        seen, went_on = counts[0], counts[1:]
        parents, stages = schema.funnel.parents(), list(schema.labels)
        reached = [
            went_on[stages.index(parents[stage])] if stage in parents else seen for stage in stages
        ]
        return FoldCounts(went_on.swapaxes(0, 1), np.stack(reached, axis=1), seen)


def _on_rows(
    values: ValueCounts, vocabulary: AnyVocabulary, row_of: IntArray | None
) -> NDArray[np.float64]:
    counts = np.zeros(vocabulary.rows)
    if isinstance(vocabulary, HashedVocabulary):
        rows = values.keys
    else:
        rows = vocabulary.rows_of(values.keys) if row_of is None else row_of[values.keys]
    np.add.at(counts, rows, values.counts)
    return counts
