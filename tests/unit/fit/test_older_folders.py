"""Folders of older versions load and predict what they did; what is newer or no folder is refused.

The folders in `tests/artefacts` were written by the code of their time.
"""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtl_seq import FunnelEstimator
from mtl_seq.errors import ArtifactError

STORED = Path(__file__).parents[2] / "artefacts"
FOLDERS = sorted(path.name for path in STORED.iterdir() if path.is_dir())
SCORES = ["pctr", "pcvr", "pctcvr"]


def test_every_format_so_far_is_stored():
    formats = [
        json.loads((STORED / name / "estimator.json").read_text(encoding="utf-8"))["format"]
        for name in FOLDERS
    ]
    assert sorted(set(formats)) == list(range(1, max(formats) + 1))
    assert formats.count(1) == 2


@pytest.mark.parametrize("name", FOLDERS)
def test_an_older_folder_predicts_what_it_did(name):
    estimator = FunnelEstimator.load(STORED / name)
    stored = pd.DataFrame(json.loads((STORED / f"{name}.json").read_text(encoding="utf-8")))
    found = estimator.predict(stored.drop(columns=SCORES))
    np.testing.assert_allclose(found.to_numpy(), stored[SCORES].to_numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", FOLDERS)
def test_an_older_folder_saved_again_is_the_newest_format(name, tmp_path):
    estimator = FunnelEstimator.load(STORED / name)
    estimator.save(tmp_path / "again")
    stored = pd.DataFrame(json.loads((STORED / f"{name}.json").read_text(encoding="utf-8")))
    rows = stored.drop(columns=SCORES)
    pd.testing.assert_frame_equal(
        FunnelEstimator.load(tmp_path / "again").predict(rows), estimator.predict(rows)
    )


def test_the_first_folders_knew_no_target_encodings():
    encoding = FunnelEstimator.load(STORED / "estimator-format-1-first").encoding
    assert (encoding.min_count, encoding.impute, encoding.target_encoding) == (1, None, None)


@pytest.mark.parametrize("file", ["estimator.json", "codec.json"])
def test_a_newer_folder_says_so(file, tmp_path):
    folder = tmp_path / "newer"
    shutil.copytree(STORED / "estimator-format-2", folder)
    content = json.loads((folder / file).read_text(encoding="utf-8"))
    (folder / file).write_text(json.dumps({**content, "format": 99}), encoding="utf-8")
    with pytest.raises(ArtifactError, match=f"{file} has format 99, .*update mtl_seq"):
        FunnelEstimator.load(folder)


class _Trap:
    """What a pickle would run."""

    def __reduce__(self):
        return (Path.touch, (Path("sprung"),))


@pytest.mark.parametrize("file", ["estimator.json", "codec.json", "model.safetensors"])
def test_a_pickle_in_the_place_of_a_file_is_refused_and_not_run(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(STORED / "estimator-format-2", "model")
    Path("model", file).write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(ArtifactError, match=file.split(".")[0] if "json" in file else "weights"):
        FunnelEstimator.load("model")
    assert not Path("sprung").exists()


def test_a_pickle_as_a_model_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model.pkl").write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(ArtifactError, match="pickles and checkpoints of other tools are not read"):
        FunnelEstimator.load("model.pkl")
    assert not Path("sprung").exists()


@pytest.mark.parametrize("file", ["estimator.json", "codec.json", "model.safetensors"])
def test_a_torn_file_is_an_error_that_names_it(file, tmp_path):
    shutil.copytree(STORED / "estimator-format-2", tmp_path / "model")
    content = (tmp_path / "model" / file).read_bytes()
    (tmp_path / "model" / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError, match=str(tmp_path / "model")):
        FunnelEstimator.load(tmp_path / "model")
