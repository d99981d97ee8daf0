"""Census-Income, Coat, Open Bandit, AliExpress and Criteo: values, rules, and the real files."""

import gzip
import shutil

import numpy as np
import pandas as pd
import pytest
from dataset_scripts import SHARED, converted, count, script

from mtl_seq import FunnelEstimator, Schema, models

NOT_HERE = "the real files are not here: no {}; set MTL_SEQ_DATA"


def real(name):
    folder = SHARED / name
    return pytest.mark.skipif(not folder.is_dir(), reason=NOT_HERE.format(folder))


def test_census_labels_and_values_are_those_of_the_raw_columns(tmp_path):
    convert, sample = script("census-income", "convert"), script("census-income", "sample")
    sample.write_sample(tmp_path)
    converted("census-income", tmp_path, tmp_path / "out")
    for part, file in (("train", "data"), ("test", "test")):
        found = pd.read_parquet(tmp_path / "out" / f"{part}.parquet")
        lines = (tmp_path / f"census-income.{file}").read_text().splitlines()
        raw = [[cell.strip() for cell in line.split(",")] for line in lines]
        assert found["income"].tolist() == [int(row[41] == "50000+.") for row in raw]
        assert found["never_married"].tolist() == [int(row[7] == "Never married") for row in raw]
        assert found["age"].tolist() == [float(row[0]) for row in raw]
        sex = convert.COLUMNS.index("sex")
        spelt = {
            "Not in universe": "Not-in-universe",
            "?": "?",
            "NA": "NA",
            "Other (a b)": "Other-a-b",
        }
        assert found["sex"].tolist() == [spelt[row[sex]] for row in raw]
    assert not {"instance_weight", "marital_stat", "income_50k"} & set(found.columns)


def test_the_nominal_part_of_census_is_the_full_one_without_numbers(tmp_path):
    convert = script("census-income", "convert")
    script("census-income", "sample").write_sample(tmp_path)
    converted("census-income", tmp_path, tmp_path / "full")
    (tmp_path / "census-income.data").unlink()
    converted("census-income", tmp_path, tmp_path / "nominal")
    full, nominal = (pd.read_parquet(tmp_path / v / "train.parquet") for v in ("full", "nominal"))
    pd.testing.assert_frame_equal(nominal, full.drop(columns=convert.NUMBERS))
    assert len(Schema.from_json(tmp_path / "nominal" / "schema.json").features) == 32
    assert len(Schema.from_json(tmp_path / "full" / "schema.json").features) == 39
    assert convert.main([str(tmp_path), str(tmp_path / "no"), "--variant", "full"]) == 2
    converted("census-income", tmp_path, tmp_path / "few", "--without-household")
    few = Schema.from_json(tmp_path / "few" / "schema.json")
    assert set(nominal.columns) - set(few.features) == {
        "det_hh_fam_stat", "det_hh_summ", "tax_filer_stat", "income", "never_married"
    }  # fmt: skip


@real("census-income")
def test_the_real_census_has_one_spelling_and_the_stated_rates(tmp_path):
    said = converted("census-income", SHARED / "census-income", tmp_path)
    assert "199,523 rows in train.parquet: income 0.0621, never_married 0.4335" in said
    assert "99,762 rows in test.parquet: income 0.0620, never_married 0.4325" in said
    train, test = (pd.read_parquet(tmp_path / f"{part}.parquet") for part in ("train", "test"))
    differing = {c: set(train[c]) ^ set(test[c]) for c in train.columns}
    # One value of one row: all other values are the same in both parts.
    assert {c: v for c, v in differing.items() if v} == {
        "det_hh_fam_stat": {"Grandchild-<18-ever-marr-not-in-subfamily"}
    }


