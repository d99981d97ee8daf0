"""Values in the format of their metric, and never as nan or a negative zero."""

import math

import pytest

from mtl_seq.report.compute.metrics import Estimate
from mtl_seq.report.render.formatting import (
    format_estimate,
    format_interval,
    format_metadata,
    format_metric,
    format_percent,
)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("relative_bias", 0.298, "+29.8%"),
        ("relative_bias", -0.0004, "+0.0%"),
        ("relative_bias", 12.5, "+1250.0%"),
        ("auc", 0.66125, "0.6613"),
        ("log_loss", 0.38, "0.3800"),
        ("pcoc", 1.0304, "1.030"),
        ("gap_closed", 0.567, "57%"),
        ("gap_closed", -0.001, "0%"),
        ("auc", math.nan, "n/a"),
    ],
)
def test_a_value(metric, value, text):
    assert format_metric(metric, value) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("auc", 0.0123, "+0.0123"),
        ("auc", -0.00001, "+0.0000"),
        ("log_loss", -0.00016, "-0.00016"),
        ("gap_closed", 0.5, "+50%"),
    ],
)
def test_a_difference_has_its_sign(metric, value, text):
    assert format_metric(metric, value, signed=True) == text


def test_an_interval_stands_behind_its_value_where_there_is_one():
    assert format_estimate("auc", Estimate(0.7, 0.65, 0.75)) == "0.7000 [0.6500, 0.7500]"
    assert format_estimate("ece", Estimate(0.01, math.nan, math.nan)) == "0.0100"
    assert format_estimate("auc", Estimate(*[math.nan] * 3)) == "n/a"
    assert format_interval("auc", Estimate(0.7, math.nan, 0.8)) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "12.3%"), (0.0012, "0.12%"), (0.000034, "0.0034%"), (0, "0.0%"), (math.nan, "n/a")],
)
def test_small_shares_keep_two_digits(value, text):
    assert format_percent(value) == text


def test_metadata_as_text():
    assert [format_metadata(v) for v in (50_000, 0.20172, 1234.5, "x")] == [
        "50,000",
        "0.2017",
        "1,234",
        "x",
    ]
