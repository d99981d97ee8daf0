"""The section on what is not identified recovers a dependence that was put in."""

import numpy as np
import pytest

from mtl_seq.records import Scores
from mtl_seq.report.compute.sensitivity import GAMMAS, sensitivity

ROWS = 3000
RNG = np.random.default_rng(0)
P = RNG.uniform(0.02, 0.6, ROWS)
CLICKED = RNG.uniform(0.02, 0.4, ROWS)
"""P(conversion | click, x)."""


def simulator(psi):
    """pCTR, pCVR and pCTCVR where the odds off the clicks are those on them over psi."""
    odds = CLICKED / (1 - CLICKED) / psi
    q = P * CLICKED + (1 - P) * odds / (1 + odds)
    return Scores(P, q, P * CLICKED)


def naive():
    return Scores(P, CLICKED, P * CLICKED)


@pytest.mark.parametrize("psi", [0.4, 1.0, 1.7, 3.0])
def test_the_odds_ratio_at_which_the_truth_is_right_is_the_one_put_in(psi):
    true = simulator(psi)
    found = sensitivity("m", naive(), {"naive": naive(), "true": true}, None)
    rows = found.models.set_index("model")
    assert rows.loc["true", "psi_unbiased"] == pytest.approx(psi, rel=1e-9)
    assert rows.loc["naive", "psi_unbiased"] == pytest.approx(1, rel=1e-9)
    assert rows.loc["true", "mean_pcvr"] == pytest.approx(true.pcvr.mean())
    assert np.interp(np.log(psi), np.log(found.psi), found.mean) == pytest.approx(
        true.pcvr.mean(), rel=1e-3
    )
    for gamma, (low, high) in found.ranges.items():
        inside = 1 / gamma <= psi <= gamma
        assert (low - 1e-12 <= true.pcvr.mean() <= high + 1e-12) == inside
    assert tuple(found.ranges) == GAMMAS


def test_the_stated_range_is_where_the_relative_bias_is_ten_per_cent():
    found = sensitivity("m", naive(), {"naive": naive()}, None)
    row = found.models.iloc[0]
    mean = CLICKED.mean()
    assert row["psi_low"] < 1 < row["psi_high"]
    assert mean / simulator(row["psi_low"]).pcvr.mean() - 1 == pytest.approx(-0.1, rel=1e-9)
    assert mean / simulator(row["psi_high"]).pcvr.mean() - 1 == pytest.approx(0.1, rel=1e-9)


def test_two_models_are_level_where_the_truth_lies_between_them():
    low = Scores(P, 0.7 * CLICKED, P * CLICKED)
    found = sensitivity("m", naive(), {"naive": naive(), "low": low}, "naive")
    rows = found.models.set_index("model")
    mean = simulator(rows.loc["low", "psi_tie"]).pcvr.mean()
    assert mean - low.pcvr.mean() == pytest.approx(CLICKED.mean() - mean, rel=1e-9)
    assert np.isnan(rows.loc["naive", "psi_tie"])


def test_the_worst_case_is_that_nobody_or_everybody_would_convert():
    found = sensitivity("m", naive(), {}, None)
    assert found.worst[0] == pytest.approx((P * CLICKED).mean())
    assert found.worst[1] == pytest.approx((P * CLICKED + 1 - P).mean())


def test_a_mean_outside_the_worst_case_is_right_at_no_odds_ratio():
    wild = Scores(P, np.full(ROWS, 0.99), P * CLICKED)
    found = sensitivity("m", naive(), {"wild": wild}, None)
    row = found.models.iloc[0]
    assert np.isnan(row["psi_unbiased"])
    assert row["reason"].startswith("no odds ratio")


def test_a_joint_above_its_click_gives_no_curve_and_says_why():
    bad = naive()._replace(pctcvr=np.where(np.arange(ROWS) == 4, 0.9, P * CLICKED))
    found = sensitivity("mine", bad, {"naive": naive()}, None)
    assert found.reason.startswith("pctcvr of mine is above its pctr in 1 row (first: 4)")
    assert len(found.psi) == 0
    assert found.ranges == {}
    assert np.isnan(found.models.iloc[0]["psi_unbiased"])


def test_a_click_that_never_happens_is_no_error():
    silent = Scores(np.zeros(ROWS), CLICKED, np.zeros(ROWS))
    found = sensitivity("m", silent, {"naive": naive()}, None)
    assert found.reason is None
    assert found.worst == (0.0, 1.0)
