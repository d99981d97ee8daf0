"""Parquet to parquet, some rows at a time."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_seq.data import map_parquet
from mtl_seq.errors import ArtifactError, DataError, SchemaError


def double(frame):
    return pd.DataFrame({"double": 2.0 * frame["x"]}, index=frame.index)


def log_of(rows, start=0):
    return pd.DataFrame({"x": np.arange(start, start + rows), "y": ["a"] * rows})


@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=4).filter(sum),
    group=st.integers(1, 12),
    rows=st.integers(1, 40),
)
@settings(max_examples=30, deadline=None)
def test_every_row_once_in_order_for_any_files_groups_and_rows(
    sizes, group, rows, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("log")
    starts = np.cumsum([0, *sizes])
    for part, (start, size) in enumerate(zip(starts, sizes, strict=False)):
        log_of(size, start).to_parquet(folder / f"part-{part}.parquet", row_group_size=group)
    means = map_parquet(folder, folder / "out" / "o.parquet", double, columns=["x"], rows=rows)
    found = pd.read_parquet(folder / "out" / "o.parquet")
    total = sum(sizes)
    assert found["double"].tolist() == [2.0 * x for x in range(total)]
    assert found.index.equals(pd.RangeIndex(total))
    assert means == {"double": pytest.approx(total - 1), "rows": total}


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(10),
        pd.RangeIndex(5, 35, 3, name="row"),
        pd.Index(list("abcdefghij"), name="request"),
        pd.Index(np.arange(10)[::-1] * 2**60 // 16),
        pd.MultiIndex.from_product([["u", "v"], range(5)], names=["user", "item"]),
    ],
    ids=["plain", "stepped", "text", "large", "two levels"],
)
def test_the_index_of_one_file_is_kept(index, tmp_path):
    frame = log_of(10).set_axis(index)
    frame.to_parquet(tmp_path / "log.parquet")
    seen = []

    def note(rows):
        seen.append(rows)
        return double(rows)

    map_parquet(tmp_path / "log.parquet", tmp_path / "o.parquet", note, columns=["x"], rows=4)
    assert [len(rows) for rows in seen] == [4, 4, 2]
    pd.testing.assert_frame_equal(pd.concat(seen), frame[["x"]])
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "o.parquet"), 2.0 * frame[["x"]].set_axis(["double"], axis=1)
    )


def test_a_file_that_pandas_did_not_write_is_numbered_through(tmp_path):
    pq.write_table(pa.table({"x": [3, 4, 5]}), tmp_path / "log.parquet")
    map_parquet(tmp_path / "log.parquet", tmp_path / "o.parquet", double, columns=["x"], rows=2)
    expected = pd.DataFrame({"double": [6.0, 8.0, 10.0]})
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "o.parquet"), expected)


def test_large_ids_beside_gaps_stay_what_they_are(tmp_path):
    ids = [2**63 - 1, None, 2**53 + 1, -(2**63)]
    table = pa.table({"x": pa.array(ids, pa.int64())})
    pq.write_table(table, tmp_path / "log.parquet")
    seen = []

    def note(rows):
        seen.extend(rows["x"].tolist())
        return pd.DataFrame({"n": [0.0] * len(rows)}, index=rows.index)

    map_parquet(tmp_path / "log.parquet", tmp_path / "o.parquet", note, columns=["x"])
    assert [None if x is pd.NA else x for x in seen] == ids


def test_a_glob_names_files_in_the_order_of_their_names(tmp_path):
    for place, name in enumerate(("day-2", "day-1", "other", ".day-0")):
        log_of(1, place).to_parquet(tmp_path / f"{name}.parquet")
    out = tmp_path / "out" / "o.parquet"
    map_parquet(f"{tmp_path}/day-*.parquet", out, double, columns=["x"])
    assert pd.read_parquet(out)["double"].tolist() == [2.0, 0.0]
    map_parquet(f"file://{tmp_path}", out, double, columns=["x"])
    assert pd.read_parquet(out)["double"].tolist() == [2.0, 0.0, 4.0]


def torn(folder):
    content = (folder / "b.parquet").read_bytes()
    (folder / "b.parquet").write_bytes(content[: len(content) // 2])


def damaged(folder):
    """The footer stands, the pages do not."""
    content = bytearray((folder / "b.parquet").read_bytes())
    content[4:60] = b"\xff" * 56
    (folder / "b.parquet").write_bytes(content)


def other_type(folder):
    log_of(5).assign(x="text").to_parquet(folder / "b.parquet")


def other_columns(folder):
    log_of(5).rename(columns={"x": "z"}).to_parquet(folder / "b.parquet")


@pytest.mark.parametrize(
    ("harm", "error", "said"),
    [
        (torn, ArtifactError, "b.parquet cannot be read as parquet"),
        (damaged, ArtifactError, "b.parquet cannot be read as parquet"),
        (other_columns, SchemaError, r"b.parquet must hold the columns \['x'\]"),
        (other_type, SchemaError, "int64 in .*a.parquet and .*string in .*b.parquet"),
    ],
)
def test_a_bad_file_is_named_and_earlier_results_stay(harm, error, said, tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    for name in "abc":
        log_of(50).to_parquet(folder / f"{name}.parquet")
    out = tmp_path / "o.parquet"
    map_parquet(folder, out, double, columns=["x"])
    earlier = out.read_bytes()
    harm(folder)
    with pytest.raises(error, match=said):
        map_parquet(folder, out, double, columns=["x"])
    assert out.read_bytes() == earlier
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "o.parquet"]


def test_a_file_that_vanishes_is_named_and_earlier_results_stay(tmp_path):
    folder, out = tmp_path / "log", tmp_path / "o.parquet"
    folder.mkdir()
    for name in "ab":
        log_of(5).to_parquet(folder / f"{name}.parquet")
    out.write_bytes(b"earlier")

    def vanish(frame):
        (folder / "b.parquet").unlink(missing_ok=True)
        return double(frame)

    with pytest.raises(ArtifactError, match=r"no file .*b\.parquet: it is missing"):
        map_parquet(folder, out, vanish, columns=["x"])
    assert out.read_bytes() == b"earlier"


def test_an_error_of_some_rows_names_the_file_and_the_rows(tmp_path):
    for name in "ab":
        log_of(5).to_parquet(tmp_path / f"{name}.parquet")

    def refuse(frame):
        if 7 in frame.index:
            raise DataError(f"row {frame.index[0]} is bad")
        return double(frame)

    with pytest.raises(DataError, match=r"b\.parquet: row 5 is bad"):
        map_parquet(tmp_path, tmp_path / "out" / "o.parquet", refuse, columns=["x"], rows=3)


def test_no_rows_no_files_and_the_log_itself_are_refused(tmp_path):
    log_of(0).to_parquet(tmp_path / "log.parquet")
    out = tmp_path / "o.parquet"
    with pytest.raises(DataError, match="must hold at least one row"):
        map_parquet(tmp_path / "log.parquet", out, double, columns=["x"])
    for absent in (tmp_path / "absent.parquet", tmp_path / "absent-*.parquet"):
        with pytest.raises(
            ArtifactError,
            match=r"no file .*absent\.parquet|no parquet file in .*absent-\*\.parquet",
        ):
            map_parquet(absent, out, double, columns=["x"])
    log_of(3).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(ArtifactError, match="is the log itself"):
        map_parquet(tmp_path, tmp_path / "log.parquet", double, columns=["x"])
    (tmp_path / "_unfinished").touch()
    with pytest.raises(ArtifactError, match="is unfinished"):
        map_parquet(tmp_path, out, double, columns=["x"])


_PEAK = """
import sys
from pathlib import Path
import pandas as pd
from mtl_seq.data import map_parquet

