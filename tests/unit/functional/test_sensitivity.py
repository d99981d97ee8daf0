"""The mean CVR by assumed odds ratio: curves, intervals, tipping points."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from joint_laws import odds_ratio_scenario as scenario
from scipy.optimize import brentq

from mtl_seq.errors import DataError
from mtl_seq.functional import (
    mean_odds_ratio_cvr,
    odds_ratio_cvr,
    sensitivity_curve,
    sensitivity_interval,
    tipping_point,
    worst_case_bounds,
)

PSI = [1e-3, 0.2, 0.5, 1.0, 1.5, 3.0, 40.0, 1e4]
OK = np.array([0.5, 0.4, 0.3])


def test_the_mean_is_over_all_impressions():
    click, both, _ = scenario(2.0)
    psi = torch.tensor([[0.5, 1.0], [2.0, 9.0]], dtype=torch.float64)
    found = mean_odds_ratio_cvr(click, both, psi)
    assert found.shape == (2, 2)
    for mean, one in zip(found.reshape(-1), psi.reshape(-1), strict=True):
        expected = both + both * (1 - click) / (both + float(one) * (click - both))
        assert float(mean) == pytest.approx(expected.mean(), rel=1e-13)
    assert mean_odds_ratio_cvr(click, both, 1.0).shape == ()


def test_the_curve_is_even_in_log_psi_and_holds_one():
    click, both, _ = scenario(2.0)
    psi, mean = sensitivity_curve(click, both, gamma=3.0, points=5)
    np.testing.assert_allclose(psi, [1 / 3, 1 / math.sqrt(3), 1, math.sqrt(3), 3], rtol=1e-14)
    np.testing.assert_allclose(mean[2], (both / click).mean(), rtol=1e-14)
    assert (np.diff(mean) < 0).all()


@pytest.mark.parametrize("gamma", [1.0, 1.5, 2.0, 3.0])
def test_the_interval_is_what_the_range_of_odds_ratios_spans(gamma):
    click, both, _ = scenario(2.0)
    low, high = sensitivity_interval(click, both, gamma)
    rng = np.random.default_rng(1)
    for _ in range(50):
        psi = torch.from_numpy(gamma ** rng.uniform(-1, 1, len(click)))
        assert low - 1e-14 <= odds_ratio_cvr(click, both, psi).mean() <= high + 1e-14
    ends = [gamma, 1 / gamma]
    expected = [float(odds_ratio_cvr(click, both, psi).mean()) for psi in ends]
    assert [float(low), float(high)] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("psi", PSI)
def test_the_tipping_point_is_the_odds_ratio_of_its_mean(psi):
    click, both, conversion = scenario(psi)
    found = tipping_point(click, both, conversion.mean())
    assert found.reason is None
    assert found.psi == pytest.approx(psi, rel=1e-9)


@given(share=st.floats(0.02, 0.98))
def test_the_tipping_point_agrees_with_another_root_finder(share):
    click, both, _ = scenario(1.0, rows=20, seed=3)
    target = both.mean() + share * (1 - click.mean())

    def excess(log_psi):
        ratio = math.exp(log_psi)
        return (both + both * (1 - click) / (both + ratio * (click - both))).mean() - target

    expected = brentq(excess, -60, 60, xtol=1e-13)
    assert math.log(tipping_point(click, both, target).psi) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("target", [0.0, 0.09, 0.81, 1.0, -3.0])
def test_there_is_no_tipping_point_beyond_the_worst_case(target):
    psi, reason = tipping_point(np.array([0.3, 0.3]), np.array([0.1, 0.1]), target)
    assert math.isnan(psi)
    assert "it is outside; the bounds are 0.1 to 0.8" in reason


def test_the_ends_of_the_worst_case_are_reached_by_no_odds_ratio():
    click, both = np.array([0.5, 0.25]), np.array([0.25, 0.125])
    for target in (0.1875, 0.8125):
        psi, reason = tipping_point(click, both, target)
        assert math.isnan(psi)
        assert "only the worst case reaches it" in reason


@pytest.mark.parametrize("psi", [1e-12, 1e-5, 1e5, 1e12])
def test_far_tipping_points_are_found_as_well(psi):
    """As far as a mean in float64 can tell them: the mean found is the mean asked for."""
    click, both, _ = scenario(1.0, rows=50)
    target = float((both + both * (1 - click) / (both + psi * (click - both))).mean())
    found = tipping_point(click, both, target).psi
    assert float(mean_odds_ratio_cvr(click, both, found)) == pytest.approx(target, rel=1e-13)
    assert found == pytest.approx(psi, rel=1e-3)


def test_many_rows_are_averaged_as_few_are():
    """More than one block, the last one short: against NumPy."""
    rng = np.random.default_rng(0)
    click = rng.uniform(0.01, 0.9, 100_003)
    both = click * rng.uniform(0, 1, len(click))
    expected = (both + both * (1 - click) / (both + 2.5 * (click - both))).mean()
    assert float(mean_odds_ratio_cvr(click, both, 2.5)) == pytest.approx(expected, rel=1e-13)
    assert tipping_point(click, both, expected).psi == pytest.approx(2.5, rel=1e-11)


def test_a_row_without_conversions_on_clicks_tips_nothing():
    """With t = 0 no finite odds ratio moves q from 0, although the worst case does."""
    click, both = np.array([0.3]), np.array([0.0])
    assert float(odds_ratio_cvr(click, both, 1e-9)) == 0
    assert float(worst_case_bounds(click, both).high) == pytest.approx(0.7)
    psi, reason = tipping_point(click, both, 0.2)
    assert math.isnan(psi)
    assert "only the worst case reaches it" in reason


def test_ranges_are_checked():
    with pytest.raises(DataError, match="`gamma` must be at least 1"):
        sensitivity_interval(OK, OK / 2, 0.5)
    with pytest.raises(DataError, match="`points` must be odd"):
        sensitivity_curve(OK, OK / 2, points=4)
    with pytest.raises(DataError, match="`target` must be a finite"):
        tipping_point(OK, OK / 2, math.nan)
    with pytest.raises(DataError, match="at least one row"):
        mean_odds_ratio_cvr(np.zeros(0), np.zeros(0), 1.0)
