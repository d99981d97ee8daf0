"""CSV to parquet: every value kept, roles inferred, leaks reported, nothing half-written."""

import gzip
import json
import subprocess

import numpy as np
import pandas as pd
import pytest

from mtl_seq import Schema, simulate
from mtl_seq.cli import main
from mtl_seq.data import (
    CsvFiles,
    Source,
    convert_csv,
    fit_source,
    infer_schema,
    read_frame,
    schema_file,
)
from mtl_seq.data.csv import convert as convert_module
from mtl_seq.data.validate.checks import check_labels
from mtl_seq.errors import ArtifactError, DataError, SchemaError

ROWS = 4000


@pytest.fixture(scope="module")
def frame():
    log, _ = simulate.scenario("dense", seed=0).sample(ROWS, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    bought = log["conversion"] == 1
    return log.assign(
        request=[f"r{one:x}" for one in rng.permutation(ROWS)],
        tags=["|".join(rng.choice(list("abcdefg"), rng.integers(4))) for _ in range(ROWS)],
        paid=np.where(bought, rng.random(ROWS).round(2), np.nan),
        ts=1_700_000_000 + np.arange(ROWS) * 13,
        channel=rng.choice(["web", "ß, app"], ROWS),
        big=2**63 - 1 - rng.integers(3, size=ROWS),
        version="one",
        nothing=np.nan,
    )


@pytest.fixture
def file(frame, tmp_path):
    frame.to_csv(tmp_path / "log.csv", index=False)
    return tmp_path / "log.csv"


def test_roles_come_from_names_and_content(file):
    found = infer_schema(CsvFiles(file).sample(ROWS))
    schema = found.schema
    assert schema.labels == {"click": "click", "conversion": "conversion"}
    assert {"user_id", "item_id", "user_tier", "channel", "big"} <= set(schema.ids)
    assert schema.dense == ("price",)
    assert schema.bags == ("tags",)
    assert (schema.time, schema.group) == ("ts", "user_id")
    assert found.separators == {"tags": "|"}
    left_out = {column for column, (role, _) in found.roles.items() if role == "left out"}
    assert left_out == {"request", "paid", "version", "nothing"}
    assert set(found.roles) == set(pd.read_csv(file).columns)


def test_likely_leaks_are_left_out_and_pointed_out(file):
    sample = CsvFiles(file).sample(ROWS)
    found = infer_schema(sample.assign(clicked_too=sample["click"] + 0.0))
    assert found.leaks["clicked_too"] == "equals the label of click"
    assert found.leaks["paid"].startswith("predicts conversion alone with AUC")
    assert not set(found.leaks) & set(found.schema.features)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("is_click", "is_order"), {"click": "is_click", "conversion": "is_order"}),
        (("clk", "purchase"), {"click": "clk", "conversion": "purchase"}),
        (("isClick", "label_cvr"), {"click": "isClick", "conversion": "label_cvr"}),
    ],
)
def test_labels_go_by_names_and_by_one_within_the_other(names, labels):
    rng = np.random.default_rng(0)
    click = rng.integers(2, size=300)
    conversion = click * rng.integers(2, size=300)
    frame = pd.DataFrame({names[0]: click, names[1]: conversion, "age": rng.integers(9, size=300)})
    assert infer_schema(frame).schema.labels == labels
    with pytest.raises(SchemaError, match="name the click and the conversion"):
        infer_schema(frame.rename(columns={labels["click"]: "target"}))
    assert infer_schema(frame, {"click": names[0]}).schema.labels == {"click": names[0]}


def test_every_column_and_row_is_kept(frame, file, tmp_path):
    inferred = infer_schema(CsvFiles(file).sample(ROWS))
    progress = []
    found = convert_csv(
        CsvFiles(file),
        inferred.schema,
        tmp_path / "out",
        separators=inferred.separators,
        callback=progress.append,
    )
    assert (found.rows, found.files) == (ROWS, 1)
    assert progress[-1] == ROWS
    assert found.labels == {name: int(frame[name].sum()) for name in ("click", "conversion")}
    read = read_frame(tmp_path / "out")
    assert list(read.columns) == list(frame.columns)
    for column in ("user_id", "big", "request", "channel", "paid", "price", "click", "ts"):
        assert read[column].dropna().tolist() == frame[column].dropna().tolist(), column
    bags = [[] if bag is None else list(bag) for bag in read["tags"]]
    assert bags == [[x for x in text.split("|") if x] for text in frame["tags"]]
    schema = Schema.from_json(tmp_path / "out.schema.json")
    assert schema == inferred.schema
    assert fit_source(schema, Source.open(tmp_path / "out")).counts.sum() == ROWS


