"""Frames to tensors: fitted once on training rows, the same for ever after."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mtl_seq._files import read_json, write_json
from mtl_seq.data.checks import check_columns, check_dense, check_labels, check_row_values
from mtl_seq.data.vocabulary import Vocabulary
from mtl_seq.errors import DataError
from mtl_seq.records import FunnelBatch, FunnelLabels
from mtl_seq.schema import FeatureSpec, Schema

__all__ = ["Codec", "Impute"]

_KIND, _VERSION = "mtl_seq.codec", 1

Impute = Literal["mean"] | None
"""What becomes of a missing dense value: an error, or the training mean."""


class _Scale(NamedTuple):
    mean: float
    deviation: float


class Codec:
    """Vocabularies and scaling of a schema's columns; made by `fit`, `from_json` or `from_dict`.

    Args:
        schema: The roles of the columns.
        vocabularies: One per id and bag.
        scales: Mean and standard deviation of each dense column.
        impute: What becomes of a missing dense value.
    """

    def __init__(
        self,
        schema: Schema,
        vocabularies: dict[str, Vocabulary],
        scales: dict[str, _Scale],
        impute: Impute,
    ) -> None:
        self.schema = schema
        self.vocabularies = vocabularies
        self.scales = scales
        self.impute = impute

    @classmethod
    def fit(
        cls, schema: Schema, frame: pd.DataFrame, *, min_count: int = 1, impute: Impute = None
    ) -> "Codec":
        """Learn vocabularies and scaling from training rows.

        Args:
            schema: The roles of the columns.
            frame: Training rows; labels are not read.
            min_count: Ids seen less often share the row of the unseen.
            impute: What becomes of a missing dense value.

        Returns:
            The codec.

        Raises:
            SchemaError: A declared feature is absent.
            DataError: No rows, ids that are neither integers nor strings, or dense values that are
                not finite.
        """
        check_columns(schema, frame, labels=False)
        check_dense(schema, frame, impute=impute is not None)
        vocabularies = {c: Vocabulary.fit(c, frame[c], min_count=min_count) for c in schema.ids}
        for column in schema.bags:
            items = _exploded(column, frame[column])
            vocabularies[column] = Vocabulary.fit(column, items, min_count=min_count)
        scales = {}
        for column in schema.dense:
            numbers = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
            if np.isnan(numbers).all():
                raise DataError(f"dense column {column!r} has no value at all: take it out")
            mean, deviation = float(np.nanmean(numbers)), float(np.nanstd(numbers))
            # A constant column has a deviation of rounding errors, not of 0.
            constant = deviation <= 1e-12 * max(1.0, abs(mean))
            scales[column] = _Scale(mean, 1.0 if constant else deviation)
        return cls(schema, vocabularies, scales, impute)

    @property
    def spec(self) -> FeatureSpec:
        """What a network must know of the features."""
        return FeatureSpec(
            ids={column: self.vocabularies[column].rows for column in self.schema.ids},
            bags={column: self.vocabularies[column].rows for column in self.schema.bags},
            dense=self.schema.dense,
            hidden_from=self.schema.hidden,
        )

    def encode(self, frame: pd.DataFrame, *, labels: bool = True) -> FunnelBatch:
        """Rows to tensors.

        Args:
            frame: The rows; it is not changed.
            labels: Whether the labels are there and wanted.

        Returns:
            All rows as one batch.

        Raises:
            SchemaError: A declared column is absent.
            DataError: No rows, or values that cannot be used.
        """
        check_columns(self.schema, frame, labels=labels)
        check_dense(self.schema, frame, impute=self.impute is not None)
        features = {
            c: torch.from_numpy(self.vocabularies[c].encode(frame[c])) for c in self.schema.ids
        }
        for column in self.schema.bags:
            features[column] = self._bag(column, frame[column])
        for column, scale in self.scales.items():
            numbers = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
            scaled = (
                np.where(np.isnan(numbers), scale.mean, numbers) - scale.mean
            ) / scale.deviation
            features[column] = torch.from_numpy(scaled.astype(np.float32))
        return FunnelBatch(features, self._labels(frame) if labels else None)

    def _bag(self, column: str, values: pd.Series) -> Tensor:
        items = _exploded(column, values)
        row = items.index.to_numpy()
        codes = self.vocabularies[column].encode(items)
        counts = np.bincount(row, minlength=len(values))
        place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        padded = np.full((len(values), max(int(counts.max(initial=0)), 1)), -1, dtype=np.int64)
        padded[row, place] = codes
        return torch.from_numpy(padded)

    def _labels(self, frame: pd.DataFrame) -> FunnelLabels:
        schema = self.schema
        check_labels(schema, frame)
        check_row_values(schema, frame)
        stages = np.stack(
            [frame[column].to_numpy(dtype=np.float32) for column in schema.labels.values()], axis=1
        )

        def optional(column: str | None) -> Tensor | None:
            return (
                None
                if column is None
                else torch.from_numpy(frame[column].to_numpy(dtype=np.float32, copy=True))
            )

        group = None
        if schema.group is not None:
            codes, _ = pd.factorize(frame[schema.group], use_na_sentinel=False)
            group = torch.from_numpy(np.asarray(codes, dtype=np.int64))
        return FunnelLabels(
            torch.from_numpy(stages), optional(schema.weight), group, optional(schema.propensity)
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; `from_dict` reads it."""
        return {
            "schema": self.schema.to_dict(),
            "vocabularies": {column: v.to_dict() for column, v in self.vocabularies.items()},
            "scales": {column: list(scale) for column, scale in self.scales.items()},
            "impute": self.impute,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Codec":
        """Read what `to_dict` wrote."""
        return cls(
            Schema.from_dict(content["schema"]),
            {c: Vocabulary.from_dict(c, v) for c, v in content["vocabularies"].items()},
            {column: _Scale(*scale) for column, scale in content["scales"].items()},
            content["impute"],
        )

    def to_json(self, path: str | Path) -> None:
        """Write the codec to a file."""
        write_json(path, self.to_dict(), kind=_KIND, version=_VERSION)

    @classmethod
    def from_json(cls, path: str | Path) -> "Codec":
        """Read a codec from a file.

        Raises:
            ArtifactError: The file is no codec of a version this code reads.
        """
        return cls.from_dict(read_json(path, kind=_KIND, version=_VERSION))


def _exploded(column: str, values: pd.Series) -> pd.Series:
    """One row per item of a bag, indexed by the position of the row it came from."""
    lists = values.reset_index(drop=True)
    wrong = lists.notna() & ~lists.map(lambda cell: isinstance(cell, (list, tuple, np.ndarray)))
    if wrong.any():
        raise DataError(
            f"bag column {column!r} must hold lists, found {lists[wrong].iloc[0]!r}: split it, or "
            "declare it as an id"
        )
    items = lists.explode().dropna()
    return items.infer_objects()