def test_coat_has_every_pair_and_its_own_features(tmp_path):
    sample = script("coat", "sample")
    sample.write_sample(tmp_path)
    said = converted("coat", tmp_path, tmp_path / "out", "--least", "4")
    ratings, chances = (np.loadtxt(tmp_path / f"{n}.ascii") for n in ("train", "propensities"))
    test = np.loadtxt(tmp_path / "test.ascii")
    log = pd.read_parquet(tmp_path / "out" / "log.parquet")
    assert len(log) == sample.USERS * sample.ITEMS
    user, item = log["user_id"].to_numpy(), log["item_id"].to_numpy()
    assert np.array_equal(log["click"], ratings[user, item] > 0)
    assert np.array_equal(log["conversion"], ratings[user, item] >= 4)
    assert np.array_equal(log["propensity"], chances[user, item])
    shown = np.loadtxt(tmp_path / "item_features.ascii")
    names = (tmp_path / "item_features_map.txt").read_text().splitlines()
    for row in log.sample(50, random_state=0).itertuples():
        for field, value in (("gender", row.item_gender), ("color", row.item_color)):
            assert shown[row.item_id, names.index(f"{field}:{value}")] == 1
    random = pd.read_parquet(tmp_path / "out" / "test.parquet")
    assert count(said, "ratings of random items") == len(random) == (test > 0).sum()
    assert np.array_equal(random["conversion"], test[test > 0] >= 4)


def test_coat_without_random_ratings_says_so_and_writes_none(tmp_path):
    script("coat", "sample").write_sample(tmp_path, test=False)
    assert "no test.ascii, so nothing here is a truth" in converted("coat", tmp_path, tmp_path)
    assert not (tmp_path / "test.parquet").exists()
    schema = Schema.from_json(tmp_path / "schema.json")
    log = tmp_path / "log.parquet"
    scores = FunnelEstimator(models.mrdr, schema, epochs=1).fit(log).predict(log)
    assert scores.notna().all(axis=None)


@real("coat")
def test_the_real_coat_has_the_stated_counts(tmp_path):
    said = converted("coat", SHARED / "coat", tmp_path)
    assert "87,000 pairs in log.parquet: CTR 0.0800, CVR on clicks 0.5204" in said
    log = pd.read_parquet(tmp_path / "log.parquet")
    assert log["click"].sum() == 6_960
    assert (log.groupby("user_id")["click"].sum() == 24).all()


def test_open_bandit_rows_have_the_affinity_and_the_features_of_their_item(tmp_path):
    sample = script("open-bandit", "sample")
    sample.write_sample(tmp_path)
    converted("open-bandit", tmp_path, tmp_path / "out")
    for policy in ("random", "bts"):
        raw = pd.read_csv(tmp_path / f"{policy}_men.csv", index_col=0)
        items = pd.read_csv(tmp_path / f"{policy}_men_item_context.csv", index_col=0)
        log = pd.read_parquet(tmp_path / "out" / f"{policy}.parquet")
        assert len(log) == sample.ROWS
        for found, given in zip(log.itertuples(), raw.to_dict("records"), strict=True):
            assert found.affinity == given[f"user-item_affinity_{given['item_id']}"]
            assert found.action_propensity == given["propensity_score"]
            assert found.item_feature_0 == items.loc[given["item_id"], "item_feature_0"]
    # The probability of an action is not that of a click.
    assert Schema.from_json(tmp_path / "out" / "schema.json").propensity is None


@real("open-bandit")
def test_the_real_open_bandit_has_the_stated_clicks(tmp_path):
    said = converted("open-bandit", SHARED / "open-bandit", tmp_path)
    assert "10,000 rows in random.parquet: 46 clicks, CTR 0.0046" in said
    assert "10,000 rows in bts.parquet: 69 clicks, CTR 0.0069" in said


