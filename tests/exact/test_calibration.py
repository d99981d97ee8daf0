"""What calibration on clicks does to a debiased model: infinite data, no sampling noise.

The scenario of `test_optima`: linear logits, CTR 20%, CVR on clicks 20%, and a CVR model that does not
see x1, which drives the click. IPS with the true propensity has the entire-space optimum.
"""

import numpy as np
import pytest
from exact.test_optima import Scenario, sigmoid, solve

from mtl_seq import FeatureSpec, models
from mtl_seq.calibration import fit_map
from mtl_seq.models import CalibrationConfig


def blind_ips(simulator):
    """pCVR of the logistic model on x2 alone that IPS with the true propensity ends at."""
    design = np.stack((np.ones_like(simulator.x2), simulator.x2))

    def gradient(beta):
        # E[o / p (q_hat - r) x] over the outcomes: p / p (q_hat - q).
        return design @ (simulator.mass * (sigmoid(beta @ design) - simulator.q))

    beta = solve(gradient, np.zeros(2))
    assert np.abs(gradient(beta)).max() <= 1e-10
    return sigmoid(beta @ design)


def bias(simulator, pcvr):
    return float(simulator.mass @ pcvr / (simulator.mass @ simulator.q) - 1)


@pytest.mark.parametrize("method", ["shift", "platt"])
@pytest.mark.parametrize("rho", [0.4, 0.8, -0.8])
def test_weighted_by_propensities_calibration_leaves_ips_unbiased(method, rho):
    simulator = Scenario(rho)
    pcvr = blind_ips(simulator)
    assert abs(bias(simulator, pcvr)) <= 1e-9
    # Cells stand for their clicks: mass p, each weighted by 1 / p.
    weight = simulator.mass * simulator.p / simulator.p
    fitted = fit_map(CalibrationConfig(method), pcvr, simulator.q, weight, weighted=True)
    assert abs(bias(simulator, fitted.pcvr(pcvr))) <= 1e-9
    # Nothing was to be corrected: IPS is calibrated over all impressions already.
    np.testing.assert_allclose(fitted.pcvr(pcvr), pcvr, atol=1e-8)
    assert fitted.pcoc == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("rho", "expected"), [(0.8, 0.475), (0.4, 0.212), (-0.8, -0.312)])
@pytest.mark.parametrize("method", ["shift", "platt", "isotonic"])
def test_on_clicks_as_they_are_it_undoes_the_debiasing(method, rho, expected):
    """IPS goes from 0 to +47.5% at rho .8, practically the naive model's bias."""
    simulator = Scenario(rho)
    pcvr = blind_ips(simulator)
    fitted = fit_map(
        CalibrationConfig(method), pcvr, simulator.q, simulator.mass * simulator.p, weighted=False
    )
    assert bias(simulator, fitted.pcvr(pcvr)) == pytest.approx(expected, abs=0.005)


def test_a_shift_makes_the_mean_on_clicks_right_and_that_is_the_harm():
    simulator = Scenario(0.8)
    pcvr = blind_ips(simulator)
    clicks = simulator.mass * simulator.p
    moved = fit_map(CalibrationConfig("shift"), pcvr, simulator.q, clicks, weighted=False).pcvr(
        pcvr
    )
    assert clicks @ moved == pytest.approx(clicks @ simulator.q, rel=1e-12)
    assert clicks @ pcvr < 0.75 * (clicks @ simulator.q)


def shifted(simulator, pcvr, propensity):
    """pCVR after the weighted shift of `models.targeted`, with this propensity in the weights."""
    policy = models.targeted(FeatureSpec(dense=["x2"]), seed=0).calibration
    fitted = fit_map(
        CalibrationConfig(policy.method),
        pcvr,
        simulator.q,
        simulator.mass * simulator.p / propensity,
        weighted=True,
    )
    return fitted.pcvr(pcvr)


@pytest.mark.parametrize("rho", [0.4, 0.8, -0.8])
def test_the_mean_of_the_default_is_right_if_the_propensity_is(rho):
    """Whatever pCVR it had learned: here that of clicks, from what does not drive them."""
    simulator = Scenario(rho)
    clicks = simulator.mass * simulator.p
    design = np.stack((np.ones_like(simulator.x2), simulator.x2))
    naive = sigmoid(
        solve(lambda b: design @ (clicks * (sigmoid(b @ design) - simulator.q)), np.zeros(2))
        @ design
    )
    assert abs(bias(simulator, naive)) > 0.2
    assert abs(bias(simulator, shifted(simulator, naive, simulator.p))) <= 1e-9


def test_a_right_pcvr_stays_what_it_is_whatever_the_propensity():
    simulator = Scenario(0.8)
    wrong = np.clip(simulator.p**0.5, 0.05, 0.9)
    np.testing.assert_allclose(shifted(simulator, simulator.q, wrong), simulator.q, atol=1e-9)


def test_with_both_wrong_it_is_not_right():
    simulator = Scenario(0.8)
    assert (
        abs(
            bias(
                simulator,
                shifted(simulator, sigmoid(simulator.x2 - 1), np.full_like(simulator.p, 0.2)),
            )
        )
        > 0.2
    )
