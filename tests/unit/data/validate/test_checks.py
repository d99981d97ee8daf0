"""A log that cannot be trained on is refused with column, number of rows and the first of them."""

import numpy as np
import pandas as pd
import pytest

from mtl_seq import Funnel, Schema, Stage
from mtl_seq.data.validate.checks import (
    check_columns,
    check_dense,
    check_labels,
    check_population,
    check_row_values,
)
from mtl_seq.errors import DataError, SchemaError

SCHEMA = Schema(
    labels={"click": "is_click", "conversion": "is_order"},
    ids=("user",),
    bags=("words",),
    dense=("price",),
    group="session",
    time="at",
    weight="w",
    propensity="logged",
)
ROWS = 40


def log(**columns):
    """40 good rows; labels of the index run 100, 101, ... so that none is a position."""
    row = np.arange(ROWS)
    good = {
        "user": row % 7,
        "words": [["a"]] * ROWS,
        "price": row / 4,
        "session": row // 3,
        "at": row,
        "w": np.ones(ROWS),
        "logged": np.full(ROWS, 0.5),
        "is_click": row % 2,
        "is_order": (row % 4 == 1).astype(int),
    }
    return pd.DataFrame({**good, **columns}, index=row + 100)


def spoiled(column, value, rows, dtype=None):
    """The good log with `value` at some positions of a column."""
    values = log()[column].astype(dtype or object).tolist()
    for row in rows:
        values[row] = value
    return log(**{column: pd.Series(values, index=log().index, dtype=dtype).array})


def refused(check, frame, *parts, error=DataError, schema=SCHEMA, **settings):
    before = frame.copy(deep=True)
    with pytest.raises(error) as found:
        check(schema, frame, **settings)
    for part in parts:
        assert part in str(found.value)
    pd.testing.assert_frame_equal(frame, before)


def test_a_good_log_passes_and_is_not_changed():
    frame = log()
    check_columns(SCHEMA, frame, labels=True)
    check_labels(SCHEMA, frame)
    check_population(SCHEMA, frame)
    check_dense(SCHEMA, frame, impute=False)
    check_row_values(SCHEMA, frame)
    pd.testing.assert_frame_equal(frame, log())


def test_conversion_without_click():
    rows = [4, 8, 30, *range(12, 30, 2)]
    refused(
        check_labels,
        spoiled("is_order", 1, rows, "int64"),
        "conversion without click in 12 rows (first: 104, 108, 112)",
        "'is_order'",
        "'is_click'",
    )


def test_every_stage_needs_its_own_parent():
    schema = Schema(
        labels={"click": "is_click", "cart": "in_cart", "pay": "is_order"},
        ids=("user",),
        funnel=Funnel((Stage("click"), Stage("cart", "click"), Stage("pay", "cart"))),
    )
    frame = log(in_cart=log()["is_order"].where(log().index != 105, 0))
    refused(check_labels, frame, "pay without cart in 1 row (first: 105)", schema=schema)


@pytest.mark.parametrize("column", ["is_click", "is_order"])
@pytest.mark.parametrize("value", [2, -1, 0.5, np.inf])
def test_labels_other_than_0_and_1(column, value):
    frame = spoiled(column, value, [3, 7], "float64")
    refused(check_labels, frame, repr(column), "is neither 0 nor 1 in 2 rows (first: 103, 107)")


@pytest.mark.parametrize(
    ("value", "dtype"), [(np.nan, "float64"), (None, "object"), (pd.NA, "Int8"), (pd.NA, "boolean")]
)
def test_missing_labels(value, dtype):
    frame = spoiled("is_order", value, [2, 3, 5, 39], dtype)
    refused(check_labels, frame, "'is_order'", "is missing in 4 rows (first: 102, 103, 105)")


def test_labels_of_words():
    frame = log(is_click=np.where(log()["is_click"] == 1, "yes", "no"))
    refused(check_labels, frame, "'is_click'", "must hold 0 and 1, found 'no'")


@pytest.mark.parametrize("dtype", ["bool", "boolean", "Int64", "float32", "uint8"])
def test_labels_of_any_numeric_type_pass(dtype):
    frame = log().astype({"is_click": dtype, "is_order": dtype})
    check_labels(SCHEMA, frame)
    check_population(SCHEMA, frame)