def test_aliexpress_columns_are_taken_by_name_and_chunks_agree(tmp_path, monkeypatch):
    convert, sample = script("aliexpress", "convert"), script("aliexpress", "sample")
    sample.write_sample(tmp_path)
    raw = pd.read_csv(tmp_path / "train.csv")
    # As some copies have it: an index in front, and the labels the other way round.
    turned = raw[[*raw.columns[:-2], "conversion", "click"]]
    for part in ("train", "test"):
        turned.to_csv(tmp_path / f"{part}.csv", index=True)
    monkeypatch.setattr(convert, "CHUNK", 400)
    assert convert.main([str(tmp_path), str(tmp_path / "out")]) == 0
    found = pd.read_parquet(tmp_path / "out" / "train.parquet")
    assert found["click"].tolist() == raw["click"].tolist()
    assert found["conversion"].tolist() == (raw["conversion"] * raw["click"]).tolist()
    assert np.array_equal(found["numerical_63"], raw["numerical_63"])
    assert np.array_equal(found["categorical_16"], raw["categorical_16"])
    assert "Unnamed: 0" not in found.columns
    schema = Schema.from_json(tmp_path / "out" / "schema.json")
    assert (len(schema.ids), len(schema.dense), schema.group) == (16, 63, "search_id")
    assert schema == Schema.from_json(convert.Path(convert.__file__).with_name("schema.json"))


def test_criteo_labels_are_those_of_the_day_it_is_looked_at(tmp_path):
    sample = script("criteo-attribution", "sample")
    sample.write_sample(tmp_path)
    raw = pd.read_csv(tmp_path / "criteo_attribution_dataset.tsv", sep="\t")
    said = converted("criteo-attribution", tmp_path, tmp_path / "all")
    assert count(said, "conversions without a click") == sample.UNCLICKED
    whole = pd.read_parquet(tmp_path / "all" / "log.parquet")
    assert whole["conversion"].tolist() == (raw["conversion"] * raw["click"]).tolist()
    assert whole["conversion"].equals(whole["conversion_in_the_end"].rename("conversion"))
    converted("criteo-attribution", tmp_path, tmp_path / "then", "--observed-day", "20")
    then = pd.read_parquet(tmp_path / "then" / "log.parquet")
    shown = raw[raw["timestamp"] <= 20 * 86_400]
    known = shown["conversion_timestamp"].between(0, 20 * 86_400) & (shown["click"] == 1)
    assert then["conversion"].tolist() == (known & (shown["conversion"] == 1)).astype(int).tolist()
    assert then["conversion"].sum() < then["conversion_in_the_end"].sum()
    seconds = (shown["conversion_timestamp"] - shown["timestamp"])[then["conversion"] == 1]
    found = then.loc[then["conversion"] == 1, "delay_days"] * 86_400
    np.testing.assert_allclose(found, seconds)


def test_nothing_criteo_knows_afterwards_is_kept_as_a_feature(tmp_path):
    script("criteo-attribution", "sample").write_sample(tmp_path)
    converted("criteo-attribution", tmp_path, tmp_path / "out")
    log = pd.read_parquet(tmp_path / "out" / "log.parquet")
    gone = {"attribution", "click_pos", "click_nb", "cost", "cpo", "conversion_id"}
    assert not gone & set(log.columns)
    schema = Schema.from_json(tmp_path / "out" / "schema.json")
    assert not {"conversion_in_the_end", "delay_days", "timestamp"} & set(schema.features)


def test_packed_files_are_read_like_plain_ones(tmp_path):
    for name, file in (
        ("criteo-attribution", "criteo_attribution_dataset.tsv"),
        ("coat", "train.ascii"),
    ):
        raw = tmp_path / name
        script(name, "sample").write_sample(raw)
        converted(name, raw, tmp_path / "plain")
        with (raw / file).open("rb") as plain, gzip.open(raw / f"{file}.gz", "wb") as packed:
            shutil.copyfileobj(plain, packed)
        (raw / file).unlink()
        converted(name, raw, tmp_path / "packed")
        pd.testing.assert_frame_equal(
            *(pd.read_parquet(tmp_path / kind / "log.parquet") for kind in ("plain", "packed"))
        )
