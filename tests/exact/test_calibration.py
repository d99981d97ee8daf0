"""What calibration on clicks does to a debiased model: infinite data, no sampling noise.

The scenario of `test_optima`: linear logits, CTR 20%, CVR on clicks 20%, and a CVR model without
x1, which drives the click. IPS with the true propensity has the entire-space optimum.
"""

import numpy as np
import pytest
from exact.test_optima import Scenario, sigmoid, solve

from mtl_seq import FeatureSpec, models
from mtl_seq.calibration import fit_map
from mtl_seq.models import CalibrationConfig


def blind_ips(scenario):
    """pCVR of the logistic model on x2 alone that IPS with the true propensity ends at."""
    design = np.stack((np.ones_like(scenario.x2), scenario.x2))

    def gradient(beta):
        # E[o / p (q_hat - r) x] over the outcomes: p / p (q_hat - q).
        return design @ (scenario.mass * (sigmoid(beta @ design) - scenario.q))

    beta = solve(gradient, np.zeros(2))
    assert np.abs(gradient(beta)).max() <= 1e-10
    return sigmoid(beta @ design)


def bias(scenario, pcvr):
    return float(scenario.mass @ pcvr / (scenario.mass @ scenario.q) - 1)


@pytest.mark.parametrize("method", ["shift", "platt"])
@pytest.mark.parametrize("rho", [0.4, 0.8, -0.8])
def test_weighted_by_propensities_calibration_leaves_ips_unbiased(method, rho):
    scenario = Scenario(rho)
    pcvr = blind_ips(scenario)
    assert abs(bias(scenario, pcvr)) <= 1e-9
    # Cells stand for their clicks: mass p, each weighted by 1 / p.
    weight = scenario.mass * scenario.p / scenario.p
    fitted = fit_map(CalibrationConfig(method), pcvr, scenario.q, weight, weighted=True)
    assert abs(bias(scenario, fitted.pcvr(pcvr))) <= 1e-9
    # Nothing was to be corrected: IPS is calibrated over all impressions already.
    np.testing.assert_allclose(fitted.pcvr(pcvr), pcvr, atol=1e-8)
    assert fitted.pcoc == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("rho", "expected"), [(0.8, 0.475), (0.4, 0.212), (-0.8, -0.312)])
@pytest.mark.parametrize("method", ["shift", "platt", "isotonic"])
def test_unweighted_calibration_undoes_the_debiasing(method, rho, expected):
    """IPS goes from 0 to +47.5% at rho .8, practically the naive model's bias."""
    scenario = Scenario(rho)
    pcvr = blind_ips(scenario)
    fitted = fit_map(
        CalibrationConfig(method), pcvr, scenario.q, scenario.mass * scenario.p, weighted=False
    )
    assert bias(scenario, fitted.pcvr(pcvr)) == pytest.approx(expected, abs=0.005)


def test_a_shift_corrects_the_mean_on_clicks_and_so_biases_it_elsewhere():
    scenario = Scenario(0.8)
    pcvr = blind_ips(scenario)
    clicks = scenario.mass * scenario.p
    moved = fit_map(CalibrationConfig("shift"), pcvr, scenario.q, clicks, weighted=False).pcvr(pcvr)
    assert clicks @ moved == pytest.approx(clicks @ scenario.q, rel=1e-12)
    assert clicks @ pcvr < 0.75 * (clicks @ scenario.q)


def shifted(scenario, pcvr, propensity):
    """pCVR after the weighted shift of `models.targeted`, with this propensity in the weights."""
    policy = models.targeted(FeatureSpec(dense=["x2"]), seed=0).calibration
    fitted = fit_map(
        CalibrationConfig(policy.method),
        pcvr,
        scenario.q,
        scenario.mass * scenario.p / propensity,
        weighted=True,
    )
    return fitted.pcvr(pcvr)


@pytest.mark.parametrize("rho", [0.4, 0.8, -0.8])
def test_the_mean_of_targeted_is_right_if_the_propensity_is(rho):
    """Whatever pCVR it had learned: here that of clicks, from what does not drive them."""
    scenario = Scenario(rho)
    clicks = scenario.mass * scenario.p
    design = np.stack((np.ones_like(scenario.x2), scenario.x2))
    naive = sigmoid(
        solve(lambda b: design @ (clicks * (sigmoid(b @ design) - scenario.q)), np.zeros(2))
        @ design
    )
    assert abs(bias(scenario, naive)) > 0.2
    assert abs(bias(scenario, shifted(scenario, naive, scenario.p))) <= 1e-9


def test_a_right_pcvr_is_kept_with_any_propensity():
    scenario = Scenario(0.8)
    wrong = np.clip(scenario.p**0.5, 0.05, 0.9)
    np.testing.assert_allclose(shifted(scenario, scenario.q, wrong), scenario.q, atol=1e-9)


def test_with_both_wrong_the_mean_is_biased():
    scenario = Scenario(0.8)
    assert (
        abs(
            bias(
                scenario,
                shifted(scenario, sigmoid(scenario.x2 - 1), np.full_like(scenario.p, 0.2)),
            )
        )
        > 0.2
    )
