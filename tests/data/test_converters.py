"""What holds for every converter, on a generated log in its raw layout."""

import pandas as pd
import pytest
from dataset_scripts import DATASETS, converted, script

from mtl_seq import Codec, Schema

NAMES = sorted(path.parent.name for path in DATASETS.glob("*/convert.py"))


@pytest.fixture(scope="module", params=NAMES)
def run(request, tmp_path_factory):
    """Name of the dataset, and the folder with what its converter made of its sample."""
    folder = tmp_path_factory.mktemp(request.param)
    script(request.param, "sample").write_sample(folder / "raw")
    converted(request.param, folder / "raw", folder / "out")
    return request.param, folder / "out"


def test_every_dataset_has_its_files():
    assert len(NAMES) == 9
    for name in NAMES:
        files = {path.name for path in (DATASETS / name).iterdir()}
        assert {"CARD.md", "schema.json", "convert.py", "sample.py"} <= files


def test_labels_obey_the_funnel_and_are_no_features(run):
    _, out = run
    frames = {path.stem: pd.read_parquet(path) for path in out.glob("*.parquet")}
    schemas = [Schema.from_json(path) for path in out.glob("schema*.json")]
    assert frames
    assert schemas
    for schema in schemas:
        for frame in frames.values():
            assert not set(schema.features) & set(schema.labels.values())
            for column in schema.labels.values():
                assert set(frame[column].unique()) <= {0, 1}
            for stage, parent in schema.funnel.parents().items():
                assert (frame[schema.labels[stage]] <= frame[schema.labels[parent]]).all()


def test_schema_and_columns_agree_so_that_rows_can_be_encoded(run):
    _, out = run
    frames = [pd.read_parquet(path) for path in sorted(out.glob("*.parquet"))]
    for path in out.glob("schema*.json"):
        schema = Schema.from_json(path)
        codec = Codec.fit(schema, frames[0], impute="mean")
        for frame in frames:
            batch = codec.encode(frame)
            assert batch.labels.stages.shape == (len(frame), len(schema.labels))
        # What was fitted is known again: nothing of the fitted rows is the unseen.
        fitted = codec.encode(frames[0])
        assert all((fitted.features[column] > 0).all() for column in schema.ids)


def test_an_empty_folder_is_one_line_and_exit_code_2(run, tmp_path, capsys):
    name, _ = run
    assert script(name, "convert").main([str(tmp_path), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no file ")
    assert error.count("\n") == 1
    assert not list(tmp_path.rglob("*.parquet"))


def test_the_card_says_what_a_reader_must_know(run):
    name, _ = run
    card = (DATASETS / name / "CARD.md").read_text(encoding="utf-8")
    assert "| Source |" in card
    assert "is in this repository" in card
    assert f"python datasets/{name}/convert.py RAW OUT" in card
    assert "## Traps" in card or "## What to beware of" in card
