"""Heckman's scenario: draws against closed forms, closed forms against SciPy and integrals."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from mtl_seq.errors import SimulationError
from mtl_seq.simulate import ParameterError, ProbitFunnel

ROWS = 400_000
K = 4.5
SCENARIOS = {
    "selected": {"rho": 0.6, "ctr": 0.04, "cvr": 0.02, "cvr_over": "impressions"},
    "confounded": {
        "rho": 0.6,
        "ctr": 0.04,
        "cvr": 0.02,
        "cvr_over": "impressions",
        "error_correlation": 0.3,
    },
    "against": {"rho": -0.5, "ctr": 0.1, "cvr": 0.05, "cvr_over": "impressions"},
    "Heckman": {"rho": 0.2, "error_correlation": -0.8, "instrument": 0.6, "click_slope": 2.0},
    "clicks": {"rho": 0.8, "conversion_slope": 2.0, "error_correlation": 0.9},
}


@pytest.fixture(scope="module", params=SCENARIOS)
def drawn(request):
    simulator = ProbitFunnel(seed=4, **SCENARIOS[request.param])
    return (simulator, *simulator.sample(ROWS, np.random.default_rng(5)))


def off(values, expected=0.0):
    return abs(np.mean(values) - expected) / (np.std(values) / np.sqrt(len(values)))


def test_draws_have_the_closed_forms_for_means(drawn):
    simulator, log, truth = drawn
    rates, o, r = simulator.rates, log["click"].to_numpy(), truth.potential
    assert off(o, rates.ctr) <= K
    assert off(r, rates.cvr) <= K
    assert off(o * r, rates.ctcvr) <= K
    assert off(o * (r - rates.cvr_clicked)) <= K
    assert off((1 - o) * (r - rates.cvr_unclicked)) <= K


def test_probabilities_have_the_closed_forms_for_means(drawn):
    simulator, _, truth = drawn
    assert off(truth.pctr, simulator.rates.ctr) <= K
    assert off(truth.pcvr, simulator.rates.cvr) <= K
    assert off(truth.pctcvr, simulator.rates.ctcvr) <= K


def test_the_joint_is_an_orthant_of_the_normal(drawn):
    simulator, *_ = drawn
    slopes = simulator.rho * simulator.click_slope * simulator.conversion_slope
    scale = np.sqrt((1 + simulator.click_slope**2) * (1 + simulator.conversion_slope**2))
    r = (slopes + simulator.error_correlation) / scale
    h, k = norm.ppf(simulator.rates.ctr), norm.ppf(simulator.rates.cvr)
    expected, _ = quad(
        lambda x: norm.pdf(x) * norm.cdf((k - r * x) / np.sqrt(1 - r**2)), -12, h, epsabs=1e-14
    )
    assert simulator.rates.ctcvr == pytest.approx(expected, rel=1e-8)


def test_the_asked_for_rates_are_met_exactly():
    simulator = ProbitFunnel(ctr=0.07, cvr=0.13, rho=-0.6, error_correlation=0.5)
    assert simulator.rates.ctr == 0.07
    assert simulator.rates.cvr_clicked == pytest.approx(0.13, rel=1e-12)
    over = ProbitFunnel(ctr=0.07, cvr=0.13, cvr_over="impressions")
    assert over.rates.cvr == pytest.approx(0.13, rel=1e-12)


@pytest.mark.parametrize("correlation", [-0.8, 0.3])
def test_the_truth_given_x_is_the_integral_over_the_confounder(correlation):
    """``P(o, r | x) = int P(o | x, h) P(r | x, h) phi(h) dh``, row by row."""
    simulator = ProbitFunnel(rho=0.5, error_correlation=correlation, seed=1)
    log, truth = simulator.sample(20, np.random.default_rng(0))
    x = log[[f"x_{j}" for j in range(8)]].to_numpy()
    a = simulator._scenario.alpha + x @ simulator._scenario.click
    b = simulator._scenario.beta + x @ simulator._scenario.conversion
    loading, own = np.sqrt(abs(correlation)), np.sqrt(1 - abs(correlation))
    sign = np.sign(correlation)
    for row in range(20):

        def click(h, row=row):
            return norm.cdf((a[row] + loading * h) / own)

        def converts(h, row=row):
            return norm.cdf((b[row] + sign * loading * h) / own)

        for result, values in (
            (truth.pctr, click),
            (truth.pcvr, converts),
            (truth.pctcvr, lambda h, f=click, g=converts: f(h) * g(h)),
        ):
            exact, _ = quad(lambda h, f=values: f(h) * norm.pdf(h), -9, 9, epsabs=1e-13)
            assert result[row] == pytest.approx(exact, abs=1e-9)
        h = truth.hidden["confounder"][row]
        assert truth.pctr_hidden[row] == pytest.approx(click(h), rel=1e-12)
        assert truth.pcvr_hidden[row] == pytest.approx(converts(h), rel=1e-12)


@pytest.mark.parametrize("instrument", [0.0, 0.5])
def test_scores_have_correlation_rho_exactly(instrument):
    simulator = ProbitFunnel(rho=-0.6, instrument=instrument, features=5)
    u, v = simulator._scenario.click, simulator._scenario.conversion
    assert u @ u == pytest.approx(1, abs=1e-12)
    assert v @ v == pytest.approx(1, abs=1e-12)
    assert np.sqrt(1 - instrument) * (u @ v) == pytest.approx(-0.6, abs=1e-12)


def test_the_instrument_moves_clicks_only():
    simulator = ProbitFunnel(instrument=0.5, rho=0.5, error_correlation=0.4)
    assert simulator.schema.hidden == {"conversion": ("instrument",)}
    log, truth = simulator.sample(ROWS, np.random.default_rng(0))
    w = log["instrument"].to_numpy()
    assert np.corrcoef(w, norm.ppf(truth.pctr))[0, 1] > 0.5
    assert off(w * (truth.pcvr - truth.pcvr.mean())) <= K
    assert ProbitFunnel().schema.click_only == ()


def test_selection_is_corrected_by_the_inverse_mills_ratio():
    """Heckman's mean: ``E[e_2 | x, o = 1] = error_correlation phi(a) / Phi(a)``.

    e_2 itself is not in the log, but a conversion is e_2 > -b, so its mean over a grid of
    thresholds is the integral of P(r = 1 | x, o = 1).
    """
    rho = 0.6
    simulator = ProbitFunnel(rho=0.0, error_correlation=rho, conversion_slope=0.0, click_slope=0.0)
    a = simulator._scenario.alpha
    thresholds = np.linspace(-8, 8, 401)

    def both(k):
        inner = quad(lambda x: norm.pdf(x) * norm.cdf((k - rho * x) / np.sqrt(1 - rho**2)), -10, a)
        return inner[0]

    above = np.array([both(k) for k in thresholds]) / norm.cdf(a)
    # E[e] = int (P(e > t) for t > 0) - int (P(e < t) for t < 0); P(e > -b) is `above` at b.
    positive = above[thresholds <= 0].sum() - above[thresholds == 0][0] / 2
    negative = (1 - above[thresholds >= 0]).sum() - (1 - above[thresholds == 0][0]) / 2
    mean = (positive - negative) * (thresholds[1] - thresholds[0])
    assert mean == pytest.approx(rho * norm.pdf(a) / norm.cdf(a), abs=1e-4)
    _, truth = simulator.sample(10, np.random.default_rng(0))
    np.testing.assert_allclose(
        truth.pcvr_clicked, both(simulator._scenario.beta) / norm.cdf(a), atol=1e-9
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"features": 1}, r"`features` must lie in \[2, 1000\]"),
        ({"error_correlation": 1.0}, r"`error_correlation` must lie in \[-0.95, 0.95\]"),
        ({"rho": 0.9, "instrument": 0.5}, r"`rho` must lie in \[-0.7071, 0.7071\] with an"),
        ({"ctr": 1.0}, r"`ctr` must lie in \(0, 1\)"),
        ({"cvr_over": "all"}, "`cvr_over` must be one of clicks, impressions"),
        ({"click_slope": -1.0}, "`click_slope` must lie in"),
        ({"hidden_from": {"click": ["age"]}}, "must name features"),
        ({"seed": 1.5}, "`seed` must be a whole number"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ParameterError, match=message):
        ProbitFunnel(**parameters)


def test_a_log_has_a_row():
    with pytest.raises(SimulationError, match="at least 1"):
        ProbitFunnel().sample(0, np.random.default_rng(0))
