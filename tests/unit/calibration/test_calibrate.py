"""Calibration as the estimator does it: on which rows, in which weights, and what is refused."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from mtl_seq import FunnelEstimator, FunnelLabels, models, nn
from mtl_seq.calibration import Calibration, fit_calibration
from mtl_seq.calibration.calibrate import propensity_of
from mtl_seq.errors import CompositionError, DataError
from mtl_seq.models import CalibrationConfig
from mtl_seq.records import Scores
from mtl_seq.simulate import LogisticFunnel

SIMULATOR = LogisticFunnel(users=60, items=40, seed=0)
LOG, _ = SIMULATOR.sample(3000, np.random.default_rng(5))
HELD, _ = SIMULATOR.sample(3000, np.random.default_rng(6))
FRESH, _ = SIMULATOR.sample(500, np.random.default_rng(7))
METHODS = ("shift", "platt", "isotonic")


def estimator(model=models.esmm, **settings):
    build = partial(model, bottom=partial(nn.SharedBottom, hidden=(8,)))
    return FunnelEstimator(build, SIMULATOR.schema, **{"epochs": 1, "batch_size": 128, **settings})


@pytest.fixture(scope="module")
def plain():
    return estimator().fit(LOG, validation=HELD)


@pytest.fixture(scope="module", params=METHODS)
def calibrated(request):
    one = estimator(calibrate=CalibrationConfig(request.param))
    return one.fit(LOG, validation=HELD)


def test_the_mean_on_clicked_validation_rows_is_right(plain, calibrated):
    clicked = HELD[HELD["click"] == 1]
    mean = calibrated.predict(clicked)["pcvr"].mean()
    tolerance = 0.01 if calibrated.calibrate.method == "isotonic" else 1e-6
    assert mean == pytest.approx(clicked["conversion"].mean(), rel=tolerance)
    before = plain.predict(clicked)["pcvr"].mean() / clicked["conversion"].mean()
    assert calibrated.calibration_.pcoc == pytest.approx(before, rel=1e-9)
    assert abs(before - 1) > 1e-3


def test_calibration_changes_pcvr_only(plain, calibrated):
    """The same network; pCTR stays, pCVR keeps its order, pCTCVR is their product."""
    before, after = plain.predict(FRESH), calibrated.predict(FRESH)
    pd.testing.assert_series_equal(after["pctr"], before["pctr"])
    order = np.argsort(before["pcvr"].to_numpy(), kind="stable")
    assert (np.diff(after["pcvr"].to_numpy()[order]) >= 0).all()
    np.testing.assert_array_equal(after["pctcvr"], after["pctr"] * after["pcvr"])
    assert (after["pctcvr"] <= after["pcvr"]).all()


def test_the_calibration_states_its_rows_and_weights(calibrated):
    found = calibrated.calibration_
    clicks = int(HELD["click"].sum())
    assert (found.rows, found.weighted, found.effective_size) == (clicks, False, clicks)
    assert f"fitted to {clicks:,} clicked validation rows as they are" in str(found)
    assert estimator().fit(LOG).calibration_ is None


def test_it_is_saved_and_loaded(calibrated, tmp_path):
    calibrated.save(tmp_path / "model")
    loaded = FunnelEstimator.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(FRESH), calibrated.predict(FRESH))
    assert (loaded.calibration_, loaded.calibrate) == (
        calibrated.calibration_,
        calibrated.calibrate,
    )


@pytest.mark.parametrize("model", [models.escm2_ips, models.escm2_dr, models.unbias, models.oracle])
def test_the_plain_form_is_refused_for_a_model_that_debiases(model):
    unfit = estimator(model, calibrate=CalibrationConfig(weighted=False))
    with pytest.raises(CompositionError, match=r"`weighted=False` is refused .* undoes the model"):
        unfit.fit(LOG)
    assert not hasattr(unfit, "model_")


def test_a_model_that_debiases_is_weighted_by_its_own_propensities():
    one = estimator(models.escm2_ips, calibrate=CalibrationConfig()).fit(LOG, validation=HELD)
    assert one.calibration_.weighted
    raw = estimator(models.escm2_ips).fit(LOG, validation=HELD).predict(HELD)
    floor = np.sort(raw["pctr"])[int(np.ceil(0.01 * len(HELD))) - 1]
    clicked = (HELD["click"] == 1).to_numpy()
    weight = 1 / np.maximum(raw["pctr"], floor)[clicked]
    assert one.calibration_.effective_size == pytest.approx(
        weight.sum() ** 2 / (weight**2).sum(), rel=1e-9
    )
    after = one.predict(HELD)["pcvr"][clicked]
    expected = weight @ HELD["conversion"][clicked]
    assert weight @ after == pytest.approx(expected, rel=1e-6)
    assert "weighted by inverse propensities" in str(one.calibration_)


def test_any_model_can_be_weighted():
    one = estimator(calibrate=CalibrationConfig(weighted=True)).fit(LOG, validation=HELD)
    assert one.calibration_.weighted
    assert one.calibration_.effective_size < one.calibration_.rows - 1


def test_training_rows_are_scored_with_their_training_encodings():
    """Their target encodings are those of the other folds, and their clicks set the mean."""
    one = estimator(calibrate=CalibrationConfig(on="training")).fit(LOG, validation=HELD)
    clicks = int(LOG["click"].sum())
    assert (one.calibration_.rows, one.calibration_.on) == (clicks, "training")
    assert f"fitted to {clicks:,} clicked training rows as they are" in str(one.calibration_)
    rows = one.codec_.encode_training(LOG)
    with torch.no_grad():
        raw = one.model_.network(rows.features).pcvr.double().numpy()
    clicked = LOG["click"].to_numpy() == 1
    mean = one.calibration_.pcvr(raw[clicked]).mean()
    assert mean == pytest.approx(LOG["conversion"][clicked].mean(), rel=1e-5)


def scored(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    p, q = rng.uniform(0.1, 0.9, rows), rng.uniform(0.1, 0.9, rows)
    click = rng.random(rows) < p
    conversion = click * (rng.random(rows) < q)
    labels = FunnelLabels.of(
        click=torch.from_numpy(click.astype(float)),
        conversion=torch.from_numpy(conversion.astype(float)),
    )
    return Scores(p, q, p * q), labels


def test_logged_propensities_and_row_weights_count():
    scores, labels = scored()
    rng = np.random.default_rng(1)
    logged, weight = rng.uniform(0.2, 0.9, 400), rng.integers(0, 3, 400)
    given = labels._replace(propensity=torch.from_numpy(logged), weight=torch.from_numpy(weight))
    found = fit_calibration(CalibrationConfig("shift"), scores, given, weighted=True)
    floored = np.maximum(logged, np.sort(logged)[3])
    rows = (labels.click.numpy() == 1) & (weight > 0)
    mass = (weight / floored)[rows]
    assert found.rows == rows.sum()
    assert mass @ found.pcvr(scores.pcvr[rows]) == pytest.approx(
        mass @ labels.conversion.numpy()[rows], rel=1e-9
    )


def test_recalibrated_propensities_do_not_depend_on_slope_and_intercept_of_pctr():
    """A slope and an intercept on pCTR's logit change nothing; its mean is that of the clicks."""
    scores, labels = scored()
    how = CalibrationConfig("platt", recalibrated=True)
    found = fit_calibration(how, scores, labels, weighted=True)
    odds = scores.pctr / (1 - scores.pctr)
    off = scores._replace(pctr=1 / (1 + 1 / (0.3 * odds**2)))
    off = off._replace(pctcvr=off.pctr * off.pcvr)
    again = fit_calibration(how, off, labels, weighted=True)
    assert again.effective_size == pytest.approx(found.effective_size, rel=1e-6)
    assert again.intercept == pytest.approx(found.intercept, abs=1e-6)
    plain = fit_calibration(CalibrationConfig("platt"), off, labels, weighted=True)
    assert abs(plain.intercept - found.intercept) > 0.01
    clicked = labels.click.numpy() == 1
    right = propensity_of(how, off.pctr, labels)
    assert right.sum() == pytest.approx(clicked.sum(), rel=1e-9)
    # Where every row is a click no recalibration is defined, and pCTR stays as it is.
    everywhere = labels._replace(stages=torch.ones_like(labels.stages))
    assert (propensity_of(how, off.pctr, everywhere) == off.pctr).all()
    logged = labels._replace(propensity=torch.full((400,), 0.5))
    assert fit_calibration(how, scores, logged, weighted=True) == fit_calibration(
        CalibrationConfig("platt"), off, logged, weighted=True
    )


