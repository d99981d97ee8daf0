"""Identities that hold between click, conversion and their truth, each within k standard errors.

Seeds are stated; k is 4.5, so that one test in about 150,000 fails by chance.
"""

import numpy as np
import pytest
from scipy.stats import norm

from mtl_seq.simulate import Actions, LogisticFunnel

K = 4.5
ROWS = 200_000
IGNORABLE = {
    "selected": {"rho": 0.8},
    "against": {"rho": -0.8, "conversion_slope": 1.5},
    "curved": {"rho": 0.6, "curvature": 0.9},
    "sparse": {"rho": 0.6, "ctr": 0.04, "cvr": 0.05, "click_slope": 1.2},
}
ALL = {
    **IGNORABLE,
    "MNAR": {"mnar": 1.5},
    "confounded": {"confounder": 1.0},
    "by user": {"confounder": 1.0, "confounder_per": "user"},
    "actions": {"actions": Actions(("cart",), (0.25,), (3.0,)), "cvr": 0.1},
}


def draw(parameters, rows=ROWS, seed=12):
    simulator = LogisticFunnel(users=1000, items=300, seed=11, **parameters)
    log, truth = simulator.sample(rows, np.random.default_rng(seed))
    return log["click"].to_numpy(float), log["conversion"].to_numpy(float), truth


def off(values, expected=0.0):
    """Standard errors of the mean of independent values from what is expected."""
    return abs(np.mean(values) - expected) / (np.std(values) / np.sqrt(len(values)))


@pytest.fixture(scope="module", params=IGNORABLE, ids=list(IGNORABLE))
def ignorable(request):
    return draw(IGNORABLE[request.param])


@pytest.fixture(scope="module", params=ALL, ids=list(ALL))
def drawn(request):
    return draw(ALL[request.param])


def test_the_label_is_click_times_potential_exactly(drawn):
    o, t, truth = drawn
    np.testing.assert_array_equal(t, o * truth.potential)


def test_clicks_and_conversions_have_the_means_of_their_probabilities(drawn):
    o, t, truth = drawn
    assert off(o - truth.pctr) <= K
    assert off(truth.potential - truth.pcvr) <= K
    assert off(t - truth.pctcvr) <= K


def test_the_truth_adds_up_over_clicks_and_non_clicks(drawn):
    _, _, truth = drawn
    whole = truth.pctr * truth.pcvr_clicked + (1 - truth.pctr) * truth.pcvr_unclicked
    np.testing.assert_allclose(whole, truth.pcvr, rtol=1e-9)


def test_selection_bias_is_the_covariance_of_propensity_and_cvr(ignorable):
    """``E[r | o = 1] - E[r] = Cov(p, q) / E[p]``, and the like for non-clicks."""
    o, _, truth = ignorable
    p, q, r = truth.pctr, truth.pcvr, truth.potential
    covariance = np.mean(p * q) - p.mean() * q.mean()
    for space, share, sign in ((o, p.mean(), 1), (1 - o, 1 - p.mean(), -1)):
        expected = q.mean() + sign * covariance / share
        # A ratio of means, linearised about what it is expected to be.
        assert off(space * (r - expected)) <= K


def test_without_a_confounder_click_and_conversion_are_independent_given_x(ignorable):
    _, _, truth = ignorable
    np.testing.assert_allclose(truth.pctcvr, truth.pctr * truth.pcvr, rtol=1e-12)
    np.testing.assert_array_equal(truth.pctr, truth.pctr_hidden)


def test_inverse_propensities_rebuild_the_population(ignorable):
    o, _, truth = ignorable
    weight = o / truth.pctr
    assert off(weight, 1.0) <= K
    for f in (truth.pcvr, np.log(truth.pctr), truth.pcvr**2):
        assert off(weight * f - f) <= K


def entropy(prediction, label):
    return -(label * np.log(prediction) + (1 - label) * np.log1p(-prediction))


