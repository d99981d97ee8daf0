"""Segments add up to the whole, and each is what pandas makes of its rows."""

import numpy as np
import pandas as pd
import pytest

from mtl_seq import Schema
from mtl_seq.errors import SchemaError
from mtl_seq.report.compute.bootstrap import Sampling
from mtl_seq.report.compute.metrics import EvaluationTarget
from mtl_seq.report.compute.segments import segment_table, segmentation

ROWS = 4000
RNG = np.random.default_rng(0)
SCHEMA = Schema(
    labels={"click": "click", "conversion": "order"}, ids=["user", "city"], dense=["price"],
    bags=["tags"], group="user",
)  # fmt: skip
# City k has weight 2^-k: from the seventh on less than 1% of the rows.
CITY = np.array([f"c{k}" for k in range(20)])[np.minimum(RNG.geometric(0.5, ROWS) - 1, 19)]
LOG = pd.DataFrame(
    {
        "user": RNG.integers(200, size=ROWS),
        "city": CITY,
        "position": RNG.integers(1, 6, size=ROWS),
        "price": np.round(RNG.lognormal(size=ROWS), 4),
        "click": (RNG.random(ROWS) < 0.3).astype(int),
        "tags": [["a"]] * ROWS,
    },
    index=np.arange(ROWS) + 7,
)
LOG["order"] = LOG["click"] * (RNG.random(ROWS) < 0.4)
P = RNG.random(ROWS)
MODELS = {"one": {"pcvr": P}, "two": {"pcvr": 0.5 * P}}
EVERYWHERE = np.ones(ROWS, dtype=bool)
TRUTH = RNG.random(ROWS)
SAMPLING = Sampling(pd.factorize(LOG["user"])[0].astype(np.int64), 30, 0)


def table(by, target=TRUTH, rows=EVERYWHERE, sampling=SAMPLING, log=LOG):
    question = EvaluationTarget("pcvr", "all", rows, np.asarray(target, dtype=np.float64))
    return segment_table([segmentation(log, by, SCHEMA)], MODELS, [question], sampling)


@pytest.mark.parametrize("by", ["city", "position", "price", "user"])
@pytest.mark.parametrize("rows", [EVERYWHERE, LOG["click"].to_numpy() == 1], ids=["all", "clicks"])
def test_segments_sum_to_the_whole(by, rows):
    found = table(by, rows=rows)
    for model, own in found.groupby("model"):
        assert own["rows"].sum() == rows.sum()
        predicted = (own["rows"] * own["predicted"]).sum()
        target = (own["rows"] * own["target"]).sum()
        assert predicted == pytest.approx(MODELS[model]["pcvr"][rows].sum(), rel=1e-12)
        assert target == pytest.approx(TRUTH[rows].sum(), rel=1e-12)


def test_each_segment_is_the_mean_over_its_rows():
    found = table("position").set_index(["segment", "model"])
    frame = LOG.assign(p=P, q=TRUTH).groupby("position")[["p", "q"]].mean()
    users = LOG.groupby("position")["user"].nunique()
    for position, mean in frame.iterrows():
        row = found.loc[(str(position), "two")]
        assert row["relative_bias"] == pytest.approx(0.5 * mean["p"] / mean["q"] - 1, rel=1e-12)
        assert row["users"] == users[position]
        assert row["low"] < row["relative_bias"] < row["high"]


def test_the_interval_is_that_of_the_same_resamples_of_users():
    from mtl_seq.report.compute.bootstrap import resamples

    row = table("position").query("segment == '2' and model == 'one'").iloc[0]
    inside = (LOG["position"] == 2).to_numpy()
    drawn = []
    for counts in resamples(SAMPLING.group.max() + 1, 30, 0):
        weight = np.asarray(counts)[SAMPLING.group] * inside
        drawn.append((weight * P).sum() / (weight * TRUTH).sum() - 1)
    np.testing.assert_allclose([row["low"], row["high"]], np.quantile(drawn, [0.05, 0.95]))


