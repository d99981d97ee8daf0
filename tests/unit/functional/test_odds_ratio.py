"""The CVR at an assumed odds ratio, against joint laws whose odds ratio is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from joint_laws import odds_ratio_scenario

from mtl_seq.errors import DataError
from mtl_seq.functional import odds_ratio_cvr, worst_case_bounds
from mtl_seq.simulate import scenario

PSI = [1e-3, 0.2, 0.5, 1.0, 1.5, 3.0, 40.0, 1e4]

shares = st.floats(1e-6, 1 - 1e-6)
ratios = st.floats(1e-4, 1e4)
OK = np.array([0.5, 0.4, 0.3])


@pytest.mark.parametrize("psi", PSI)
def test_the_true_odds_ratio_gives_the_true_cvr(psi):
    click, both, conversion = odds_ratio_scenario(psi)
    found = odds_ratio_cvr(click, both, psi)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), conversion, rtol=0, atol=1e-12)


def test_each_row_may_have_an_odds_ratio_of_its_own():
    parts = [odds_ratio_scenario(psi, rows=3) for psi in PSI]
    click, both, conversion = (np.concatenate(column) for column in zip(*parts, strict=True))
    psi = torch.tensor(PSI, dtype=torch.float64).repeat_interleave(3)
    np.testing.assert_allclose(odds_ratio_cvr(click, both, psi), conversion, rtol=0, atol=1e-12)


def test_the_mnar_simulator_is_such_a_scenario():
    """There a potential conversion adds a constant to the click logit: psi is its exponential."""
    _, truth = scenario("clean", mnar=1.5).sample(500, np.random.default_rng(0))
    found = odds_ratio_cvr(truth.pctr, truth.pctcvr, math.exp(1.5))
    np.testing.assert_allclose(found, truth.pcvr, rtol=1e-9)


def test_odds_ratio_one_gives_the_cvr_on_clicks():
    click, both, _ = odds_ratio_scenario(2.0)
    np.testing.assert_allclose(odds_ratio_cvr(click, both, 1.0), both / click, rtol=1e-12)


def test_the_limits_are_the_worst_case():
    click, both, _ = odds_ratio_scenario(2.0)
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
    with pytest.raises(DataError, match=f"`psi` must be a finite .* above 0, found {psi}"):
        odds_ratio_cvr(OK, OK / 2, torch.tensor([1.0, 2.0, psi]))
