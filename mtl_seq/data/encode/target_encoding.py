"""Out-of-fold target encodings: smoothed log-odds of each stage by id."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.data.encode.vocabulary import AnyVocabulary
from mtl_seq.schema import Schema

__all__ = [
    "FOLDS",
    "FoldCounts",
    "StageRows",
    "TargetEncoding",
    "count_folds",
    "encoding_names",
    "fold_cells",
    "out_of_fold",
    "unseen_of",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
FloatTable = NDArray[np.float32]

FOLDS = 5
"""Training rows are encoded with the labels of the other folds."""


class StageRows(NamedTuple):
    """Training rows by stage, in the funnel's order.

    Attributes:
        parents: By stage, the number of its parent; None for the first.
        reached: By stage, positions of the rows that reached it.
    """

    parents: tuple[int | None, ...]
    reached: tuple[IntArray, ...]

    @classmethod
    def of(cls, schema: Schema, log: pd.DataFrame) -> "StageRows":
        """Read the labels of some rows; they are not checked."""
        names, parents = list(schema.labels), schema.funnel.parents()
        return cls(
            tuple(names.index(parents[name]) if name in parents else None for name in names),
            tuple(
                np.flatnonzero(log[column].to_numpy(dtype=np.float64))
                for column in schema.labels.values()
            ),
        )


def fold_cells(codes: IntArray, rows: int, positions: IntArray | None = None) -> IntArray:
    """``(N,)`` number of each row's cell of a table ``(F, V)``: its fold and its id.

    Args:
        codes: ``(N,)`` rows of the vocabulary.
        rows: V, the number of rows of the vocabulary.
        positions: ``(N,)`` positions among the training rows; None for 0 to N - 1.
    """
    positions = np.arange(len(codes)) if positions is None else positions
    cells: IntArray = positions % FOLDS * rows + codes
    return cells


def out_of_fold(
    tables: FloatTable, codes: IntArray, positions: IntArray | None = None
) -> FloatTable:
    """``(N, S + 1)`` target encodings of training rows from the other folds.

    Args:
        tables: ``(F, V, S + 1)`` of `TargetEncoding.fold_tables`.
        codes: ``(N,)`` rows of the vocabulary.
        positions: ``(N,)`` positions among the training rows; None for 0 to N - 1.
    """
    # One index into all folds' rows: several times as fast as one for each axis.
    cells = fold_cells(codes, tables.shape[1], positions)
    return tables.reshape(-1, tables.shape[2]).take(cells, axis=0)


def encoding_names(column: str, stages: Sequence[str]) -> tuple[str, ...]:
    """Names of the features that encode a column: one per stage, and its count."""
    return (*(f"{column}:{stage}" for stage in stages), f"{column}:count")


class FoldCounts(NamedTuple):
    """Counts of training rows by fold and row of the vocabulary.

    A training row's fold is its position among the training rows, modulo how many folds there are.

    Attributes:
        went_on: ``(F, S, V)`` rows that went on to each stage.
        reached: ``(F, S, V)`` rows that reached its parent.
        seen: ``(F, V)`` rows.
    """

    went_on: FloatArray
    reached: FloatArray
    seen: FloatArray

    @classmethod
    def fit(cls, cells: IntArray, rows: int, stages: StageRows) -> "FoldCounts":
        """Count training rows.

        Args:
            cells: ``(N,)`` of `fold_cells`.
            rows: V, the number of rows of the vocabulary.
            stages: The rows that reached each stage.
        """

        def counted(some: IntArray) -> FloatArray:
            return np.bincount(some, minlength=FOLDS * rows).astype(np.float64).reshape(FOLDS, rows)

        seen = counted(cells)
        went_on = [counted(cells[positions]) for positions in stages.reached]
        reached = [seen if parent is None else went_on[parent] for parent in stages.parents]
        return cls(np.stack(went_on, axis=1), np.stack(reached, axis=1), seen)


class TargetEncoding(NamedTuple):
    """Smoothed log-odds of each stage by id, and how often the id was seen.

    The log-odds are those of ``(went on + prior rate * smoothing) / (reached + smoothing)`` minus
    those of the rate itself, so that an unseen id is 0.

    Attributes:
        went_on: ``(S, V)`` sums by row of the vocabulary.
        reached: ``(S, V)`` likewise.
        seen: ``(V,)`` training rows of each id.
        smoothing: Weight of the prior, in rows.
        unseen: The count of an id that was never seen; see `unseen_of`.
    """

    went_on: FloatArray
    reached: FloatArray
    seen: FloatArray
    smoothing: float
    unseen: float

    @classmethod
    def from_counts(cls, folds: "FoldCounts", *, smoothing: float) -> "TargetEncoding":
        """The encoding of all training rows.

        Args:
            folds: Their counts.
            smoothing: Weight of the prior, in rows.
        """
        went_on, reached, seen = (part.sum(0, dtype=np.float64) for part in folds)
        return cls(went_on, reached, seen, smoothing, unseen_of(seen))

    def table(self) -> FloatTable:
        """``(V, S + 1)`` features by row of the vocabulary, for rows that were not trained on."""
        return self._table(self.went_on, self.reached, self.seen)

    def fold_tables(self, folds: "FoldCounts") -> FloatTable:
        """``(F, V, S + 1)`` features for the training rows of each fold, from the other folds.

        A row's own label is never in its feature, so an uninformative id gets no signal.

        Args:
            folds: The counts of each fold, which sum to those of this encoding.
        """
        more = len(folds.seen) / (len(folds.seen) - 1)
        every = (self.went_on, self.reached, self.seen)
        others = [all_rows - of_fold for all_rows, of_fold in zip(every, folds, strict=True)]
        return np.stack([self._table(a, b, c * more) for a, b, c in zip(*others, strict=True)])

    def _table(self, went_on: FloatArray, reached: FloatArray, seen: FloatArray) -> FloatTable:
        odds, count = self._log_odds(went_on, reached), self._count(seen)
        return np.concatenate([odds, count[None]]).astype(np.float32).T.copy()

    def _log_odds(self, went_on: FloatArray, reached: FloatArray) -> FloatArray:
        rate = (went_on.sum(1) + 0.5) / (reached.sum(1) + 1)
        rate = rate[:, None]
        # Row 0 stands for unseen ids, which have no history.
        known = np.ones(went_on.shape[1])
        known[0] = 0
        smoothed = (known * went_on + rate * self.smoothing) / (known * reached + self.smoothing)
        odds: FloatArray = np.log(smoothed / (1 - smoothed)) - np.log(rate / (1 - rate))
        return odds

    def _count(self, seen: FloatArray) -> FloatArray:
        known = seen.copy()
        known[0] = self.unseen
        logs = np.log1p(known)
        total = max(float(self.seen.sum()), 1.0)
        mean = float(self.seen @ logs) / total
        spread = float(np.sqrt(self.seen @ (logs - mean) ** 2 / total))
        scaled: FloatArray = (logs - mean) / max(spread, 1.0)
        return scaled

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; `from_dict` reads it."""
        return {
            "went_on": self.went_on.tolist(),
            "reached": self.reached.tolist(),
            "seen": self.seen.tolist(),
            "smoothing": self.smoothing,
            "unseen": self.unseen,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "TargetEncoding":
        """Read what `to_dict` wrote."""
        went_on, reached, seen = (
            np.array(content[name], dtype=np.float64) for name in ("went_on", "reached", "seen")
        )
        return cls(went_on, reached, seen, float(content["smoothing"]), float(content["unseen"]))


def unseen_of(seen: FloatArray) -> float:
    """The count of an unseen id, within the range that a network is trained on.

    In training, an id seen once has count 0 outside its fold. Where every id was seen thousands of
    times, no training row has a count near 0, and an unseen id counts as the rarest id minus one.

    Args:
        seen: ``(V,)`` training rows of each row of the vocabulary.
    """
    known = seen[1:][seen[1:] > 0]
    if seen[0] > 0 or not len(known):  # rare ids share row 0, and are trained on at 0
        return 0.0
    return max(float(known.min()) - 1, 0.0)


def count_folds(
    schema: Schema,
    log: pd.DataFrame,
    codes: Mapping[str, IntArray],
    vocabularies: Mapping[str, AnyVocabulary],
) -> dict[str, FoldCounts]:
    """Count training rows by column.

    Args:
        schema: The roles of the columns.
        log: Training rows, whose labels are checked.
        codes: By column, their rows of the vocabulary.
        vocabularies: By column, of those that are counted.
    """
    stages = StageRows.of(schema, log)
    return {
        column: FoldCounts.fit(fold_cells(codes[column], vocabulary.rows), vocabulary.rows, stages)
        for column, vocabulary in vocabularies.items()
    }
