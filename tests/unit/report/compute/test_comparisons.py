"""Paired differences, and rank disagreements where both intervals exclude 0."""

import numpy as np
import pytest

from mtl_seq.report.compute.comparisons import differences, lead, rank_disagreements
from mtl_seq.report.compute.metrics import METRIC_COLUMNS, Measurements
from mtl_seq.report.compute.serialise import make_frame

DRAWS = 400
NOISE = np.random.default_rng(0).standard_normal(DRAWS)
CLICKS, ALL = ("pcvr", "clicks", "auc"), ("pcvr", "all", "auc")
LOSS, BIAS = ("pcvr", "all", "log_loss"), ("pcvr", "all", "relative_bias")


def measured(**models):
    """Metrics and their resampled values; a model gives by metric its value and its noise."""
    rows, replicates = [], {}
    for name, own in models.items():
        for at, (value, noise) in own.items():
            rows.append((name, *at, value, np.nan, np.nan, None))
            replicates[(name, *at)] = value + noise
    return Measurements(make_frame(rows, METRIC_COLUMNS), replicates)


def pair(clicks, entire, noise=0.0):
    """Model b's AUC ahead of model a's by these; `noise` is the deviation of each difference."""
    shared = 0.1 * NOISE  # which models have in common, so that it cancels in a difference
    return measured(
        a={CLICKS: (0.7, shared), ALL: (0.7, shared)},
        b={
            CLICKS: (0.7 + clicks, shared + noise * NOISE),
            ALL: (0.7 + entire, shared + noise * NOISE),
        },
    )


def test_what_resamples_share_cancels_in_a_difference():
    values = pair(-0.02, 0.03)
    found = differences(values, ["a", "b"], "a").set_index("space")
    assert set(found["model"]) == {"b"}
    for space, value in (("clicks", -0.02), ("all", 0.03)):
        np.testing.assert_allclose(found.loc[space, ["value", "low", "high"]].astype(float), value)


def test_the_interval_of_a_difference_is_that_of_its_draws():
    values = pair(0.01, 0.01, noise=0.005)
    row = differences(values, ["a", "b"], "a").iloc[0]
    expected = 0.01 + 0.005 * np.quantile(NOISE, [0.05, 0.95])
    np.testing.assert_allclose([row["low"], row["high"]], expected, rtol=1e-9)


def test_less_biased_is_nearer_to_0_whatever_the_sign():
    values = measured(a={BIAS: (0.3, NOISE * 0)}, b={BIAS: (-0.1, 0.01 * NOISE)})
    found = differences(values, ["a", "b"], "a").set_index("metric")
    assert found.loc["relative_bias", "value"] == pytest.approx(-0.4)
    assert found.loc["absolute_relative_bias", "value"] == pytest.approx(-0.2)
    drawn = np.abs(-0.1 + 0.01 * NOISE) - 0.3
    at = found.loc["absolute_relative_bias", ["low", "high"]].astype(float)
    np.testing.assert_allclose(at, np.quantile(drawn, [0.05, 0.95]))


def test_a_difference_to_what_is_undefined_says_so():
    values = measured(a={LOSS: (np.nan, NOISE * np.nan)}, b={LOSS: (0.5, NOISE)})
    row = differences(values, ["a", "b"], "a").iloc[0]
    assert np.isnan([row["value"], row["low"], row["high"]]).all()
    assert row["reason"] == "undefined for one of the two"


@pytest.mark.parametrize(
    ("clicks", "entire", "noise", "reported"),
    [
        (-0.02, 0.03, 0.0, True),
        (0.02, -0.03, 0.0, True),
        (-0.02, 0.03, 0.005, True),
        (0.02, 0.03, 0.0, False),  # the same order
        (-0.02, -0.03, 0.0, False),
        (0.0, 0.03, 0.0, False),  # a tie on clicks is no disagreement
        (-0.02, 0.03, 0.05, False),  # neither interval excludes 0
        (-0.001, 0.03, 0.005, False),  # one of them is not
        (-0.02, 0.001, 0.005, False),
        (np.nan, 0.03, 0.0, False),
    ],
)
def test_a_rank_disagreement_is_reported_where_both_intervals_exclude_0(
    clicks, entire, noise, reported
):
    found = rank_disagreements(pair(clicks, entire, noise), ["a", "b"])
    assert len(found) == reported
    if reported:
        ahead, behind = ("a", "b") if clicks < 0 else ("b", "a")
        assert (found[0].clicked, found[0].entire) == (ahead, behind)
        assert found[0].lead_on_clicks[0] == pytest.approx(abs(clicks))
        assert found[0].lead_on_all[0] == pytest.approx(abs(entire))
        assert found[0].lead_on_all[1] > 0


def test_the_lead_is_that_of_the_least_loss_over_the_next():
    losses = {"a": 0.5, "b": 0.4, "c": 0.45}
    values = measured(**{n: {LOSS: (v, 0.1 * NOISE)} for n, v in losses.items()})
    found = lead(values, list(losses), LOSS)
    assert (found.first, found.second) == ("b", "c")
    np.testing.assert_allclose(found.lead, 0.05)
    assert found.lead.excludes_zero
    assert lead(values, ["a"], LOSS) is None


def test_a_lead_within_its_interval_includes_0():
    values = measured(a={LOSS: (0.4, NOISE * 0)}, b={LOSS: (0.405, 0.01 * NOISE)})
    assert not lead(values, ["a", "b"], LOSS).lead.excludes_zero
