"""Logistic recalibration against scikit-learn and against scenarios whose slope is known."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from mtl_seq.functional import recalibration


def draw(seed=0, rows=2000, intercept=-0.5, slope=0.7):
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1, size=rows)
    truth = 1 / (1 + np.exp(-(intercept + slope * logit)))
    label = (rng.random(rows) < truth).astype(np.float64)
    return 1 / (1 + np.exp(-logit)), truth, label, rng.random(rows)


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_scikit_learns_unpenalised_regression(weighted):
    prediction, _, label, weight = draw()
    logit = np.log(prediction / (1 - prediction))
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    fitted.fit(logit[:, None], label, sample_weight=weight if weighted else None)
    found = recalibration(prediction, label, weight if weighted else None)
    assert float(found.intercept) == pytest.approx(fitted.intercept_[0], abs=1e-5)
    assert float(found.slope) == pytest.approx(fitted.coef_[0, 0], abs=1e-5)


@pytest.mark.parametrize(
    ("intercept", "slope"), [(0.0, 1.0), (-0.5, 0.7), (2.0, 3.0), (-6.0, -0.5)]
)
def test_against_true_probabilities_it_finds_the_distortion_itself(intercept, slope):
    prediction, truth, _, _ = draw(intercept=intercept, slope=slope)
    found = recalibration(prediction, truth)
    assert float(found.intercept) == pytest.approx(intercept, abs=1e-9)
    assert float(found.slope) == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize(
    ("prediction", "label"),
    [
        ([], []),
        ([0.2], [1.0]),
        ([0.2, 0.2, 0.2], [0.0, 1.0, 0.0]),
        ([0.2, 0.3, 0.4], [0.0, 0.0, 0.0]),
        ([0.2, 0.3, 0.4], [1.0, 1.0, 1.0]),
        ([0.2, 0.3, 0.4, 0.5], [0.0, 0.0, 1.0, 1.0]),
    ],
    ids=["no rows", "one row", "constant", "no positive", "no negative", "parted"],
)
def test_where_no_slope_is_determined_it_is_nan(prediction, label):
    found = recalibration(np.array(prediction), np.array(label))
    assert torch.isnan(found.intercept)
    assert torch.isnan(found.slope)
