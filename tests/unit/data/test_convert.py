"""CSV to parquet: every value kept, roles guessed, leaks pointed out, nothing half-written."""

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
    guess_schema,
    read_frame,
)
from mtl_seq.data import convert as convert_module
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
    found = guess_schema(CsvFiles(file).sample(ROWS))
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
    found = guess_schema(sample.assign(clicked_too=sample["click"] + 0.0))
    assert found.leaks["clicked_too"] == "equals the label of click"
    assert found.leaks["paid"].startswith("predicts conversion alone with AUC")
    assert not set(found.leaks) & set(found.schema.features)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("is_click", "is_order"), {"click": "is_click", "conversion": "is_order"}),
        (("clk", "purchase"), {"click": "clk", "conversion": "purchase"}),
        (("isClick", "label_cvr"), {"click": "isClick", "conversion": "label_cvr"}),
        # A conversion without a click cannot be that click's.
        (("conversion", "click"), {"click": "click"}),
    ],
)
def test_labels_go_by_names_and_by_one_within_the_other(names, labels):
    rng = np.random.default_rng(0)
    click = rng.integers(2, size=300)
    conversion = click * rng.integers(2, size=300)
    frame = pd.DataFrame({names[0]: click, names[1]: conversion, "age": rng.integers(9, size=300)})
    assert guess_schema(frame).schema.labels == labels
    with pytest.raises(SchemaError, match="say which it is, and which the conversion"):
        guess_schema(frame.rename(columns={labels["click"]: "target"}))
    assert guess_schema(frame, {"click": names[0]}).schema.labels == {"click": names[0]}


def test_every_column_and_row_is_kept(frame, file, tmp_path):
    guess = guess_schema(CsvFiles(file).sample(ROWS))
    told = []
    found = convert_csv(
        CsvFiles(file),
        guess.schema,
        tmp_path / "out",
        separators=guess.separators,
        told=told.append,
    )
    assert (found.rows, found.files) == (ROWS, 1)
    assert told[-1] == ROWS
    assert found.labels == {name: int(frame[name].sum()) for name in ("click", "conversion")}
    read = read_frame(tmp_path / "out")
    assert list(read.columns) == list(frame.columns)
    for column in ("user_id", "big", "request", "channel", "paid", "price", "click", "ts"):
        assert read[column].dropna().tolist() == frame[column].dropna().tolist(), column
    bags = [[] if bag is None else list(bag) for bag in read["tags"]]
    assert bags == [[x for x in text.split("|") if x] for text in frame["tags"]]
    schema = Schema.from_json(tmp_path / "out" / "schema.json")
    assert schema == guess.schema
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
    users = [u for piece in written.pieces() for u in piece.rows["user_id"].to_pylist()]
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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["csv", "good.csv", "out"]


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
        match=r"cannot write .*out: .*No space left on device; what stood there is as it was",
    ):
        convert_csv(CsvFiles(tmp_path / "large.csv"), schema, small_disk / "out")
    assert read_frame(small_disk / "out")["user"].tolist() == [7]
    assert [path.name for path in small_disk.iterdir()] == ["out"]


def test_the_command_guesses_shows_and_waits_for_a_yes(file, tmp_path, capsys):
    out = tmp_path / "log"
    assert main(["convert", str(file), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "likely leak: paid predicts conversion alone" in shown.out
    assert "come back with --schema" in shown.err
    assert not out.exists()
    edited = tmp_path / "log.schema.json"
    content = json.loads(edited.read_text())
    content["ids"].remove("channel")
    edited.write_text(json.dumps(content))
    assert main(["convert", str(file), "--out", str(out), "--schema", str(edited), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["rows"] == ROWS
    assert "channel" not in said["schema"]["ids"]
    assert Schema.from_json(out / "schema.json") == Schema.from_json(edited)
    assert main(["convert", str(file), "--out", str(tmp_path / "two"), "--yes", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    pd.testing.assert_frame_equal(read_frame(tmp_path / "two"), read_frame(out))
