"""Logs and truths come back from parquet as they were written."""

import numpy as np
import pandas as pd
import pytest

from mtl_seq import FunnelTruth
from mtl_seq.data import read_frame, truth_from_frame, truth_of, truth_to_frame, write_frame
from mtl_seq.errors import ArtifactError


def log():
    return pd.DataFrame(
        {
            "user": np.array([2**62 + 1, 2**62, -1]),
            "seen": pd.array([2**53 + 1, None, 3], dtype="Int64"),
            "name": ["ü", "b", None],
            "price": [0.1, 1 / 3, np.nan],
            "kind": pd.Categorical(["x", "y", "x"]),
        },
        index=pd.Index([9, 4, 7], name="row"),
    )


def truth(n=50):
    rng = np.random.default_rng(0)
    arrays = rng.random((5, n))
    return FunnelTruth(*arrays, potential=(rng.random(n) < 0.5).astype(np.float64))


def test_a_frame_comes_back_from_parquet_exactly(tmp_path):
    path = tmp_path / "deep" / "log.parquet"
    write_frame(log(), path)
    pd.testing.assert_frame_equal(read_frame(path), log())
    pd.testing.assert_frame_equal(read_frame(str(path)), log())


def test_lists_come_back_as_lists(tmp_path):
    write_frame(pd.DataFrame({"words": [["a", "b"], [], ["c"]]}), tmp_path / "log.parquet")
    found = read_frame(tmp_path / "log.parquet")["words"]
    assert [list(cell) for cell in found] == [["a", "b"], [], ["c"]]


def test_a_frame_is_read_as_it_is():
    frame = log()
    assert read_frame(frame) is frame


def test_writing_replaces_the_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "log.parquet"
    write_frame(log(), path)
    write_frame(log().iloc[:1], path)
    assert len(read_frame(path)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["log.parquet"]


def test_a_frame_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "log.parquet"
    write_frame(log(), path)
    with pytest.raises(Exception, match="mixed"):
        write_frame(pd.DataFrame({"mixed": [1, "a"]}), path)
    pd.testing.assert_frame_equal(read_frame(path), log())
    assert [file.name for file in tmp_path.iterdir()] == ["log.parquet"]


@pytest.mark.parametrize("name", ["absent.parquet", "."])
def test_no_such_file_is_an_error(tmp_path, name):
    with pytest.raises(ArtifactError, match=r"no (parquet )?file"):
        read_frame(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"click,conversion\n1,0\n", b"PAR1"])
def test_a_file_that_is_no_parquet_is_an_error(tmp_path, content):
    path = tmp_path / "log.parquet"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"log\.parquet cannot be read as parquet"):
        read_frame(path)


def test_a_truth_comes_back_from_parquet_exactly(tmp_path):
    write_frame(truth_to_frame(truth()), tmp_path / "truth.parquet")
    again = truth_from_frame(read_frame(tmp_path / "truth.parquet"))
    assert not again.further
    assert not again.hidden
    for name, found in again.arrays().items():
        np.testing.assert_array_equal(found, truth().arrays()[name])
        assert found.dtype == np.float64


def test_columns_of_a_truth_are_named_so_that_none_is_taken_for_a_prediction():
    assert list(truth_to_frame(truth())) == [
        "true_pctr",
        "true_pcvr",
        "true_pctcvr",
        "true_pctr_hidden",
        "true_pcvr_hidden",
        "true_potential",
    ]


def test_a_truth_is_found_beside_other_columns_in_any_order():
    frame = truth_to_frame(truth()).iloc[:, ::-1].assign(user=1)
    for name, found in truth_from_frame(frame).arrays().items():
        np.testing.assert_array_equal(found, truth().arrays()[name])


def test_a_truth_with_further_and_hidden_arrays_comes_back(tmp_path):
    more = truth()._replace(
        further={"cart": np.linspace(0, 1, 50)}, hidden={"delay": np.arange(50.0) - 7}
    )
    write_frame(truth_to_frame(more), tmp_path / "truth.parquet")
    frame = read_frame(tmp_path / "truth.parquet")
    assert list(frame)[6:] == ["true_further_cart", "true_hidden_delay"]
    again = truth_from_frame(frame)
    np.testing.assert_array_equal(again.further["cart"], more.further["cart"])
    np.testing.assert_array_equal(again.hidden["delay"], more.hidden["delay"])
    some = again.take(np.array([3, 1]))
    np.testing.assert_array_equal(some.hidden["delay"], [-4, -6])
    np.testing.assert_array_equal(some.pctr, more.pctr[[3, 1]])


def test_a_truth_that_lacks_a_column_is_an_error():
    frame = truth_to_frame(truth()).drop(columns=["true_pcvr", "true_potential"])
    with pytest.raises(ArtifactError, match=r"\['true_pcvr', 'true_potential'\]"):
        truth_from_frame(frame)


def part(folder, name, frame):
    write_frame(frame, folder / name)
    return frame


def test_a_folder_is_read_as_one_frame_in_the_order_of_the_names(tmp_path):
    second = part(tmp_path, "part-00001.parquet", log().iloc[2:])
    first = part(tmp_path, "part-00000.parquet", log().iloc[:2])
    (tmp_path / ".part-00002-x.parquet").write_bytes(b"half")
    (tmp_path / "_SUCCESS").touch()
    found = read_frame(tmp_path)
    assert found["user"].tolist() == [*first["user"], *second["user"]]
    assert found["user"].dtype == np.int64
    assert found.index.tolist() == [0, 1, 2]


def test_a_folder_of_files_with_other_columns_is_an_error(tmp_path):
    part(tmp_path, "log.parquet", log())
    part(tmp_path, "truth.parquet", truth_to_frame(truth()))
    with pytest.raises(ArtifactError, match=r"must have the same columns, .*truth\.parquet"):
        read_frame(tmp_path)


def test_an_unfinished_folder_is_an_error(tmp_path):
    part(tmp_path, "part-00000.parquet", log())
    (tmp_path / "_unfinished").touch()
    with pytest.raises(ArtifactError, match="is unfinished, so it lacks rows: run the command"):
        read_frame(tmp_path)


def test_a_truth_is_joined_by_row_id_where_both_have_one():
    frame = truth_to_frame(truth()).assign(row_id=np.arange(50) + 7)
    some = pd.DataFrame({"row_id": [56, 7, 30]})
    np.testing.assert_array_equal(truth_of(some, frame).pctr, truth().pctr[[49, 0, 23]])
    for rows in (pd.DataFrame({"user": range(50)}), frame[["row_id"]]):
        np.testing.assert_array_equal(truth_of(rows, frame).pctr, truth().pctr)
    np.testing.assert_array_equal(truth_of(some, frame.drop(columns="row_id")).pctr, truth().pctr)


def test_a_truth_that_lacks_rows_or_has_them_twice_is_an_error():
    frame = truth_to_frame(truth()).assign(row_id=np.arange(50))
    with pytest.raises(ArtifactError, match=r"none for 2 rows \(first: 50, -1\)"):
        truth_of(pd.DataFrame({"row_id": [50, 3, -1]}), frame)
    with pytest.raises(ArtifactError, match="each `row_id` once"):
        truth_of(pd.DataFrame({"row_id": [3]}), frame.assign(row_id=frame["row_id"] // 2))
