"""Study of estimators in one call: its draws, its learned propensity, its metadata."""

import numpy as np
import pytest

from mtl_seq import FunnelEstimator, models
from mtl_seq.errors import DataError
from mtl_seq.experiments import study_estimators
from mtl_seq.report import EstimatorStudy, usual_imputations, usual_propensities
from mtl_seq.simulate import scenario

SIZES = {"rows": 3000, "fit_rows": 4000, "replicates": 10, "seed": 3}


@pytest.fixture(scope="module")
def simulator():
    return scenario("clean", confounder=0.5)


@pytest.fixture(scope="module")
def study(simulator):
    return study_estimators(simulator, **SIZES, floors=[0.12, 0.05], settings={"epochs": 1})


def test_it_is_the_study_of_a_second_draw_with_a_model_of_the_first(simulator, study):
    log, _ = simulator.sample(4000, np.random.default_rng([3, 1]))
    held, truth = simulator.sample(3000, np.random.default_rng([3, 2]))
    scores = (
        FunnelEstimator(models.multitask, simulator.schema, seed=3, epochs=1).fit(log).predict(held)
    )
    p, q, t = truth.pctr, truth.pcvr, truth.pctcvr
    expected = EstimatorStudy.from_arrays(
        p,
        q,
        scores["pcvr"].to_numpy(),
        pctcvr=t,
        propensities={
            **usual_propensities(p, floors=[0.12, 0.05]),
            "learned": scores["pctr"].to_numpy(),
        },
        imputations=usual_imputations(p, q, t),
        replicates=10,
        seed=3,
    )
    assert study.table.equals(expected.table)
    below = {"0.12": (p < 0.12).mean(), "0.05": (p < 0.05).mean()}
    assert study.metadata["share of impressions below"] == below
    assert study.metadata["CVR on clicks"] == pytest.approx(t.sum() / p.sum())


def test_a_hidden_confounder_is_part_of_the_scenario_that_is_studied(simulator, study):
    """With a hidden confounder, even the true propensity overestimates the CVR."""
    found = study.row("mean CVR", "IPS", "true")
    assert found["analytic_bias"] > 0.05 * found["truth"]


def test_a_setting_out_of_range_is_named_before_anything_is_fitted(simulator, monkeypatch):
    def fit(*arguments, **settings):
        raise AssertionError("training has begun")

    monkeypatch.setattr(FunnelEstimator, "fit", fit)
    with pytest.raises(DataError, match="`floors` must lie in"):
        study_estimators(simulator, **SIZES, floors=[1.0])
