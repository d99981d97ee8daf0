"""Codec: the columns of a log as tensors, fitted once on training rows and then frozen."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mtl_seq._files import read_json, write_json
from mtl_seq.data.encode.bags import encode_bag
from mtl_seq.data.encode.columns import encode_features
from mtl_seq.data.encode.labels import encode_labels
from mtl_seq.data.encode.learn import Codes, learn
from mtl_seq.data.encode.scaling import Scale
from mtl_seq.data.encode.settings import Encoding, Impute
from mtl_seq.data.encode.target_encoding import (
    FloatTable,
    FoldCounts,
    TargetEncoding,
    count_folds,
    encoding_names,
    out_of_fold,
)
from mtl_seq.data.encode.vocabulary import AnyVocabulary, vocabulary_from
from mtl_seq.data.validate.checks import check_values, needed_columns
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
        encoding = Encoding(
            min_count=min_count,
            impute=impute,
            buckets=buckets,
            target_encoding=target_encoding,
            hashed=hashed or {},
        )
        return cls.fit_with(encoding, schema, log)

    @classmethod
    def fit_with(cls, encoding: Encoding, schema: Schema, log: pd.DataFrame) -> "Codec":
        """`fit` with the settings of an `Encoding`."""
        impute = encoding.impute is not None
        check_values(schema, log, labels=encoding.target_encoding is not None, impute=impute)
        return cls(schema, **learn(encoding, schema, log).parts)

    @classmethod
    def fit_encode(
        cls, encoding: Encoding, schema: Schema, log: pd.DataFrame, *, checked: bool = False
    ) -> tuple["Codec", FunnelBatch]:
        """Fit a codec and encode its training rows: `fit_with` and `encode_training` in one.

        Every id is looked up once.

        Args:
            encoding: The settings.
            schema: The roles of the columns.
            log: Training rows with labels.
            checked: Whether `check_values` has been called for the rows.

        Returns:
            The codec and all rows as one batch, with labels.

        Raises:
            SchemaError: A declared column is absent.
            DataError: No rows, or values that cannot be used.
        """
        if not checked:
            check_values(schema, log, labels=True, impute=encoding.impute is not None)
        learned = learn(encoding, schema, log)
        codec = cls(schema, **learned.parts)
        return codec, codec._training_batch(log, learned.codes, learned.folds)

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

    def encode(
        self, log: pd.DataFrame, *, labels: bool = True, checked: bool = False
    ) -> FunnelBatch:
        """Encode rows as tensors.

        Args:
            log: The rows; it is not changed.
            labels: Whether to encode the labels too.
            checked: Whether `check_values` has been called for the rows.

        Returns:
            All rows as one batch.

        Raises:
            SchemaError: A declared column is absent.
            DataError: No rows, or values that cannot be used.
        """
        if not checked:
            self._check(log, labels=labels)
        codes = self._codes(log)
        encoded = ((c, table.take(codes[c], axis=0)) for c, table in self._tables.items())
        return self._batch(log, codes, encoded, labels=labels)

    def encode_training(self, log: pd.DataFrame, *, checked: bool = False) -> FunnelBatch:
        """Encode the training rows, with target encodings from the other folds.

        With `encode`, a training row's own label would leak into its features.

        Args:
            log: The training rows, in the order in which `fit` saw them.
            checked: Whether `check_values` has been called for the rows.

        Returns:
            All rows as one batch, with labels.
        """
        if not checked:
            self._check(log, labels=True)
        codes = self._codes(log)
        vocabularies = {column: self.vocabularies[column] for column in self.encodings}
        return self._training_batch(log, codes, count_folds(self.schema, log, codes, vocabularies))

    def encode_out_of_fold(
        self, log: pd.DataFrame, positions: NDArray[np.int64], tables: Mapping[str, FloatTable]
    ) -> FunnelBatch:
        """Encode some of the training rows as `encode_training` does.

        Args:
            log: The rows.
            positions: ``(N,)`` their positions among the training rows.
            tables: Result of `TargetEncoding.fold_tables`, by column.
        """
        self._check(log, labels=True)
        codes = self._codes(log)
        encoded = ((c, out_of_fold(t, codes[c], positions)) for c, t in tables.items())
        return self._batch(log, codes, encoded)

    def _training_batch(
        self, log: pd.DataFrame, codes: Codes, folds: Mapping[str, FoldCounts]
    ) -> FunnelBatch:
        encoded = (
            (c, out_of_fold(self.encodings[c].fold_tables(counts), codes[c]))
            for c, counts in folds.items()
        )
        return self._batch(log, codes, encoded)

    def _batch(
        self,
        log: pd.DataFrame,
        codes: Codes,
        encoded: Iterable[tuple[str, FloatTable]],
        *,
        labels: bool = True,
    ) -> FunnelBatch:
        """Checked rows as tensors, with ``(N, S + 1)`` target encodings by column."""
        features = encode_features(self.schema, log, codes, self.scales, self.edges)
        for column, values in encoded:
            names = encoding_names(column, self.schema.funnel.names)
            features.update(zip(names, torch.from_numpy(values).unbind(1), strict=True))
        return FunnelBatch(features, encode_labels(self.schema, log) if labels else None)

    def _check(self, log: pd.DataFrame, *, labels: bool) -> None:
        check_values(self.schema, log, labels=labels, impute=self.impute is not None)

    def _codes(self, log: pd.DataFrame) -> Codes:
        codes = {c: self.vocabularies[c].encode(log[c]) for c in self.schema.ids}
        return codes | {c: encode_bag(c, log[c], self.vocabularies[c]) for c in self.schema.bags}

    @cached_property
    def _tables(self) -> dict[str, FloatTable]:
        return {column: encoding.table() for column, encoding in self.encodings.items()}

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