def test_ips_is_unbiased_and_its_standard_error_is_its_spread():
    """Over 400 redraws of the clicks of the same 20,000 impressions and outcomes."""
    _, _, truth = draw({"rho": 0.6}, rows=20_000)
    error = entropy(np.full(20_000, 0.2), truth.potential)
    p = truth.pctr
    rng = np.random.default_rng(13)
    result = np.array([np.mean((rng.random(20_000) < p) * error / p) for _ in range(400)])
    spread = np.sqrt(np.mean((1 - p) / p * error**2) / 20_000)
    assert abs(result.mean() - error.mean()) <= K * spread / np.sqrt(400)
    # The relative standard error of a spread from 400 draws is 1 / sqrt(800).
    assert result.std() == pytest.approx(spread, rel=K / np.sqrt(800))


def test_the_bias_of_the_naive_loss_is_its_covariance_with_the_propensity(ignorable):
    o, _, truth = ignorable
    prediction = np.full(ROWS, truth.pcvr.mean())
    expected = entropy(prediction, truth.pcvr)
    p = truth.pctr
    bias = (np.mean(p * expected) - p.mean() * expected.mean()) / p.mean()
    error = entropy(prediction, truth.potential)
    assert off(o * (error - (expected.mean() + bias))) <= K
    assert abs(bias) > 0.005


@pytest.mark.parametrize(("right_p", "right_e"), [(True, False), (False, True), (False, False)])
def test_dr_needs_one_right_nuisance(ignorable, right_p, right_e):
    o, _, truth = ignorable
    p = truth.pctr if right_p else truth.pctr**0.5
    prediction = np.full(ROWS, 0.25)
    error, expected = entropy(prediction, truth.potential), entropy(prediction, truth.pcvr)
    imputed = expected if right_e else np.full(ROWS, 0.7 * expected.mean())
    terms = imputed + o * (error - imputed) / p
    form = np.mean((truth.pctr - p) / p * (expected - imputed))
    assert off(terms - expected - form) <= K
    if right_p or right_e:
        assert abs(form) <= 1e-12
    else:
        assert off(terms - expected) > K


def test_snips_is_invariant_to_a_scale_that_moves_ips(ignorable):
    o, _, truth = ignorable
    error = entropy(np.full(ROWS, 0.2), truth.potential)

    def estimates(p):
        return np.mean(o * error / p), np.sum(o * error / p) / np.sum(o / p)

    ips, snips = estimates(truth.pctr)
    scaled_ips, scaled_snips = estimates(3 * truth.pctr)
    assert scaled_snips == pytest.approx(snips, rel=1e-12)
    assert scaled_ips == pytest.approx(ips / 3, rel=1e-12)


def test_the_effective_share_of_clicks_is_harmonic_over_arithmetic_mean(ignorable):
    """``ESS / clicks -> 1 / (E[1/p] E[p])``: ``(sum w)^2 / sum w^2`` with ``w = o / p``."""
    o, _, truth = ignorable
    p = truth.pctr
    weight = o / p
    share = weight.sum() ** 2 / (weight**2).sum() / o.sum()
    expected = 1 / (np.mean(1 / p) * p.mean())
    # The delta method: relative error of each mean, the second moment's being the largest.
    relative = [
        2 * weight.std() / weight.mean(),
        (weight**2).std() / (weight**2).mean(),
        o.std() / o.mean(),
    ]
    assert share == pytest.approx(expected, rel=K * sum(relative) / np.sqrt(ROWS))


def test_inverse_propensities_repair_a_confounder_only_where_they_know_it():
    o, _, truth = draw({"confounder": 1.0, "rho": 0.4}, rows=400_000)
    r = truth.potential
    assert off(o * r / truth.pctr_hidden - r) <= K
    given_x = o * r / truth.pctr
    assert np.mean(given_x) / r.mean() - 1 > 0.3
    # What it converges to is the ceiling of every method that assumes nothing is hidden.
    assert off(given_x - truth.pcvr_clicked) <= K


