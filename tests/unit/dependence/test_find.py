"""`FunnelEstimator` with a model whose click and conversion depend on each other."""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from mtl_seq import FunnelEstimator, models, nn, simulate
from mtl_seq.data import Encoding
from mtl_seq.dependence.correction import nuisance_logits
from mtl_seq.dependence.find import applied_log_odds_ratio
from mtl_seq.errors import ArtifactError, CompositionError, SchemaError, SelectionWarning
from mtl_seq.export import export_model
from mtl_seq.fit.prediction import score_rows
from mtl_seq.functional import dependent_cells
from mtl_seq.models import CalibrationConfig, DependenceConfig
from mtl_seq.records import SelectionTest

pytestmark = pytest.mark.filterwarnings("ignore::mtl_seq.errors.SelectionWarning")

SMALL = partial(nn.SharedBottom, hidden=(16,))
PLAIN = Encoding(embedding=4, target_encoding=None)


def simulator(**parameters):
    exposure = simulate.Exposure("uniform", slots=4, position_effect=2.0)
    return simulate.LogisticFunnel(
        users=30, items=20, ctr=0.4, cvr=0.3, exposure=exposure, seed=1, **parameters
    )


LOG, TRUTH = simulator(mnar=1.5).sample(12_000, np.random.default_rng(0))
SCHEMA = simulator(mnar=1.5).schema


def estimator(method="moment", **settings):
    builder = partial(
        models.esmm_dependent,
        bottom=SMALL,
        dependence=DependenceConfig(method, level_share="uniform", **settings),
    )
    return FunnelEstimator(builder, SCHEMA, batch_size=512, epochs=6, encoding=PLAIN, seed=3)


@pytest.fixture(scope="module")
def fitted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SelectionWarning)
        return estimator().fit(LOG)


def test_the_network_with_lambda_fixed_at_zero_is_the_control(fitted):
    control = FunnelEstimator(
        partial(models.multitask, bottom=SMALL),
        SCHEMA,
        batch_size=512,
        epochs=6,
        encoding=PLAIN,
        seed=3,
    ).fit(LOG)
    rows = fitted.codec_.encode(LOG, labels=False)
    ours, theirs = (score_rows(e.model_.network, rows) for e in (fitted, control))
    np.testing.assert_allclose(ours.pctr, theirs.pctr, rtol=2e-4)
    np.testing.assert_allclose(ours.pcvr, theirs.pcvr, rtol=2e-4)


def test_a_dependence_is_estimated_and_corrected(fitted):
    test = fitted.dependence_.test
    assert abs(test.log_odds_ratio - 1.5) < 3 * test.standard_error
    assert test.t > 3
    assert test.strength > 20
    assert test.level_share == "declared uniform"
    base = score_rows(fitted.model_.network, fitted.codec_.encode(LOG, labels=False))
    found = fitted.predict(LOG)
    before = base.pcvr.mean() / TRUTH.pcvr.mean() - 1
    after = found["pcvr"].mean() / TRUTH.pcvr.mean() - 1
    assert before > 0.3
    assert abs(after) < before / 3


def test_predictions_equal_the_closed_form(fitted):
    rows, found = LOG.iloc[:500], fitted.dependence_
    scores = fitted.predict(rows)
    features = fitted.codec_.encode(rows, labels=False).features
    logits = nuisance_logits(fitted.model_.network, fitted.codec_, found.levels, rows, features)
    p = expit(logits.click)
    share = torch.full((4,), 0.25, dtype=torch.float64)
    mu = torch.from_numpy(expit(logits.rate))
    cells = dependent_cells(torch.from_numpy(p), share, mu, found.log_odds_ratio)
    level = rows["position"].to_numpy() - 1
    own = np.arange(len(rows)), level
    np.testing.assert_allclose(scores["pctr"], p[own])
    np.testing.assert_allclose(scores["pcvr"], torch.sigmoid(cells.b).numpy())
    np.testing.assert_allclose(scores["pctcvr"], (p * cells.conversion.numpy())[own])


def test_rows_without_their_level_are_averaged(fitted):
    rows = LOG.iloc[:300]
    absent = fitted.predict(rows.drop(columns="position"))
    strange = fitted.predict(rows.assign(position=77))
    pd.testing.assert_frame_equal(absent, strange)
    each = [fitted.predict(rows.assign(position=k)) for k in range(1, 5)]
    for name in ("pctr", "pctcvr"):
        np.testing.assert_allclose(absent[name], np.mean([f[name] for f in each], axis=0))
    np.testing.assert_allclose(absent["pcvr"], each[0]["pcvr"])