def double(frame):
    return pd.DataFrame({"double": 2.0 * frame["x"]}, index=frame.index)

map_parquet(sys.argv[1], sys.argv[2], double, columns=["x", "z"])
# Not `resource`: what the parent held when it began this process would count as well.
lines = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")))
"""


def test_memory_does_not_grow_with_the_rows(tmp_path):
    """Six times the rows, 96 MB of them, cost less than 24 MB more."""
    rng = np.random.default_rng(0)
    peaks = []
    for rows in (1_000_000, 6_000_000):
        path = tmp_path / f"{rows}.parquet"
        schema = pa.schema([("x", pa.float64()), ("z", pa.float64())])
        with pq.ParquetWriter(path, schema) as writer:
            for _ in range(rows // 100_000):
                columns = [rng.random(100_000) for _ in schema]
                writer.write_table(pa.table(columns, schema=schema))
        done = subprocess.run(
            [sys.executable, "-c", _PEAK, str(path), str(tmp_path / "o.parquet")],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        )
        peaks.append(float(done.stdout))
    assert peaks[1] - peaks[0] < 24


_FULL = """
import sys
from pathlib import Path
import numpy as np, pandas as pd
from mtl_seq.data import map_parquet

place, log = sys.argv[1:]
earlier = Path(place, "o.parquet")
earlier.write_bytes(b"earlier")

def noise(frame):
    return pd.DataFrame({"n": np.random.default_rng(0).random(len(frame))}, index=frame.index)

try:
    map_parquet(log, earlier, noise, columns=["x"])
except OSError as error:
    print(type(error).__name__, error.errno)
print(earlier.read_bytes().decode(), sorted(p.name for p in Path(place).iterdir()))
"""


def test_a_full_disk_leaves_the_earlier_file(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    log_of(200_000).to_parquet(tmp_path / "log.parquet")
    mount = f"mount -t tmpfs -o size=256k none {place}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    script = tmp_path / "full.py"
    script.write_text(_FULL, encoding="utf-8")
    command = f"{mount} && {sys.executable} {script} {place} {tmp_path / 'log.parquet'}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["OSError 28", "earlier ['o.parquet']"]
    assert not list(Path(place).iterdir())
