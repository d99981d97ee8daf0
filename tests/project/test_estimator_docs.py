"""The figures of docs/estimators.md are those of the kept result."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "estimators.md").read_text(encoding="utf-8")
KEPT = json.loads((ROOT / "benchmarks" / "results" / "estimators.json").read_text())["scenarios"]


def found(simulator):
    keys = ("estimand", "estimator", "propensity", "imputation")
    return {tuple(row[key] for key in keys): row for row in KEPT[simulator]["rows"]}


def share(row, column, form):
    return f"{round(100 * row[column] / row['truth'], 1) + 0.0:{form}}"


def figures(row):
    return [share(row, "bias", "+.1f"), share(row, "sd", ".1f"), share(row, "rmse", ".1f")]


def line(cells):
    return "| " + " | ".join(cells) + " |"


def test_every_row_of_the_dense_scenario_stands_there():
    rows = found("dense")
    for (estimand, *choice), row in rows.items():
        if estimand == "log loss":
            other = rows["mean CVR", *choice]
            assert line([*choice, *figures(row), *figures(other)]) in PAGE


def test_the_floors_of_the_scenario_with_little_overlap_stand_there():
    rows, below = (
        found("little overlap"),
        KEPT["little overlap"]["metadata"]["share of impressions below"],
    )
    for propensity in ("true", *(f"true, at least {floor}" for floor in below), "learned"):
        floor = propensity.removeprefix("true, at least ")
        clipped = f"{below[floor]:.0%}" if floor in below else ""
        both = [figures(rows["mean CVR", name, propensity, ""]) for name in ("IPS", "SNIPS")]
        assert line([propensity, clipped, *both[0], *both[1]]) in PAGE


@pytest.mark.parametrize(
    ("scenario", "key", "column", "form"),
    [
        ("little overlap", ("mean CVR", "naive", "", ""), "bias", "+.1f"),
        ("little overlap", ("mean CVR", "IPS", "true", ""), "analytic_sd", ".1f"),
        ("little overlap", ("mean CVR", "IPS", "true", ""), "sd", ".1f"),
        ("hidden", ("mean CVR", "naive", "", ""), "bias", ".1f"),
        ("hidden", ("mean CVR", "DR", "true", "true CVR"), "bias", ".1f"),
        ("hidden", ("mean CVR", "IPS", "p^0.7", ""), "bias", "+.1f"),
        ("hidden", ("log loss", "IPS", "p^0.7", ""), "bias", "+.1f"),
    ],
)
def test_what_the_text_says_is_so(simulator, key, column, form):
    assert f"{share(found(simulator)[key], column, form)}%" in PAGE


def test_the_distance_from_the_formulas_is_stated():
    said = [f"{KEPT[simulator]['farthest_mc_errors']}" for simulator in ("dense", "little overlap")]
    assert f"{said[0]}, {said[1]} and {KEPT['hidden']['farthest_mc_errors']} Monte" in PAGE
