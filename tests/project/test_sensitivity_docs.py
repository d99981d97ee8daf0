"""The figures of docs/sensitivity.md are those of the kept result."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sensitivity.md").read_text(encoding="utf-8")
KEPT = json.loads((ROOT / "benchmarks" / "results" / "sensitivity.json").read_text())["scenarios"]


def cells(scenario):
    own = KEPT[scenario]
    spans = [*own["ranges"].values(), own["worst"]]
    return [
        f"{own['true_mean_cvr']:.1%}",
        *(f"{mean:.1%}" for mean in own["mean_pcvr"].values()),
        f"{own['psi_of_the_true_mean_from_the_truth']:.2f}",
        f"{own['mean_at_the_true_psi']:.1%}",
        *(f"{low:.1%} to {high:.1%}" for low, high in spans),
    ]


@pytest.mark.parametrize("scenario", KEPT)
def test_the_table_is_that_of_the_kept_result(scenario):
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{scenario}`")]
    assert line.endswith(" | " + " | ".join(cells(scenario)) + " |")


@pytest.mark.parametrize("scenario", KEPT)
def test_how_far_the_curve_is_from_the_truth_is_stated(scenario):
    own = KEPT[scenario]
    off = own["mean_at_the_true_psi"] / own["true_mean_cvr"] - 1
    said = " ".join(PAGE[PAGE.index("up to the model's own error") :].split())
    assert f"{off:.0%} in `{scenario}`" in said


def test_which_ranges_hold_the_truth_is_as_stated():
    def held(scenario):
        own = KEPT[scenario]
        return {
            g for g, (low, high) in own["ranges"].items() if low <= own["true_mean_cvr"] <= high
        }

    assert held("dense") == {"1.5", "2", "3"}
    assert held("hidden") == {"3"}
    assert held("mnar") == set()
    for own in KEPT.values():
        assert own["worst"][0] <= own["true_mean_cvr"] <= own["worst"][1]
