"""Ali-CCP's converter against a reader that takes one line at a time."""

import shutil

import numpy as np
import pandas as pd
import pytest
from dataset_scripts import converted, count, script

from mtl_seq import FunnelEstimator, Schema, models

convert, sample = script("ali-ccp", "convert"), script("ali-ccp", "sample")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    sample.write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def out(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    converted("ali-ccp", raw, folder)
    return folder


def features_of(text):
    found = {}
    for part in text.split("\x01"):
        field, rest = part.split("\x02")
        feature, value = rest.split("\x03")
        found.setdefault(field, []).append((int(feature), np.float32(value)))
    return found


def expected_rows(raw, part):
    common = {}
    for line in (raw / f"common_features_{part}.csv").read_text().splitlines():
        key, _, text = line.split(",", 2)
        common[key] = features_of(text)
    for line in (raw / f"sample_skeleton_{part}.csv").read_text().splitlines():
        _, click, buy, key, _, text = line.split(",", 5)
        yield int(click), int(buy), {**features_of(text), **common[key]}


@pytest.mark.parametrize("part", ["train", "test"])
def test_every_value_of_every_row_is_that_of_the_two_files(raw, out, part):
    schema = Schema.from_json(out / "schema.json")
    frame = pd.read_parquet(out / f"{part}.parquet")
    rows = list(expected_rows(raw, part))
    assert len(frame) == len(rows) == sample.ROWS
    for record, (click, buy, features) in zip(frame.to_dict("records"), rows, strict=True):
        assert (record["click"], record["conversion"]) == (click, click * buy)
        for field in schema.ids:
            assert record[field] == features.get(field, [(convert.ABSENT, 1)])[0][0]
        for field in schema.bags:
            pairs = features.get(field, [])
            assert list(record[field]) == [feature for feature, _ in pairs]
            assert list(record[f"{field}_weight"]) == [value for _, value in pairs]


def test_rows_that_buy_without_a_click_are_counted(raw, tmp_path):
    said = converted("ali-ccp", raw, tmp_path, "--parts", "train")
    assert count(said, "buy but no click in train") == sample.UNCLICKED_BUYS
    assert not (tmp_path / "test.parquet").exists()


def test_small_blocks_make_the_same_rows(raw, out, tmp_path, monkeypatch):
    module = script("ali-ccp", "convert")
    monkeypatch.setattr(module, "BLOCK_BYTES", 20_000)
    assert len(list(module.convert(raw, "train", None))) > 10
    assert module.main([str(raw), str(tmp_path), "--parts", "train"]) == 0
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "train.parquet"), pd.read_parquet(out / "train.parquet")
    )


def test_it_stops_after_the_rows_asked_for(raw, out, tmp_path):
    converted("ali-ccp", raw, tmp_path, "--parts", "train", "--rows", "123")
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "train.parquet"),
        pd.read_parquet(out / "train.parquet").iloc[:123],
    )


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("common_features_train.csv", lambda text: text.split("\n", 1)[1], "must hold every key"),
        ("sample_skeleton_train.csv", lambda text: text.replace("\x03", ":", 1), "must read field"),
    ],
)
def test_torn_files_are_one_line_and_leave_nothing(raw, tmp_path, capsys, file, change, said):
    shutil.copytree(raw, tmp_path / "raw")
    path = tmp_path / "raw" / file
    path.write_text(change(path.read_text()))
    assert convert.main([str(tmp_path / "raw"), str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


def test_a_model_with_weighted_bags_can_be_fitted(out):
    schema = Schema.from_json(out / "schema.json")
    estimator = FunnelEstimator(models.esmm, schema, epochs=1).fit(out / "train.parquet")
    scores = estimator.predict(out / "test.parquet")
    assert scores.notna().all(axis=None)