def test_many_files_gzip_and_other_separators(frame, tmp_path, monkeypatch):
    monkeypatch.setattr(convert_module, "_GROUP_ROWS", 300)
    for number, part in enumerate((frame[:1500], frame[1500:])):
        text = part.to_csv(index=False, sep=";").encode()
        (tmp_path / f"part-{number}.csv.gz").write_bytes(gzip.compress(text))
    source = CsvFiles(tmp_path, separator=";")
    schema = Schema(labels={"click": "click"}, ids=["user_id"])
    found = convert_csv(source, schema, tmp_path / "out", file_rows=1000)
    assert (found.rows, found.files) == (ROWS, 4)
    written = Source.open(tmp_path / "out")
    assert written.group_rows.max() <= 300
    users = [u for chunk in written.chunks() for u in chunk.rows["user_id"].to_pylist()]
    assert users == frame["user_id"].tolist()


def rows(*lines):
    return "\n".join(("user,click", *lines, ""))


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ((rows("1,0", "2,2"),), r"label 'click' of 'click' must hold 0 and 1, found 2 in row 1"),
        ((rows("1,0", "2,"),), r"must hold 0 and 1, found None in row 1"),
        (
            (rows("1,0"), rows("x1,0")),
            r"1.csv: column 'user': .*invalid value 'x1'; .*--type user=str",
        ),
        ((rows("1,0"), "item,click\n1,0\n"), r"same columns .*'user'.* in .*0.csv and .*'item'"),
        ((rows("1,0", "2,0,7"),), r"0.csv: CSV parse error: Row #3: Expected 2 columns, got 3"),
        ((rows(),), "at least one row"),
        (("",), r"0.csv: .*Empty CSV file"),
    ],
)
def test_bad_files_say_where_and_leave_what_was_there(tmp_path, texts, said):
    out = tmp_path / "out"
    schema = Schema(labels={"click": "click"}, ids=["user"])
    good = tmp_path / "good.csv"
    good.write_text(rows("7,1"))
    convert_csv(CsvFiles(good), schema, out)
    (tmp_path / "csv").mkdir()
    for number, text in enumerate(texts):
        (tmp_path / "csv" / f"{number}.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        convert_csv(CsvFiles(tmp_path / "csv"), schema, out)
    assert read_frame(out)["user"].tolist() == [7]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["csv", "good.csv", "out", "out.schema.json"]


def test_a_type_that_is_given_holds_from_the_first_row(tmp_path):
    (tmp_path / "log.csv").write_text(rows("1,0", "x2,1"))
    source = CsvFiles(tmp_path / "log.csv", types={"user": "string"})
    convert_csv(source, Schema(labels={"click": "click"}, ids=["user"]), tmp_path / "out")
    assert read_frame(tmp_path / "out")["user"].tolist() == ["1", "x2"]
    with pytest.raises(DataError, match=r"must be one of .* found 'text'"):
        CsvFiles(tmp_path / "log.csv", types={"user": "text"})


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no `mount` to make a small disk with")
    if done.returncode:
        pytest.skip(f"no small disk can be made here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_what_was_there(small_disk, tmp_path):
    schema = Schema(labels={"click": "click"}, ids=["user"])
    (tmp_path / "good.csv").write_text(rows("7,1"))
    convert_csv(CsvFiles(tmp_path / "good.csv"), schema, small_disk / "out")
    many = np.random.default_rng(0).integers(2**60, size=300_000)
    pd.DataFrame({"user": many, "click": 0}).to_csv(tmp_path / "large.csv", index=False)
    with pytest.raises(
        ArtifactError,
        match=r"cannot write .*out: .*No space left on device; an earlier folder is unchanged",
    ):
        convert_csv(CsvFiles(tmp_path / "large.csv"), schema, small_disk / "out")
    assert read_frame(small_disk / "out")["user"].tolist() == [7]
    assert sorted(path.name for path in small_disk.iterdir()) == ["out", "out.schema.json"]


def test_the_command_infers_shows_and_waits_for_a_yes(file, tmp_path, capsys):
    out = tmp_path / "log"
    assert main(["convert", str(file), "--out", str(out)]) == 2
    shown = capsys.readouterr()
    assert "likely leak: paid predicts conversion alone" in shown.out
    assert (
        "nothing was converted: without a terminal, the inferred schema cannot be confirmed"
        in shown.err
    )
    assert "accept it with `--yes`, or edit" in shown.err
    assert not out.exists()
    edited = tmp_path / "log.schema.json"
    content = json.loads(edited.read_text())
    content["ids"].remove("channel")
    edited.write_text(json.dumps(content))
    assert main(["convert", str(file), "--out", str(out), "--schema", str(edited), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["rows"] == ROWS
    assert "channel" not in said["schema"]["ids"]
    assert said["schema_file"] == str(edited)
    assert json.loads(edited.read_text())["ids"] == said["schema"]["ids"]
    # What was edited is not overwritten by a new inference.
    assert main(["convert", str(file), "--out", str(out), "--yes", "--quiet"]) == 2
    assert "and would be overwritten" in capsys.readouterr().err
    assert main(["convert", str(file), "--out", str(tmp_path / "two"), "--yes", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    pd.testing.assert_frame_equal(read_frame(tmp_path / "two"), read_frame(out))


def orphaned(frame, rows=(7, 30, 31, 900)):
    """The log with conversions where nobody clicked, in rows of the frame."""
    unclicked = frame.index[frame["click"] == 0][list(rows)]
    frame = frame.copy()
    frame.loc[unclicked, "conversion"] = 1
    return frame, list(unclicked)


def test_a_conversion_without_a_click_is_a_label_all_the_same(frame, tmp_path):
    log, at = orphaned(frame)
    found = infer_schema(log)
    assert found.schema.labels == {"click": "click", "conversion": "conversion"}
    first = ", ".join(map(str, at[:3]))
    said = f"of conversion, but without click in 4 rows (first: {first})"
    assert found.roles["conversion"] == ("label", said)
    # Of two columns named so, the one that follows the click goes first; the other is no feature.
    found = infer_schema(log.assign(order=frame["conversion"]))
    assert found.schema.labels == {"click": "click", "conversion": "order"}
    assert found.roles["conversion"][0] == "left out"
    # Bought without a cart: the cart is given up, the conversion is not.
    cart = frame["click"] * (np.arange(ROWS) % 2)
    found = infer_schema(frame.assign(cart=cart))
    assert found.schema.labels == {"click": "click", "conversion": "conversion"}
    assert "cart" not in found.schema.features
    # With one, it stands between.
    found = infer_schema(frame.assign(cart=frame["conversion"]))
    assert list(found.schema.labels) == ["click", "cart", "conversion"]
    with pytest.raises(
        DataError, match=r"'conversion' is missing in 3,\d+ rows \(first: .*write 0"
    ):
        infer_schema(frame.assign(conversion=frame["conversion"].where(frame["click"] == 1)))


def test_convert_tells_what_fit_refuses_and_mends_it(frame, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mtl_seq.data.csv.reader._BLOCK", 1 << 14)  # rows are counted over blocks
    log, at = orphaned(frame)
    log.loc[[5, 3000], "price"] = np.nan
    log.to_csv(tmp_path / "log.csv", index=False)
    out = tmp_path / "log"
    command = ["convert", str(tmp_path / "log.csv"), "--out", str(out), "--yes", "--quiet"]
    assert main(command) == 0
    said = capsys.readouterr().err.splitlines()
    first = ", ".join(map(str, at[:3]))
    assert said[0].startswith(f"warning: conversion without click in 4 rows (first: {first})")
    assert "--orphans clear" in said[0]
    assert said[1].startswith("warning: dense column 'price' is NaN in 2 rows (first: 5, 3000)")
    assert "--impute" in said[1]
    assert len(said) == 2
    schema = Schema.from_json(tmp_path / "log.schema.json")
    with pytest.raises(DataError, match="conversion without click in 4 rows"):
        check_labels(schema, read_frame(out))

    assert main([*command, "--orphans", "clear", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["orphans"] == {"conversion": 4}
    assert found["labels"]["conversion"] == frame["conversion"].sum()
    assert read_frame(out)["conversion"].tolist() == frame["conversion"].tolist()

    assert main([*command, "--orphans", "drop", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["orphans"]) == (ROWS - 4, {"conversion": 4})
    kept = [row for row in range(ROWS) if row not in at]
    assert read_frame(out)["request"].tolist() == log["request"][kept].tolist()
    # Rows are those of the CSV, also where some were dropped before them.
    assert "'price' is NaN in 2 rows (first: 5, 3000)" in found["warnings"][0]


def test_a_chain_is_cleared_in_its_order(tmp_path):
    (tmp_path / "log.csv").write_text("user,click,cart,order\n1,0,1,1\n2,1,0,1\n3,1,1,1\n")
    schema = Schema(labels={s: s for s in ("click", "cart", "order")}, ids=["user"])
    source = CsvFiles(tmp_path / "log.csv")
    found = convert_csv(source, schema, tmp_path / "out", orphans="clear")
    assert found.orphans == {"cart": 1, "order": 2}
    assert found.warnings == ()
    assert read_frame(tmp_path / "out")["order"].tolist() == [0, 0, 1]
    found = convert_csv(source, schema, tmp_path / "out", orphans="drop")
    assert read_frame(tmp_path / "out")["user"].tolist() == [3]
    assert found.rows == 1


def test_the_folder_is_read_as_one_log_by_others(file, tmp_path):
    schema = Schema(labels={"click": "click"}, ids=["user_id"])
    out = tmp_path / "out"
    out.mkdir()
    (out / "part-00000.parquet").write_bytes(b"")
    convert_csv(CsvFiles(file), schema, out, file_rows=1000)
    assert len(pd.read_parquet(out)) == ROWS
    assert len(pytest.importorskip("polars").read_parquet(out)) == ROWS
    assert Schema.from_json(schema_file(out)) == schema
