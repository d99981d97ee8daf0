"""Calibration bins and their error against plain NumPy."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import binom

from mtl_seq.functional import (
    calibration_bins,
    expected_calibration_error,
    expected_null_ece,
)


def draw(rows, seed=0):
    generator = np.random.default_rng(seed)
    prediction = generator.random(rows)
    return prediction, (generator.random(rows) < prediction).astype(np.float64)


def reference(prediction, label, by, bins):
    """Cut at the values of rank ``floor(i N / bins)``; ties go to the upper side of a cut."""
    cuts = sorted({np.sort(by)[i * len(by) // bins] for i in range(1, bins)})
    edges = [-np.inf, *cuts, np.inf]
    rows = []
    for low, high in pairwise(edges):
        inside = (by >= low) & (by < high)
        if inside.any():
            rows.append((inside.sum(), prediction[inside].mean(), label[inside].mean()))
    return np.array(rows).T


def assert_bins(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12, atol=0)


@pytest.mark.parametrize("bins", [1, 2, 5, 20, 100])
def test_bins_without_ties_are_equal_blocks_of_the_sorted_rows(bins):
    prediction, label = draw(400)
    order = np.argsort(prediction)
    blocks = [prediction[order].reshape(bins, -1), label[order].reshape(bins, -1)]
    expected = (np.full(bins, 400 / bins), blocks[0].mean(1), blocks[1].mean(1))
    assert_bins(calibration_bins(*map(torch.from_numpy, (prediction, label)), bins=bins), expected)


@pytest.mark.parametrize("bins", [1, 3, 7, 20, 150])
@pytest.mark.parametrize("values", [2, 5, 50, 10**9])
def test_bins_with_ties_agree_with_numpy(bins, values):
    prediction, label = draw(101, seed=bins)
    by = np.floor(np.random.default_rng(values).random(101) * values)
    found = calibration_bins(
        *map(torch.from_numpy, (prediction, label)), by=torch.from_numpy(by), bins=bins
    )
    assert_bins(found, reference(prediction, label, by, bins))


def test_rows_that_tie_share_a_bin():
    prediction = torch.tensor([0.2] * 7 + [0.7] * 3, dtype=torch.float64)
    label = torch.tensor([1.0] + [0.0] * 6 + [1.0, 1.0, 0.0])
    found = calibration_bins(prediction, label, bins=5)
    assert found.rows.tolist() == [7, 3]
    assert found.predicted.tolist() == pytest.approx([0.2, 0.7], abs=1e-15)
    assert found.observed.tolist() == pytest.approx([1 / 7, 2 / 3], abs=1e-15)


def test_bins_ascend_by_the_key_and_not_by_the_prediction():
    prediction = torch.tensor([0.9, 0.8, 0.2, 0.1])
    found = calibration_bins(prediction, prediction, by=torch.arange(4.0), bins=4)
    assert found.predicted.tolist() == pytest.approx(prediction.double().tolist(), abs=0)


def test_no_row_is_lost():
    prediction, label = draw(997)
    found = calibration_bins(*map(torch.from_numpy, (prediction, label)), bins=13)
    assert float(found.rows.sum()) == 997
    assert float((found.rows * found.predicted).sum()) == pytest.approx(prediction.sum(), abs=1e-10)
    assert float((found.rows * found.observed).sum()) == label.sum()


@pytest.mark.parametrize("bins", [1, 10, 20])
@pytest.mark.parametrize("rows", [3, 100, 997])
def test_ece_agrees_with_numpy(rows, bins):
    prediction, label = draw(rows, seed=rows)
    size, predicted, observed = reference(prediction, label, prediction, bins)
    found = expected_calibration_error(*map(torch.from_numpy, (prediction, label)), bins=bins)
    expected = (size * np.abs(predicted - observed)).sum() / rows
    assert float(found) == pytest.approx(expected, abs=1e-12)


def test_ece_of_the_truth_against_itself_is_zero():
    prediction = torch.from_numpy(draw(500)[0])
    assert float(expected_calibration_error(prediction, prediction)) == 0


def test_ece_of_a_constant_offset_is_that_offset():
    truth = torch.from_numpy(draw(500)[0]) / 2
    found = expected_calibration_error(truth + 0.25, truth)
    assert float(found) == pytest.approx(0.25, abs=1e-14)


def test_no_rows_give_no_bins_and_a_nan_error():
    none = torch.zeros(0)
    assert all(column.shape == (0,) for column in calibration_bins(none, none))
    assert torch.isnan(expected_calibration_error(none, none))


@pytest.mark.parametrize("bins", [0, -1])
def test_fewer_than_one_bin_is_an_error(bins):
    with pytest.raises(ValueError, match=f"`bins` must be at least 1, found {bins}"):
        calibration_bins(torch.ones(3), torch.ones(3), bins=bins)


def test_a_column_of_a_matrix_is_as_good_as_a_vector():
    x = torch.rand((200, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = calibration_bins(x[:, 0], x[:, 1], bins=7)
    expected = calibration_bins(x[:, 0].clone(), x[:, 1].clone(), bins=7)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("values", [3, 10**9])
def test_weights_repeat_rows(values):
    rng = np.random.default_rng(values)
    prediction = rng.integers(values, size=300) / values
    label = (rng.random(300) < prediction).astype(np.float64)
    times = rng.integers(0, 4, size=300)
    many = np.repeat(prediction, times), np.repeat(label, times)
    found = calibration_bins(prediction, label, bins=7, weight=times.astype(np.float64))
    assert_bins(found, [column.numpy() for column in calibration_bins(*many, bins=7)])
    ece = expected_calibration_error(prediction, label, weight=times.astype(np.float64))
    assert float(ece) == pytest.approx(float(expected_calibration_error(*many)), abs=1e-13)


def test_unequal_weights_move_the_cuts():
    prediction = np.array([0.1, 0.2, 0.3, 0.4])
    found = calibration_bins(prediction, prediction, bins=2, weight=np.array([1.0, 1.0, 1.0, 3.0]))
    assert found.rows.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("rate", [0.0, 1e-4, 0.02, 0.3, 0.5, 0.8, 0.999, 1.0])
@pytest.mark.parametrize("rows", [1, 7, 400])
def test_null_ece_of_equal_predictions_is_the_binomials_mean_deviation(rate, rows):
    """One bin, since all tie: E|X - n p| / n over every number of hits."""
    hits = np.arange(rows + 1)
    expected = (binom.pmf(hits, rows, rate) * np.abs(hits - rows * rate)).sum() / rows
    found = float(expected_null_ece(np.full(rows, rate)))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-15)
    weighted = expected_null_ece(np.full(rows, rate), weight=np.full(rows, 3.0))
    assert float(weighted) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("level", [1e-4, 0.03, 0.4])
@pytest.mark.parametrize("weighted", [False, True])
def test_null_ece_is_the_mean_over_drawn_labels(level, weighted):
    """1,000 redraws, seed 0: within 5 Monte Carlo errors and 1%, for the matched binomial."""
    rng = np.random.default_rng(0)
    prediction = np.minimum(level * rng.lognormal(0, 0.7, 2000), 0.97)
    weight = rng.uniform(0.5, 1.5, 2000) if weighted else np.ones(2000)
    draws = np.array(
        [
            float(
                expected_calibration_error(
                    prediction, (rng.random(2000) < prediction).astype(np.float64), weight=weight
                )
            )
            for _ in range(1000)
        ]
    )
    found = float(expected_null_ece(prediction, weight=weight))
    error = draws.std(ddof=1) / np.sqrt(len(draws))
    assert abs(found - draws.mean()) < 5 * error + 0.01 * draws.mean()


def test_null_ece_of_rows_that_stand_for_several():
    prediction = np.repeat([0.1, 0.4], [300, 500])
    once = expected_null_ece(prediction)
    pooled = expected_null_ece(
        np.array([0.1, 0.4]), weight=np.array([300.0, 500.0]), square=np.array([300.0, 500.0])
    )
    assert float(pooled) == pytest.approx(float(once), rel=1e-9)


def test_null_ece_without_rows_is_nan():
    assert torch.isnan(expected_null_ece(np.zeros(0)))
