"""Logs on disk: where they may lie, and what becomes of bad files."""

import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet as pq
from unit.data.logs import SCHEMA, small_log, write_files

from mtl_seq.data import Codec, Source, StreamLoader, fit_source
from mtl_seq.errors import ArtifactError, DataError, SchemaError

ROWS = 60


@pytest.fixture
def folder(tmp_path):
    return write_files(small_log(ROWS), tmp_path / "log", (20, 40), 8)


@pytest.fixture(scope="module")
def codec():
    return Codec.fit(SCHEMA, small_log(ROWS))


def numbers(source):
    chunks = source.select(["number"]).chunks()
    return [value for chunk in chunks for value in chunk.rows["number"].to_pylist()]


def test_a_log_is_a_file_a_folder_a_glob_a_list_or_a_url(folder):
    import fsspec

    files = sorted(folder.glob("*"))
    system = fsspec.filesystem("memory")
    for file in files:
        system.put(str(file), f"/log/{file.name}")
    everything = list(range(ROWS))
    for place in (
        folder,
        str(folder),
        f"{folder}/*.parquet",
        files,
        "memory://log",
        folder.as_uri(),
    ):
        assert numbers(Source.open(place)) == everything, place
    assert numbers(Source.open(files[1])) == everything[20:40]
    ends = Source.open(str(folder / "part-00[02].parquet"))
    assert numbers(ends) == [*everything[:20], *everything[40:]]
    system.rm("/log", recursive=True)


def test_hidden_files_and_other_files_are_not_looked_at(folder):
    (folder / "_metadata.parquet").write_bytes(b"x")
    (folder / ".part-000.parquet").write_bytes(b"x")
    (folder / "notes.txt").write_bytes(b"x")
    assert Source.open(folder).rows == ROWS


def test_columns_that_are_not_wanted_are_not_read(folder):
    source = Source.open(folder, columns=["click"])
    assert next(source.chunks()).rows.schema.names == ["click"]


def test_files_without_rows_may_stand_among_others(folder):
    schema = pa.Schema.from_pandas(small_log(1), preserve_index=False)
    pq.write_table(schema.empty_table(), folder / "part-9.parquet")
    nothing = pd.DataFrame({name: [] for name in schema.names}, dtype=object)
    nothing.to_parquet(folder / "part-8.parquet")  # pandas leaves their types open
    source = Source.open(folder)
    assert source.rows == ROWS
    assert fit_source(SCHEMA, source).counts.sum() == ROWS
    with pytest.raises(DataError, match=r"at least one row, found none in .*part-9.parquet"):
        Source.open(folder / "part-9.parquet")


def test_an_empty_or_truncated_file_is_named(folder):
    part = folder / "part-001.parquet"
    content = part.read_bytes()
    for torn in (b"", content[: len(content) // 2], b"PAR1" + bytes(50)):
        part.write_bytes(torn)
        with pytest.raises(ArtifactError, match=r"part-001.parquet cannot be read as parquet"):
            Source.open(folder)
    with pytest.raises(ArtifactError, match=r"no file .*absent.parquet"):
        Source.open(folder / "absent.parquet")
    with pytest.raises(ArtifactError, match=r"there is no parquet file in .*glob such as"):
        Source.open(folder / "nothing-*")


def test_a_column_of_two_types_names_both_files(folder):
    frame = small_log(5)
    for column, values, types in (
        ("user", frame["user"].astype(float), "int64 in .*part-000.parquet and double in"),
        ("user", frame["user"].astype(str), "int64 in .*part-000.parquet and (large_)?string in"),
        ("tags", frame["user"], "list.* in .*part-000.parquet and int64 in"),
    ):
        frame.assign(**{column: values}).to_parquet(folder / "part-7.parquet")
        with pytest.raises(SchemaError, match=rf"{column!r} must .* found {types} .*part-7"):
            Source.open(folder)
    # Another width is no other type; nor does a column matter that is not asked for.
    frame.assign(user=frame["user"].astype("int16"), day="x").to_parquet(folder / "part-7.parquet")
    assert fit_source(SCHEMA, Source.open(folder, columns=["user"])).counts.sum() == ROWS + 5


def test_a_column_that_one_file_lacks_names_the_file(folder):
    small_log(5).drop(columns="item").to_parquet(folder / "part-7.parquet")
    with pytest.raises(SchemaError, match=r"part-7.parquet must hold the columns \['item'\]"):
        fit_source(SCHEMA, Source.open(folder, columns=["user"]))


@pytest.mark.parametrize("bad", ["gone", "other", "torn"])
def test_a_file_that_changes_in_an_epoch_stops_it_and_the_rest_can_follow(folder, codec, bad):
    """Nothing that was read is lost: the pass goes on from its state once the file is back."""
    setup = {"seed": 0, "streams": 1, "shuffle_buffer": 4}
    expected = [
        b.features["number"].tolist() for b in StreamLoader(Source.open(folder), codec, 4, **setup)
    ]
    kept = shutil.copytree(folder, folder.parent / "kept")
    loader = StreamLoader(Source.open(folder), codec, 4, **setup)
    passing, found = iter(loader), []
    part = folder / "part-001.parquet"
    if bad == "gone":
        part.unlink()
        said = "part-001.parquet: it is missing"
    elif bad == "other":
        small_log(3).to_parquet(part)
        said = "part-001.parquet had .* a log must not change while it is read"
    else:
        content = bytearray(part.read_bytes())
        content[4:-200] = bytes(len(content) - 204)
        part.write_bytes(content)
        said = "part-001.parquet cannot be read as parquet, it is corrupt"
    with pytest.raises(ArtifactError, match=said):
        found.extend(batch.features["number"].tolist() for batch in passing)
    assert found == expected[: len(found)]
    assert len(found) < len(expected)
    shutil.copy(kept / part.name, part)
    again = StreamLoader(Source.open(folder), codec, 4, **setup)
    again.load_state_dict(loader.state_dict())
    assert [*found, *(b.features["number"].tolist() for b in again)] == expected


def test_integers_with_gaps_stay_exact(tmp_path):
    """As floats, 2^53 + 1 would be its neighbour."""
    from mtl_seq.data import read_frame

    values = [2**53 + 1, None, -(2**63)]
    pq.write_table(pa.table({"id": values, "x": [1.0, None, 2.0]}), tmp_path / "log.parquet")
    frame = read_frame(tmp_path / "log.parquet")
    assert frame["id"].tolist() == [2**53 + 1, pd.NA, -(2**63)]
    assert frame["x"].isna().tolist() == [False, True, False]
    assert np.issubdtype(frame["x"].dtype, np.floating)
