"""The tasks of the MMoE paper are what its formulas say; draws are held to 5 standard errors."""

import numpy as np
import pytest

from mtl_seq.errors import SimulationError
from mtl_seq.simulate import MMoERegression

ROWS = 200_000
COSINES = (-1.0, -0.3, 0.0, 0.5, 0.9, 0.999, 1.0)


def correlation(simulator, seed=1):
    _, y = simulator.sample(ROWS, np.random.default_rng(seed))
    return np.corrcoef(y.T)[0, 1]


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("cosine", COSINES)
def test_the_cosine_of_the_weights_is_exact(cosine, scale):
    w1, w2 = MMoERegression(cosine=cosine, scale=scale, seed=2).weights
    np.testing.assert_allclose([np.linalg.norm(w1), np.linalg.norm(w2)], scale, rtol=1e-12)
    assert w1 @ w2 / scale**2 == pytest.approx(cosine, abs=1e-12)


@pytest.mark.parametrize("cosine", COSINES)
def test_the_linear_part_alone_has_that_correlation(cosine):
    result = correlation(MMoERegression(cosine=cosine, terms=0, noise_std=0.0))
    # Of a bivariate normal sample the standard error is (1 - rho^2) / sqrt(n).
    assert result == pytest.approx(cosine, abs=5 * (1 - cosine**2) / np.sqrt(ROWS) + 1e-12)


def test_the_correlation_of_the_labels_grows_with_the_cosine_but_is_not_it():
    result = [correlation(MMoERegression(cosine=p)) for p in (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)]
    # Neighbours differ by far more than the standard error of a correlation, 1/sqrt(n).
    assert (np.diff(result) > 5 * np.sqrt(2 / ROWS)).all()
    assert result[0] == pytest.approx(0, abs=5 / np.sqrt(ROWS))
    assert result[2] < 0.45
    # The labels of one task twice differ by noise alone: corr = 1 - var(e) / var(y).
    assert result[-1] == pytest.approx(1, abs=1e-3)


def test_labels_are_the_formula():
    alpha, beta = (0.5, -2.0), (1.0, 0.1)
    simulator = MMoERegression(
        d=7, cosine=-0.4, terms=2, alpha=alpha, beta=beta, noise_std=0.0, seed=3
    )
    x, y = simulator.sample(50, np.random.default_rng(0))
    for k in range(2):
        z = x @ simulator.weights[k]
        expected = z + np.sin(0.5 * z + 1.0) + np.sin(-2.0 * z + 0.1)
        np.testing.assert_allclose(y[:, k], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(simulator.mean(x), y)


def test_the_defaults_are_those_of_the_port():
    named = MMoERegression(alpha=range(1, 11), beta=[j**2 for j in range(10)], scale=1.0)
    x, y = MMoERegression().sample(20, np.random.default_rng(0))
    np.testing.assert_array_equal(named.mean(x), MMoERegression().mean(x))
    assert np.abs(y - named.mean(x)).max() < 0.05
    assert MMoERegression().noise_std == 0.01


@pytest.mark.parametrize("noise", [0.01, 0.1, 2.0])
def test_noise_has_the_standard_deviation_asked_for_and_is_each_task_s_own(noise):
    simulator = MMoERegression(noise_std=noise, cosine=1.0)
    x, y = simulator.sample(ROWS, np.random.default_rng(4))
    rest = y - simulator.mean(x)
    assert np.abs(rest.mean(0)).max() <= 5 * noise / np.sqrt(ROWS)
    np.testing.assert_allclose(rest.std(0), noise, rtol=5 / np.sqrt(2 * ROWS))
    assert abs(np.corrcoef(rest.T)[0, 1]) <= 5 / np.sqrt(ROWS)


def test_features_are_standard_normal_and_have_nothing_in_common():
    x, _ = MMoERegression(d=6).sample(ROWS, np.random.default_rng(5))
    assert np.abs(np.cov(x.T) - np.eye(6)).max() <= 5 * np.sqrt(2 / ROWS)
    assert np.abs(x.mean(0)).max() <= 5 / np.sqrt(ROWS)


def test_one_seed_is_one_scenario_and_the_cosine_moves_only_the_second_task():
    near, far = MMoERegression(cosine=0.9, seed=7), MMoERegression(cosine=0.1, seed=7)
    (x, y), (x_far, y_far) = (w.sample(30, np.random.default_rng(8)) for w in (near, far))
    np.testing.assert_array_equal(x, x_far)
    np.testing.assert_array_equal(y[:, 0], y_far[:, 0])
    assert not np.isclose(y[:, 1], y_far[:, 1]).any()
    again = MMoERegression(cosine=0.9, seed=7)
    assert again == near
    np.testing.assert_array_equal(again.weights, near.weights)
    assert not np.isclose(MMoERegression(cosine=0.9, seed=9).weights, near.weights).any()


def test_a_generator_that_moved_on_gives_other_rows():
    simulator, rng = MMoERegression(), np.random.default_rng(0)
    assert not np.isclose(simulator.sample(5, rng)[0], simulator.sample(5, rng)[0]).any()


def test_scenarios_are_values():
    simulator = MMoERegression(terms=2, alpha=np.array([1.0, 2.0]), beta=[0, 1])
    assert simulator == MMoERegression(terms=2, alpha=(1.0, 2.0), beta=(0.0, 1.0))
    assert hash(simulator)
    with pytest.raises(ValueError, match="read-only"):
        simulator.weights[0, 0] = 1.0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cosine": 1.1}, "`cosine` must lie in"),
        ({"cosine": float("nan")}, "`cosine` must lie in"),
        ({"d": 1}, "`d` must lie in"),
        ({"terms": -1}, "`terms` must lie in"),
        ({"scale": 0.0}, "`scale` must be finite"),
        ({"noise_std": -0.1}, "standard deviation, not a variance"),
        ({"alpha": (1.0, 2.0)}, "`alpha` must have one value for each of the 10 `terms`"),
        ({"terms": 1, "beta": (float("inf"),)}, "`beta` must be finite"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(SimulationError, match=message):
        MMoERegression(**parameters)


def test_no_rows_are_refused():
    with pytest.raises(SimulationError, match="at least 1"):
        MMoERegression().sample(0, np.random.default_rng(0))
