"""KS against scipy's two-sample statistic and scikit-learn's ROC curve."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.metrics import roc_curve

from mtl_seq.errors import DataError
from mtl_seq.functional import auc, ks

ROWS = st.lists(
    st.tuples(st.integers(-5, 5), st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=25
)


@pytest.mark.parametrize("values", [2, 30, 10**6])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_two_sample_statistic(seed, values):
    rng = np.random.default_rng(seed)
    score = rng.integers(values, size=400) / values
    label = (rng.random(400) < 0.2 + 0.5 * score).astype(np.float64)
    expected = ks_2samp(score[label == 1], score[label == 0]).statistic
    assert float(ks(score, label)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("values", [2, 30, 10**6])
def test_weights_and_soft_labels_split_a_row(values):
    rng = np.random.default_rng(0)
    score = rng.integers(values, size=400) / values
    soft, weight = rng.random(400), rng.random(400)
    false, true, _ = roc_curve(
        np.repeat([1, 0], 400),
        np.tile(score, 2),
        sample_weight=np.concatenate((weight * soft, weight * (1 - soft))),
        drop_intermediate=False,
    )
    assert float(ks(score, soft, weight)) == pytest.approx(np.abs(true - false).max(), abs=1e-12)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_gives_nan(label):
    assert torch.isnan(ks(np.arange(3.0), np.full(3, label)))
    assert torch.isnan(ks(np.zeros(0), np.zeros(0)))


def test_a_constant_score_parts_nothing_and_a_perfect_one_everything():
    label = np.array([0.0, 1.0, 1.0])
    assert float(ks(np.full(3, 0.2), label)) == 0
    assert float(ks(label, label)) == 1


def test_nan_is_an_error():
    with pytest.raises(DataError, match="`score` must hold numbers"):
        ks(np.array([np.nan, 1.0]), np.array([0.0, 1.0]))


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(rows=ROWS)
def test_it_is_symmetric_and_bounded_by_the_auc(rows):
    score, label, weight = np.array(rows).T
    found = float(ks(score, label, weight))
    if np.isnan(found):
        return
    assert float(ks(-score, label, weight)) == pytest.approx(found, abs=1e-9)
    # The ROC curve leaves the diagonal by at most KS, hence its area one half.
    assert abs(2 * float(auc(score, label, weight)) - 1) <= 2 * found + 1e-9
    assert 0 <= found <= 1 + 1e-12
