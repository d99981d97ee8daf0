"""Validation warnings of a conversion: rows of the log that `fit` would refuse."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtl_seq.errors import rows_text
from mtl_seq.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ConversionWarnings", "orphans"]

_FIRST = 3
_ORPHANS = (
    "convert again with `--orphans clear`, which sets the later label to 0, or `--orphans drop`"
)
_NAN = "fill them, or fit with `--impute` (in Python Encoding(impute='mean'))"
_FIX = "fix or drop those rows"


class ConversionWarnings:
    """Counts, block by block, the rows that `fit` would refuse.

    Args:
        schema: The roles of the columns.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._counts: dict[tuple[str, str], tuple[int, list[int]]] = {}
        self._typed: dict[str, str] = {}

    def add(self, block: "pa.RecordBatch", start: int) -> None:
        """Check a block whose labels are 0 and 1, and whose first row has the number `start`."""
        for what, remedy, bad in self._violations(block):
            count = int(bad.sum())
            if count:
                before, first = self._counts.get((what, remedy), (0, []))
                first += (np.flatnonzero(bad)[: _FIRST - len(first)] + start).tolist()
                self._counts[what, remedy] = (before + count, first)

    def lines(self) -> tuple[str, ...]:
        """The warnings, one line for each kind."""
        rows = [
            f"{what} in {rows_text(first, count)}, which `fit` refuses: {remedy}"
            for (what, remedy), (count, first) in self._counts.items()
        ]
        types = [
            f"column {column!r} must hold numbers for `fit`, found {type_}: declare it as an id, "
            f"or convert again with `--type {column}=float64`"
            for column, type_ in self._typed.items()
        ]
        return (*rows, *types)

    def _violations(self, block: "pa.RecordBatch") -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
        for stage, parent in self.schema.funnel.parents().items():
            yield f"{stage} without {parent}", _ORPHANS, orphans(self.schema, block, stage)
        for column, numbers in self._numbers(block, self.schema.dense):
            yield f"dense column {column!r} is NaN", _NAN, np.isnan(numbers)
            yield f"dense column {column!r} is infinite", _FIX, np.isinf(numbers)
        for column, numbers in self._numbers(block, (self.schema.weight,)):
            bad = ~(np.isfinite(numbers) & (numbers >= 0))
            yield f"weight {column!r} is not a number of at least 0", _FIX, bad
        for column, numbers in self._numbers(block, (self.schema.propensity,)):
            bad = ~((numbers > 0) & (numbers < 1))
            yield f"propensity {column!r} is outside (0, 1)", _FIX, bad

    def _numbers(
        self, block: "pa.RecordBatch", columns: Sequence[str | None]
    ) -> Iterator[tuple[str, NDArray[np.float64]]]:
        from pyarrow import types

        numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_null)
        for column in columns:
            if column is None or column not in block.schema.names:
                continue
            values = block[column]
            if any(is_one(values.type) for is_one in numeric):
                yield column, _floats(values)
            else:
                self._typed[column] = str(values.type)


def orphans(schema: Schema, block: "pa.RecordBatch", stage: str) -> NDArray[np.bool_]:
    """Rows that have a stage without its parent."""
    parent = schema.labels[schema.funnel.parents()[stage]]
    child = schema.labels[stage]
    alone: NDArray[np.bool_] = (_floats(block[child]) == 1) & (_floats(block[parent]) == 0)
    return alone


def _floats(values: "pa.Array") -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = values.to_pandas().to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers
