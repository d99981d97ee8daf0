"""RetailRocket and Taobao: what belongs to a view, against a reader that walks over the events."""

import pandas as pd
import pytest
from dataset_scripts import SHARED, converted, count, script

from mtl_seq import FunnelEstimator, Schema, models

REAL = SHARED / "retailrocket"


def walked(events, view, window):
    """By view (time, user, item): the kinds of events that follow it as the last one."""
    last, found = {}, {}
    # Views first within a moment, as an event of the same moment belongs to its view.
    for time, user, item, kind in sorted(events, key=lambda e: (e[0], e[3] != view)):
        if kind == view:
            last[user, item] = time
            found.setdefault((time, user, item), set())
        elif (user, item) in last and time - last[user, item] <= window:
            found[last[user, item], user, item].add(kind)
    return found


def test_retailrocket_events_belong_to_the_last_view_within_the_window(tmp_path):
    sample = script("retailrocket", "sample")
    sample.write_sample(tmp_path)
    events = pd.read_csv(tmp_path / "events.csv")
    for hours in (24, 0.0004):  # 1.44 s: the cart after 1 s is in, the purchase after 2 s is not
        said = converted("retailrocket", tmp_path, tmp_path / "out", "--window-hours", str(hours))
        window = int(hours * 3_600_000)
        kept = events.drop_duplicates()
        rows = kept[["timestamp", "visitorid", "itemid", "event"]].itertuples(index=False)
        truth = walked(rows, "view", window)
        mature = {k: v for k, v in truth.items() if k[0] <= events["timestamp"].max() - window}
        log = pd.read_parquet(tmp_path / "out" / "log.parquet")
        assert len(log) == len(mature)
        for row in log.itertuples():
            kinds = mature[row.timestamp, row.visitorid, row.itemid]
            assert row.cart == ("addtocart" in kinds)
            assert row.purchase == ("transaction" in kinds)
            assert row.purchase_in_cart == (kinds == {"addtocart", "transaction"})
        assert count(said, "repeats in every column") == sample.REPEATS
        assert count(said, "addtocart dropped") == sample.UNSEEN_CARTS
    assert log["purchase"].sum() == 0
    assert log["cart"].sum() > 100


def test_taobao_events_belong_to_the_last_view_within_the_window(tmp_path):
    sample = script("taobao-userbehavior", "sample")
    sample.write_sample(tmp_path)
    said = converted("taobao-userbehavior", tmp_path, tmp_path / "out", "--share", "1")
    names = ["user", "item", "category", "kind", "time"]
    events = pd.read_csv(tmp_path / "UserBehavior.csv", names=names)
    inside = events[events["time"] > 0].drop_duplicates()
    truth = walked(
        inside[["time", "user", "item", "kind"]].itertuples(index=False), "pv", 24 * 3600
    )
    end = sample.FIRST + sample.SECONDS
    log = pd.read_parquet(tmp_path / "out" / "log.parquet")
    assert len(log) == sum(time < end - 24 * 3600 for time, _, _ in truth)
    for row in log.itertuples():
        kinds = truth[row.timestamp, row.user_id, row.item_id]
        assert row.action == bool(kinds & {"cart", "fav"})
        assert row.purchase == ("buy" in kinds)
    assert count(said, "outside the nine days") == sample.OUTSIDE
    assert count(said, "buy dropped") == sample.UNSEEN
    assert count(said, "purchases without an action") > 0


def test_earlier_views_are_counted_and_later_ones_are_not(tmp_path):
    script("taobao-userbehavior", "sample").write_sample(tmp_path)
    converted("taobao-userbehavior", tmp_path, tmp_path / "out", "--share", "1")
    log = pd.read_parquet(tmp_path / "out" / "log.parquet")
    assert log["timestamp"].is_monotonic_increasing
    for key, column in (("user_id", "user_views_before"), ("item_id", "item_views_before")):
        seen = {}
        for row in log[[key, column]].itertuples(index=False):
            assert row[1] == seen.get(row[0], 0)
            seen[row[0]] = seen.get(row[0], 0) + 1


def test_the_users_of_a_share_are_kept_whole_and_are_those_of_a_larger_one(tmp_path):
    script("taobao-userbehavior", "sample").write_sample(tmp_path)
    users = {}
    for share in ("0.1", "0.5", "1"):
        converted("taobao-userbehavior", tmp_path, tmp_path / share, "--share", share)
        users[share] = pd.read_parquet(tmp_path / share / "log.parquet").groupby("user_id").size()
    assert set(users["0.1"].index) < set(users["0.5"].index) < set(users["1"].index)
    # 200 users: within four standard deviations of the binomial.
    assert abs(len(users["0.5"]) - 100) < 4 * 50**0.5
    assert users["0.1"].equals(users["1"][users["0.1"].index])


@pytest.mark.parametrize(
    ("dataset", "schema", "builder"),
    [
        ("retailrocket", "schema.json", models.esm2),
        ("taobao-userbehavior", "schema_chain.json", models.esmm),
    ],
)
def test_what_they_write_can_be_fitted(tmp_path, dataset, schema, builder):
    script(dataset, "sample").write_sample(tmp_path)
    options = ("--share", "1") if dataset.startswith("taobao") else ()
    converted(dataset, tmp_path, tmp_path / "out", *options)
    roles = Schema.from_json(tmp_path / "out" / schema)
    log = tmp_path / "out" / "log.parquet"
    scores = FunnelEstimator(builder, roles, epochs=1).fit(log).predict(log)
    assert scores.notna().all(axis=None)
    assert (scores["pctcvr"] <= scores["pctr"]).all()


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no {REAL}; set MTL_SEQ_DATA")
def test_the_real_events_have_the_counts_that_the_card_states(tmp_path):
    said = converted("retailrocket", REAL, tmp_path)
    assert count(said, "events read") == 9_385
    assert count(said, "repeats in every column") == 3
    assert "98 of 261 addtocart" in said
    assert "7 of 46 transaction" in said
    assert count(said, "not mature") == 30
    assert count(said, "purchases without a cart") == 12
    assert "9,045 views in log.parquet: cart 156, purchase 39" in said
    schema = Schema.from_json(tmp_path / "schema.json")
    log = tmp_path / "log.parquet"
    scores = FunnelEstimator(models.esm2, schema, epochs=1).fit(log).predict(log)
    assert scores.notna().all(axis=None)
