"""Checks of a frame before training; none of them changes the frame."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtl_seq.errors import DataError, SchemaError, rows_text
from mtl_seq.schema import Schema

__all__ = [
    "check_columns",
    "check_dense",
    "check_labels",
    "check_population",
    "check_row_values",
    "check_values",
    "needed_columns",
]


def needed_columns(schema: Schema, *, labels: bool) -> tuple[str, ...]:
    """The declared columns; without labels, those that a prediction needs."""
    wanted = [*schema.features, *schema.bag_weights.values()]
    if labels:
        wanted += [*schema.labels.values()]
        wanted += [c for c in (schema.group, schema.time, schema.weight, schema.propensity) if c]
    return tuple(dict.fromkeys(wanted))


def check_columns(schema: Schema, log: pd.DataFrame, *, labels: bool) -> None:
    """Check that every declared column is there once, and that there is at least one row.

    Args:
        schema: The roles of the columns.
        log: The rows.
        labels: Whether labels, weight and propensity are required.

    Raises:
        SchemaError: A column that is absent or duplicated.
        DataError: The frame has no rows.
    """
    wanted = needed_columns(schema, labels=labels)
    absent = [column for column in wanted if column not in log.columns]
    if absent:
        raise SchemaError(
            f"the frame must hold the declared columns {absent}, found {list(log.columns)}: "
            "add them, or take them out of the schema"
        )
    twice = log.columns[log.columns.duplicated()]
    if len(twice):
        raise SchemaError(f"the frame holds column {twice[0]!r} twice: rename or drop one")
    if len(log) == 0:
        raise DataError("the frame must hold at least one row, found an empty one")


def check_labels(schema: Schema, log: pd.DataFrame) -> None:
    """Check that labels are 0 or 1, and that no stage happens without its parent.

    Raises:
        DataError: A label that is missing or neither 0 nor 1, or a stage without its parent.
    """
    for stage, column in schema.labels.items():
        values = log[column]
        _refuse(values.isna(), log, f"label {column!r} of stage {stage!r} is missing", "drop")
        if not _is_number(values):
            raise DataError(
                f"label {column!r} of stage {stage!r} must hold 0 and 1, found "
                f"{values.iloc[0]!r} of type {values.dtype}: convert it"
            )
        numbers = values.to_numpy(dtype=np.float64)
        outside = (numbers != 0) & (numbers != 1)
        _refuse(
            outside, log, f"label {column!r} of stage {stage!r} is neither 0 nor 1", "fix or drop"
        )
    for stage, parent in schema.funnel.parents().items():
        child, above = schema.labels[stage], schema.labels[parent]
        before = (log[child].to_numpy() == 1) & (log[above].to_numpy() == 0)
        if before.any():
            raise DataError(
                f"{stage} without {parent} in {_where(before, log)}: column {child!r} may be 1 "
                f"only where {above!r} is 1; define it as {child} AND {above}, or drop those rows"
            )


def check_population(schema: Schema, log: pd.DataFrame) -> None:
    """Check that every stage happens at least once.

    Raises:
        DataError: A stage that never happens.
    """
    for stage, column in schema.labels.items():
        if not (log[column] == 1).any():
            raise DataError(
                f"there is no {stage} at all in {len(log):,} rows (column {column!r}): "
                "check the label, or bring a longer log"
            )


def check_dense(schema: Schema, log: pd.DataFrame, *, impute: bool) -> None:
    """Check that dense columns are numbers, and finite unless missing ones are imputed.

    Raises:
        DataError: A dense column of another type, an infinity, or a NaN that is not imputed.
    """
    for column in schema.dense:
        values = log[column]
        if not (_is_number(values) or _are_numbers_with_gaps(values)):
            raise DataError(
                f"dense column {column!r} must hold numbers, found type {values.dtype}: "
                "declare it as an id, or convert it"
            )
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        _refuse(np.isinf(numbers), log, f"dense column {column!r} is infinite", "fix or drop")
        if not impute:
            missing = np.isnan(numbers)
            if missing.any():
                raise DataError(
                    f"dense column {column!r} is NaN in {_where(missing, log)}: fill them, or "
                    "fit with Encoding(impute='mean'), --impute on the command line (and add a "
                    "column that flags missing values if these are informative)"
                )


def check_row_values(schema: Schema, log: pd.DataFrame) -> None:
    """Check that weights are non-negative and propensities lie in (0, 1).

    Raises:
        DataError: One that is missing or outside its range.
    """
    if schema.weight is not None:
        weight = _numbers(log, schema.weight, "weight")
        bad = ~(np.isfinite(weight) & (weight >= 0))
        _refuse(bad, log, f"weight {schema.weight!r} is not a number of at least 0", "fix or drop")
    if schema.propensity is not None:
        propensity = _numbers(log, schema.propensity, "propensity").astype(np.float32)
        bad = ~((propensity > 0) & (propensity < 1))
        _refuse(bad, log, f"propensity {schema.propensity!r} is outside (0, 1)", "fix or drop")


def check_values(schema: Schema, log: pd.DataFrame, *, labels: bool, impute: bool) -> None:
    """Check that rows can be encoded: columns, dense values and, if asked for, labels and weights.

    Args:
        schema: The roles of the columns.
        log: The rows.
        labels: Whether labels, weights and propensities must be there too.
        impute: Whether missing dense values are imputed.

    Raises:
        SchemaError: A declared column is absent or duplicated.
        DataError: No rows, or values that cannot be used.
    """
    check_columns(schema, log, labels=labels)
    if labels:
        check_labels(schema, log)
        check_row_values(schema, log)
    check_dense(schema, log, impute=impute)


def _is_number(values: pd.Series) -> bool:
    numeric = pd.api.types.is_numeric_dtype(values.dtype)
    return bool(numeric or pd.api.types.is_bool_dtype(values.dtype))


def _are_numbers_with_gaps(values: pd.Series) -> bool:
    """Whether these are Python numbers and None, as in a request to a server."""
    kinds = ("floating", "integer", "mixed-integer-float", "boolean", "empty")
    return values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) in kinds


def _numbers(log: pd.DataFrame, column: str, role: str) -> NDArray[np.float64]:
    values = log[column]
    if not _is_number(values):
        raise DataError(
            f"{role} {column!r} must hold numbers, found {values.iloc[0]!r} of type "
            f"{values.dtype}: convert it"
        )
    numbers: NDArray[np.float64] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers


def _refuse(
    bad: "NDArray[np.bool_] | pd.Series", log: pd.DataFrame, what: str, remedy: str
) -> None:
    mask = np.asarray(bad, dtype=bool)
    if mask.any():
        raise DataError(f"{what} in {_where(mask, log)}: {remedy} those rows before training")


def _where(mask: NDArray[np.bool_], log: pd.DataFrame) -> str:
    return rows_text(log.index[mask], int(mask.sum()))
