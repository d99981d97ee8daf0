"""The C-index against the sum over pairs, and against Kendall's tau."""

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from mtl_seq.functional import concordance


def over_pairs(score, truth, weight):
    pair = weight[:, None] * weight[None, :] * (truth[:, None] > truth[None, :])
    won = (score[:, None] > score[None, :]) + 0.5 * (score[:, None] == score[None, :])
    return (pair * won).sum() / pair.sum()


@pytest.mark.parametrize("values", [2, 7, 10**6])
@pytest.mark.parametrize("levels", [2, 5, 10**6])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_sum_over_pairs(values, levels, weighted):
    rng = np.random.default_rng(values + levels)
    truth = rng.integers(levels, size=150) / levels
    score = np.round((truth + rng.random(150)) * values)
    weight = rng.random(150) * (rng.random(150) < 0.8) if weighted else np.ones(150)
    found = concordance(score, truth, weight if weighted else None)
    assert float(found) == pytest.approx(over_pairs(score, truth, weight), abs=1e-12)


def test_without_ties_it_is_kendalls_tau():
    rng = np.random.default_rng(0)
    truth = rng.random(3000)
    score = truth + rng.random(3000)
    tau = kendalltau(score, truth).statistic
    assert float(concordance(score, truth)) == pytest.approx((1 + tau) / 2, abs=1e-12)


def test_the_truth_orders_itself_and_its_negative_never():
    truth = np.random.default_rng(0).random(100)
    assert float(concordance(truth, truth)) == 1
    assert float(concordance(-truth, truth)) == 0
    assert float(concordance(np.zeros(100), truth)) == 0.5


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_without_two_different_truths_it_is_nan(rows):
    assert torch.isnan(concordance(np.arange(rows, dtype=float), np.full(rows, 0.2)))