@pytest.mark.parametrize(
    "column", ["user", "words", "price", "session", "at", "w", "logged", "is_click", "is_order"]
)
def test_a_declared_column_that_is_absent(column):
    frame = log().drop(columns=column)
    refused(check_columns, frame, f"['{column}']", error=SchemaError, labels=True)
    if column in SCHEMA.features:
        refused(check_columns, frame, f"['{column}']", error=SchemaError, labels=False)
    else:
        check_columns(SCHEMA, frame, labels=False)


def test_a_column_that_stands_there_twice():
    frame = pd.concat([log(), log()[["price"]]], axis=1)
    refused(check_columns, frame, "column 'price' twice", error=SchemaError, labels=True)


def test_an_empty_frame():
    refused(check_columns, log().iloc[:0], "at least one row", labels=True)


@pytest.mark.parametrize(
    ("columns", "stage", "label"),
    [
        ({"is_click": 0, "is_order": 0}, "click", "is_click"),
        ({"is_order": 0}, "conversion", "is_order"),
    ],
)
def test_a_stage_that_never_happens(columns, stage, label):
    refused(check_population, log(**columns), f"no {stage} at all in 40 rows", f"'{label}'")


@pytest.mark.parametrize("dtype", ["float64", "float32", "Float64"])
def test_a_dense_nan_is_refused_unless_imputed(dtype):
    value = pd.NA if dtype == "Float64" else np.nan
    frame = spoiled("price", value, [1, 6, 11, 38], dtype)
    what = "'price' is NaN in 4 rows (first: 101, 106, 111)"
    refused(check_dense, frame, what, "impute='mean'", impute=False)
    check_dense(SCHEMA, frame, impute=True)


@pytest.mark.parametrize("impute", [False, True])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_a_dense_infinity_is_refused_even_where_nan_is_imputed(value, impute):
    frame = spoiled("price", value, [9], "float64")
    refused(check_dense, frame, "'price' is infinite in 1 row (first: 109)", impute=impute)


@pytest.mark.parametrize("values", [["3"] * ROWS, pd.Categorical(range(ROWS))])
def test_a_dense_column_of_another_type(values):
    refused(check_dense, log(price=values), "'price' must hold numbers, found type", impute=True)


@pytest.mark.parametrize("dtype", ["bool", "int16", "UInt8", "boolean"])
def test_whole_numbers_and_bools_may_be_dense(dtype):
    check_dense(SCHEMA, log(price=np.arange(ROWS) % 2).astype({"price": dtype}), impute=False)


@pytest.mark.parametrize("value", [-0.5, np.nan, np.inf, -np.inf])
def test_a_bad_weight(value):
    frame = spoiled("w", value, [0, 20], "float64")
    refused(check_row_values, frame, "weight 'w'", "in 2 rows (first: 100, 120)")


@pytest.mark.parametrize("value", [0.0, -0.1, 1.0, 1 - 1e-12, np.nan, np.inf])
def test_a_bad_propensity(value):
    frame = spoiled("logged", value, [5, 6, 7, 8, 9], "float64")
    refused(
        check_row_values, frame, "propensity 'logged'", "(0, 1) in 5 rows (first: 105, 106, 107)"
    )


def test_the_ends_of_the_ranges_are_good():
    check_row_values(SCHEMA, log(w=0.0, logged=1 - 2.0**-24))


def test_labels_written_as_text_are_no_numbers():
    """They would be read as numbers, but be equal to neither 0 nor 1 when parents are compared."""
    frame = log(is_click=log()["is_click"].map(str))
    refused(check_labels, frame, "'is_click'", "must hold 0 and 1, found '0'")


@pytest.mark.parametrize(("column", "role"), [("w", "weight"), ("logged", "propensity")])
def test_row_values_of_words_are_named(column, role):
    frame = log(**{column: ["a"] * ROWS})
    refused(check_row_values, frame, f"{role} '{column}' must hold numbers, found 'a'")


def test_numbers_with_none_are_numbers():
    frame = log().astype({"price": object})
    frame.loc[[102, 105], "price"] = None
    assert frame["price"].dtype == object
    check_dense(SCHEMA, frame, impute=True)
    refused(check_dense, frame, "'price' is NaN in 2 rows (first: 102, 105)", impute=False)
    check_dense(SCHEMA, log(price=np.full(ROWS, None)), impute=True)
    refused(check_dense, spoiled("price", "9", [3]), "must hold numbers, found type", impute=True)
