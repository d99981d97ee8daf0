"""The estimator study against the formulas of the bias and the spread of each estimator."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest

from mtl_seq._files import read_json
from mtl_seq.errors import DataError
from mtl_seq.report.estimator_study.study import ESTIMANDS, EstimatorStudy
from mtl_seq.report.estimator_study.study_inputs import usual_imputations, usual_propensities
from mtl_seq.simulate import scenario

ROWS, DRAWS = 20_000, 400


@pytest.fixture(scope="module")
def truth():
    return scenario("clean").sample(ROWS, np.random.default_rng(0))[1]


@pytest.fixture(scope="module")
def nuisances(truth):
    """The usual ones, and a learned propensity with noise and a wrong slope."""
    noise = np.random.default_rng(1).normal(0, 0.3, ROWS)
    logit = 0.8 * np.log(truth.pctr / (1 - truth.pctr)) + noise
    learned = 1 / (1 + np.exp(-logit))
    return {
        "propensities": {**usual_propensities(truth.pctr, floors=[0.15]), "learned": learned},
        "imputations": usual_imputations(truth.pctr, truth.pcvr),
    }


@pytest.fixture(scope="module")
def prediction(truth):
    return np.clip(1.3 * truth.pcvr, 0.001, 0.95)


@pytest.fixture(scope="module")
def study(truth, prediction, nuisances):
    return EstimatorStudy.from_arrays(
        truth.pctr, truth.pcvr, prediction, **nuisances, replicates=DRAWS, seed=0
    )


def expected_error(truth, prediction, estimand):
    """E[v | x] of each row, and v imputed from a CVR."""
    if estimand == "mean CVR":
        return truth.pcvr, lambda cvr: cvr
    v1, v0 = -np.log(prediction), -np.log(1 - prediction)
    return truth.pcvr * v1 + (1 - truth.pcvr) * v0, lambda cvr: cvr * v1 + (1 - cvr) * v0


def test_every_estimator_meets_every_nuisance_once(study, nuisances):
    weighted, imputed = (len(nuisances[name]) for name in ("propensities", "imputations"))
    per_estimand = 1 + imputed + 2 * weighted + 2 * weighted * imputed
    assert study.table.groupby("estimand").size().to_dict() == dict.fromkeys(
        ESTIMANDS, per_estimand
    )
    keys = ["estimand", "estimator", "propensity", "imputation"]
    assert not study.table.duplicated(keys).any()
    assert set(nuisances["propensities"]) == {
        "true",
        "p^0.7",
        "constant",
        "true, at least 0.15",
        "learned",
    }


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_the_analytic_bias_is_the_published_formula(study, truth, prediction, nuisances, estimand):
    p = truth.pctr
    e, impute = expected_error(truth, prediction, estimand)
    naive = study.row(estimand, "naive")
    assert naive["truth"] == pytest.approx(e.mean(), rel=1e-12)
    covariance = np.cov(p, e, bias=True)[0, 1]
    assert naive["analytic_bias"] == pytest.approx(covariance / p.mean(), rel=1e-9)
    for weighted, p_hat in nuisances["propensities"].items():
        ips = ((p - p_hat) / p_hat * e).mean()
        found = study.row(estimand, "IPS", weighted)["analytic_bias"]
        assert found == pytest.approx(ips, rel=1e-9, abs=1e-13)
        snips = (p / p_hat * e).mean() / (p / p_hat).mean() - e.mean()
        found = study.row(estimand, "SNIPS", weighted)["analytic_bias"]
        assert found == pytest.approx(snips, rel=1e-9, abs=1e-13)
        for name, cvr in nuisances["imputations"].items():
            dr = ((p - p_hat) / p_hat * (e - impute(cvr))).mean()
            found = study.row(estimand, "DR", weighted, name)["analytic_bias"]
            assert found == pytest.approx(dr, rel=1e-9, abs=1e-13)
    for name, cvr in nuisances["imputations"].items():
        direct = ((1 - p) * (impute(cvr) - e)).mean()
        found = study.row(estimand, "direct", "", name)["analytic_bias"]
        assert found == pytest.approx(direct, rel=1e-9, abs=1e-13)


def test_the_measured_bias_is_the_analytic_one_within_four_monte_carlo_errors(study):
    """400 redraws of 20,000 impressions, seed 0; every row, also those of ratios."""
    off = (study.table["bias"] - study.table["analytic_bias"]).abs()
    assert (off <= 4 * study.table["mc_error"]).all()
    # Not because the errors are large: most of the biased rows stand far out.
    assert (study.table["bias"].abs() > 4 * study.table["mc_error"]).sum() > 20


def test_the_measured_spread_is_that_of_the_variance_formulas(study):
    """The standard error of a standard deviation from 400 draws is 3.5% of it."""
    ratio = study.table["sd"] / study.table["analytic_sd"]
    np.testing.assert_allclose(ratio, 1, rtol=4 / math.sqrt(2 * DRAWS))


def test_rmse_is_made_of_bias_and_spread(study):
    table = study.table
    expected = table["bias"] ** 2 + table["sd"] ** 2 * (DRAWS - 1) / DRAWS
    np.testing.assert_allclose(table["rmse"] ** 2, expected, rtol=1e-9)
    np.testing.assert_allclose(table["mc_error"], table["sd"] / math.sqrt(DRAWS), rtol=1e-12)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_either_right_nuisance_is_enough_and_none_is_not(study, estimand):
    def bias(propensity, imputation):
        return abs(study.row(estimand, "DR", propensity, imputation)["analytic_bias"])

    assert bias("true", "constant") < 1e-14
    assert bias("p^0.7", "true CVR") < 1e-14
    assert bias("p^0.7", "constant") > 0.02


def test_snips_is_invariant_to_the_scale_of_the_propensity(truth, prediction):
    p = truth.pctr
    study = EstimatorStudy.from_arrays(
        p,
        truth.pcvr,
        prediction,
        propensities={"p": p, "third": p / 3},
        imputations={"constant": np.full(ROWS, 0.2)},
        replicates=5,
    )
    for estimand in ESTIMANDS:
        for key in (("SNIPS", ""), ("self-normalised DR", "constant")):
            one, other = (study.row(estimand, key[0], name, key[1]) for name in ("p", "third"))
            for column in ("bias", "sd", "rmse", "analytic_sd"):
                assert other[column] == pytest.approx(one[column], rel=1e-9), (estimand, key)
        scaled, own = (study.row(estimand, "IPS", name) for name in ("third", "p"))
        assert scaled["bias"] + scaled["truth"] == pytest.approx(3 * (own["bias"] + own["truth"]))


def test_conversions_held_fixed_leave_only_the_clicks_to_chance(truth, prediction):
    """With draws in place of the CVR the published variance holds as it stands."""
    p, r = truth.pctr, truth.potential
    e = np.where(r > 0, -np.log(prediction), -np.log(1 - prediction))
    study = EstimatorStudy.from_arrays(
        p, r, prediction, propensities={"true": p}, imputations={}, replicates=2
    )
    found = study.row("log loss", "IPS", "true")
    assert found["truth"] == pytest.approx(e.mean(), rel=1e-12)
    variance = ((1 - p) / p * e**2).sum() / ROWS**2
    assert found["analytic_sd"] == pytest.approx(math.sqrt(variance), rel=1e-9)
    assert {"DR", "direct"}.isdisjoint(study.table["estimator"])


def test_something_hidden_biases_every_estimator_even_with_the_true_propensity():
    _, truth = scenario("clean", confounder=1.0).sample(5000, np.random.default_rng(0))
    p, q, t = truth.pctr, truth.pcvr, truth.pctcvr
    study = EstimatorStudy.from_arrays(
        p, q, q, pctcvr=t, propensities={"true": p}, imputations={}, replicates=200
    )
    expected = (t / p).mean() - q.mean()
    found = study.row("mean CVR", "IPS", "true")
    assert found["analytic_bias"] == pytest.approx(expected, rel=1e-9)
    assert expected > 0.2 * q.mean()
    assert abs(found["bias"] - expected) <= 4 * found["mc_error"]


def test_one_seed_is_one_study(truth, prediction, nuisances, study):
    again, other = (
        EstimatorStudy.from_arrays(
            truth.pctr, truth.pcvr, prediction, **nuisances, replicates=DRAWS, seed=seed
        )
        for seed in (0, 1)
    )
    assert again.table.equals(study.table)
    assert not other.table["bias"].equals(study.table["bias"])
    assert other.table["analytic_bias"].equals(study.table["analytic_bias"])


def test_it_is_written_as_json_and_as_pictures(study, tmp_path):
    study.to_json(tmp_path / "study.json")
    content = read_json(tmp_path / "study.json", kind="mtl_seq.estimator_study", version=1)
    assert content.pop("format") == 1
    assert content == json.loads(json.dumps(study.to_dict()))
    assert content["rows"][0]["bias"] == study.table["bias"].iloc[0]
    assert content["metadata"]["impressions"] == ROWS
    assert content["metadata"]["CTR"] == pytest.approx(0.2, abs=0.02)
    assert len(study.plot(tmp_path / "forest.png").get_axes()) == 2
    assert (tmp_path / "forest.png").read_bytes()[:4] == b"\x89PNG"
    study.plot(tmp_path / "forest.svg")
    assert "<svg" in (tmp_path / "forest.svg").read_text()


def test_a_redraw_without_clicks_leaves_ratios_undefined_and_says_why(tmp_path):
    p, q = np.full(4, 0.2), np.full(4, 0.5)
    study = EstimatorStudy.from_arrays(
        p, q, q, propensities={"true": p}, imputations={}, replicates=50
    )
    snips, ips = (study.row("mean CVR", name, "true") for name in ("SNIPS", "IPS"))
    assert math.isnan(snips["bias"])
    assert math.isnan(snips["rmse"])
    assert re.fullmatch(r"\d+ of 50 redraws hold no click", snips["reason"])
    assert math.isfinite(ips["bias"])
    assert pd.isna(ips["reason"])
    study.to_json(tmp_path / "study.json")
    assert '"bias": null' in (tmp_path / "study.json").read_text()
    study.plot(tmp_path / "forest.png")


HALF = np.full(4, 0.5)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pctr": np.zeros(4)}, "`pctr` must make clicks possible"),
        ({"pctr": np.zeros(0)}, "`pctr` must make clicks possible, found 0 rows"),
        ({"pctr": np.ones((4, 1))}, r"`pctr` must be \(N,\), found \(4, 1\)"),
        ({"pcvr": np.ones(3)}, r"`pcvr` must be \(4,\), a value for each row of `pctr`"),
        ({"pcvr": np.array([0, 1, 2, np.nan])}, r"`pcvr` must lie in \[0, 1\], found 2 in 2 rows"),
        ({"prediction": np.array([0.1, 0.0, 0.2, 0.0])}, r"`prediction` must not be 0, .* 2 rows"),
        ({"prediction": np.array([0.1, 1.0, 0.2, 0.5])}, r"`prediction` must not be 1, .* 1 row"),
        ({"pctcvr": np.array([0.6, 0.1, 0.1, 0.1])}, r"`pctcvr` must be at most .* 1 row"),
        ({"propensities": {"zero": np.zeros(4)}}, r"`propensities\['zero'\]` must not be 0"),
        ({"imputations": {"far": HALF + 1}}, r"`imputations\['far'\]` must lie in \[0, 1\]"),
        ({"imputations": {"": HALF}}, "must have names"),
        ({"replicates": 1}, "`replicates` must be at least 2, found 1"),
    ],
)
def test_bad_input_is_named(changed, said):
    given = {
        "pctr": HALF,
        "pcvr": HALF,
        "prediction": HALF,
        "propensities": {"true": HALF},
        "imputations": {},
    } | changed
    with pytest.raises(DataError, match=said):
        EstimatorStudy.from_arrays(
            given.pop("pctr"), given.pop("pcvr"), given.pop("prediction"), **given
        )


def test_what_is_not_there_is_named(study):
    with pytest.raises(DataError, match="no row"):
        study.row("log loss", "IPS", "guessed")
    with pytest.raises(DataError, match=r"`floors` must lie in \(0, 1\), found 0.0"):
        usual_propensities(HALF, floors=[0.1, 0.0])
