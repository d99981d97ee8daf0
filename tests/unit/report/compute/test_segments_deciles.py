"""Bias by decile, against closed forms and resamples by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from mtl_seq import FunnelTruth
from mtl_seq.functional import calibration_bins
from mtl_seq.report.compute.bootstrap import Sampling, resamples
from mtl_seq.report.compute.segments import deciles, equal_mass

ROWS = 1000


def truth(pctr, pcvr):
    return FunnelTruth(pctr, pcvr, pctr * pcvr, pctr, pcvr, np.zeros(len(pctr)))


def test_deciles_are_those_of_pandas():
    rng = np.random.default_rng(0)
    known = truth(rng.random(ROWS), rng.random(ROWS))
    models = {"one": rng.random(ROWS), "two": 0.5 * known.pcvr}
    found = deciles(models, known)
    frame = pd.DataFrame({"p": known.pctr, "q": known.pcvr, **models})
    mean = frame.groupby(pd.qcut(frame["p"], 10), observed=True).mean()
    np.testing.assert_allclose(found.propensity, mean["p"], rtol=1e-12)
    assert list(found.relative_bias) == ["one", "two"]
    for name in models:
        np.testing.assert_allclose(found.relative_bias[name], mean[name] / mean["q"] - 1, rtol=1e-9)
    np.testing.assert_allclose(found.relative_bias["two"], -0.5, rtol=1e-12)


def test_propensities_that_tie_share_a_decile():
    pctr = np.repeat([0.1, 0.2, 0.3], [500, 300, 200])
    pcvr = np.repeat([0.2, 0.4, 0.5], [500, 300, 200])
    found = deciles({"m": np.full(ROWS, 0.4)}, truth(pctr, pcvr))
    np.testing.assert_allclose(found.propensity, [0.1, 0.2, 0.3])
    np.testing.assert_allclose(found.relative_bias["m"], [1.0, 0.0, -0.2], atol=1e-12)


def test_deciles_have_the_intervals_of_the_same_resamples_of_users():
    rng = np.random.default_rng(0)
    known = truth(rng.random(ROWS), rng.random(ROWS))
    group = rng.integers(50, size=ROWS)
    predicted = rng.random(ROWS)
    found = deciles({"m": predicted}, known, Sampling(group, 40, 3))
    tenth = np.argsort(np.argsort(known.pctr)) // (ROWS // 10)
    drawn = []
    for counts in resamples(50, 40, 3):
        weight = np.asarray(counts)[group]
        top, bottom = (
            np.bincount(tenth, weight * values, minlength=10) for values in (predicted, known.pcvr)
        )
        drawn.append(top / bottom - 1)
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    np.testing.assert_allclose(found.low["m"], low, rtol=1e-9)
    np.testing.assert_allclose(found.high["m"], high, rtol=1e-9)


def test_without_resamples_deciles_have_no_intervals():
    found = deciles(
        {"m": np.full(ROWS, 0.4)}, truth(np.linspace(0.1, 0.9, ROWS), np.full(ROWS, 0.2))
    )
    assert np.isnan(found.low["m"]).all()
    assert np.isnan(found.high["m"]).all()


@pytest.mark.parametrize("values", [np.random.default_rng(0).random(ROWS),
                                    np.random.default_rng(0).integers(6, size=ROWS) / 10,
                                    np.full(ROWS, 0.3)])  # fmt: skip
def test_bins_of_equal_mass_are_those_of_calibration_bins(values):
    cell = equal_mass(values, 10)
    expected = calibration_bins(torch.from_numpy(values), torch.from_numpy(values), bins=10)
    np.testing.assert_array_equal(np.bincount(cell), expected.rows)
    mean = np.bincount(cell, values) / np.bincount(cell)
    np.testing.assert_allclose(mean, expected.predicted, rtol=1e-12)