def test_rows_that_were_not_clicked_have_no_influence():
    scores, labels = scored()
    off = labels.click.numpy() == 0
    other = np.where(off, 0.123, scores.pcvr)
    expected = fit_calibration(CalibrationConfig("platt"), scores, labels, weighted=False)
    moved = Scores(scores.pctr, other, scores.pctr * other)
    assert fit_calibration(CalibrationConfig("platt"), moved, labels, weighted=False) == expected


def test_an_isotonic_block_without_conversions_is_kept_above_zero():
    scores, labels = scored()
    stages = labels.stages.clone()
    stages[scores.pcvr < 0.5, 1] = 0
    found = fit_calibration(
        CalibrationConfig("isotonic"), scores, labels._replace(stages=stages), weighted=False
    )
    least = 0.5 / (found.rows + 1)
    assert found.pcvr(np.array([0.0, 0.2])) == pytest.approx([least, least], rel=1e-9)


@pytest.mark.parametrize("converted", [0.0, 1.0])
def test_clicks_with_one_outcome_only_are_an_error(converted):
    scores, labels = scored()
    stages = torch.stack((labels.click, labels.click * converted), dim=1)
    with pytest.raises(DataError, match=r"with and without a conversion, found .* enlarge"):
        fit_calibration(CalibrationConfig(), scores, labels._replace(stages=stages), weighted=False)


