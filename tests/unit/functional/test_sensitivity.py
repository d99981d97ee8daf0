"""The CVR at an assumed odds ratio, against joint laws whose odds ratio is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
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
from mtl_seq.simulate import scenario

PSI = [1e-3, 0.2, 0.5, 1.0, 1.5, 3.0, 40.0, 1e4]

shares = st.floats(1e-6, 1 - 1e-6)
ratios = st.floats(1e-4, 1e4)


def joint(a, b, psi):
    """The law of click o and potential conversion r, ``P[o, r]``, with odds ratio psi.

    a is the click logit of those who would not convert, b the conversion logit of everyone.
    """

    def s(x):
        return 1 / (1 + np.exp(-x))

    q, low, high = s(b), s(a), s(a + np.log(psi))
    return np.array([[(1 - q) * (1 - low), q * (1 - high)], [(1 - q) * low, q * high]])


def world(psi, rows=400, seed=0):
    """A discrete world: p, t and q of each row by enumeration of the four outcomes."""
    rng = np.random.default_rng(seed)
    laws = [joint(*rng.normal([-1.5, -1.0], 2.0), psi) for _ in range(rows)]
    for law in laws:
        ratio = law[1, 1] * law[0, 0] / (law[1, 0] * law[0, 1])
        assert ratio == pytest.approx(psi, rel=1e-9)
    click = np.array([law[1].sum() for law in laws])
    both = np.array([law[1, 1] for law in laws])
    conversion = np.array([law[:, 1].sum() for law in laws])
    return click, both, conversion


@pytest.mark.parametrize("psi", PSI)
def test_the_true_odds_ratio_gives_the_true_cvr(psi):
    click, both, conversion = world(psi)
    found = odds_ratio_cvr(click, both, psi)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), conversion, rtol=0, atol=1e-12)


def test_each_row_may_have_an_odds_ratio_of_its_own():
    parts = [world(psi, rows=3) for psi in PSI]
    click, both, conversion = (np.concatenate(column) for column in zip(*parts, strict=True))
    psi = torch.tensor(PSI, dtype=torch.float64).repeat_interleave(3)
    np.testing.assert_allclose(odds_ratio_cvr(click, both, psi), conversion, rtol=0, atol=1e-12)


def test_the_mnar_simulator_is_such_a_world():
    """There a potential conversion adds a constant to the click logit: psi is its exponential."""
    _, truth = scenario("clean", mnar=1.5).sample(500, np.random.default_rng(0))
    found = odds_ratio_cvr(truth.pctr, truth.pctcvr, math.exp(1.5))
    np.testing.assert_allclose(found, truth.pcvr, rtol=1e-9)


def test_odds_ratio_one_gives_the_cvr_on_clicks():
    click, both, _ = world(2.0)
    np.testing.assert_allclose(odds_ratio_cvr(click, both, 1.0), both / click, rtol=1e-12)


def test_the_limits_are_the_worst_case():
    click, both, _ = world(2.0)
    low, high = worst_case_bounds(click, both)
    np.testing.assert_allclose(low, both, rtol=0, atol=0)
    np.testing.assert_allclose(high, both + (1 - click), rtol=0, atol=0)
    np.testing.assert_allclose(odds_ratio_cvr(click, both, 1e15), low, atol=1e-10)
    np.testing.assert_allclose(odds_ratio_cvr(click, both, 1e-15), high, atol=1e-10)


def test_the_worst_case_is_reached_by_laws_that_fit_the_log():
    """Both ends are the CVR of some joint law with the same p and t."""
    click, both = np.array([0.3]), np.array([0.1])
    low, high = worst_case_bounds(click, both)
    nobody = np.array([[0.7, 0.0], [0.2, 0.1]])
    everybody = np.array([[0.0, 0.7], [0.2, 0.1]])
    for law, bound in ((nobody, low), (everybody, high)):
        assert law.sum() == pytest.approx(1)
        assert law[1].sum() == pytest.approx(0.3)
        assert law[:, 1].sum() == pytest.approx(float(bound))


@given(p=shares, share=shares, psi=ratios, other=ratios)
def test_it_falls_in_psi_and_stays_within_the_worst_case(p, share, psi, other):
    pctr, pctcvr = np.array([p]), np.array([p * share])
    few, many = (float(odds_ratio_cvr(pctr, pctcvr, x)) for x in sorted((psi, other)))
    assert few >= many * (1 - 1e-12)
    low, high = (float(bound) for bound in worst_case_bounds(pctr, pctcvr))
    assert low <= many
    assert few <= high + 1e-12


@given(p=shares, share=shares, psi=ratios)
def test_the_odds_ratio_can_be_read_off_its_own_answer(p, share, psi):
    """Odds on the clicks over odds off them, from p, t and the q that was found."""
    t = p * share
    q = float(odds_ratio_cvr(np.array([p]), np.array([t]), psi))
    no_click = (q - t) / (1 - p)
    if min(no_click, 1 - no_click) > 1e-6:
        ratio = t / (p - t) * (1 - no_click) / no_click
        assert ratio == pytest.approx(psi, rel=1e-5)


@given(p=shares, share=shares, psi=ratios)
def test_those_who_would_not_convert_mirror_those_who_would(p, share, psi):
    """Calling no conversion a conversion inverts the odds ratio."""
    pctr, t = np.array([p]), p * share
    found = odds_ratio_cvr(pctr, np.array([t]), psi)
    mirrored = odds_ratio_cvr(pctr, np.array([p - t]), 1 / psi)
    assert float(found + mirrored) == pytest.approx(1, abs=1e-9)


def test_rows_at_the_ends_are_defined():
    found = odds_ratio_cvr(np.array([1.0, 0.3, 0.3]), np.array([0.2, 0.0, 0.3]), 5.0)
    np.testing.assert_allclose(found, [0.2, 0.0, 1.0], atol=1e-15)


def test_float32_is_computed_in_float64():
    pctr, pctcvr = torch.tensor([0.3]), torch.tensor([0.1])
    found = odds_ratio_cvr(pctr, pctcvr, 2.0)
    expected = odds_ratio_cvr(pctr.double(), pctcvr.double(), 2.0)
    assert found.dtype == torch.float64
    assert torch.equal(found, expected)


def test_read_only_columns_are_read():
    pctr = np.array([0.3])
    pctr.setflags(write=False)
    assert float(odds_ratio_cvr(pctr, pctr, 2.0)) == 1


def test_a_joint_above_its_click_by_float32_rounding_passes():
    pctr = torch.tensor([0.3])
    found = odds_ratio_cvr(pctr, torch.nextafter(pctr, torch.ones(1)), 2.0)
    np.testing.assert_allclose(found, 1.0, atol=1e-7)


def test_the_mean_is_over_all_impressions():
    click, both, _ = world(2.0)
    psi = torch.tensor([[0.5, 1.0], [2.0, 9.0]], dtype=torch.float64)
    found = mean_odds_ratio_cvr(click, both, psi)
    assert found.shape == (2, 2)
    for mean, one in zip(found.reshape(-1), psi.reshape(-1), strict=True):
        expected = both + both * (1 - click) / (both + float(one) * (click - both))
        assert float(mean) == pytest.approx(expected.mean(), rel=1e-13)
    assert mean_odds_ratio_cvr(click, both, 1.0).shape == ()


def test_the_curve_is_even_in_log_psi_and_holds_one():
    click, both, _ = world(2.0)
    psi, mean = sensitivity_curve(click, both, gamma=3.0, points=5)
    np.testing.assert_allclose(psi, [1 / 3, 1 / math.sqrt(3), 1, math.sqrt(3), 3], rtol=1e-14)
    np.testing.assert_allclose(mean[2], (both / click).mean(), rtol=1e-14)
    assert (np.diff(mean) < 0).all()


@pytest.mark.parametrize("gamma", [1.0, 1.5, 2.0, 3.0])
def test_the_interval_is_what_the_range_of_odds_ratios_spans(gamma):
    click, both, _ = world(2.0)
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
    click, both, conversion = world(psi)
    found = tipping_point(click, both, conversion.mean())
    assert found.reason is None
    assert found.psi == pytest.approx(psi, rel=1e-9)


@given(share=st.floats(0.02, 0.98))
def test_the_tipping_point_agrees_with_another_root_finder(share):
    click, both, _ = world(1.0, rows=20, seed=3)
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
    assert "no odds ratio" in reason
    assert "0.1 to 0.8" in reason


def test_a_row_without_conversions_on_clicks_tips_nothing():
    """With t = 0 no finite odds ratio moves q from 0, although the worst case does."""
    click, both = np.array([0.3]), np.array([0.0])
    assert float(odds_ratio_cvr(click, both, 1e-9)) == 0
    assert float(worst_case_bounds(click, both).high) == pytest.approx(0.7)
    assert math.isnan(tipping_point(click, both, 0.2).psi)


OK = np.array([0.5, 0.4, 0.3])


@pytest.mark.parametrize(
    ("pctr", "pctcvr", "said"),
    [
        (OK, OK * 1.1, r"`pctcvr` must be at most `pctr`, found it above in 3 rows \(first: 0"),
        (OK, OK[:2], "one entry per row of `pctr`, 3, found 2"),
        (np.array([0.5, 1.2, 0.3]), OK / 2, r"`pctr` must lie in \[0, 1\], found 1.2 in 1 row"),
        (OK, np.array([0.1, np.nan, 0.1]), r"`pctcvr` must lie in \[0, 1\], found nan in 1 row"),
        (OK, np.array([0.1, -0.1, -2.0]), r"found -0.1 in 2 rows \(first: 1, 2\)"),
        (np.array([0.5, 0.0]), np.array([0.1, 0.0]), "`pctr` must be above 0, found 0 in 1 row"),
        (np.ones((2, 2)), np.ones((2, 2)), r"`pctr` must be \(N,\), found \(2, 2\)"),
    ],
)
def test_what_is_no_probability_is_refused(pctr, pctcvr, said):
    with pytest.raises(DataError, match=said):
        odds_ratio_cvr(pctr, pctcvr, 2.0)


def test_the_worst_case_is_known_even_where_nobody_clicks():
    low, high = worst_case_bounds(np.array([0.0]), np.array([0.0]))
    assert (float(low), float(high)) == (0, 1)


@pytest.mark.parametrize("psi", [0.0, -1.0, math.nan, math.inf])
def test_an_odds_ratio_is_above_zero(psi):
    with pytest.raises(DataError, match="`psi` must be an odds ratio above 0"):
        odds_ratio_cvr(OK, OK / 2, psi)


def test_ranges_are_checked():
    with pytest.raises(DataError, match="`gamma` must be at least 1"):
        sensitivity_interval(OK, OK / 2, 0.5)
    with pytest.raises(DataError, match="`points` must be odd"):
        sensitivity_curve(OK, OK / 2, points=4)
    with pytest.raises(DataError, match="`target` must be a finite"):
        tipping_point(OK, OK / 2, math.nan)
    with pytest.raises(DataError, match="at least one row"):
        mean_odds_ratio_cvr(np.zeros(0), np.zeros(0), 1.0)
