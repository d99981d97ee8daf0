"""Maps of a predicted CVR, against scikit-learn and against their own conditions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from mtl_seq.calibration.maps import fit_isotonic, fit_platt, fit_shift
from mtl_seq.errors import DataError


def draw(seed, rows=400, *, soft=False):
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1.5, rows).round(1)  # with ties
    chance = expit(0.6 * logit + 0.4)
    label = chance if soft else (rng.random(rows) < chance).astype(float)
    return logit, label, rng.uniform(0, 3, rows)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_after_a_shift_the_mean_prediction_is_the_mean_label(seed, soft):
    logit, label, weight = draw(seed, soft=soft)
    shift = fit_shift(logit, label, weight)
    assert weight @ expit(logit + shift) == pytest.approx(weight @ label, rel=1e-12)


def test_a_known_shift_is_recovered():
    logit, _, weight = draw(0)
    for shift in (-20.0, -0.3, 0.0, 2.5):
        assert fit_shift(logit, expit(logit + shift), weight) == pytest.approx(shift, abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_shift_without_both_labels_is_an_error(value):
    with pytest.raises(DataError, match="a shift needs labels above 0 and below 1"):
        fit_shift(np.zeros(3), np.full(3, value), np.ones(3))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_platt_is_logistic_regression(seed):
    logit, label, weight = draw(seed)
    reference = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    reference.fit(logit[:, None], label, sample_weight=weight)
    expected = (reference.coef_[0, 0], reference.intercept_[0])
    assert fit_platt(logit, label, weight) == pytest.approx(expected, rel=1e-6)


def test_platt_finds_slope_and_intercept_from_probabilities():
    logit, label, weight = draw(3, soft=True)
    assert fit_platt(logit, label, weight) == pytest.approx((0.6, 0.4), abs=1e-9)
    # Also where the start is far off.
    far = fit_platt(logit, expit(6 * logit - 9), weight)
    assert far == pytest.approx((6, -9), abs=1e-6)


@pytest.mark.parametrize(
    ("logit", "message"),
    [
        (np.linspace(-3, 3, 40), "separate the conversions"),
        (np.linspace(3, -3, 40).round(), "separate the conversions"),
        (np.zeros(40), "found one value"),
    ],
    ids=["separated", "the wrong way round, with a tie", "constant"],
)
def test_platt_without_a_finite_slope_is_an_error(logit, message):
    label = (np.arange(40) >= 20).astype(float)
    with pytest.raises(DataError, match=f'{message}.*use the method "shift"'):
        fit_platt(logit, label, np.ones(40))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_isotonic_is_that_of_scikit_learn(seed, soft):
    logit, label, weight = draw(seed, soft=soft)
    weight[:50] = 0
    points, values = fit_isotonic(logit, label, weight)
    reference = IsotonicRegression(out_of_bounds="clip").fit(logit, label, sample_weight=weight)
    grid = np.linspace(-6, 4, 501)
    np.testing.assert_allclose(np.interp(grid, points, values), reference.predict(grid), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-3, 3), st.integers(0, 1), st.integers(1, 4)), min_size=1, max_size=30
    )
)
def test_isotonic_blocks_ascend_and_keep_the_mean(rows):
    logit, label, weight = np.array(rows, dtype=float).T
    points, values = fit_isotonic(logit, label, weight)
    assert (np.diff(points) > 0).all()
    assert (np.diff(values) >= 0).all()
    fitted = np.interp(logit, points, values)
    assert weight @ fitted == pytest.approx(weight @ label, abs=1e-9)
    # No other non-decreasing values are closer: each block is its rows' mean.
    for value in np.unique(fitted):
        block = fitted == value
        assert weight[block] @ label[block] / weight[block].sum() == pytest.approx(value, abs=1e-9)