def test_platt_scaling_that_would_reverse_the_order_is_an_error():
    scores, labels = scored()
    wrong = 1 - scores.pcvr
    with pytest.raises(DataError, match=r"found the slope -.* reverse the order"):
        fit_calibration(
            CalibrationConfig("platt"),
            Scores(scores.pctr, wrong, scores.pctr * wrong),
            labels,
            weighted=False,
        )


def test_a_pcvr_that_differs_from_pctcvr_over_pctr_is_refused():
    scores, labels = scored()
    apart = scores._replace(pcvr=np.clip(scores.pcvr * 1.2, 0, 1))
    with pytest.raises(CompositionError, match=r"pCVR of this model is not pCTCVR / pCTR"):
        fit_calibration(CalibrationConfig(), apart, labels, weighted=False)


def test_joints_with_pctcvr_above_pctr_are_calibrated():
    one = estimator(models.division, calibrate=CalibrationConfig()).fit(LOG, validation=HELD)
    clicked = HELD[HELD["click"] == 1]
    assert one.predict(clicked)["pcvr"].mean() == pytest.approx(
        clicked["conversion"].mean(), rel=1e-6
    )


def test_another_method_is_refused():
    with pytest.raises(CompositionError, match=r"`method` must be one of .* found 'beta'"):
        CalibrationConfig("beta")


def test_a_refit_drops_the_calibration():
    one = estimator(calibrate=CalibrationConfig()).fit(LOG)
    one.calibrate = None
    assert one.fit(LOG).calibration_ is None


def test_the_calibration_survives_json():
    found = Calibration("isotonic", True, 10, 7.5, 1.0, 0.0, (-1.0, 2.0), (0.1, 0.4), 1.1)
    assert Calibration.from_dict(found.to_dict()) == found
    assert replace(found, rows=11) != found
