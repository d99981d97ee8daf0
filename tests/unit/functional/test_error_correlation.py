"""Correlation of errors against NumPy."""

import numpy as np
import pytest
import torch

from mtl_seq.functional import error_correlation


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_pearsons(weighted):
    rng = np.random.default_rng(0)
    p, q, noise = rng.random((3, 300))
    pctr, pcvr = 0.8 * p + 0.2 * noise, 0.7 * q + 0.3 * noise
    weight = rng.random(300)
    covariance = np.cov(pctr - p, pcvr - q, aweights=weight if weighted else None)
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    found = error_correlation(pctr, pcvr, p, q, weight if weighted else None)
    assert float(found) == pytest.approx(expected, abs=1e-12)


def test_equal_errors_correlate_fully():
    p, q, error = np.random.default_rng(0).random((3, 50)) / 2
    assert float(error_correlation(p + error, q + error, p, q)) == pytest.approx(1, abs=1e-12)
    assert float(error_correlation(p + error, q - error, p, q)) == pytest.approx(-1, abs=1e-12)


@pytest.mark.parametrize("rows", [0, 1, 50])
def test_a_constant_error_has_no_correlation(rows):
    p, q, error = np.random.default_rng(0).random((3, rows)) / 2
    assert torch.isnan(error_correlation(p + 0.1, q + error, p, q))
    assert torch.isnan(error_correlation(p, q, p, q))
