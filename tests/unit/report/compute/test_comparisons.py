"""Differences are paired; a contradiction is noted exactly where both leads are sure."""

import numpy as np
import pandas as pd
import pytest

from mtl_seq.report.compute.comparisons import contradictions, differences, lead

DRAWS = 400
NOISE = np.random.default_rng(0).standard_normal(DRAWS)
COLUMNS = ["model", "quantity", "space", "metric", "value", "low", "high", "reason"]
CLICKS, ALL = ("pcvr", "clicks", "auc"), ("pcvr", "all", "auc")
LOSS, BIAS = ("pcvr", "all", "log_loss"), ("pcvr", "all", "relative_bias")


def figures(**models):
    """Metrics and resampled twins; a model gives by figure its value and its twins' noise."""
    rows, twins = [], {}
    for name, own in models.items():
        for at, (value, noise) in own.items():
            rows.append((name, *at, value, np.nan, np.nan, None))
            twins[(name, *at)] = value + noise
    return pd.DataFrame(rows, columns=COLUMNS), twins


def pair(clicks, entire, noise=0.0):
    """Model b's AUC ahead of model a's by these; `noise` is the deviation of each difference."""
    shared = 0.1 * NOISE  # which models have in common, so that it cancels in a difference
    return figures(
        a={CLICKS: (0.7, shared), ALL: (0.7, shared)},
        b={
            CLICKS: (0.7 + clicks, shared + noise * NOISE),
            ALL: (0.7 + entire, shared + noise * NOISE),
        },
    )


def test_what_resamples_share_cancels_in_a_difference():
    metrics, twins = pair(-0.02, 0.03)
    found = differences(metrics, twins, ["a", "b"], "a").set_index("space")
    assert set(found["model"]) == {"b"}
    for space, value in (("clicks", -0.02), ("all", 0.03)):
        np.testing.assert_allclose(found.loc[space, ["value", "low", "high"]].astype(float), value)


def test_the_interval_of_a_difference_is_that_of_its_draws():
    metrics, twins = pair(0.01, 0.01, noise=0.005)
    row = differences(metrics, twins, ["a", "b"], "a").iloc[0]
    expected = 0.01 + 0.005 * np.quantile(NOISE, [0.05, 0.95])
    np.testing.assert_allclose([row["low"], row["high"]], expected, rtol=1e-9)


def test_less_biased_is_nearer_to_0_whatever_the_sign():
    metrics, twins = figures(a={BIAS: (0.3, NOISE * 0)}, b={BIAS: (-0.1, 0.01 * NOISE)})
    found = differences(metrics, twins, ["a", "b"], "a").set_index("metric")
    assert found.loc["relative_bias", "value"] == pytest.approx(-0.4)
    assert found.loc["absolute_relative_bias", "value"] == pytest.approx(-0.2)
    drawn = np.abs(-0.1 + 0.01 * NOISE) - 0.3
    at = found.loc["absolute_relative_bias", ["low", "high"]].astype(float)
    np.testing.assert_allclose(at, np.quantile(drawn, [0.05, 0.95]))


def test_a_difference_to_what_is_undefined_says_so():
    metrics, twins = figures(a={LOSS: (np.nan, NOISE * np.nan)}, b={LOSS: (0.5, NOISE)})
    row = differences(metrics, twins, ["a", "b"], "a").iloc[0]
    assert np.isnan([row["value"], row["low"], row["high"]]).all()
    assert row["reason"] == "undefined for one of the two"


@pytest.mark.parametrize(
    ("clicks", "entire", "noise", "noted"),
    [
        (-0.02, 0.03, 0.0, True),
        (0.02, -0.03, 0.0, True),
        (-0.02, 0.03, 0.005, True),
        (0.02, 0.03, 0.0, False),  # the same order
        (-0.02, -0.03, 0.0, False),
        (0.0, 0.03, 0.0, False),  # a tie on clicks contradicts nothing
        (-0.02, 0.03, 0.05, False),  # neither lead is sure
        (-0.001, 0.03, 0.005, False),  # one of them is not
        (-0.02, 0.001, 0.005, False),
        (np.nan, 0.03, 0.0, False),
    ],
)
def test_a_contradiction_is_noted_exactly_where_both_leads_are_sure(clicks, entire, noise, noted):
    found = contradictions(*pair(clicks, entire, noise), ["a", "b"])
    assert len(found) == noted
    if noted:
        ahead, behind = ("a", "b") if clicks < 0 else ("b", "a")
        assert (found[0].clicked, found[0].entire) == (ahead, behind)
        assert found[0].lead_on_clicks[0] == pytest.approx(abs(clicks))
        assert found[0].lead_on_all[0] == pytest.approx(abs(entire))
        assert found[0].lead_on_all[1] > 0


def test_the_lead_is_that_of_the_least_loss_over_the_next():
    losses = {"a": 0.5, "b": 0.4, "c": 0.45}
    metrics, twins = figures(**{n: {LOSS: (v, 0.1 * NOISE)} for n, v in losses.items()})
    found = lead(metrics, twins, list(losses), LOSS)
    assert (found.first, found.second) == ("b", "c")
    np.testing.assert_allclose(found.lead, 0.05)
    assert found.sure
    assert lead(metrics, twins, ["a"], LOSS) is None


def test_a_lead_within_its_interval_is_not_sure():
    metrics, twins = figures(a={LOSS: (0.4, NOISE * 0)}, b={LOSS: (0.405, 0.01 * NOISE)})
    assert not lead(metrics, twins, ["a", "b"], LOSS).sure
