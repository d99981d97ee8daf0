"""Target encodings: closed forms, other folds only, and no signal from an id that has none."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mtl_seq import Codec, Schema
from mtl_seq.data import Encoding
from mtl_seq.data.encode.target_encoding import (
    FoldCounts,
    StageRows,
    TargetEncoding,
    fold_cells,
)
from mtl_seq.errors import DataError

SCHEMA = Schema(
    labels={"click": "click", "conversion": "conversion"},
    ids=["noise", "user"],
    dense=["price"],
    hidden_from={"conversion": ["user"]},
)


def log(rows=6000, seed=0):
    rng = np.random.default_rng(seed)
    user = rng.integers(50, size=rows)
    rate = np.random.default_rng(9).random(50)[user]
    click = (rng.random(rows) < rate).astype(int)
    conversion = click * (rng.random(rows) < 1 - rate).astype(int)
    noise = rng.integers(3000, size=rows)
    price = rng.random(rows)
    return pd.DataFrame(
        {"user": user, "noise": noise, "price": price, "click": click, "conversion": conversion}
    )


def fitted(frame, **settings):
    return Codec.fit(SCHEMA, frame, **{"target_encoding": 20.0, **settings})


def test_an_unseen_row_gets_the_smoothed_log_odds_of_its_id():
    frame = log()
    codec = fitted(frame)
    found = codec.encode(frame.iloc[:1], labels=False).features
    same = frame[frame["user"] == frame["user"].iloc[0]]
    for stage, rows in (("click", same), ("conversion", same[same["click"] == 1])):
        every = frame if stage == "click" else frame[frame["click"] == 1]
        prior = (every[stage].sum() + 0.5) / (len(every) + 1)
        rate = (rows[stage].sum() + 20 * prior) / (len(rows) + 20)
        expected = np.log(rate / (1 - rate)) - np.log(prior / (1 - prior))
        assert found[f"user:{stage}"].item() == pytest.approx(expected, rel=1e-5)


def test_a_training_row_is_encoded_from_the_other_folds():
    """Row 7 is in fold 2 of 5, whose rows are left out whole."""
    frame = log()
    found = fitted(frame).encode_training(frame).features["user:click"][7].item()
    others = frame[np.arange(len(frame)) % 5 != 2]
    same = others[others["user"] == frame["user"].iloc[7]]
    prior = (others["click"].sum() + 0.5) / (len(others) + 1)
    rate = (same["click"].sum() + 20 * prior) / (len(same) + 20)
    assert found == pytest.approx(np.log(rate / (1 - rate)) - np.log(prior / (1 - prior)), rel=1e-5)


def test_an_id_of_pure_noise_gets_no_signal_from_its_own_labels():
    frame = log()
    codec = fitted(frame, target_encoding=1.0)
    click = frame["click"]
    encoded = roc_auc_score(click, codec.encode_training(frame).features["noise:click"].numpy())
    # The standard error of an AUC of one half over 6,000 rows is about .0075.
    assert abs(encoded - 0.5) <= 5 * 0.0075
    # What the rows' own labels would have revealed, and the network would have believed:
    leaked = roc_auc_score(click, codec.encode(frame).features["noise:click"].numpy())
    assert leaked > 0.8


def test_an_id_that_says_something_keeps_its_signal_on_later_rows():
    codec = fitted(log(seed=0))
    later = log(seed=1)
    encoded = roc_auc_score(later["click"], codec.encode(later).features["user:click"].numpy())
    best = roc_auc_score(later["click"], np.random.default_rng(9).random(50)[later["user"]])
    assert encoded > best - 0.01


def test_an_unseen_id_says_nothing():
    codec = fitted(log())
    stranger = log().iloc[:1].assign(user=10**9)
    features = codec.encode(stranger, labels=False).features
    assert features["user:click"].item() == 0
    assert features["user:conversion"].item() == 0
    assert features["user:count"].item() < codec.encode(log()).features["user:count"].min()


def test_an_unseen_id_counts_no_less_than_anything_trained_on():
    """Where every id was seen hundreds of times, a count of 0 would be far from all of them."""
    frame = log()
    frame["noise"] = np.arange(len(frame)) % 4
    codec = fitted(frame)
    trained = codec.encode_training(frame).features["noise:count"]
    stranger = codec.encode(frame.iloc[:1].assign(noise=10**9), labels=False).features
    # Counts of 1,500 with a spread of 0, which is taken for 1: log(1500 / 1501) from the mean.
    assert stranger["noise:count"].item() == pytest.approx(np.log(1500 / 1501), rel=1e-3)
    assert stranger["noise:count"].item() > trained.min().item() - 1e-3


def test_where_an_id_was_seen_once_an_unseen_one_counts_nothing():
    frame = log()
    frame["noise"] = np.r_[np.full(len(frame) - 1, 7), 8]
    stranger = fitted(frame).encode(frame.iloc[:1].assign(noise=9), labels=False).features
    logs, share = np.log1p([5999, 1]), np.array([5999, 1]) / 6000
    mean = share @ logs
    spread = max(np.sqrt(share @ (logs - mean) ** 2), 1)
    assert stranger["noise:count"].item() == pytest.approx(-mean / spread, rel=1e-5)


def test_what_is_made_of_a_hidden_column_is_hidden_too():
    spec = fitted(log(), buckets=4).spec
    assert set(spec.own("click")) == {"user", "user:click", "user:conversion", "user:count"}
    assert spec.own("conversion") == ()
    assert "price:bucket" in spec.shared


def test_codecs_with_encodings_come_back_from_json(tmp_path):
    frame = log()
    codec = fitted(frame, buckets=8)
    codec.to_json(tmp_path / "codec.json")
    read = Codec.from_json(tmp_path / "codec.json")
    assert read.spec == codec.spec
    for name, column in codec.encode(frame).features.items():
        assert (read.encode(frame).features[name] == column).all(), name


def test_buckets_hold_equal_shares_and_the_missing_have_their_own():
    frame = log()
    codec = fitted(frame, buckets=4, impute="mean")
    bucket = codec.encode(frame).features["price:bucket"]
    shares = np.bincount(bucket.numpy(), minlength=5) / len(frame)
    np.testing.assert_allclose(shares, [0, 0.25, 0.25, 0.25, 0.25], atol=1e-3)
    later = codec.encode(frame.assign(price=[np.nan, 99.0] + [0.5] * (len(frame) - 2)))
    assert later.features["price:bucket"][:2].tolist() == [0, 4]
    assert codec.spec.ids["price:bucket"] == 5


def test_counts_of_the_first_stage_are_all_rows():
    stages = StageRows.of(SCHEMA, pd.DataFrame({"click": [1.0, 0, 1], "conversion": [1.0, 0, 0]}))
    folds = FoldCounts.fit(fold_cells(np.array([1, 1, 2]), 3), 3, stages)
    np.testing.assert_array_equal(folds.seen[:3], [[0, 1, 0], [0, 1, 0], [0, 0, 1]])
    found = TargetEncoding.from_counts(folds, smoothing=1.0)
    np.testing.assert_array_equal(found.went_on, [[0, 1, 1], [0, 1, 0]])
    np.testing.assert_array_equal(found.reached, [[0, 2, 1], [0, 1, 1]])


def test_a_smoothing_of_nothing_is_refused():
    with pytest.raises(DataError, match="`target_encoding` must be above 0, found 0"):
        fitted(log(), target_encoding=0.0)


def test_settings_reach_the_spec():
    codec = fitted(log())
    spec = Encoding(embedding=4, wide=True, numeric=3).applied(codec.spec)
    assert spec.size("user") == 4
    assert spec.size("price") == 3
    assert set(spec.wide) == {*spec.ids, *spec.dense}


def test_sizes_by_field_leave_the_rest_at_the_default():
    codec = fitted(log())
    spec = Encoding(embedding={"user": 4}).applied(codec.spec)
    assert spec.size("user") == 4
    assert {spec.size(name) for name in spec.ids if name != "user"} <= {16}
    settings = json.loads(json.dumps(Encoding(embedding={"user": 4}).to_dict()))
    assert Encoding(**settings) == Encoding(embedding={"user": 4})
    with pytest.raises(DataError, match=r"`embedding` must name .* found \['price'\]"):
        Encoding(embedding={"price": 4}).applied(codec.spec)


def test_target_encodings_are_the_default():
    codec = Codec.fit_with(Encoding(), SCHEMA, log())
    assert "user:click" in codec.spec.dense
    assert (
        "user:click" not in Codec.fit_with(Encoding(target_encoding=None), SCHEMA, log()).spec.dense
    )


def test_within_a_group_its_own_history_points_away_from_the_label():
    """Even where labels are pure noise: what a comparison of a user's rows would learn from it."""
    rng = np.random.default_rng(1)
    users = np.repeat(np.arange(600), 10)
    click = rng.integers(2, size=6000)
    frame = pd.DataFrame({"user": users, "noise": 0, "price": 0.5, "click": click})
    frame = frame.assign(conversion=click).sample(frac=1, random_state=2, ignore_index=True)
    schema = replace(SCHEMA, hidden_from={}, group="user")
    codec = Codec.fit(schema, frame, target_encoding=20.0)
    encoded = codec.encode_training(frame).features["user:click"].numpy()
    better = worse = 0
    for rows in frame.groupby("user").groups.values():
        own, label = encoded[rows], frame["click"].to_numpy()[rows]
        apart = np.sign(own[label == 1][:, None] - own[label == 0][None])
        better += int((apart > 0).sum())
        worse += int((apart < 0).sum())
    # A row's fold has its own label and those of about one more row.
    assert better / (better + worse) < 0.4
    assert codec.spec.of_group == ("user:click", "user:conversion", "user:count")
    assert set(codec.spec.features) - set(codec.spec.within_groups().features) == set(
        codec.spec.of_group
    )


@pytest.mark.parametrize("group", [None, "price"])
def test_without_a_group_that_is_encoded_nothing_is_of_it(group):
    codec = Codec.fit(replace(SCHEMA, group=group), log(), target_encoding=20.0)
    assert codec.spec.of_group == ()
    assert codec.spec.within_groups() == codec.spec
