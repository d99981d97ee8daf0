"""Predictions from other sources: columns by name, rows by id, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from mtl_seq.errors import ArtifactError, DataError
from mtl_seq.report.compute.predictions import check_scores, checkpoint_rules, column_names

ROWS = 40
RNG = np.random.default_rng(0)
LOG = pd.DataFrame({"id": RNG.permutation(ROWS) + 500, "click": np.arange(ROWS) % 2})
P, Q = RNG.random(ROWS), RNG.random(ROWS)
GOOD = pd.DataFrame({"pctr": P, "pcvr": Q, "pctcvr": P * Q})
THEIRS = GOOD.rename(columns={"pctr": "p_click", "pcvr": "p_order"}).assign(id=LOG["id"])


def refused(said, frame, **settings):
    with pytest.raises(DataError) as found:
        check_scores({"theirs": frame}, LOG, **settings)
    for part in [said] if isinstance(said, str) else said:
        assert part in str(found.value)


def test_column_names_every_model_may_have_other_names():
    names = {"pctr": "p_click", "pcvr": "p_order"}
    found = check_scores({"theirs": THEIRS}, LOG, columns=names)["theirs"]
    for quantity, values in GOOD.items():
        np.testing.assert_array_equal(getattr(found, quantity), values)


def test_column_names_one_model_may_have_other_names():
    mapped = {"theirs": {"pctr": "p_click", "pcvr": "p_order"}}
    found = check_scores({"ours": GOOD, "theirs": THEIRS}, LOG, columns=mapped)
    for one, other in zip(found["ours"], found["theirs"], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"my_cvr": "pcvr"}, "write the quantity first, {'pcvr': 'my_cvr'}"),
        ({"nobody": {"pcvr": "x"}}, "must name models ['theirs'], found 'nobody'"),
        ({"theirs": {"pcvr": "x"}, "pcvr": "x"}, "found both"),
        ({"theirs": {"cvr": "x"}}, "must map ('pctr', 'pcvr', 'pctcvr')"),
    ],
)
def test_a_mapping_that_maps_nothing_is_an_error(columns, said):
    with pytest.raises(DataError) as found:
        column_names(columns, ["theirs"])
    assert said in str(found.value)


def test_what_is_absent_after_mapping_is_named_by_its_column():
    refused(
        ["['my_ctr', 'my_cvr']", "found ['pctr', 'pcvr', 'pctcvr']; name them"],
        GOOD,
        columns={"pctr": "my_ctr", "pcvr": "my_cvr"},
    )


def test_the_joint_follows_from_its_factors_and_the_conditional_from_the_joint():
    for absent in ("pctcvr", "pcvr"):
        found = check_scores({"m": GOOD.drop(columns=absent)}, LOG)["m"]
        np.testing.assert_allclose(getattr(found, absent), GOOD[absent], rtol=1e-12)


def test_no_conditional_follows_where_the_joint_is_above_the_click():
    frame = GOOD.drop(columns="pcvr")
    frame.loc[[3, 5], "pctcvr"] = frame.loc[[3, 5], "pctr"] * 1.01
    frame.loc[9, ["pctr", "pctcvr"]] = 0
    refused("3 rows (first: 3, 5, 9): pass pcvr too", frame)


def test_the_click_probability_cannot_be_guessed():
    refused("['pctr']", GOOD.drop(columns="pctr"))


def test_a_path_is_read(tmp_path):
    GOOD.to_parquet(tmp_path / "s.parquet")
    found = check_scores({"m": tmp_path / "s.parquet", "n": str(tmp_path / "s.parquet")}, LOG)
    np.testing.assert_array_equal(found["m"].pcvr, Q)
    np.testing.assert_array_equal(found["n"].pcvr, Q)
    with pytest.raises(ArtifactError, match=r"nowhere\.parquet"):
        check_scores({"m": tmp_path / "nowhere.parquet"}, LOG)
    refused("DataFrame with columns", [1, 2])


def test_rows_are_matched_by_id_in_any_order():
    order = np.random.default_rng(1).permutation(ROWS)
    frame = GOOD.assign(id=LOG["id"]).iloc[order].reset_index(drop=True)
    found = check_scores({"m": frame}, LOG, row_id="id")["m"]
    np.testing.assert_array_equal(found.pcvr, Q)
    np.testing.assert_array_equal(found.pctr, P)


def test_duplicate_ids_are_counted_and_named():
    frame = GOOD.assign(id=LOG["id"])
    frame.loc[[4, 9], "id"] = frame.loc[3, "id"]
    refused(["unique in predictions of 'theirs'", f"2 rows (first: {LOG.loc[3, 'id']}, "], frame,
            row_id="id")  # fmt: skip
    twice = LOG.assign(id=LOG["id"].where(LOG.index != 8, LOG.loc[7, "id"]))
    with pytest.raises(
        DataError, match=rf"must be unique in the log, .* 1 row \(first: {twice.id[7]}\)"
    ):
        check_scores({"theirs": GOOD.assign(id=LOG["id"])}, twice, row_id="id")


def test_ids_that_are_missing_or_not_in_the_log_are_counted_and_named():
    frame = GOOD.assign(id=LOG["id"])
    missing = [int(LOG.loc[row, "id"]) for row in (2, 6)]
    frame.loc[[2, 6], "id"] = [9001, 9002]
    refused(
        [
            f"missing 2 rows (first: {missing[0]}, {missing[1]})",
            "not in the log 2 rows (first: 9001, 9002)",
        ],
        frame,
        row_id="id",
    )
    longer = pd.concat([frame.assign(id=LOG["id"]), frame[2:3]])
    refused("40, found 41: not in the log 1 row", longer, row_id="id")
    refused("found 38: missing 2 rows", frame.drop(index=[2, 6]), row_id="id")


def test_ids_of_another_type_are_recognised():
    frame = GOOD.assign(id=LOG["id"].astype(str))
    refused(["missing 40 rows", "int64 in the log and str in the predictions"], frame, row_id="id")


def test_an_absent_id_column_is_named():
    refused("predictions of 'theirs' must have the column `row_id` = 'id'", GOOD, row_id="id")
    refused("the log must have the column `row_id` = 'key'", THEIRS, row_id="key",
            columns={"pctr": "p_click", "pcvr": "p_order"})  # fmt: skip


def test_other_numbers_of_rows_are_named_by_the_index():
    refused("40, found 38: missing 2 rows (first: 3, 17)", GOOD.drop(index=[3, 17]))
    refused("found 80: duplicates in 40 rows", pd.concat([GOOD, GOOD]))


def test_a_column_that_stands_twice_is_refused():
    refused("'pcvr' twice", pd.concat([GOOD, GOOD[["pcvr"]]], axis=1))


def test_text_is_no_probability():
    refused("pcvr of 'theirs' must hold numbers", GOOD.assign(pcvr="high"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.log(Q / (1 - Q)), "they look like logits: pass their sigmoid"),
        (np.log(0.02 * Q), "logits (or logarithms)"),
        (100 * Q, "they look like percentages"),
    ],
)
def test_other_scales_are_recognised_and_named(values, said):
    refused(said, GOOD.assign(pcvr=values))


def test_predictions_say_how_their_checkpoints_were_picked(tmp_path):
    ours, theirs = GOOD.copy(), GOOD
    ours.attrs["checkpoint_rule"] = "the last"
    ours.to_parquet(tmp_path / "ours.parquet")
    theirs.to_parquet(tmp_path / "theirs.parquet")
    (tmp_path / "folder").mkdir()
    ours.to_parquet(tmp_path / "folder" / "part-0.parquet")
    assert checkpoint_rules({"a": ours, "b": tmp_path / "ours.parquet"}) == "the last"
    assert checkpoint_rules({"a": str(tmp_path / "folder")}) == "the last"
    assert checkpoint_rules({"a": theirs, "b": tmp_path / "theirs.parquet"}) == "not stated"
    mixed = {"a": ours, "lgbm": theirs, "c": tmp_path / "ours.parquet"}
    assert checkpoint_rules(mixed) == "the last (a, c); not stated (lgbm)"
