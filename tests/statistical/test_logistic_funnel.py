"""The simulator does what its formulas say: exact integrals, and draws within 5 standard errors."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from mtl_seq.errors import SimulationError
from mtl_seq.simulate import LogisticFunnel, scenario
from mtl_seq.simulate.logistic.latent_effects import draw_entities, further_effects, zipf
from mtl_seq.simulate.logistic.outcome_probabilities import (
    conditional_probabilities,
    marginal_probabilities,
)

ROWS = 200_000
SCENARIOS = {
    "plain": {},
    "selected": {"rho": 0.8},
    "sparse": {"rho": 0.8, "ctr": 0.04, "cvr": 0.02},
    "steep": {"rho": -0.8, "click_slope": 3.0, "ctr": 0.1},
    "confounded": {"confounder": 1.0},
    "MNAR": {"mnar": 1.5},
    "both": {"confounder": 0.7, "mnar": -1.0, "cvr": 0.3},
    "apart": {"confounder_click": 2.0, "confounder_conversion": -1.5},
    "curved": {"curvature": -0.9, "rho": 0.6},
}


@pytest.fixture(scope="module", params=SCENARIOS, ids=list(SCENARIOS))
def drawn(request):
    simulator = LogisticFunnel(**SCENARIOS[request.param], seed=3)
    return (simulator, *simulator.sample(ROWS, np.random.default_rng(4)))


def sigmas(values, expected):
    """How many standard errors the mean of independent values is off."""
    error = values - expected
    return abs(error.mean()) / (error.std() / np.sqrt(len(error)))


def draws_off(draws, rate):
    """How many standard errors 0/1 draws are off their rates."""
    return abs((draws - rate).sum()) / np.sqrt((rate * (1 - rate)).sum())


def test_targets_are_met(drawn):
    simulator, _, truth = drawn
    assert sigmas(truth.pctr, simulator.ctr) <= 5
    # CVR on clicks is a ratio of means; its numerator minus the target times its denominator is 0.
    assert sigmas(truth.pctcvr - simulator.cvr * truth.pctr, 0) <= 5


def test_what_is_true_given_a_click_holds_among_clicks(drawn):
    _, log, truth = drawn
    clicked = log["click"].to_numpy() == 1
    assert draws_off(truth.potential[clicked], truth.pcvr_clicked[clicked]) <= 5
    assert draws_off(truth.potential[~clicked], truth.pcvr_unclicked[~clicked]) <= 5


def test_what_is_true_given_the_hidden_confounder_has_the_right_mean_given_x(drawn):
    _, _, truth = drawn
    if np.array_equal(truth.pctr, truth.pctr_hidden):
        assert np.array_equal(truth.pcvr, truth.pcvr_hidden)
    else:
        assert sigmas(truth.pctr_hidden, truth.pctr) <= 5
        assert sigmas(truth.pcvr_hidden, truth.pcvr) <= 5


def test_draws_are_right_in_every_decile_of_the_propensity(drawn):
    _, log, truth = drawn
    decile = np.searchsorted(np.quantile(truth.pctr, np.linspace(0.1, 0.9, 9)), truth.pctr)
    for which in range(10):
        rows = decile == which
        assert draws_off(log["click"].to_numpy()[rows], truth.pctr[rows]) <= 5
        assert draws_off(log["conversion"].to_numpy()[rows], truth.pctcvr[rows]) <= 5


@pytest.mark.parametrize("rho", [-0.8, 0.0, 0.4, 1.0])
def test_rho_is_the_correlation_of_the_utilities(rho):
    simulator = LogisticFunnel(rho=rho, click_slope=1.3, conversion_slope=0.7, seed=1)
    _, truth = simulator.sample(ROWS, np.random.default_rng(2))
    a, b = (np.log(p / (1 - p)) for p in (truth.pctr, truth.pcvr))
    # The standard error of a correlation is below 1/sqrt(n) times the root of the kurtosis.
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(rho, abs=5 * 2 / np.sqrt(ROWS))
    assert a.std() == pytest.approx(1.3, rel=0.02)
    assert b.std() == pytest.approx(0.7, rel=0.02)


@pytest.mark.parametrize("mnar", [0.0, 1.5, -2.0])
@pytest.mark.parametrize(
    "loadings", [(0.5, 0.5), (1.0, 1.0), (1.0, -0.4), (3.0, 0.5), (-20.0, 8.0)]
)
def test_the_marginal_is_the_integral_over_the_confounder(mnar, loadings):
    a, b = np.array([-2.5, -1.0, 0.5]), np.array([-1.5, 0.0, -3.0])
    result = marginal_probabilities(a, b, mnar, loadings)
    for row in range(3):
        for name, index in (("click", 0), ("conversion", 1), ("both", 2)):

            def integrand(h, row=row, index=index):
                given = conditional_probabilities(
                    a[row] + loadings[0] * h, b[row] + loadings[1] * h, mnar
                )
                return given[index] * norm.pdf(h)

            exact, _ = quad(integrand, -9, 9, epsabs=1e-12, limit=400, points=(-1, 0, 1))
            assert getattr(result, name)[row] == pytest.approx(exact, abs=1e-6)


def test_mnar_adds_to_the_click_logit_where_a_conversion_would_follow():
    a, b, delta = np.array([-1.0, 0.3]), np.array([-2.0, 1.0]), 1.5
    q = expit(b)
    result = conditional_probabilities(a, b, delta)
    np.testing.assert_allclose(result.both, q * expit(a + delta), rtol=1e-14)
    np.testing.assert_allclose(result.click, q * expit(a + delta) + (1 - q) * expit(a), rtol=1e-14)


def test_effects_have_exact_moments_under_the_popularity():
    result = draw_entities(500, (6, 4), 5, id_share=0.3, exponent=0.8, rng=np.random.default_rng(0))
    weight = result.popularity
    np.testing.assert_allclose(weight @ result.effects, 0, atol=1e-12)
    covariance = result.effects.T @ (weight[:, None] * result.effects)
    np.testing.assert_allclose(covariance, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(weight, zipf(500, 0.8))
    assert weight[0] / weight[9] == pytest.approx(10**0.8)


def test_further_effects_are_uncorrelated_with_those_there_were():
    rng = np.random.default_rng(0)
    entities = draw_entities(500, (6, 4), 5, id_share=0.3, exponent=0.8, rng=rng)
    more = further_effects(entities, (6, 4), 2, id_share=0.3, rng=rng)
    both = np.concatenate([entities.effects, more], axis=1)
    covariance = both.T @ (entities.popularity[:, None] * both)
    np.testing.assert_allclose(covariance, np.eye(7), atol=1e-12)
    np.testing.assert_allclose(entities.popularity @ more, 0, atol=1e-12)


@pytest.mark.parametrize("id_effects", [0.0, 0.4, 1.0])
def test_attributes_explain_the_stated_share_of_the_effects(id_effects):
    """R^2 of effects on attributes: 1 - id_effects, but for what 20,000 entities blur."""
    rng = np.random.default_rng(1)
    result = draw_entities(20_000, (5, 5), 2, id_share=id_effects, exponent=0.0, rng=rng)
    levels = [np.eye(5)[result.attributes[:, k]] for k in (0, 1)]
    design = np.concatenate(levels, axis=1)
    fitted = design @ np.linalg.lstsq(design, result.effects, rcond=None)[0]
    # Effects of 10 drawn levels have a variance of their own, so the share is compared to theirs.
    explained = fitted.var(axis=0)
    assert explained == pytest.approx(1 - id_effects, abs=0.25)
    if id_effects in (0.0, 1.0):
        assert explained == pytest.approx(1 - id_effects, abs=0.002)


def test_attributes_and_tastes_can_be_had_in_any_number():
    simulator = LogisticFunnel(
        users=300, items=200, user_attributes=[3, 4, 5], item_attributes=[7], tastes=2
    )
    log, _ = simulator.sample(5000, np.random.default_rng(0))
    columns = ["user_segment", "user_tier", "user_attribute_2", "item_category"]
    assert [log[c].nunique() for c in columns] == [3, 4, 5, 7]
    assert simulator.schema.ids == ("user_id", *columns[:3], "item_id", "item_category")


def test_without_id_effects_attributes_explain_everything():
    simulator = LogisticFunnel(users=300, items=200, id_effects=0.0, seed=0)
    log, truth = simulator.sample(50_000, np.random.default_rng(0))
    # The taste term is an inner product, so the pair of both attribute sets tells the logit.
    attributes = ["user_segment", "user_tier", "item_category", "item_brand"]
    spread = log.assign(p=truth.pctr).groupby(attributes)["p"].agg(np.ptp)
    assert spread.max() <= 1e-12


def test_a_log_looks_like_a_log():
    simulator = scenario("cvr_blind")
    log, _ = simulator.sample(1000, np.random.default_rng(0))
    assert list(log.columns) == [*simulator.schema.features, "click", "conversion"]
    assert log[list(simulator.schema.ids)].dtypes.eq(np.int64).all()
    assert simulator.schema.hidden == {"conversion": ("user_id", "user_segment", "user_tier")}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rho": 1.5}, "`rho` must lie in"),
        ({"ctr": 0.0}, "`ctr` must lie in"),
        ({"cvr": 1.0}, "`cvr` must lie in"),
        ({"users": 1}, "`users` must"),
        ({"users": 8, "items": 5}, "uncorrelated effects"),
        ({"confounder": -1.0}, "`confounder` must"),
        ({"confounder_click": 21.0}, r"`confounder_click` must lie in \[-20, 20\]"),
        ({"confounder_per": "item"}, "`confounder_per` must be one of impression, user"),
        ({"cvr_over": "carts"}, "`cvr_over` must be one of clicks, impressions"),
        ({"curvature": np.inf}, "`curvature` must lie in"),
        ({"mnar": "much"}, "`mnar` must be a number, found 'much'"),
        ({"users": 50.5}, "`users` must be a whole number"),
        ({"tastes": 0}, r"`tastes` must lie in \[1, 64\]"),
        ({"days": -1}, "`days` must lie in"),
        ({"seed": -1}, "`seed` must lie in"),
        ({"user_attributes": ()}, "`user_attributes` must be a list of numbers"),
        ({"item_attributes": (3, 0)}, "`item_attributes` must lie in"),
        ({"delay": 3}, "`delay` must be a `simulate.Delay` or None"),
        ({"hidden_from": {"conversion": ["mood"]}}, "must name features"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(SimulationError, match=message):
        LogisticFunnel(**parameters)


def test_a_log_has_a_row():
    with pytest.raises(SimulationError, match="at least 1"):
        scenario("dense").sample(0, np.random.default_rng(0))