def test_rare_groups_are_pooled_last_and_the_largest_come_first():
    names = segmentation(LOG, "city", SCHEMA).names
    sizes = LOG["city"].value_counts()
    kept = sizes[sizes >= 0.01 * ROWS]
    assert 4 < len(kept) < 12
    assert list(names[:-1]) == list(kept.index)
    assert names[-1] == f"(other: {len(sizes) - len(kept)} values)"


def test_no_more_than_twelve_groups_stand_alone():
    log = LOG.assign(city=np.arange(ROWS) % 30)
    found = segmentation(log, "city", SCHEMA)
    assert len(found.names) == 13
    assert found.names[-1] == "(other: 18 values)"
    assert list(found.names[:-1]) == sorted(found.names[:-1], key=int)


def test_numbers_that_name_groups_ascend():
    assert segmentation(LOG, "position", SCHEMA).names == ("1", "2", "3", "4", "5")


def test_dense_numbers_are_cut_into_fifths():
    found = segmentation(LOG, "price", SCHEMA)
    assert len(found.names) == 5
    np.testing.assert_allclose(np.bincount(found.cell), ROWS / 5, atol=5)
    means = [LOG["price"].to_numpy()[found.cell == cell].mean() for cell in range(5)]
    assert means == sorted(means)
    assert found.names[0].startswith(f"{LOG['price'].min():.3g} to ")
    assert found.names[-1].endswith(f" to {LOG['price'].max():.3g}")


def test_missing_values_are_a_group_of_their_own():
    log = LOG.assign(city=LOG["city"].where(LOG.index % 3 > 0, None))
    found = segmentation(log, "city", SCHEMA)
    at = found.names.index("(missing)")
    np.testing.assert_array_equal(found.cell == at, log["city"].isna())
    dense = segmentation(LOG.assign(price=LOG["price"].where(LOG.index % 3 > 0)), "price", SCHEMA)
    assert dense.names[-1] == "(missing)"


def test_groups_too_small_to_lean_on_are_marked():
    few = np.flatnonzero(LOG["position"] == 2)[25:]
    target = LOG["order"].to_numpy(dtype=np.float64).copy()
    target[few] = 0
    found = table("position", target=target).drop_duplicates("segment").set_index("segment")
    positives = int(target[(LOG["position"] == 2).to_numpy()].sum())
    assert 0 < positives < 30
    assert found.loc["2", "small"] == f"{positives} positives"
    assert found["small"].drop("2").isna().all()
    # Against probabilities the same rows carry no noise of drawn labels.
    assert table("position", target=np.maximum(target, 0.01))["small"].isna().all()


def test_groups_of_few_users_are_marked():
    log = LOG.assign(position=np.where(LOG["user"] < 6, 9, LOG["position"]))
    found = table("position", log=log).drop_duplicates("segment").set_index("segment")
    assert found.loc["9", "small"] == "6 users"
    assert found["small"].drop("9").isna().all()


def test_a_group_without_rows_or_positives_has_no_figure_and_says_so():
    rows = (LOG["position"] != 3).to_numpy()
    target = np.where(LOG["position"] == 4, 0.0, TRUTH)
    found = table("position", target=target, rows=rows).set_index(["segment", "model"])
    assert found.loc[("3", "one"), "rows"] == 0
    assert found.loc[("3", "one"), "reason"] == "no rows"
    assert found.loc[("4", "one"), "reason"] == "no positive"
    for segment in "34":
        assert found.loc[(segment, "one"), ["relative_bias", "low", "high"]].isna().all()
    assert pd.isna(found.loc[("1", "one"), "reason"])


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("colour", "must name a column of the log, found 'colour'"),
        ("click", "must not be a label"),
        ("tags", "found lists in 'tags'"),
    ],
)
def test_columns_that_part_nothing_are_refused(by, said):
    with pytest.raises(SchemaError, match=said):
        segmentation(LOG, by, SCHEMA)
