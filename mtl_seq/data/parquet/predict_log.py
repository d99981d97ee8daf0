"""Predictions of a log: of a frame, or of parquet files that are streamed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, overload

import pandas as pd

from mtl_seq.data.parquet.frames import read_frame, write_frame
from mtl_seq.data.parquet.map_parquet import map_parquet

__all__ = ["LogPredictor"]

_ROWS = 65_536
_Log: TypeAlias = pd.DataFrame | str | Path


class LogPredictor(ABC):
    """Base of what predicts a log; a subclass predicts frames."""

    @overload
    def predict(self, log: _Log) -> pd.DataFrame: ...
    @overload
    def predict(self, log: _Log, out: str | Path, *, rows: int = ...) -> dict[str, float]: ...
    def predict(
        self, log: _Log, out: str | Path | None = None, *, rows: int = _ROWS
    ) -> pd.DataFrame | dict[str, float]:
        """Predict a log; labels are not read.

        Args:
            log: The rows, which are not changed, or their parquet: a file or a folder; with `out`
                also a glob, or a URL that fsspec knows.
            out: The parquet file to write, whole or not at all: one row per row of the log, in its
                order. A log in files is then streamed, in memory that does not grow with its rows;
                the index of one file is kept, the rows of several are numbered through.
            rows: Rows in memory at a time, of a log that is streamed.

        Returns:
            Columns ``pctr``, ``pcvr`` and ``pctcvr`` in [0, 1], on the log's index; of a model that
            only ranks one column ``score``, any number, the higher the better.
            ``attrs["checkpoint_rule"]`` states how the checkpoint was picked, and
            ``attrs["dependence"]``, of a model with a dependence, what is known of it. With `out`,
            the mean of each column and the number of rows as ``rows``.

        Raises:
            NotFittedError: Nothing was fitted.
            SchemaError: A feature is absent.
            DataError: No rows, or values that cannot be used.
            ArtifactError: A file that is missing, torn or no parquet, or an `out` that is part of
                the log.
        """
        columns = self._columns()
        if out is None:
            return self._predict_frame(read_frame(log))
        if not isinstance(log, pd.DataFrame):
            return map_parquet(log, out, self._predict_frame, columns=columns, rows=rows)
        scores = self._predict_frame(log)
        write_frame(scores, out)
        return {**scores.mean().to_dict(), "rows": len(scores)}

    @abstractmethod
    def _columns(self) -> Sequence[str]:
        """The columns that are read.

        Raises:
            NotFittedError: Nothing was fitted.
        """

    @abstractmethod
    def _predict_frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Predict the rows of a frame, on its index."""
