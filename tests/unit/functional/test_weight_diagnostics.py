"""What weights are worth, against NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_seq.errors import DataError
from mtl_seq.functional import balance, effective_sample_size, largest_weight_share

WEIGHTS = st.lists(st.floats(0, 100), min_size=1, max_size=30).filter(lambda w: sum(w) > 1e-3)


def test_they_agree_with_numpy():
    w = np.random.default_rng(0).random(200) ** 3
    assert float(effective_sample_size(w)) == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-13)
    assert float(largest_weight_share(w)) == pytest.approx(w.max() / w.sum(), rel=1e-13)


@pytest.mark.parametrize("weights", [[], [0.0, 0.0]])
def test_no_weight_gives_nan(weights):
    assert torch.isnan(effective_sample_size(np.array(weights)))
    assert torch.isnan(largest_weight_share(np.array(weights)))


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(weights=WEIGHTS, factor=st.floats(0.1, 10))
def test_bounds_and_scale(weights, factor):
    w = np.array(weights)
    size, top = float(effective_sample_size(w)), float(largest_weight_share(w))
    assert 1 - 1e-9 <= size <= (w > 0).sum() + 1e-9
    assert 1 / size <= top * (1 + 1e-9)  # sum w^2 <= max w * sum w
    assert float(effective_sample_size(factor * w)) == pytest.approx(size)
    assert float(largest_weight_share(factor * w)) == pytest.approx(top)


@pytest.mark.parametrize("weighted", [False, True])
def test_balance_is_the_difference_of_means(weighted):
    rng = np.random.default_rng(0)
    features, p = rng.normal(size=(500, 3)), rng.uniform(0.1, 0.9, 500)
    click = (rng.random(500) < p).astype(np.float64)
    weight = rng.random(500) if weighted else np.ones(500)
    found = balance(click, p, features, weight if weighted else None)
    ipw = click / p
    mean = np.average(features, axis=0, weights=weight)
    sd = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weight))
    difference = np.average(ipw[:, None] * features, axis=0, weights=weight) - mean
    assert float(found.weight_mean) == pytest.approx(np.average(ipw, weights=weight), rel=1e-12)
    np.testing.assert_allclose(found.difference, difference, rtol=1e-10)
    np.testing.assert_allclose(found.standardised, difference / sd, rtol=1e-10)


def test_balance_is_zero_in_expectation_under_the_true_propensity():
    """Over both outcomes of every click, weighted by their chances: exactly 0."""
    rng = np.random.default_rng(1)
    p, features = rng.uniform(0.05, 0.95, 400), rng.normal(size=(400, 2))
    either = np.repeat([1.0, 0.0], 400), np.tile(p, 2), np.tile(features, (2, 1))
    found = balance(*either, np.concatenate((p, 1 - p)))
    assert float(found.weight_mean) == pytest.approx(1, abs=1e-13)
    np.testing.assert_allclose(found.difference, 0, atol=1e-13)


def test_a_constant_feature_has_no_scale():
    found = balance(np.array([1.0, 0.0]), np.array([0.5, 0.5]), np.full((2, 1), 0.1))
    assert torch.isnan(found.standardised[0])
    assert float(found.difference[0]) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("p", [0.0, -0.1, 1.5])
def test_a_click_needs_a_propensity(p):
    with pytest.raises(DataError, match=r"`propensity` must lie in \(0, 1\] on clicks, found"):
        balance(np.array([1.0, 0.0]), np.array([p, 0.0]), np.ones((2, 1)))


def test_features_are_numbers_of_the_same_rows():
    with pytest.raises(
        DataError, match=r"`features` must be numbers of shape \(2, F\), found \(3, 1"
    ):
        balance(np.ones(2), np.ones(2), np.ones((3, 1)))
    with pytest.raises(DataError, match="with NaN"):
        balance(np.ones(2), np.ones(2), np.full((2, 1), np.nan))
