"""Interrupted writes leave the old file and nothing else; bad JSON is named."""

import json
import stat
from functools import partial
from pathlib import Path

import pytest

from mtl_seq._files import atomic_folder, atomic_path, read_json, write_json
from mtl_seq.errors import ArtifactError

INTERRUPTIONS = [RuntimeError, KeyboardInterrupt, SystemExit]

OWN = ("inner", "old.txt", "new.txt", "half.txt", "weights")
"""Files that these tests leave in a folder of theirs."""


def listing(folder):
    """Every path below, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def fill(folder, text):
    (folder / "inner").mkdir()
    (folder / "inner" / "a.txt").write_text(text)
    (folder / f"{text}.txt").write_text(text)


def test_a_file_appears_with_its_folder(tmp_path):
    target = tmp_path / "deep" / "er" / "model.json"
    with atomic_path(target) as aside:
        aside.write_text("new")
        assert aside.parent == target.parent
        assert aside.suffix == ".json"
        assert not target.exists()
    assert target.read_text() == "new"
    assert listing(target.parent) == ["model.json"]


def test_a_finished_block_replaces_the_old_file(tmp_path):
    target = tmp_path / "model.json"
    target.write_text("old")
    with atomic_path(str(target)) as aside:
        aside.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert listing(tmp_path) == ["model.json"]


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_an_interrupted_block_leaves_the_old_file(tmp_path, interruption):
    target = tmp_path / "model.json"
    target.write_text("old")

    def write():
        with atomic_path(target) as aside:
            aside.write_text("half")
            raise interruption

    with pytest.raises(interruption):
        write()
    assert target.read_text() == "old"
    assert listing(tmp_path) == ["model.json"]


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
@pytest.mark.parametrize(
    "manager", [atomic_path, partial(atomic_folder, own=OWN)], ids=["file", "folder"]
)
def test_an_interrupted_first_write_leaves_nothing(tmp_path, manager, interruption):
    def write():
        with manager(tmp_path / "model") as aside:
            if aside.is_dir():
                fill(aside, "half")
            else:
                aside.write_text("half")
            raise interruption

    with pytest.raises(interruption):
        write()
    assert listing(tmp_path) == []


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "model"
    for text in ("old", "new"):
        with atomic_folder(target, own=OWN) as aside:
            fill(aside, text)
            assert aside.parent == target.parent
        assert (target / "inner" / "a.txt").read_text() == text
        assert listing(tmp_path) == [
            "model",
            "model/inner",
            "model/inner/a.txt",
            f"model/{text}.txt",
        ]


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_an_interrupted_block_leaves_the_old_folder(tmp_path, interruption):
    target = tmp_path / "model"
    target.mkdir()
    fill(target, "old")
    before = listing(tmp_path)

    def write():
        with atomic_folder(target, own=OWN) as aside:
            fill(aside, "half")
            raise interruption

    with pytest.raises(interruption):
        write()
    assert listing(tmp_path) == before
    assert (target / "inner" / "a.txt").read_text() == "old"


def test_permissions_are_those_of_an_ordinary_write(tmp_path):
    # The temporary file and folder are private to their owner.
    (tmp_path / "plain.txt").touch()
    (tmp_path / "plain").mkdir()
    with atomic_path(tmp_path / "ours.txt") as aside:
        aside.write_text("x")
    with atomic_folder(tmp_path / "ours", own=OWN):
        pass
    assert mode(tmp_path / "ours.txt") == mode(tmp_path / "plain.txt")
    assert mode(tmp_path / "ours") == mode(tmp_path / "plain")


def test_json_reads_back_with_its_format_and_without_its_kind(tmp_path):
    content = {"a": [1, 2.5, None], "b": {"ä": "ß"}}
    write_json(tmp_path / "x.json", content, kind="test", version=2)
    assert read_json(tmp_path / "x.json", kind="test", version=3) == {"format": 2, **content}
    stored = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert stored == {"kind": "test", "format": 2, **content}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_json_cannot_hold_leaves_the_old_file(tmp_path, value):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1}, kind="test", version=1)
    with pytest.raises((ValueError, TypeError)):
        write_json(path, {"a": value}, kind="test", version=1)
    assert read_json(path, kind="test", version=1) == {"format": 1, "a": 1}
    assert listing(tmp_path) == ["x.json"]


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (b'{"kind": "test", "for', "is no JSON file"),
        (b"", "is no JSON file"),
        (b"\xff\xfe\x00", "is no JSON file"),
        (b"[1, 2]", "must hold a JSON object"),
        (b'{"format": 1}', "must be of kind 'test', found None"),
        (b'{"kind": "other", "format": 1}', "must be of kind 'test', found 'other'"),
        (b'{"kind": "test"}', "has format None, this version reads 1 to 2"),
        (b'{"kind": "test", "format": "1"}', "has format '1', this version reads 1 to 2"),
        (b'{"kind": "test", "format": 0}', "has format 0, this version reads 1 to 2"),
        (b'{"kind": "test", "format": 3}', "has format 3, this version reads 1 to 2: update"),
    ],
)
def test_a_file_that_is_not_what_was_asked_for_is_refused(tmp_path, stored, message):
    path = tmp_path / "x.json"
    path.write_bytes(stored)
    with pytest.raises(ArtifactError, match=message) as raised:
        read_json(path, kind="test", version=2)
    assert str(path) in str(raised.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"no file .*absent\.json"):
        read_json(tmp_path / "absent.json", kind="test", version=1)
    with pytest.raises(ArtifactError, match="is no JSON file"):
        read_json(tmp_path, kind="test", version=1)


def test_an_interruption_between_the_two_renames_brings_the_old_folder_back(tmp_path, monkeypatch):
    target = tmp_path / "model"
    with atomic_folder(target, own=OWN) as folder:
        (folder / "weights").write_text("old")
    rename = Path.replace
    calls = []

    def interrupted(self, to):
        calls.append(self)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return rename(self, to)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_folder(target, own=OWN) as folder:
        (folder / "weights").write_text("new")
    assert (target / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_with_anything_else_in_it_is_not_replaced(tmp_path):
    target = tmp_path / "home"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    with (
        pytest.raises(ArtifactError, match=r"holds thesis.txt, which would be lost"),
        atomic_folder(target, own=OWN),
    ):
        pass
    assert (target / "thesis.txt").read_text() == "years of work"


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    target = tmp_path / "log.parquet"
    target.write_text("rows")
    with (
        pytest.raises(ArtifactError, match="must be a folder, found a file"),
        atomic_folder(target, own=OWN),
    ):
        pass
    assert target.read_text() == "rows"
