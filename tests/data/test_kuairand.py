"""KuaiRand-Pure's converter, on a generated log of its layout and, where it is, the real one."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtl_seq import FunnelEstimator, Schema, models

FOLDER = Path(__file__).parents[2] / "datasets" / "kuairand-pure"
REAL = Path(
    os.environ.get("KUAIRAND_PURE", Path(__file__).parents[3] / "shared" / "data" / "kuairand-pure")
)


def script(name):
    spec = importlib.util.spec_from_file_location(f"kuairand_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


convert, sample = script("convert"), script("sample")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    sample.write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def out(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    assert convert.main([str(raw), str(folder)]) == 0
    return folder


def test_it_says_how_many_rows_each_rule_touched(raw, tmp_path, capsys):
    assert convert.main([str(raw), str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    counts = {line[10:].split(":")[0]: int(line[:9].replace(",", "")) for line in lines}
    assert counts["impressions read"] == sample.ROWS + sample.REPEATS
    repeats = next(value for key, value in counts.items() if key.startswith("dropped"))
    assert repeats == sample.REPEATS
    unclicked = next(value for key, value in counts.items() if "but no click" in key)
    assert unclicked == sample.UNCLICKED_LONG_VIEWS
    log = pd.read_csv(raw / "log_standard_4_22_to_5_08_pure.csv").iloc[: sample.ROWS]
    strangers = next(value for key, value in counts.items() if "user features" in key)
    assert strangers == (log["user_id"] == sample.USERS - 1).sum()


def test_parts_are_split_by_day_and_lose_nothing(raw, out):
    train, test = (pd.read_parquet(out / f"{part}.parquet") for part in ("train", "test"))
    log = pd.read_csv(raw / "log_standard_4_22_to_5_08_pure.csv").iloc[: sample.ROWS]
    assert len(train) == (log["date"] < 20220429).sum()
    assert len(test) == (log["date"] >= 20220429).sum()
    assert train["time_ms"].max() < test["time_ms"].min()
    both = pd.concat([train, test])
    clicked = log["is_click"] == 1
    assert both["click"].sum() == clicked.sum()
    assert both["conversion"].sum() == (clicked & (log["long_view"] == 1)).sum()
    assert (both["conversion"] <= both["click"]).all()


def test_nothing_known_after_the_impression_is_kept(out):
    columns = set(pd.read_parquet(out / "train.parquet").columns)
    assert not columns & set(convert.AFTER_IMPRESSION)
    assert Schema.from_json(out / "schema.json") == Schema.from_json(FOLDER / "schema.json")


def test_ids_and_features_belong_to_their_row(raw, out):
    train = pd.read_parquet(out / "train.parquet")
    users = pd.read_csv(raw / "user_features_pure.csv").set_index("user_id")
    known = train[train["user_id"].isin(users.index)]
    expected = users.loc[known["user_id"], "onehot_feat3"].to_numpy()
    assert np.array_equal(known["onehot_feat3"].to_numpy(), expected)
    degree = np.log1p(users.loc[known["user_id"], "register_days"].to_numpy())
    np.testing.assert_allclose(known["log_register_days"].to_numpy(), degree)


def test_the_cut_moves_and_can_be_left_out(raw, tmp_path):
    assert convert.main([str(raw), str(tmp_path / "a"), "--test-from", "2022-04-26"]) == 0
    assert convert.main([str(raw), str(tmp_path / "b"), "--test-from", "none"]) == 0
    log = pd.read_csv(raw / "log_standard_4_22_to_5_08_pure.csv").iloc[: sample.ROWS]
    assert len(pd.read_parquet(tmp_path / "a" / "train.parquet")) == (log["date"] < 20220426).sum()
    assert [p.name for p in sorted((tmp_path / "b").glob("*.parquet"))] == ["log.parquet"]
    assert len(pd.read_parquet(tmp_path / "b" / "log.parquet")) == sample.ROWS


def test_likes_can_be_the_conversion(raw, tmp_path):
    arguments = [str(raw), str(tmp_path), "--conversion", "is_like", "--test-from", "none"]
    assert convert.main(arguments) == 0
    log = pd.read_csv(raw / "log_standard_4_22_to_5_08_pure.csv").iloc[: sample.ROWS]
    assert pd.read_parquet(tmp_path / "log.parquet")["conversion"].sum() == log["is_like"].sum()


@pytest.mark.parametrize(
    ("cut", "said"), [("2022-06-01", "leaves no row for test"), ("soon", "must be YYYY-MM-DD")]
)
def test_a_bad_cut_is_one_line_and_exit_code_2(raw, tmp_path, capsys, cut, said):
    assert convert.main([str(raw), str(tmp_path), "--test-from", cut]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_one_line_and_exit_code_2(tmp_path, capsys):
    assert convert.main([str(tmp_path), str(tmp_path / "out")]) == 2
    assert "log_standard_4_22_to_5_08_pure.csv" in capsys.readouterr().err


def test_what_it_writes_can_be_fitted_and_scored(out):
    schema = Schema.from_json(out / "schema.json")
    estimator = FunnelEstimator(models.esmm, schema, epochs=1).fit(out / "train.parquet")
    scores = estimator.predict(out / "test.parquet")
    assert scores.notna().all(axis=None)
    assert len(scores) == len(pd.read_parquet(out / "test.parquet"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real log is not here; set KUAIRAND_PURE")
def test_the_real_log_has_the_counts_that_the_card_states(tmp_path, capsys):
    assert convert.main([str(REAL), str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for count in ("94,784", "2,979", "104", "56,033", "35,772"):
        assert f"{count} " in said
