"""Any CSV by a schema: what the card of `datasets/generic` says works."""

import shlex

import pandas as pd
import pytest
from dataset_scripts import DATASETS, script

from mtl_seq import FunnelEstimator, Schema, models
from mtl_seq.cli import main
from mtl_seq.data import Encoding, read_frame

FOLDER = DATASETS / "generic"
sample = script("generic", "sample")


@pytest.fixture
def raw(tmp_path):
    sample.write_sample(tmp_path)
    return pd.read_csv(tmp_path / "log.csv", dtype=str, keep_default_na=False)


def test_a_csv_is_converted_by_the_example_and_can_be_fitted(raw, tmp_path):
    out = tmp_path / "out"
    line = f"convert {tmp_path}/log.csv --out {out} --schema {FOLDER}/schema.json --quiet"
    assert main(shlex.split(line)) == 0
    log = read_frame(out)
    assert log["user_id"].tolist() == [int(user) for user in raw["user_id"]]
    # An empty cell is a missing bag, which counts as an empty one.
    assert [None if items is None else list(items) for items in log["tags"]] == [
        tags.split("|") if tags else None for tags in raw["tags"]
    ]
    assert log["price"].isna().tolist() == (raw["price"] == "").tolist()
    assert log["is_order"].tolist() == [int(order) for order in raw["is_order"]]
    schema = Schema.from_json(tmp_path / "out.schema.json")
    estimator = FunnelEstimator(models.esmm, schema, epochs=1, encoding=Encoding(impute="mean"))
    assert estimator.fit(out).predict(out).notna().all(axis=None)


def test_what_is_guessed_of_the_sample_is_what_the_example_says(raw, tmp_path):
    line = f"convert {tmp_path}/log.csv --out {tmp_path}/out --yes --quiet"
    assert main(shlex.split(line)) == 0
    guessed = Schema.from_json(tmp_path / "out.schema.json")
    assert guessed == Schema.from_json(FOLDER / "schema.json")
