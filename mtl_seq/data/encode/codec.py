"""Codec: the columns of a log as tensors, fitted once on training rows and then frozen."""

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

_KIND, _VERSION = "mtl_seq.codec", 1


class Codec:
    """Vocabularies and scaling of a schema's columns; made by `fit`, `from_json` or `from_dict`.

    Args:
        schema: The roles of the columns.
        vocabularies: One per id and bag.
        scales: Mean and standard deviation of each dense column.
        impute: How missing dense values are imputed.
        edges: Bucket boundaries of each dense column that is also bucketed.
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
        log: pd.DataFrame,
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
            log: Training rows; labels are read for target encodings only.
            min_count: Ids seen less often share the row of unseen ids.
            impute: How missing dense values are imputed.
            buckets: Quantile buckets of each dense column, as an id ``<column>:bucket`` beside the
                number; 0 for none.
            target_encoding: Smoothing of target encodings, in rows: each id column gets the dense
                features ``<column>:<stage>`` and ``<column>:count``. None for none.
            hashed: Ids and bags whose values are hashed into so many rows.

        Returns:
            The codec.

        Raises:
            SchemaError: A declared feature is absent.
            DataError: No rows, ids that are neither integers nor strings, or dense values that are
                not finite.
        """
        check_columns(schema, log, labels=False)
        check_dense(schema, log, impute=impute is not None)
        vocabularies: dict[str, AnyVocabulary] = hashed_vocabularies(schema, hashed or {})
        for column in (*schema.ids, *schema.bags):
            if column not in vocabularies:
                bag = column in schema.bags
                values = exploded(column, log[column]) if bag else log[column]
                vocabularies[column] = Vocabulary.fit(column, values, min_count=min_count)
        scales, edges = {}, {}
        for column in schema.dense:
            numbers = log[column].to_numpy(dtype=np.float64, na_value=np.nan)
            scales[column] = Scale.fit(column, numbers)
            if buckets:
                cuts = np.nanquantile(numbers, np.linspace(0, 1, buckets + 1)[1:-1])
                edges[column] = np.unique(cuts)
        codec = cls(schema, vocabularies, scales, impute, edges)
        if target_encoding is not None:
            codec._fit_encodings(log, target_encoding)
        return codec

    @classmethod
    def fit_with(cls, encoding: Encoding, schema: Schema, log: pd.DataFrame) -> "Codec":
        """`fit` with the settings of an `Encoding`."""
        return cls.fit(
            schema,
            log,
            min_count=encoding.min_count,
            impute=encoding.impute,
            buckets=encoding.buckets,
            target_encoding=encoding.target_encoding,
            hashed=encoding.hashed,
        )

    def _fit_encodings(self, log: pd.DataFrame, smoothing: float) -> None:
        if not smoothing > 0:
            raise DataError(f"`target_encoding` must be above 0, found {smoothing}")
        known = {column: self.vocabularies[column] for column in self.schema.ids}
        for column, folds in count_folds(self.schema, log, known).items():
            self.encodings[column] = TargetEncoding.from_counts(folds, smoothing=smoothing)

    @property
    def spec(self) -> FeatureSpec:
        """The feature specification that a network is built from."""
        ids = {column: self.vocabularies[column].rows for column in self.schema.ids}
        ids |= {f"{column}:bucket": len(cuts) + 2 for column, cuts in self.edges.items()}
        derived = {column: [f"{column}:bucket"] for column in self.edges}
        for column in self.encodings:
            derived[column] = list(encoding_names(column, self.schema.funnel.names))
        encoded = [name for column in self.encodings for name in derived[column]]
        # Features derived from a hidden column are hidden too.
        hidden = {
            stage: [name for column in columns for name in (column, *derived.get(column, ()))]
            for stage, columns in self.schema.hidden.items()
        }
        return FeatureSpec(
            ids=ids,
            bags={column: self.vocabularies[column].rows for column in self.schema.bags},
            dense=(*self.schema.dense, *encoded),
            hidden_from=hidden,
            weighted=tuple(self.schema.bag_weights),
            of_group=derived[self.schema.group] if self.schema.group in self.encodings else (),
        )

    def columns(self, *, labels: bool = True) -> tuple[str, ...]:
        """The columns that `encode` reads."""
        return needed_columns(self.schema, labels=labels)

    def encode(self, log: pd.DataFrame, *, labels: bool = True) -> FunnelBatch:
        """Encode rows as tensors.

        Args:
            log: The rows; it is not changed.
            labels: Whether to encode the labels too.

        Returns:
            All rows as one batch.

        Raises:
            SchemaError: A declared column is absent.
            DataError: No rows, or values that cannot be used.
        """
        features = self._features(log, labels=labels)
        for column, table in self._tables.items():
            features.update(self._named(column, table.take(features[column].numpy(), axis=0)))
        return FunnelBatch(features, encode_labels(self.schema, log) if labels else None)

    def encode_training(self, log: pd.DataFrame) -> FunnelBatch:
        """Encode the training rows, with target encodings from the other folds.

        With `encode`, a training row's own label would leak into its features.

        Args:
            log: The training rows, in the order in which `fit` saw them.

        Returns:
            All rows as one batch, with labels.
        """
        known = {column: self.vocabularies[column] for column in self.encodings}
        tables = {
            column: self.encodings[column].fold_tables(folds)
            for column, folds in count_folds(self.schema, log, known).items()
        }
        return self.encode_out_of_fold(log, np.arange(len(log)), tables)

    def encode_out_of_fold(
        self, log: pd.DataFrame, positions: NDArray[np.int64], tables: Mapping[str, FloatTable]
    ) -> FunnelBatch:
        """Encode some of the training rows as `encode_training` does.

        Args:
            log: The rows.
            positions: ``(N,)`` their positions among the training rows.
            tables: Result of `TargetEncoding.fold_tables`, by column.
        """
        features = self._features(log, labels=True)
        for column, table in tables.items():
            # One index into all folds' rows: several times as fast as one for each axis.
            place = positions % FOLDS * table.shape[1] + features[column].numpy()
            values = table.reshape(-1, table.shape[2]).take(place, axis=0)
            features.update(self._named(column, values))
        return FunnelBatch(features, encode_labels(self.schema, log))

    @cached_property
    def _tables(self) -> dict[str, FloatTable]:
        return {column: encoding.table() for column, encoding in self.encodings.items()}

    def _features(self, log: pd.DataFrame, *, labels: bool) -> dict[str, Tensor]:
        check_columns(self.schema, log, labels=labels)
        check_dense(self.schema, log, impute=self.impute is not None)
        features = {
            c: torch.from_numpy(self.vocabularies[c].encode(log[c])) for c in self.schema.ids
        }
        for column in self.schema.bags:
            features[column] = encode_bag(column, log[column], self.vocabularies[column])
        for column, weights in self.schema.bag_weights.items():
            features[f"{column}:weight"] = encode_bag_weights(column, weights, log)
        for column, scale in self.scales.items():
            numbers = log[column].to_numpy(dtype=np.float64, na_value=np.nan)
            features[column] = torch.from_numpy(scale.encode(numbers))
            if column in self.edges:
                bucket = np.searchsorted(self.edges[column], numbers, side="right") + 1
                bucket = np.where(np.isnan(numbers), 0, bucket).astype(np.int64)
                features[f"{column}:bucket"] = torch.from_numpy(bucket)
        return features

    def _named(self, column: str, values: FloatTable) -> dict[str, Tensor]:
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
            {c: np.array(cuts, dtype=np.float64) for c, cuts in content["edges"].items()},
            {c: TargetEncoding.from_dict(e) for c, e in content["encodings"].items()},
        )

    def to_json(self, path: str | Path) -> None:
        """Write the codec to a file."""
        write_json(path, self.to_dict(), kind=_KIND, version=_VERSION)

    @classmethod
    def from_json(cls, path: str | Path) -> "Codec":
        """Read a codec from a file.

        Raises:
            ArtifactError: Not a codec file, or one of a newer version.
        """
        return cls.from_dict(read_json(path, kind=_KIND, version=_VERSION))