def test_predictions_carry_the_estimate(fitted):
    mark = fitted.predict(LOG.iloc[:5]).attrs["dependence"]
    assert mark["log_odds_ratio"] == fitted.dependence_.test.log_odds_ratio
    assert mark["verdict"] == fitted.dependence_.test.verdict
    assert mark["used_log_odds_ratio"] == fitted.dependence_.log_odds_ratio


def test_a_correction_behind_the_network_is_not_exported(fitted, tmp_path):
    with pytest.raises(ArtifactError, match=r"DependenceConfig\(refit=True\)"):
        export_model(fitted, tmp_path / "served")


def test_a_saved_model_predicts_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    again = FunnelEstimator.load(tmp_path / "model")
    assert again.dependence_.test == fitted.dependence_.test
    pd.testing.assert_frame_equal(again.predict(LOG.iloc[:99]), fitted.predict(LOG.iloc[:99]))
    (tmp_path / "model" / "dependence.safetensors").write_bytes(b"torn")
    with pytest.raises(ArtifactError, match="the dependence cannot be read"):
        FunnelEstimator.load(tmp_path / "model")


def test_a_refit_predicts_with_lambda_fixed(fitted, tmp_path):
    again = estimator(refit=True).fit(LOG)
    found = again.dependence_
    assert found.by_network
    assert found.test == fitted.dependence_.test
    logits = again.model_(again.codec_.encode(LOG.iloc[:50], labels=False).features).logits
    torch.testing.assert_close(logits[:, 2], torch.full((50,), found.log_odds_ratio))
    scores = again.predict(LOG)
    assert abs(scores["pcvr"].mean() / TRUTH.pcvr.mean() - 1) < 0.25
    again.save(tmp_path / "model")
    loaded = FunnelEstimator.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(LOG.iloc[:99]), scores.iloc[:99])


@pytest.mark.parametrize("method", ["joint", "profile"])
def test_the_likelihoods_find_a_dependence_too(method):
    one = estimator(method)
    one.model = partial(one.model, head=partial(nn.DependentHead, hold=30))
    found = one.fit(LOG).dependence_
    assert found.method == method
    assert found.test.log_odds_ratio > 0.3
    assert 0 < found.test.standard_error < 1


def test_fixed_lambda_is_not_estimated():
    fixed = estimator("fixed", log_odds_ratio=1.5).fit(LOG)
    assert fixed.dependence_ is None
    assert abs(fixed.predict(LOG)["pcvr"].mean() / TRUTH.pcvr.mean() - 1) < 0.25


@pytest.mark.parametrize(
    ("test", "shrink", "expected"),
    [
        (SelectionTest(1.5, 0.1, 9.0, "identified"), False, 1.5),
        (SelectionTest(0.5, 0.25, 2.0, "weak"), True, 0.375),
        (SelectionTest(-0.1, 0.2, -0.5, "identified"), True, 0.0),
        (SelectionTest(0.0, 0.2, 0.0, "identified"), True, 0.0),
        (SelectionTest(2.0, 1.5, 1.3, "not identified"), False, 0.0),
        (SelectionTest(float("nan"), float("nan"), 0.1, "not identified"), True, 0.0),
    ],
)
def test_the_lambda_that_predictions_use(test, shrink, expected):
    assert applied_log_odds_ratio(DependenceConfig(shrink=shrink), test) == pytest.approx(expected)


def test_an_unidentified_dependence_warns_and_is_not_corrected():
    few = LOG.iloc[:1500].assign(position=np.random.default_rng(0).integers(1, 5, 1500))
    with pytest.warns(SelectionWarning, match="not identified.*mtl-seq sensitivity"):
        found = estimator().fit(few)
    assert found.dependence_.log_odds_ratio == 0
    scores = found.predict(few)
    np.testing.assert_allclose(scores["pctcvr"], scores["pctr"] * scores["pcvr"])


def test_a_schema_without_a_click_only_feature_is_refused_before_training():
    own = SCHEMA.from_dict({**SCHEMA.to_dict(), "click_only": []})
    with pytest.raises(SchemaError, match="mtl-seq sensitivity"):
        FunnelEstimator(models.esmm_dependent, own).fit(LOG)


def test_calibration_on_clicks_is_refused():
    with pytest.raises(CompositionError, match="leave it out"):
        FunnelEstimator(models.esmm_dependent, SCHEMA, calibrate=CalibrationConfig()).fit(LOG)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "likelihood"}, "`method` must be"),
        ({"folds": 1}, "at least 2"),
        ({"level_share": "random"}, "never assumed"),
        ({"policy": "user_id"}, "list of features"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(CompositionError, match=message):
        DependenceConfig(**settings)
