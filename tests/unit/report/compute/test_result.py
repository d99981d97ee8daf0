"""A report survives its JSON, to the last digit."""

import json

import pytest
from unit.report.reports import ALL, known, observed

from mtl_seq import BiasReport
from mtl_seq.errors import ArtifactError, DataError


@pytest.mark.parametrize("kind", ALL)
def test_what_was_written_is_read_again(kind, tmp_path):
    report = ALL[kind]()
    report.to_json(tmp_path / "r.json")
    again = BiasReport.from_json(tmp_path / "r.json")
    assert again.to_dict() == report.to_dict()
    assert again.table.equals(report.table)
    for frame in ("metrics", "differences", "segments", "reliability"):
        old, new = getattr(report, frame), getattr(again, frame)
        assert list(old) == list(new)
        assert old.dtypes.equals(new.dtypes)
        numbers = [c for c in old if old[c].dtype.kind in "if"]
        assert (old[numbers].to_numpy() == new[numbers].to_numpy())[old[numbers].notna()].all()


def test_the_page_can_be_drawn_from_the_file(tmp_path):
    report = observed()
    report.to_json(tmp_path / "r.json")
    BiasReport.from_json(tmp_path / "r.json").to_html(tmp_path / "again.html")
    report.to_html(tmp_path / "report.html")
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "report.html").read_bytes()


def test_the_file_is_strict_json_with_its_kind_and_version(tmp_path):
    known().to_json(tmp_path / "r.json")
    text = (tmp_path / "r.json").read_text()
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (read["kind"], read["format"]) == ("mtl_seq.bias_report", 1)


def test_a_changed_report_keeps_its_changes(tmp_path):
    report = known().compared_to(known())
    report.to_json(tmp_path / "r.json")
    again = BiasReport.from_json(tmp_path / "r.json")
    assert again.changes.metrics["change"].eq(0).sum() > 10
    assert again.to_dict() == report.to_dict()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", 2, "has format 2, this version reads 1 to 1"),
        ("kind", "other", "must be of kind"),
    ],
)
def test_other_files_are_refused(field, value, message, tmp_path):
    known().to_json(tmp_path / "r.json")
    content = json.loads((tmp_path / "r.json").read_text()) | {field: value}
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=message):
        BiasReport.from_json(tmp_path / "r.json")


def test_a_report_from_a_log_is_not_compared_with_one_against_the_truth():
    with pytest.raises(DataError, match="must be of the same kind"):
        known().compared_to(observed())