def test_the_ceiling_is_the_truth_where_nothing_is_hidden_and_off_it_where_something_is():
    for parameters, sign in (
        ({}, 0),
        ({"confounder": 1.0}, 1),
        ({"confounder_click": 1.0, "confounder_conversion": -1.0}, -1),
        ({"mnar": 1.5}, 1),
        ({"mnar": -1.5}, -1),
        ({"confounder": 1.0, "confounder_per": "user"}, 0),
    ):
        _, _, truth = draw(parameters, rows=2000)
        gap = truth.pcvr_clicked - truth.pcvr
        if sign:
            assert (sign * gap > 0).all()
        else:
            assert np.abs(gap).max() <= 1e-12


def test_the_entire_space_loss_has_no_slope_at_the_truth(drawn):
    """Gradients of the CTCVR cross-entropy in both logits, at ``P(r | x, o = 1)``, have mean 0."""
    _, t, truth = drawn
    p, q = truth.pctr, truth.pcvr_clicked
    residual = (p * q - t) / (1 - p * q)
    assert off((1 - q) * residual) <= K
    assert off((1 - p) * residual) <= K


def test_negatives_from_non_clicks_pull_down_by_the_known_form(ignorable):
    """With a share s of non-clicks as negatives, converting rows are ``pq / (p + s (1 - p))``."""
    o, t, truth = ignorable
    share = 0.2
    kept = (o == 1) | (np.random.default_rng(14).random(ROWS) < share)
    form = truth.pctr * truth.pcvr / (truth.pctr + share * (1 - truth.pctr))
    assert off((t - form)[kept]) <= K


def test_a_users_confounder_is_integrated_out_or_known_with_the_id():
    g = 1.0
    _, _, truth = draw({"confounder": g, "confounder_per": "user", "rho": 0.5}, rows=300)
    h = truth.hidden["confounder"]
    nodes = np.linspace(-8, 8, 2001)
    density = norm.pdf(nodes) / norm.pdf(nodes).sum()
    a, b = (np.log(p) - np.log1p(-p) - g * h for p in (truth.pctr, truth.pcvr))
    click, conversion = (1 / (1 + np.exp(-(z[:, None] + g * nodes))) for z in (a, b))
    for name, values in (
        ("pctr", click),
        ("pcvr", conversion),
        ("pctcvr", click * conversion),
    ):
        result = truth.further[f"{name}_without_confounder"]
        np.testing.assert_allclose(result, values @ density, atol=2e-6)


def test_a_users_confounder_is_the_same_in_every_row():
    simulator = LogisticFunnel(users=100, items=50, confounder=1.0, confounder_per="user", seed=0)
    log, truth = simulator.sample(5000, np.random.default_rng(0))
    spread = log.assign(h=truth.hidden["confounder"]).groupby("user_id")["h"].agg(np.ptp)
    assert spread.max() == 0
    np.testing.assert_array_equal(truth.pctr, truth.pctr_hidden)


def test_the_ways_to_a_conversion_have_mass_one():
    """ESM2's ``y2 y3 + (1 - y2) y4`` lies in [0, 1], and its joints are nested."""
    _, _, truth = draw(ALL["actions"], rows=5000)
    cart, way = truth.further["cart"], truth.further["cart_then_conversion"]
    assert (way <= np.minimum(cart, truth.pctcvr)).all()
    assert (cart <= truth.pctr).all()
    assert (truth.pctcvr - way <= truth.pctr - cart + 1e-15).all()


@pytest.mark.parametrize("kappa", [-0.9, 0.5])
def test_curvature_is_the_second_hermite_polynomial_of_the_click_score(kappa):
    """At rho 1 the conversion logit is ``beta + 0.7 z + kappa (z^2 - 1) / sqrt(2)``."""
    simulator = LogisticFunnel(
        users=300,
        items=100,
        rho=1.0,
        curvature=kappa,
        click_slope=1.3,
        conversion_slope=0.7,
        seed=11,
    )
    _, truth = simulator.sample(5000, np.random.default_rng(12))
    intercepts = simulator._scenario.outcomes.logit_model.intercepts
    a, b = (np.log(p) - np.log1p(-p) for p in (truth.pctr, truth.pcvr))
    z = (a - intercepts.click) / 1.3
    expected = intercepts.conversion + 0.7 * z + kappa * (z**2 - 1) / np.sqrt(2)
    np.testing.assert_allclose(b, expected, atol=1e-9)
