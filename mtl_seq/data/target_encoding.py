"""What an id's own history says of each stage, learned without looking at the row it is used on."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtl_seq.schema import Schema

__all__ = ["StageCounts", "TargetEncoding", "encoding_names", "stage_counts"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_FOLDS = 5


class StageCounts(NamedTuple):
    """Rows that reached each stage's parent, and those that went on: ``(S, N)`` 0 or 1 each."""

    reached: FloatArray
    went_on: FloatArray


def stage_counts(schema: Schema, labels: Mapping[str, FloatArray]) -> StageCounts:
    """Who could and who did, by stage in the funnel's order."""
    parents = schema.funnel.parents()
    every = np.ones_like(next(iter(labels.values())))
    reached = [labels[parents[stage]] if stage in parents else every for stage in labels]
    return StageCounts(np.stack(reached), np.stack(list(labels.values())))


def encoding_names(column: str, stages: Sequence[str]) -> tuple[str, ...]:
    """Names of the features that encode a column: one per stage, and its count."""
    return (*(f"{column}:{stage}" for stage in stages), f"{column}:count")


class TargetEncoding(NamedTuple):
    """Smoothed log-odds of each stage by id, and how often the id was seen.

    The log-odds are those of ``(went on + prior rate * smoothing) / (reached + smoothing)`` minus
    those of the rate itself, so that an unseen id is 0.

    Attributes:
        went_on: ``(S, V)`` sums by row of the vocabulary.
        reached: ``(S, V)`` likewise.
        seen: ``(V,)`` training rows of each id.
        smoothing: Rows of the prior that stand beside the id's own.
    """

    went_on: FloatArray
    reached: FloatArray
    seen: FloatArray
    smoothing: float

    @classmethod
    def fit(
        cls, codes: IntArray, rows: int, counts: StageCounts, *, smoothing: float
    ) -> "TargetEncoding":
        """Count training rows.

        Args:
            codes: ``(N,)`` rows of the vocabulary.
            rows: V, how many rows the vocabulary has.
            counts: Who could and who did.
            smoothing: Rows of the prior that stand beside the id's own.
        """
        return cls(
            _sums(codes, counts.went_on, rows),
            _sums(codes, counts.reached, rows),
            np.bincount(codes, minlength=rows).astype(np.float64),
            smoothing,
        )

    def encode(self, codes: IntArray) -> FloatArray:
        """``(N,) -> (S + 1, N)`` features of rows that were not trained on."""
        return np.concatenate(
            [
                self._log_odds(self.went_on, self.reached)[:, codes],
                self._count(self.seen)[None, codes],
            ]
        )

    def encode_training(self, codes: IntArray, counts: StageCounts) -> FloatArray:
        """``(N,) -> (S + 1, N)`` features of the training rows, each from the other folds.

        A row's own label is never in its feature, so an id that says nothing stays without signal.

        Args:
            codes: The codes that `fit` was given.
            counts: The counts that `fit` was given.
        """
        out = np.empty((len(self.went_on) + 1, len(codes)))
        fold = np.arange(len(codes)) % _FOLDS
        size = self.went_on.shape[1]
        for held in range(_FOLDS):
            rows = fold == held
            went_on = self.went_on - _sums(codes[rows], counts.went_on[:, rows], size)
            reached = self.reached - _sums(codes[rows], counts.reached[:, rows], size)
            seen = self.seen - np.bincount(codes[rows], minlength=size)
            out[:-1, rows] = self._log_odds(went_on, reached)[:, codes[rows]]
            out[-1, rows] = self._count(seen * _FOLDS / (_FOLDS - 1))[codes[rows]]
        return out

    def _log_odds(self, went_on: FloatArray, reached: FloatArray) -> FloatArray:
        rate = (went_on.sum(1) + 0.5) / (reached.sum(1) + 1)
        rate = rate[:, None]
        # Row 0 is the unseen: it has no history of its own.
        own = np.ones(went_on.shape[1])
        own[0] = 0
        smoothed = (own * went_on + rate * self.smoothing) / (own * reached + self.smoothing)
        odds: FloatArray = np.log(smoothed / (1 - smoothed)) - np.log(rate / (1 - rate))
        return odds

    def _count(self, seen: FloatArray) -> FloatArray:
        known = seen.copy()
        known[0] = 0
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
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "TargetEncoding":
        """Read what `to_dict` wrote."""
        went_on, reached, seen = (
            np.array(content[name], dtype=np.float64) for name in ("went_on", "reached", "seen")
        )
        return cls(went_on, reached, seen, float(content["smoothing"]))


def _sums(codes: IntArray, values: FloatArray, size: int) -> FloatArray:
    return np.stack([np.bincount(codes, row, minlength=size) for row in values])
