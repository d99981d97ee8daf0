"""The default is the parts it names: its losses, its network, its calibration."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from mtl_seq import FeatureSpec, Funnel, FunnelEstimator, FunnelLabels, losses, models, nn
from mtl_seq.calibration import fit_calibration
from mtl_seq.errors import CompositionError
from mtl_seq.fit import calibrate_model
from mtl_seq.fit.prediction import score_labelled
from mtl_seq.models import CalibrationConfig
from mtl_seq.simulate import LogisticFunnel

SPEC = FeatureSpec(ids={"user": 5, "item": 4})
SIMULATOR = LogisticFunnel(users=60, items=40, seed=0)
LOG, _ = SIMULATOR.sample(3000, np.random.default_rng(5))
FRESH, _ = SIMULATOR.sample(500, np.random.default_rng(7))
SMALL = partial(nn.SharedBottom, hidden=(8,))
DEFAULT = partial(models.targeted, bottom=SMALL)


def batch(rows=200, seed=0):
    rng = torch.Generator().manual_seed(seed)
    click = torch.randint(2, (rows,), generator=rng)
    labels = FunnelLabels.of(
        click=click, conversion=click * torch.randint(2, (rows,), generator=rng)
    )
    ids = {name: torch.randint(size, (rows,), generator=rng) for name, size in SPEC.ids.items()}
    return ids, labels


def estimator(model=DEFAULT, **settings):
    return FunnelEstimator(model, SIMULATOR.schema, **{"epochs": 1, "batch_size": 128, **settings})


@pytest.fixture(scope="module")
def fitted():
    return estimator().fit(LOG)


@pytest.fixture(scope="module")
def plain():
    return estimator(partial(DEFAULT, calibration=None)).fit(LOG)


def test_its_network_is_that_of_multi_dr():
    one, other = models.targeted(SPEC, seed=3), models.multi_dr(SPEC, seed=3)
    weights = other.network.state_dict()
    assert one.network.state_dict().keys() == weights.keys()
    assert all(torch.equal(x, weights[name]) for name, x in one.network.state_dict().items())


def test_its_losses_are_those_of_the_losses_it_names():
    model = models.targeted(SPEC, seed=0)
    features, labels = batch()
    prediction = model(features)
    result = model.objective(prediction, labels)
    parts = {
        "ctr": losses.EntireSpace("click"),
        "cvr": losses.DirectMethod(),
        "imputation": losses.LabelImputation(),
    }
    assert list(result) == list(parts)
    for name, loss in parts.items():
        assert result[name].item() == pytest.approx(
            loss(prediction, labels).mean().item(), rel=1e-6
        )
        assert type(model.objective.losses[name]) is type(loss)


@pytest.mark.parametrize("name", ["cvr", "imputation"])
def test_neither_loss_of_pcvr_moves_the_click_tower(name):
    model = models.targeted(SPEC, seed=0)
    features, labels = batch()
    model.objective(model(features), labels)[name].backward()
    click = model.network.head.towers[0]
    assert all(p.grad is None or not p.grad.any() for p in click.parameters())


def test_the_imputation_is_trained_as_the_control_is():
    model = models.targeted(SPEC, seed=0)
    features, labels = batch()
    prediction = model(features)
    imputed = prediction._replace(pcvr_logit=prediction.aux["imputation"])
    expected = losses.ClickSpace()(imputed, labels)
    torch.testing.assert_close(losses.LabelImputation()(prediction, labels), expected)


def test_pcvr_learns_from_the_imputation_and_the_imputation_from_clicks():
    """What was not clicked has no label to teach, and pCVR none at all."""
    model = models.targeted(SPEC, seed=0)
    features, labels = batch()
    prediction = model(features)
    other = FunnelLabels(torch.stack((labels.click, 0 * labels.click), dim=1))
    result, moved = (model.objective(prediction, given) for given in (labels, other))
    assert torch.equal(result["cvr"], moved["cvr"])
    assert not torch.equal(result["imputation"], moved["imputation"])


def test_its_calibration_is_the_one_it_names(fitted, plain):
    """The map fitted to the training rows of the same network, to the bit."""
    assert plain.calibration_ is None
    weights = plain.model_.state_dict()
    assert all(torch.equal(x, weights[name]) for name, x in fitted.model_.state_dict().items())
    held = pd.concat([FRESH, FRESH])
    one = estimator().fit(LOG, validation=held)
    rows = one.codec_.encode_training(LOG)
    config = CalibrationConfig("shift", weighted=True, on="training", recalibrated=True)
    scores, labels = score_labelled(one.model_.network, rows, one.run_.arithmetic)
    assert one.calibration_ == fit_calibration(config, scores, labels, weighted=True)
    assert one.model_.calibration == config


def test_a_user_defined_loop_gets_the_same_map():
    one = estimator().fit(LOG, validation=FRESH)
    result = calibrate_model(one.model_, one.codec_.encode_training(LOG))
    assert result == one.calibration_
    prediction = one.model_(one.codec_.encode(FRESH, labels=False).features)
    pcvr = result.pcvr(prediction.pcvr.detach().double().numpy())
    np.testing.assert_allclose(pcvr, one.predict(FRESH)["pcvr"], atol=1e-6)
    with pytest.raises(CompositionError, match=r"names no calibration: pass one"):
        calibrate_model(models.esmm(one.codec_.spec, seed=0), one.codec_.encode(LOG))


def test_only_the_shift_is_new(fitted, plain):
    before, after = plain.predict(FRESH), fitted.predict(FRESH)
    pd.testing.assert_series_equal(after["pctr"], before["pctr"])
    moved = (np.log(x / (1 - x)) for x in (before["pcvr"], after["pcvr"]))
    shift = -np.subtract(*moved)
    np.testing.assert_allclose(shift, fitted.calibration_.intercept, atol=1e-5)
    assert abs(fitted.calibration_.intercept) > 1e-4


def test_the_calibration_of_the_estimator_comes_first():
    one = estimator(calibrate=CalibrationConfig("isotonic")).fit(LOG)
    assert (one.calibration_.method, one.calibration_.on) == ("isotonic", "validation")


def test_it_is_saved_and_loaded_with_its_shift(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = FunnelEstimator.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(FRESH), fitted.predict(FRESH))
    assert loaded.calibration_ == fitted.calibration_


def test_a_calibration_that_does_not_go_with_the_model_is_refused_before_training():
    unfit = estimator(partial(DEFAULT, calibration=CalibrationConfig(weighted=False)))
    with pytest.raises(CompositionError, match=r"`weighted=False` is refused"):
        unfit.fit(LOG)
    with pytest.raises(CompositionError, match=r"`on` must be one of .* found 'test'"):
        CalibrationConfig(on="test")


def test_a_funnel_of_three_stages_has_the_losses_between():
    funnel = Funnel.chain("click", "cart", "conversion")
    model = models.targeted(SPEC, funnel=funnel, seed=0)
    assert list(model.objective.losses) == ["ctr", "cart", "cvr", "imputation"]
    assert model.calibration is not None
