"""Fit, predict, save and load of the estimator."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from mtl_seq import FunnelEstimator, models, nn
from mtl_seq.data import Encoding, write_frame
from mtl_seq.errors import ArtifactError, DataError, NotFittedError, SchemaError
from mtl_seq.simulate import LogisticFunnel

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, TRUTH = SCENARIO.sample(2000, np.random.default_rng(5))
LOG.index = 7 * LOG.index + 3
FRESH, FRESH_TRUTH = SCENARIO.sample(2000, np.random.default_rng(6))
FEATURES = list(SCENARIO.schema.features)
SMALL = partial(models.esmm, bottom=partial(nn.SharedBottom, hidden=(8,)))


def estimator(model=SMALL, **settings):
    return FunnelEstimator(model, SCENARIO.schema, **{"epochs": 2, "batch_size": 128, **settings})


@pytest.fixture(scope="module")
def fitted():
    return estimator().fit(LOG)


def with_price(value):
    return LOG.assign(price=LOG["price"].where(np.arange(len(LOG)) != 4, value))


BAD = {
    "conversion without click": (
        LOG.assign(conversion=1),
        DataError,
        "conversion without click in",
    ),
    "label missing": (LOG.assign(click=np.nan), DataError, "'click' .* is missing in 2,000 rows"),
    "label of 2": (LOG.assign(click=2 * LOG["click"]), DataError, "'click' .* neither 0 nor 1"),
    "no click": (LOG.assign(click=0, conversion=0), DataError, "no click at all"),
    "no conversion": (LOG.assign(conversion=0), DataError, "no conversion at all"),
    "no rows": (LOG.iloc[:0], DataError, "at least one row"),
    "absent": (LOG.drop(columns="item_id"), SchemaError, r"\['item_id'\]"),
    "group absent": (LOG.drop(columns="user_id"), SchemaError, r"\['user_id'"),
    "NaN": (with_price(np.nan), DataError, r"'price' is NaN in 1 row \(first: 31\)"),
    "infinity": (with_price(np.inf), DataError, r"'price' is infinite in 1 row \(first: 31\)"),
    "fraction": (
        LOG.assign(item_id=LOG["item_id"] + 0.5),
        DataError,
        "'item_id' must hold integers",
    ),
    "leak": (LOG.assign(price=LOG["click"]), DataError, "feature 'price' equals 'click'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_log_is_refused_before_a_model_is_built(name):
    frame, error, message = BAD[name]

    def never(spec, *, funnel, seed):
        raise AssertionError("the log should have been refused")

    with pytest.raises(error, match=message):
        estimator(never).fit(frame)
    if name != "fraction":  # which is seen when the rows are encoded
        with pytest.raises(error, match=message):
            estimator(never).fit(LOG, validation=frame)


def test_fit_returns_itself_and_leaves_the_frame_and_the_global_generators_alone():
    frame = LOG.copy(deep=True)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    one = estimator()
    assert one.fit(frame) is one
    pd.testing.assert_frame_equal(frame, LOG)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_a_fit_predicts_clicks_better_than_their_rate():
    # Expected log loss against the true probabilities of fresh rows; no label noise.
    scores = estimator(epochs=6).fit(LOG).predict(FRESH)["pctr"]

    def loss(p):
        return -(FRESH_TRUTH.pctr * np.log(p) + (1 - FRESH_TRUTH.pctr) * np.log(1 - p)).mean()

    assert loss(scores.to_numpy()) < loss(LOG["click"].mean()) - 0.01


def test_predictions_are_probabilities_on_the_index_given(fitted):
    frame = LOG.copy(deep=True)
    scores = fitted.predict(frame)
    pd.testing.assert_frame_equal(frame, LOG)
    assert scores.index.equals(LOG.index)
    assert list(scores) == ["pctr", "pcvr", "pctcvr"]
    assert ((scores > 0) & (scores < 1)).all(axis=None)
    np.testing.assert_allclose(scores["pctcvr"], scores["pctr"] * scores["pcvr"], rtol=1e-6)


def test_predictions_need_no_labels_and_do_not_depend_on_other_rows(fitted):
    scores = fitted.predict(LOG)
    pd.testing.assert_frame_equal(fitted.predict(LOG[FEATURES]), scores)
    some = LOG.iloc[[7, 3, 1999]]
    pd.testing.assert_frame_equal(fitted.predict(some), scores.loc[some.index], rtol=1e-6)


def test_all_unseen_ids_are_scored_alike_and_not_as_a_seen_one(fitted):
    row = FRESH.iloc[[0] * 3].assign(user_id=[10**12, -1, LOG["user_id"].iloc[0]])
    scores = fitted.predict(row).to_numpy()
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6)
    assert not np.allclose(scores[0], scores[2], rtol=1e-3)


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (LOG.drop(columns="price"), SchemaError, r"\['price'\]"),
        (LOG.iloc[:0], DataError, "at least one row"),
        (with_price(np.nan), DataError, "'price' is NaN in 1 row"),
        (LOG.astype({"user_id": str}), DataError, "column 'user_id' held integers"),
    ],
    ids=["absent", "no rows", "NaN", "strings"],
)
def test_rows_that_cannot_be_scored_are_errors(fitted, frame, error, message):
    with pytest.raises(error, match=message):
        fitted.predict(frame)


def test_a_second_fit_forgets_the_first(fitted):
    twice = estimator().fit(FRESH).fit(LOG)
    pd.testing.assert_frame_equal(twice.predict(FRESH), fitted.predict(FRESH))
    assert repr(twice.run_) == repr(fitted.run_)  # equal also where a metric is NaN


def test_a_parquet_file_is_as_good_as_its_frame(fitted, tmp_path):
    write_frame(LOG, tmp_path / "log.parquet")
    again = estimator().fit(tmp_path / "log.parquet")
    scores = again.predict(str(tmp_path / "log.parquet"))
    pd.testing.assert_frame_equal(scores, fitted.predict(LOG))


def test_an_unfitted_estimator_neither_predicts_nor_saves(tmp_path):
    with pytest.raises(NotFittedError, match="call `fit` first"):
        estimator().predict(LOG)
    with pytest.raises(NotFittedError, match="call `fit` first"):
        estimator().save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_loaded_estimator_equals_the_saved_one(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = FunnelEstimator.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(FRESH), fitted.predict(FRESH))
    assert repr(loaded.run_) == repr(fitted.run_)
    assert loaded.schema == fitted.schema
    for name in ("epochs", "batch_size", "lr", "id_dropout", "encoding", "seed"):
        assert getattr(loaded, name) == getattr(fitted.config_, name)
    pd.testing.assert_frame_equal(loaded.fit(LOG).predict(FRESH), fitted.predict(FRESH))


def test_a_user_defined_builder_must_be_passed(tmp_path):
    def own(spec, *, funnel, seed):
        return SMALL(spec, funnel=funnel, seed=seed)

    saved = estimator(own).fit(LOG)
    saved.save(tmp_path / "model")
    with pytest.raises(ArtifactError, match=r"pass it, `load\(path, model=builder\)`"):
        FunnelEstimator.load(tmp_path / "model")
    loaded = FunnelEstimator.load(tmp_path / "model", model=own)
    pd.testing.assert_frame_equal(loaded.predict(LOG), saved.predict(LOG))


@pytest.mark.parametrize("name", ["model.safetensors", "codec.json", "estimator.json"])
def test_a_folder_that_is_not_whole_is_refused(fitted, tmp_path, name):
    fitted.save(tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    with pytest.raises(ArtifactError):
        FunnelEstimator.load(tmp_path / "model")


@pytest.mark.parametrize("change", [{"format": 99}, {"kind": "other"}])
def test_a_folder_of_another_version_or_kind_is_refused(fitted, tmp_path, change):
    fitted.save(tmp_path / "model")
    file = tmp_path / "model" / "estimator.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ArtifactError, match=r"99|other"):
        FunnelEstimator.load(tmp_path / "model")
    with pytest.raises(ArtifactError, match="must be the folder that `save` wrote"):
        FunnelEstimator.load(file)


def test_torn_weights_are_an_artefact_error(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ArtifactError, match="the weights do not fit the model"):
        FunnelEstimator.load(tmp_path / "model")


def test_validation_rows_that_weigh_nothing_are_refused():
    schema = replace(SCENARIO.schema, weight="w")
    unfit = FunnelEstimator(SMALL, schema, epochs=1)
    with pytest.raises(DataError, match="clicked row of positive weight"):
        unfit.fit(LOG.assign(w=1.0), validation=FRESH.assign(w=0.0))


def test_a_dense_column_without_any_value_is_named():
    with pytest.raises(DataError, match="'price' has no value at all"):
        estimator(encoding=Encoding(impute="mean")).fit(LOG.assign(price=np.nan))
