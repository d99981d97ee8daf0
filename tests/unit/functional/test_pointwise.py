"""Ratios of sums against NumPy and scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sk_log_loss
from sklearn.metrics import root_mean_squared_error

from mtl_seq.errors import DataError
from mtl_seq.functional import (
    log_loss,
    mean_bias,
    normalised_entropy,
    pcoc,
    relative_bias,
    rmse,
)

ALL = [log_loss, mean_bias, normalised_entropy, pcoc, relative_bias, rmse]
PROBABILITY = st.floats(0, 1)
ROWS = st.lists(st.tuples(PROBABILITY, PROBABILITY, st.floats(0, 5)), min_size=1, max_size=20)


def draw(seed=0, rows=300):
    rng = np.random.default_rng(seed)
    prediction = rng.random(rows)
    label = (rng.random(rows) < prediction).astype(np.float64)
    weight = rng.random(rows) * (rng.random(rows) < 0.8)
    return prediction, label, rng.random(rows), weight


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_they_agree_with_numpy_and_scikit_learn(weighted, soft):
    prediction, label, probability, weight = draw()
    target = probability if soft else label
    given_weight = weight if weighted else None
    w = weight if weighted else np.ones_like(weight)
    both, twice = np.repeat([1, 0], len(label)), np.tile(prediction, 2)
    split = np.concatenate((w * target, w * (1 - target)))
    base = np.average(target, weights=w)
    loss = sk_log_loss(both, twice, sample_weight=split)
    entropy = -base * np.log(base) - (1 - base) * np.log(1 - base)
    expected = {
        log_loss: loss,
        normalised_entropy: loss / entropy,
        mean_bias: np.average(prediction, weights=w) - base,
        pcoc: np.average(prediction, weights=w) / base,
        relative_bias: np.average(prediction, weights=w) / base - 1,
        rmse: root_mean_squared_error(target, prediction, sample_weight=w),
    }
    for metric, value in expected.items():
        found = metric(prediction, target, given_weight)
        assert found.dtype == torch.float64
        assert float(found) == pytest.approx(value, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("metric", ALL)
def test_tensors_and_arrays_give_the_same(metric):
    prediction, label, _, weight = draw()
    tensors = (torch.from_numpy(column) for column in (prediction, label, weight))
    assert float(metric(prediction, label, weight)) == float(metric(*tensors))


@pytest.mark.parametrize("metric", ALL)
def test_no_rows_and_no_weight_give_nan(metric):
    assert torch.isnan(metric(np.zeros(0), np.zeros(0)))
    assert torch.isnan(metric(np.full(3, 0.2), np.ones(3), np.zeros(3)))


@pytest.mark.parametrize("metric", [pcoc, relative_bias, normalised_entropy])
def test_what_divides_by_the_positives_needs_one(metric):
    assert torch.isnan(metric(np.full(3, 0.2), np.zeros(3)))


def test_normalised_entropy_needs_a_negative_too():
    assert torch.isnan(normalised_entropy(np.full(3, 0.2), np.ones(3)))


def test_a_sure_prediction_that_is_wrong_costs_a_finite_amount():
    assert float(log_loss(np.array([0.0]), np.array([1.0]))) == pytest.approx(-np.log(1e-12))
    assert float(log_loss(np.array([1.0]), np.array([0.0]))) == pytest.approx(
        -np.log(1e-12), rel=1e-5
    )


def test_the_base_rate_has_a_normalised_entropy_of_one():
    label = draw()[1]
    base = np.full_like(label, label.mean())
    assert float(normalised_entropy(base, label)) == pytest.approx(1, abs=1e-12)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(rows=ROWS, factor=st.floats(0.01, 100))
def test_pcoc_scales_with_the_prediction_and_ignores_the_scale_of_weights(rows, factor):
    prediction, target, weight = np.array(rows).T
    expected = float(pcoc(prediction, target, weight))
    if np.isnan(expected) or (weight * target).sum() < 1e-200:
        return
    assert float(pcoc(factor * prediction, target, weight)) == pytest.approx(factor * expected)
    assert float(pcoc(prediction, target, factor * weight)) == pytest.approx(expected)
    assert float(relative_bias(prediction, target, weight)) == pytest.approx(expected - 1)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(rows=ROWS)
def test_bounds(rows):
    prediction, target, weight = np.array(rows).T
    if weight.sum() < 1e-200:
        return
    assert abs(float(mean_bias(prediction, target, weight))) <= 1 + 1e-12
    assert 0 <= float(rmse(prediction, target, weight)) <= 1 + 1e-12
    # The truth has the least log loss that there is against itself.
    assert (
        float(log_loss(prediction, target, weight))
        >= float(log_loss(target, target, weight)) - 1e-9
    )


@pytest.mark.parametrize("metric", ALL)
def test_nan_and_other_lengths_are_errors(metric):
    with pytest.raises(DataError, match=r"`prediction` must hold numbers, found NaN in 1 row"):
        metric(np.array([np.nan, 0.5]), np.ones(2))
    with pytest.raises(DataError, match=r"`target` must have the shape \(2,\), found \(3,\)"):
        metric(np.ones(2), np.ones(3))
