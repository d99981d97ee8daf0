"""Frames to tensors: fitted once on training rows, the same for ever after."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtl_seq._files import read_json, write_json
from mtl_seq.data.encode.bags import encode_bag, encode_bag_weights, exploded
from mtl_seq.data.encode.labels import encode_labels
from mtl_seq.data.encode.scaling import Scale
from mtl_seq.data.encode.settings import Encoding, Impute
from mtl_seq.data.encode.target_encoding import (
    FOLDS,
    FloatTable,
    TargetEncoding,
    count_folds,
    encoding_names,
)
from mtl_seq.data.encode.vocabulary import (
    AnyVocabulary,
    Vocabulary,
    hashed_vocabularies,
    vocabulary_from,
)
from mtl_seq.data.validate.checks import (
    check_columns,
    check_dense,
    needed_columns,
)
from mtl_seq.errors import DataError
from mtl_seq.records import FunnelBatch
from mtl_seq.schema import FeatureSpec, Schema

__all__ = ["Codec"]

FloatArray = NDArray[np.float64]

_KIND, _VERSION = "mtl_seq.codec", 2


class Codec:
    """Vocabularies and scaling of a schema's columns; made by `fit`, `from_json` or `from_dict`.

    Args:
        schema: The roles of the columns.
        vocabularies: One per id and bag.
        scales: Mean and standard deviation of each dense column.
        impute: What becomes of a missing dense value.
        edges: Cuts of each dense column that is bucketed, too.
        encodings: Target encodings by id.
    """

    def __init__(
        self,
        schema: Schema,
        vocabularies: Mapping[str, AnyVocabulary],
        scales: dict[str, Scale],
        impute: Impute,
        edges: dict[str, FloatArray] | None = None,
        encodings: dict[str, TargetEncoding] | None = None,
    ) -> None:
        self.schema = schema
        self.vocabularies = vocabularies
        self.scales = scales
        self.impute = impute
        self.edges = edges or {}
        self.encodings = encodings or {}

    @classmethod
    def fit(
        cls,
        schema: Schema,
        frame: pd.DataFrame,
        *,
        min_count: int = 1,
        impute: Impute = None,
        buckets: int = 0,
        target_encoding: float | None = None,
        hashed: Mapping[str, int] | None = None,
    ) -> "Codec":
        """Learn vocabularies and scaling from training rows.

        Args:
            schema: The roles of the columns.
            frame: Training rows; labels are read for target encodings only.
            min_count: Ids seen less often share the row of the unseen.
            impute: What becomes of a missing dense value.
            buckets: Quantile buckets of each dense column, as an id ``<column>:bucket`` beside the
                number; 0 for none.
            target_encoding: Smoothing of target encodings, in rows: each id gets dense features
                ``<column>:<stage>`` and ``<column>:count`` of its history. None for none.
            hashed: Ids and bags whose values are hashed into so many rows.

        Returns:
            The codec.

        Raises:
            SchemaError: A declared feature is absent.
            DataError: No rows, ids that are neither integers nor strings, or dense values that are
                not finite.
        """
        check_columns(schema, frame, labels=False)
        check_dense(schema, frame, impute=impute is not None)
        vocabularies: dict[str, AnyVocabulary] = hashed_vocabularies(schema, hashed or {})
        for column in (*schema.ids, *schema.bags):
            if column not in vocabularies:
                bag = column in schema.bags
                values = exploded(column, frame[column]) if bag else frame[column]
                vocabularies[column] = Vocabulary.fit(column, values, min_count=min_count)
        scales, edges = {}, {}
        for column in schema.dense:
            numbers = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
            scales[column] = Scale.fit(column, numbers)
            if buckets:
                cuts = np.nanquantile(numbers, np.linspace(0, 1, buckets + 1)[1:-1])
                edges[column] = np.unique(cuts)
        codec = cls(schema, vocabularies, scales, impute, edges)
        if target_encoding is not None:
            codec._fit_encodings(frame, target_encoding)
        return codec

    @classmethod
    def fit_with(cls, encoding: Encoding, schema: Schema, frame: pd.DataFrame) -> "Codec":
        """`fit` with the settings of an `Encoding`."""
        return cls.fit(
            schema,
            frame,
            min_count=encoding.min_count,
            impute=encoding.impute,
            buckets=encoding.buckets,
            target_encoding=encoding.target_encoding,
            hashed=encoding.hashed,
        )

    def _fit_encodings(self, frame: pd.DataFrame, smoothing: float) -> None:
        if not smoothing > 0:
            raise DataError(f"`target_encoding` must be above 0, found {smoothing}")
        known = {column: self.vocabularies[column] for column in self.schema.ids}
        for column, folds in count_folds(self.schema, frame, known).items():
            self.encodings[column] = TargetEncoding.of(folds, smoothing=smoothing)

    @property
    def spec(self) -> FeatureSpec:
        """What a network must know of the features."""
        ids = {column: self.vocabularies[column].rows for column in self.schema.ids}
        ids |= {f"{column}:bucket": len(cuts) + 2 for column, cuts in self.edges.items()}
        made = {column: [f"{column}:bucket"] for column in self.edges}
        for column in self.encodings:
            made[column] = list(encoding_names(column, self.schema.funnel.names))
        told = [name for column in self.encodings for name in made[column]]
        # What is hidden from a tower stays hidden in what was made of it.
        hidden = {
            stage: [name for column in columns for name in (column, *made.get(column, ()))]
            for stage, columns in self.schema.hidden.items()
        }
        return FeatureSpec(
            ids=ids,
            bags={column: self.vocabularies[column].rows for column in self.schema.bags},
            dense=(*self.schema.dense, *told),
            hidden_from=hidden,
            weighted=tuple(self.schema.bag_weights),
            of_group=made[self.schema.group] if self.schema.group in self.encodings else (),
        )

    def columns(self, *, labels: bool = True) -> tuple[str, ...]:
        """What `encode` reads of a frame."""
        return needed_columns(self.schema, labels=labels)

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
        features = self._features(frame, labels=labels)
        for column, table in self._tables.items():
            features.update(self._told(column, table.take(features[column].numpy(), axis=0)))
        return FunnelBatch(features, encode_labels(self.schema, frame) if labels else None)

    def encode_training(self, frame: pd.DataFrame) -> FunnelBatch:
        """The rows that `fit` was given to tensors: target encodings come from other folds.

        With `encode`, a training row's own label would stand in its features.

        Args:
            frame: The training rows, in the order in which `fit` saw them.

        Returns:
            All rows as one batch, with labels.
        """
        known = {column: self.vocabularies[column] for column in self.encodings}
        tables = {
            column: self.encodings[column].fold_tables(folds)
            for column, folds in count_folds(self.schema, frame, known).items()
        }
        return self.encode_out_of_fold(frame, np.arange(len(frame)), tables)

    def encode_out_of_fold(
        self, frame: pd.DataFrame, positions: NDArray[np.int64], tables: Mapping[str, FloatTable]
    ) -> FunnelBatch:
        """Some of the rows that `fit` was given to tensors, as `encode_training` does with all.

        Args:
            frame: The rows.
            positions: ``(N,)`` where they stand among the training rows.
            tables: What `TargetEncoding.fold_tables` gave, by column.
        """
        features = self._features(frame, labels=True)
        for column, table in tables.items():
            # One index into all folds' rows: several times as fast as one for each axis.
            place = positions % FOLDS * table.shape[1] + features[column].numpy()
            told = table.reshape(-1, table.shape[2]).take(place, axis=0)
            features.update(self._told(column, told))
        return FunnelBatch(features, encode_labels(self.schema, frame))

    @cached_property
    def _tables(self) -> dict[str, FloatTable]:
        return {column: encoding.table() for column, encoding in self.encodings.items()}

    def _features(self, frame: pd.DataFrame, *, labels: bool) -> dict[str, Tensor]:
        check_columns(self.schema, frame, labels=labels)
        check_dense(self.schema, frame, impute=self.impute is not None)
        features = {
            c: torch.from_numpy(self.vocabularies[c].encode(frame[c])) for c in self.schema.ids
        }
        for column in self.schema.bags:
            features[column] = encode_bag(column, frame[column], self.vocabularies[column])
        for column, weights in self.schema.bag_weights.items():
            features[f"{column}:weight"] = encode_bag_weights(column, weights, frame)
        for column, scale in self.scales.items():
            numbers = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
            features[column] = torch.from_numpy(scale.encode(numbers))
            if column in self.edges:
                bucket = np.searchsorted(self.edges[column], numbers, side="right") + 1
                bucket = np.where(np.isnan(numbers), 0, bucket).astype(np.int64)
                features[f"{column}:bucket"] = torch.from_numpy(bucket)
        return features

    def _told(self, column: str, values: FloatTable) -> dict[str, Tensor]:
        names = encoding_names(column, self.schema.funnel.names)
        return dict(zip(names, torch.from_numpy(values).unbind(1), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; `from_dict` reads it."""
        return {
            "schema": self.schema.to_dict(),
            "vocabularies": {column: v.to_dict() for column, v in self.vocabularies.items()},
            "scales": {column: list(scale) for column, scale in self.scales.items()},
            "impute": self.impute,
            "edges": {column: cuts.tolist() for column, cuts in self.edges.items()},
            "encodings": {column: e.to_dict() for column, e in self.encodings.items()},
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Codec":
        """Read what `to_dict` wrote."""
        return cls(
            Schema.from_dict(content["schema"]),
            {c: vocabulary_from(c, v) for c, v in content["vocabularies"].items()},
            {column: Scale(*scale) for column, scale in content["scales"].items()},
            content["impute"],
            {c: np.array(cuts, dtype=np.float64) for c, cuts in content.get("edges", {}).items()},
            {c: TargetEncoding.from_dict(e) for c, e in content.get("encodings", {}).items()},
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
