"""Joint levels of the click-only features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from mtl_seq.data import Codec
from mtl_seq.errors import DataError, SchemaError
from mtl_seq.records import IntArray
from mtl_seq.schema import FeatureSpec, Schema

__all__ = ["MOST_LEVELS", "Levels", "check_click_only"]

MOST_LEVELS = 64
"""More joint levels than this are an error."""

_CUTS = 8


@dataclass(frozen=True)
class Levels:
    """Joint values of the click-only features; numbers are cut at quantiles.

    Attributes:
        columns: The features.
        values: Representative values of every level, in the order of the columns: an id itself, a
            number's median within its interval.
        edges: By column of numbers, the cuts.
    """

    columns: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    edges: dict[str, tuple[float, ...]]

    @classmethod
    def fit(cls, schema: Schema, frame: pd.DataFrame) -> "Levels":
        """Find the levels of a log.

        Raises:
            SchemaError: No click-only feature, a bag, a constant one, or one that equals a feature
                that every tower sees.
            DataError: More than 64 levels, or one.
        """
        check_click_only(schema, frame)
        columns = tuple(schema.click_only)
        edges = {}
        for column in columns:
            if column in schema.dense and frame[column].nunique() > _CUTS:
                numbers = frame[column].to_numpy(dtype=np.float64)
                cuts = np.unique(np.quantile(numbers, np.linspace(0, 1, _CUTS + 1)[1:-1]))
                edges[column] = tuple(float(cut) for cut in cuts)
        parts = pd.DataFrame(
            {column: _part(frame[column], edges.get(column)) for column in columns}
        )
        groups = frame[list(columns)].groupby([parts[c].to_numpy() for c in columns], sort=True)
        if groups.ngroups > MOST_LEVELS:
            raise DataError(
                f"the click-only features {columns} must have at most {MOST_LEVELS} joint levels, "
                f"found {groups.ngroups}: pool some, or declare fewer"
            )
        values = []
        for _, rows in groups:
            values.append(
                tuple(
                    float(np.median(rows[c].to_numpy(dtype=np.float64)))
                    if c in edges
                    else rows[c].iloc[0]
                    for c in columns
                )
            )
        return cls(columns, tuple(values), edges)

    def __len__(self) -> int:
        return len(self.values)

    def codes(self, frame: pd.DataFrame) -> IntArray:
        """``(N,)`` the level of every row; -1 for one that the fitted log does not have."""
        parts = {c: _part(frame[c], self.edges.get(c)) for c in self.columns}
        rows = pd.MultiIndex.from_frame(pd.DataFrame(parts))
        values = self.frame()
        known = pd.MultiIndex.from_frame(
            pd.DataFrame({c: _part(values[c], self.edges.get(c)) for c in self.columns})
        )
        codes: IntArray = known.get_indexer(rows).astype(np.int64)
        return codes

    def frame(self) -> pd.DataFrame:
        """The representative values, a row per level."""
        return pd.DataFrame(list(self.values), columns=list(self.columns))

    def encoded_names(self, spec: FeatureSpec) -> tuple[str, ...]:
        """Names of the encoded features that derive from the click-only ones."""
        return tuple(
            name
            for name in spec.features
            if any(name == c or name.startswith(f"{c}:") for c in self.columns)
        )

    def encoded(self, codec: Codec, frame: pd.DataFrame) -> dict[str, Tensor]:
        """Encoded click-only features of every level, ``(K,)`` each.

        Args:
            codec: Encodes them.
            frame: Some rows; the other columns are those of the first row.
        """
        rows = frame.iloc[np.zeros(len(self), dtype=np.int64)].reset_index(drop=True)
        values = self.frame()
        rows = rows.assign(**{column: values[column] for column in self.columns})
        features = codec.encode(rows, labels=False).features
        return {name: features[name] for name in self.encoded_names(codec.spec)}

    def names(self) -> tuple[str, ...]:
        """A readable name of every level."""
        return tuple(
            ", ".join(f"{c} {v:.4g}" if c in self.edges else f"{c} {v}" for c, v in pairs)
            for pairs in (zip(self.columns, row, strict=True) for row in self.values)
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; `from_dict` reads it."""
        plain = [[v.item() if isinstance(v, np.generic) else v for v in row] for row in self.values]
        edges = {c: list(cuts) for c, cuts in self.edges.items()}
        return {"columns": list(self.columns), "values": plain, "edges": edges}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Levels":
        """Read what `to_dict` wrote."""
        return cls(
            tuple(content["columns"]),
            tuple(tuple(row) for row in content["values"]),
            {c: tuple(cuts) for c, cuts in content["edges"].items()},
        )


def check_click_only(schema: Schema, frame: pd.DataFrame) -> None:
    """Check that the click-only features can identify a dependence.

    Raises:
        SchemaError: None is declared, or one that is a bag, constant, or equal to a feature that
            every tower sees.
    """
    if not schema.click_only:
        raise SchemaError(
            "a dependence of click and conversion is identified only by a feature that moves "
            "clicks and, given all others, no conversions, such as the position on the page or a "
            "randomised variant of the UI: declare it, `Schema(click_only=[...])`. Without one, "
            "`mtl-seq sensitivity` bounds the CVR"
        )
    later = set(schema.features) - set(schema.click_only)
    for column in schema.click_only:
        if column in schema.bags:
            raise SchemaError(
                f"click-only feature {column!r} must be an id or a number, found a bag: make an id "
                "of it"
            )
        if frame[column].nunique(dropna=False) < 2:
            raise SchemaError(
                f"click-only feature {column!r} is constant, so it moves no click: remove it from "
                "`click_only`"
            )
        for other in sorted(later - set(schema.bags)):
            if _same(frame[column], frame[other]):
                raise SchemaError(
                    f"click-only feature {column!r} equals feature {other!r}, which the conversion "
                    f"tower sees: given {other!r} it moves nothing; remove one of them"
                )


def _same(first: pd.Series, second: pd.Series) -> bool:
    """Whether the values of two columns map one to one."""
    codes, values = pd.factorize(first, use_na_sentinel=False)
    other_codes, other_values = pd.factorize(second, use_na_sentinel=False)
    # Values that hardly repeat map one to one to those of any such column.
    if len(values) != len(other_values) or len(values) > len(first) / 2:
        return False
    pairs = np.asarray(codes) * np.int64(len(other_values)) + np.asarray(other_codes)
    return len(np.unique(pairs)) == len(values)


def _part(column: pd.Series, cuts: Sequence[float] | None) -> NDArray[Any]:
    """The values of a column, or the intervals of its numbers."""
    values: NDArray[Any] = column.to_numpy()
    if cuts is not None:
        values = np.searchsorted(np.array(cuts), column.to_numpy(dtype=np.float64), side="right")
    return values
