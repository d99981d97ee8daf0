"""`FitConfig` states the parameters of `FunnelEstimator`, once."""

import dataclasses
import inspect
import json
from functools import partial

import numpy as np
import pytest

from mtl_seq import FunnelEstimator, models
from mtl_seq.data import Encoding
from mtl_seq.errors import CompositionError
from mtl_seq.fit import FitConfig, GradNorm, RowWiseAdagrad
from mtl_seq.fit.storage.model_folder import config_to_json
from mtl_seq.models import CalibrationConfig
from mtl_seq.simulate import LogisticFunnel

SCHEMA = LogisticFunnel(users=60, items=40, seed=0).schema
PARAMETERS = inspect.signature(FunnelEstimator).parameters
FIELDS = {f.name: f for f in dataclasses.fields(FitConfig)}
RESOLVED = {"model": models.targeted, "encoding": Encoding(), "trainer": {}}


def test_its_fields_are_the_parameters_of_the_estimator():
    assert set(FIELDS) == set(PARAMETERS)


@pytest.mark.parametrize("name", sorted(set(PARAMETERS) - {"schema"}))
def test_its_defaults_are_those_of_the_estimator(name):
    """A parameter whose default is None takes the field's default in a fit."""
    default = getattr(FitConfig(schema=SCHEMA), name)
    if name in RESOLVED:
        assert PARAMETERS[name].default is None
        assert default == RESOLVED[name]
    else:
        assert default == PARAMETERS[name].default


def test_none_takes_the_default_and_all_else_is_kept():
    estimator = FunnelEstimator(schema=SCHEMA, lr=0.1, seed=4, allow_leak=["price"])
    config = FitConfig.from_parameters(estimator.get_params(deep=False))
    expected = FitConfig(schema=SCHEMA, lr=0.1, seed=4, allow_leak=["price"])
    assert config == expected
    assert estimator.encoding is estimator.model is estimator.trainer is None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, r"`schema` must name the roles .* found None: FunnelEstimator\(model, schema\)"),
        ({"schema": SCHEMA, "model": "esmm"}, "`model` must be a builder .* found 'esmm'"),
    ],
)
def test_no_schema_or_no_builder_is_one_clear_error(parameters, message):
    with pytest.raises(CompositionError, match=message):
        FunnelEstimator(**parameters).fit("no file is read")


def test_what_is_saved_is_all_but_builder_schema_progress_and_trainer():
    config = FitConfig(schema=SCHEMA)
    assert set(FIELDS) - set(config.settings) == {"model", "schema", "progress", "trainer"}
    content = config_to_json(config)
    assert set(content["settings"]) == set(config.settings)
    assert json.loads(json.dumps(content)) == content


def test_settings_survive_a_folder(tmp_path):
    log, _ = LogisticFunnel(users=60, items=40, seed=0).sample(1500, np.random.default_rng(5))
    settings = {
        "epochs": 1,
        "balance": partial(GradNorm, alpha=0.5),
        "optimizer": None,
        "calibrate": CalibrationConfig("isotonic", weighted=False),
        "encoding": Encoding(embedding=4, buckets=3),
        "allow_leak": ("price",),
        "weight_decay": 1e-3,
    }
    one = FunnelEstimator(models.esmm, SCHEMA, progress=True, trainer={"devices": 1}, **settings)
    one.fit(log).save(tmp_path / "model")
    loaded = FunnelEstimator.load(tmp_path / "model")
    for name in settings.keys() - {"balance", "allow_leak"}:
        assert getattr(loaded, name) == settings[name], name
    assert loaded.balance.keywords == {"alpha": 0.5}
    assert list(loaded.allow_leak) == ["price"]
    assert (loaded.progress, loaded.trainer) == (False, None)
    assert config_to_json(loaded.config_) == config_to_json(one.config_)


def test_a_part_without_a_saved_form_is_named_when_it_is_used(tmp_path):
    class Plain(RowWiseAdagrad):
        pass

    log, _ = LogisticFunnel(users=60, items=40, seed=0).sample(1500, np.random.default_rng(5))
    one = FunnelEstimator(models.esmm, SCHEMA, epochs=1, optimizer=Plain()).fit(log)
    one.save(tmp_path / "model")
    loaded = FunnelEstimator.load(tmp_path / "model")
    with pytest.raises(CompositionError, match=r"was user-defined.*set `estimator.optimizer`"):
        loaded.fit(log)
    loaded.set_params(optimizer=Plain()).fit(log)
