"""Predictions that are no probabilities, or belong to other rows, are refused with their rows."""

import numpy as np
import pandas as pd
import pytest

from mtl_seq.errors import DataError
from mtl_seq.report.compute.predictions import check_scores

ROWS = 50
LOG = pd.DataFrame({"click": np.arange(ROWS) % 2}, index=np.arange(ROWS) + 100)


def scores(**columns):
    rng = np.random.default_rng(0)
    good = {"pctr": rng.random(ROWS), "pcvr": rng.random(ROWS), "pctcvr": rng.random(ROWS)}
    return pd.DataFrame({**good, **columns}, index=LOG.index)


def spoiled(column, value, rows):
    frame = scores()
    frame.iloc[rows, frame.columns.get_loc(column)] = value
    return frame


def refused(frame, *parts):
    with pytest.raises(DataError) as found:
        check_scores({"mine": scores(), "theirs": frame}, LOG)
    message = str(found.value)
    assert "'theirs'" in message
    for part in parts:
        assert part in message


def test_probabilities_come_back_in_the_order_of_the_log():
    frame = scores(extra="x")[["pctcvr", "extra", "pctr", "pcvr"]]
    found = check_scores({"a": frame, "b": frame.round(1)}, LOG)
    assert list(found) == ["a", "b"]
    for name in ("pctr", "pcvr", "pctcvr"):
        np.testing.assert_array_equal(getattr(found["a"], name), frame[name])
        np.testing.assert_array_equal(getattr(found["b"], name), frame[name].round(1))
        assert getattr(found["a"], name).dtype == np.float64


def test_0_and_1_are_probabilities():
    check_scores({"a": scores(pctr=np.repeat([0, 1], ROWS // 2), pcvr=1.0)}, LOG)


def test_no_model_is_an_error():
    with pytest.raises(DataError, match="at least one model's predictions, found none"):
        check_scores({}, LOG)


def test_absent_columns_are_named_beside_those_found():
    refused(
        scores().rename(columns={"pcvr": "cvr", "pctcvr": "ctcvr"}),
        "['pcvr', 'pctcvr']",
        "found ['pctr', 'cvr', 'ctcvr']",
    )


def test_a_truth_is_recognised():
    refused(scores().add_prefix("true_"), "this is a truth, not predictions")


def test_another_number_of_rows():
    refused(scores().iloc[:-1], "one row per row of the log, 50, found 49")


def test_rows_in_another_order():
    order = np.arange(ROWS)
    order[[3, 7, 20, 41]] = [7, 3, 41, 20]
    refused(scores().iloc[order], "the log's index", "4 rows (first: 103, 107, 120)")


def test_rows_of_another_frame():
    refused(scores().reset_index(drop=True), "the log's index", "50 rows (first: 100, 101, 102)")


@pytest.mark.parametrize("column", ["pctr", "pcvr", "pctcvr"])
def test_nan_is_counted_and_located(column):
    refused(spoiled(column, np.nan, [8]), f"{column} of", "NaN in 1 row (first: 108)")
    refused(spoiled(column, np.nan, [1, 8, 9, 30]), "NaN in 4 rows (first: 101, 108, 109)")


@pytest.mark.parametrize("column", ["pctr", "pcvr", "pctcvr"])
@pytest.mark.parametrize(("value", "shown"), [(1.25, "to 1.25"), (-0.5, "found -0.5 to")])
def test_a_few_values_outside_0_to_1_are_to_be_fixed(column, value, shown):
    refused(
        spoiled(column, value, [2, 5]),
        f"{column} of",
        shown,
        "2 rows (first: 102, 105): fix those rows",
    )


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_no_probability(value):
    refused(spoiled("pcvr", value, [2]), "1 row (first: 102)")


@pytest.mark.parametrize("column", ["pctr", "pcvr", "pctcvr"])
def test_logits_are_recognised(column):
    logits = np.random.default_rng(1).normal(0, 1, ROWS)
    count = int(((logits < 0) | (logits > 1)).sum())
    refused(
        scores(**{column: logits}),
        f"{column} of",
        f"in {count} rows",
        "they look like logits: pass their sigmoid",
    )
