"""Joint levels of the click-only features, and what is said of those that identify nothing."""

import numpy as np
import pandas as pd
import pytest
import torch

from mtl_seq import Schema
from mtl_seq.data import Codec
from mtl_seq.dependence.level_probability import LevelShares, fit_shares
from mtl_seq.dependence.levels import Levels
from mtl_seq.errors import DataError, SchemaError
from mtl_seq.models import DependenceConfig

LABELS = {"click": "click", "conversion": "conversion"}


def log(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    click = (rng.random(n) < 0.3).astype(int)
    return pd.DataFrame(
        {
            "user": rng.integers(0, 20, n),
            "position": rng.integers(1, 4, n),
            "variant": rng.choice(["a", "b"], n),
            "height": rng.normal(size=n),
            "click": click,
            "conversion": click * (rng.random(n) < 0.3),
        }
    )


def schema(*click_only, ids=("user", "position", "variant"), dense=("height",)):
    return Schema(labels=LABELS, ids=ids, dense=dense, click_only=click_only)


def test_levels_are_the_joint_values():
    frame = log()
    levels = Levels.fit(schema("position", "variant"), frame)
    assert len(levels) == 6
    assert levels.names()[0] == "position 1, variant a"
    codes = levels.codes(frame)
    told = levels.frame().iloc[codes]
    assert (told["position"].to_numpy() == frame["position"].to_numpy()).all()
    assert (told["variant"].to_numpy() == frame["variant"].to_numpy()).all()


def test_a_value_that_was_not_there_has_no_level():
    frame = log()
    levels = Levels.fit(schema("position"), frame)
    assert levels.codes(frame.iloc[:2].assign(position=[9, 2])).tolist() == [-1, 1]


def test_numbers_are_cut_at_quantiles():
    frame = log()
    levels = Levels.fit(schema("height"), frame)
    codes = levels.codes(frame)
    assert len(levels) == 8
    assert np.bincount(codes).min() >= 0.95 * len(frame) / 8
    medians = [np.median(frame["height"][codes == k]) for k in range(8)]
    np.testing.assert_allclose([row[0] for row in levels.values], medians)


def test_levels_survive_json():
    frame = log()
    levels = Levels.fit(schema("position", "height"), frame)
    again = Levels.from_dict(levels.to_dict())
    assert (again.codes(frame) == levels.codes(frame)).all()
    assert again.values == levels.values


def test_levels_are_encoded_with_all_derived_features():
    frame = log()
    own = schema("position")
    codec = Codec.fit(own, frame, target_encoding=20.0)
    levels = Levels.fit(own, frame)
    told = levels.encoded(codec, frame)
    assert sorted(told) == sorted(levels.encoded_names(codec.spec))
    row = frame[frame["position"] == 3].iloc[:1]
    features = codec.encode(row, labels=False).features
    for name, values in told.items():
        assert torch.equal(values[2:3], features[name])


@pytest.mark.parametrize(
    ("own", "change", "message"),
    [
        (schema(), {}, r"click_only=\[\.\.\.\].*mtl-seq sensitivity"),
        (schema("position"), {"position": 1}, "'position' is constant"),
        (schema("variant"), {"user": None}, "'variant' equals feature 'user'"),
    ],
)
def test_features_that_cannot_identify_lambda_are_refused(own, change, message):
    frame = log()
    for name, value in change.items():
        frame[name] = (frame["variant"] == "a").astype(int) if value is None else value
    with pytest.raises(SchemaError, match=message):
        Levels.fit(own, frame)


def test_too_many_levels():
    frame = log().assign(position=np.arange(4000) % 65)
    with pytest.raises(DataError, match="at most 64 joint levels, found 65"):
        Levels.fit(schema("position"), frame)


def test_a_bag_has_no_levels():
    frame = log().assign(tags=[["a"]] * 4000)
    own = Schema(labels=LABELS, ids=["user"], bags=["tags"], click_only=["tags"])
    with pytest.raises(SchemaError, match="found a bag"):
        Levels.fit(own, frame)


def shares(config, frame, roles):
    levels = Levels.fit(roles, frame)
    codec = Codec.fit(roles, frame)
    features = codec.encode(frame, labels=False).features
    names = [name for name in codec.spec.features if name not in levels.encoded_names(codec.spec)]
    found = fit_shares(config, frame, features, levels.codes(frame), names, seed=0)
    return found, found.predict(frame, features)


def test_shares_of_a_policy_that_knows_the_user_are_estimated():
    frame = log(40_000)
    rng = np.random.default_rng(3)
    top = rng.random(len(frame)) < np.where(frame["user"] < 10, 0.8, 0.2)
    frame["position"] = np.where(top, 1, 2)
    found, values = shares(DependenceConfig(policy=["user"]), frame, schema("position"))
    assert found.source == "estimated from user"
    low = frame["user"] < 10
    assert values[low, 0].mean() == pytest.approx(0.8, abs=0.02)
    assert values[~low, 0].mean() == pytest.approx(0.2, abs=0.02)


def test_without_a_predictive_feature_the_marginal_shares_are_taken():
    frame = log()
    for how in (DependenceConfig(), DependenceConfig(policy=())):
        found, values = shares(how, frame, schema("position"))
        assert found.source.startswith("the log's marginal shares")
        own = np.bincount(frame["position"])[1:] / len(frame)
        np.testing.assert_allclose(values, np.broadcast_to(own, values.shape))


def test_shares_that_are_declared_or_logged():
    frame = log().assign(p1=0.5, p2=0.3, p3=0.2)
    found, values = shares(DependenceConfig(level_share="uniform"), frame, schema("position"))
    assert found.source == "declared uniform"
    np.testing.assert_allclose(values, 1 / 3)
    found, values = shares(
        DependenceConfig(level_share=("p1", "p2", "p3")), frame, schema("position")
    )
    assert found.source == "logged in p1, p2, p3"
    np.testing.assert_allclose(values[5], [0.5, 0.3, 0.2])


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (DependenceConfig(level_share=("p1",)), DataError, "a column for each of 3 levels"),
        (DependenceConfig(level_share=("p1", "p2", "p4")), SchemaError, "does not hold|not hold"),
        (DependenceConfig(level_share=("p1", "p2", "p3")), DataError, "distribution in every row"),
        (DependenceConfig(policy=["position"]), SchemaError, "must be in the model"),
    ],
)
def test_invalid_shares_are_refused(how, error, message):
    frame = log().assign(p1=0.5, p2=0.3, p3=0.9)
    with pytest.raises(error, match=message):
        shares(how, frame, schema("position"))


def test_estimated_shares_survive_json():
    frame = log(40_000)
    frame["position"] = np.where(frame["user"] < 10, 1, 1 + (frame["position"] > 1))
    found, values = shares(DependenceConfig(policy=["user"]), frame, schema("position"))
    again = LevelShares.from_dict(found.to_dict())
    again.policy.load_state_dict(found.policy.state_dict())
    codec = Codec.fit(schema("position"), frame)
    features = codec.encode(frame, labels=False).features
    np.testing.assert_array_equal(again.predict(frame, features), values)
