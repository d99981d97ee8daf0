"""The simulator does what its formulas say: exact integrals, and draws within 5 standard errors."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from mtl_seq.errors import SimulationError
from mtl_seq.simulate import LogisticFunnel, scenario, scenarios
from mtl_seq.simulate._effects import draw_entities, zipf
from mtl_seq.simulate._outcomes import marginal, outcome, sigmoid

ROWS = 200_000
WORLDS = {
    "plain": {},
    "selected": {"rho": 0.8},
    "sparse": {"rho": 0.8, "ctr": 0.04, "cvr": 0.02},
    "steep": {"rho": -0.8, "click_slope": 3.0, "ctr": 0.1},
    "confounded": {"confounder": 1.0},
    "MNAR": {"mnar": 1.5},
    "both": {"confounder": 0.7, "mnar": -1.0, "cvr": 0.3},
}


@pytest.fixture(scope="module", params=WORLDS, ids=list(WORLDS))
def drawn(request):
    world = LogisticFunnel(**WORLDS[request.param], seed=3)
    return (world, *world.sample(ROWS, np.random.default_rng(4)))


def sigmas(values, expected):
    """How many standard errors the mean of independent values is off."""
    error = values - expected
    return abs(error.mean()) / (error.std() / np.sqrt(len(error)))


def draws_off(draws, rate):
    """How many standard errors 0/1 draws are off their rates."""
    return abs((draws - rate).sum()) / np.sqrt((rate * (1 - rate)).sum())


def test_targets_are_met(drawn):
    world, _, truth = drawn
    assert sigmas(truth.pctr, world.ctr) <= 5
    # CVR on clicks is a ratio of means; its numerator minus the target times its denominator is 0.
    assert sigmas(truth.pctcvr - world.cvr * truth.pctr, 0) <= 5


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
    world = LogisticFunnel(rho=rho, click_slope=1.3, conversion_slope=0.7, seed=1)
    _, truth = world.sample(ROWS, np.random.default_rng(2))
    a, b = (np.log(p / (1 - p)) for p in (truth.pctr, truth.pcvr))
    # The standard error of a correlation is below 1/sqrt(n) times the root of the kurtosis.
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(rho, abs=5 * 2 / np.sqrt(ROWS))
    assert a.std() == pytest.approx(1.3, rel=0.02)
    assert b.std() == pytest.approx(0.7, rel=0.02)


@pytest.mark.parametrize("mnar", [0.0, 1.5, -2.0])
@pytest.mark.parametrize("loading", [0.5, 1.0])
def test_the_marginal_is_the_integral_over_the_confounder(mnar, loading):
    a, b = np.array([-2.5, -1.0, 0.5]), np.array([-1.5, 0.0, -3.0])
    found = marginal(a, b, mnar, (loading, loading))
    for row in range(3):
        for name, index in (("click", 0), ("conversion", 1), ("both", 2)):

            def integrand(h, row=row, index=index):
                shift = loading * h
                return outcome(a[row] + shift, b[row] + shift, mnar)[index] * norm.pdf(h)

            exact, _ = quad(integrand, -9, 9, epsabs=1e-12)
            assert getattr(found, name)[row] == pytest.approx(exact, abs=1e-6)


def test_mnar_adds_to_the_click_logit_where_a_conversion_would_follow():
    a, b, delta = np.array([-1.0, 0.3]), np.array([-2.0, 1.0]), 1.5
    q = sigmoid(b)
    found = outcome(a, b, delta)
    np.testing.assert_allclose(found.both, q * sigmoid(a + delta), rtol=1e-14)
    np.testing.assert_allclose(
        found.click, q * sigmoid(a + delta) + (1 - q) * sigmoid(a), rtol=1e-14
    )


def test_effects_have_exact_moments_under_the_popularity():
    found = draw_entities(500, (6, 4), 5, id_share=0.3, exponent=0.8, rng=np.random.default_rng(0))
    weight = found.popularity
    np.testing.assert_allclose(weight @ found.effects, 0, atol=1e-12)
    covariance = found.effects.T @ (weight[:, None] * found.effects)
    np.testing.assert_allclose(covariance, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(weight, zipf(500, 0.8))
    assert weight[0] / weight[9] == pytest.approx(10**0.8)


def test_without_id_effects_attributes_tell_everything():
    world = LogisticFunnel(users=300, items=200, id_effects=0.0, seed=0)
    log, truth = world.sample(50_000, np.random.default_rng(0))
    # The taste term is an inner product, so the pair of both attribute sets tells the logit.
    attributes = ["user_segment", "user_tier", "item_category", "item_brand"]
    spread = log.assign(p=truth.pctr).groupby(attributes)["p"].agg(np.ptp)
    assert spread.max() <= 1e-12


def test_a_log_looks_like_a_log():
    world = scenario("cvr_blind")
    log, _ = world.sample(1000, np.random.default_rng(0))
    assert list(log.columns) == [*world.schema.features, "click", "conversion"]
    assert log[list(world.schema.ids)].dtypes.eq(np.int64).all()
    assert world.schema.hidden == {"conversion": ("user_id", "user_segment", "user_tier")}


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("clean", {"users": 200, "items": 100, "id_effects": 0.0, "rho": 0.8}),
        ("dense", {"users": 5000, "items": 1000, "ctr": 0.2, "cvr": 0.2}),
        ("sparse", {"ctr": 0.04, "cvr": 0.02, "rho": 0.8}),
        ("cvr_blind", {"ctr": 0.2, "cvr": 0.2, "rho": 0.8}),
        ("hidden", {"confounder": 1.0, "rho": 0.4}),
    ],
)
def test_scenarios_are_the_named_worlds(name, knobs):
    world = scenario(name)
    assert {knob: getattr(world, knob) for knob in knobs} == knobs
    assert scenarios()[name]


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"rho": 1.5}, "`rho` must lie in"),
        ({"ctr": 0.0}, "`ctr` must lie in"),
        ({"cvr": 1.0}, "`cvr` must lie in"),
        ({"users": 1}, "`users` must"),
        ({"users": 8, "items": 5}, "uncorrelated effects"),
        ({"confounder": -1.0}, "`confounder` must"),
    ],
)
def test_knobs_out_of_range_are_named(knobs, said):
    with pytest.raises(SimulationError, match=said):
        LogisticFunnel(**knobs)


def test_unknown_names_and_knobs_list_the_known():
    with pytest.raises(SimulationError, match="known are clean"):
        scenario("murky")
    with pytest.raises(SimulationError, match="no knob 'tempo'"):
        scenario("dense", tempo=3)
    with pytest.raises(SimulationError, match="at least 1"):
        scenario("dense").sample(0, np.random.default_rng(0))
