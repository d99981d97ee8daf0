"""A test for hidden selection in a report."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mtl_seq import BiasReport, Schema
from mtl_seq.errors import ArtifactError
from mtl_seq.functional import mean_odds_ratio_cvr
from mtl_seq.records import Scores, SelectionTest
from mtl_seq.report.compute.selection import (
    read_selection_test,
    selection_test_from_dict,
    selection_under,
)
from mtl_seq.report.compute.serialise import to_json
from mtl_seq.report.render.formatting import format_percent
from mtl_seq.report.render.headline import headline, selection_lines, selection_test_lines
from mtl_seq.report.render.page import sections

SURE = SelectionTest(1.2, 0.1, 11.0, "identified", 300.0, "declared uniform")
WEAK = SelectionTest(0.5, 0.4, 1.2, "weak", 20.0, "estimated from user_id")
NONE = SelectionTest(math.nan, math.nan, -0.3, "not identified", 1.1, "declared uniform")
RNG = np.random.default_rng(0)
P = RNG.uniform(0.05, 0.4, 300)
KNOWN = Scores(P, P * 0.3, P * RNG.uniform(0.05, 0.5, 300))


def at(log_psi):
    return float(mean_odds_ratio_cvr(KNOWN.pctr, KNOWN.pctcvr, math.exp(log_psi)))


def test_an_identified_lambda_gives_a_mean_and_its_interval():
    found = selection_under(SURE, KNOWN)
    assert found.mean == pytest.approx(at(1.2))
    assert found.low == pytest.approx(at(1.2 + 1.6448536 * 0.1))
    assert found.high == pytest.approx(at(1.2 - 1.6448536 * 0.1))
    assert f"at that lambda: {format_percent(found.mean)} " in selection_lines(found)[-1]


def test_a_weak_one_gives_an_interval_and_no_mean():
    found = selection_under(WEAK, KNOWN)
    assert math.isnan(found.mean)
    assert found.low < at(0.5) < found.high
    assert "too uncertain for a point estimate" in selection_lines(found)[-1]


def test_without_identification_the_range_is_an_assumption():
    found = selection_under(NONE, KNOWN)
    assert math.isnan(found.mean)
    assert (found.low, found.high) == pytest.approx((at(math.log(3)), at(-math.log(3))))
    assert "does not identify lambda" in selection_lines(found)[-1]
    assert "has no estimate" in selection_test_lines(NONE)[0]


def test_the_p_value_is_not_the_verdict():
    lines = selection_test_lines(SelectionTest(0.05, 0.08, 0.6, "identified"))
    assert lines[0].endswith("identified.")
    assert "p = 0.549; not rejected at the 5% level" in lines[1]
    assert "p < 0.001; rejected at the 5% level" in selection_test_lines(SURE)[1]


@pytest.mark.parametrize("test", [SURE, WEAK, NONE])
def test_the_record_survives_json(test, tmp_path):
    path = tmp_path / "test.json"
    path.write_text(json.dumps(to_json(test), allow_nan=False))
    again = read_selection_test(path)
    assert str(again) == str(test)


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "test.json"
    path.write_text("[1, 2]")
    with pytest.raises(ArtifactError, match="test-confounding --json"):
        read_selection_test(path)
    path.write_text("{")
    with pytest.raises(ArtifactError, match="no JSON"):
        read_selection_test(path)
    with pytest.raises(ArtifactError, match="must hold"):
        selection_test_from_dict({"log_odds_ratio": 1.0})


@pytest.fixture(scope="module")
def report():
    click = (RNG.random(300) < P).astype(int)
    conversion = click * (RNG.random(300) < 0.4)
    log = pd.DataFrame({"user_id": np.arange(300) // 3, "click": click, "conversion": conversion})
    schema = Schema(
        labels={"click": "click", "conversion": "conversion"}, ids=["user_id"], group="user_id"
    )
    scores = {"esmm": pd.DataFrame(KNOWN._asdict(), index=log.index)}
    return BiasReport.from_log(scores, log, schema=schema, selection=WEAK, replicates=10)


def test_the_report_prints_it_and_keeps_it(report, tmp_path):
    said = selection_lines(report.selection)
    assert set(said) <= set(headline(report))
    section = next(one for one in sections(report) if one.key == "selection")
    assert section.blocks == said
    report.to_json(tmp_path / "report.json")
    again = BiasReport.from_json(tmp_path / "report.json")
    assert again.selection.test == WEAK
    assert again.selection.low == report.selection.low


def test_without_one_there_is_no_section(report):
    bare = replace(report, selection=None)
    assert all(one.key != "selection" for one in sections(bare))
