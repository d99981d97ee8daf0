"""`mtl-seq test-confounding`, and its result in a report."""

import json

import pandas as pd
import pytest

from mtl_seq import Schema
from mtl_seq.cli import main

SMALL = ["--set", "users=40", "--set", "items=20", "--set", "ctr=0.4", "--set", "cvr=0.3"]
POSITIONS = ['exposure={ policy = "uniform", slots = 3, position_effect = 2.0 }']


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("selection")
    arguments = ["simulate", "--scenario", "mnar", "--rows", "6000", "--out", str(folder)]
    assert main([*arguments, *SMALL, "--set", *POSITIONS, "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def command(simulator):
    return [
        "test-confounding",
        str(simulator / "log.parquet"),
        "--schema",
        str(simulator / "schema.json"),
    ]


def test_it_finds_a_positive_dependence(command, simulator, capsys):
    assert main([*command, "--level-share", "uniform", "--json"]) == 0
    printed = capsys.readouterr().out
    found = json.loads(printed)
    assert found["log_odds_ratio"] > 0.5
    assert found["t"] > 2
    assert found["strength"] > 10
    assert found["level_share"] == "declared uniform"
    (simulator / "test.json").write_text(printed)


def test_the_verdict_comes_first(command, capsys):
    assert main([*command, "--policy", "user_segment"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(".")[0] in {"IDENTIFIED", "WEAK", "NOT IDENTIFIED"}
    assert lines[1].startswith("Test of lambda = 0")
    assert any(line.startswith("P(level of the click-only features | x): ") for line in lines)


def test_a_report_includes_it(simulator, capsys):
    log = pd.read_parquet(simulator / "log.parquet")
    scores = pd.DataFrame({"pctr": 0.4, "pcvr": 0.3, "pctcvr": 0.12}, index=log.index)
    scores.to_parquet(simulator / "s.parquet")
    (simulator / "t.json").write_text(
        json.dumps(
            {"log_odds_ratio": 1.0, "standard_error": 0.1, "t": 9.0, "verdict": "identified"}
        )
    )
    arguments = ["evaluate", str(simulator / "log.parquet"), f"flat={simulator / 's.parquet'}"]
    arguments += [
        "--schema",
        str(simulator / "schema.json"),
        "--selection",
        str(simulator / "t.json"),
    ]
    assert main([*arguments, "--out", str(simulator / "report"), "--replicates", "5"]) == 0
    assert "at that lambda" in " ".join(capsys.readouterr().out.split())
    assert "at that lambda" in (simulator / "report" / "report.html").read_text()
    assert (
        main(
            [
                *arguments,
                "--out",
                str(simulator / "r2"),
                "--truth",
                str(simulator / "truth.parquet"),
            ]
        )
        == 2
    )
    assert "--selection" in capsys.readouterr().err


def test_without_a_click_only_feature_it_refers_to_the_sensitivity_analysis(
    command, simulator, tmp_path, capsys
):
    own = Schema.from_json(simulator / "schema.json").to_dict()
    Schema.from_dict({**own, "click_only": []}).to_json(tmp_path / "schema.json")
    assert main([*command[:3], str(tmp_path / "schema.json")]) == 2
    assert "mtl-seq sensitivity" in capsys.readouterr().err
