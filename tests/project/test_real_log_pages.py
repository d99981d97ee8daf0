"""docs/kuairand.md, coat.md and census.md state what their benchmarks have kept."""

import importlib
import json
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("kuairand_page", "coat_page", "census_page")


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.mark.parametrize("name", PAGES)
def test_figures_are_those_that_were_kept(bench, name):
    page = bench(name)
    text = page.PAGE.read_text(encoding="utf-8")
    kept = json.loads(page.RESULT.read_text(encoding="utf-8"))
    assert importlib.import_module("pages").filled(text, page.figures(kept)) == text


def test_the_readme_states_the_same(bench):
    page = bench("kuairand_page")
    text = page.README.read_text(encoding="utf-8")
    kept = json.loads(page.RESULT.read_text(encoding="utf-8"))
    assert importlib.import_module("pages").filled(text, page.in_short(kept)) == text


def test_tuned_is_what_the_inner_split_prefers(bench):
    page, study = bench("kuairand_page"), bench("kuairand")
    cells = pd.DataFrame(json.loads(page.RESULT.read_text(encoding="utf-8"))["cells"])
    inner = cells[(cells["part"] == study.INNER) & (cells["model"] == study.CONTROL)]
    loss = inner["CTR log loss, all"] + inner["CTCVR log loss, all"]
    found = loss.groupby(inner["settings"]).mean()
    assert set(found.index) == set(study.TRIED)
    assert found.idxmin() == study.CHOSEN


def test_every_cell_that_was_tested_has_the_settings_that_were_chosen(bench):
    page, study = bench("kuairand_page"), bench("kuairand")
    records = json.loads(page.RESULT.read_text(encoding="utf-8"))["cells"]
    cells = {study.Cell(*(r[name] for name in study.Cell._fields)): r for r in records}
    tested = [cell for cell in cells if cell.part == study.TEST and cell.model in study.PEERS]
    assert {cell.model for cell in tested} == set(study.PEERS)
    for cell in tested:
        assert cell.settings == study.chosen(cells, cell.conversion, cell.model), cell


def cell(model, seed, area, pcoc, settings="defaults"):
    found = {"part": "test", "conversion": "long_view", "model": model, "settings": settings}
    found["seed"] = seed
    for name, space in (("CTR", "all"), ("CVR", "clicks"), ("CTCVR", "all")):
        found |= {f"{name} AUC, {space}": area, f"{name} PCOC, {space}": pcoc}
        found[f"{name} log loss, {space}"] = 0.5
    return found


def test_a_goal_is_held_to_mean_and_spread(bench, monkeypatch):
    page = bench("kuairand_page")
    monkeypatch.setattr(page, "GOALS", {"long_view": ((0.72, 0.72, 0.75), 0.05)})
    content = {"cells": [cell("esmm", 0, 0.72, 0.9), cell("esmm", 1, 0.74, 1.14)]}
    found = page.goals(content, "esmm").set_index("goal")["reached"]
    assert found["CTR AUC, all above 0.7200"]
    assert not found["CTCVR AUC, all above 0.7500"]
    assert found["CTR PCOC, all within 5% of 1"]
    assert not found["CTR PCOC, all, spread over seeds under 0.1"]
    assert page.goals(content, "default") is None
    assert "Not run yet: default" in page.verdicts(content, ["default"])
    lines = page.verdicts(content, ["default", "esmm"]).splitlines()
    assert lines[0] == "| goal | `esmm` |"
    assert "| long_view: CTCVR AUC, all above 0.7500 | 0.7300 **missed** |" in lines
    assert "| long_view: CTR AUC, all above 0.7200 | 0.7300 |" in lines


def test_the_best_of_a_column_is_bold_and_a_single_fit_has_no_spread(bench):
    page = bench("kuairand_page")
    content = {
        "cells": [
            cell("esmm", 0, 0.70, 1),
            cell("esmm", 1, 0.72, 1),
            cell("logistic regression", 0, 0.69, 1, "C 0.1 / C 0.3"),
        ]
    }
    assert page.areas(content, "long_view").splitlines()[2:] == [
        "| `esmm` | **0.7100 ± 0.0141** | **0.7100 ± 0.0141** | **0.7100 ± 0.0141** |",
        "| logistic regression | 0.6900 | 0.6900 | 0.6900 |",
    ]


def test_the_sampling_error_of_an_area_is_that_of_draws(bench):
    """Two normals a standard deviation apart, 60 positives and 80 negatives."""
    import numpy as np

    page = bench("kuairand_page")
    rng = np.random.default_rng(0)
    positives, negatives = (
        rng.standard_normal((4000, 60, 1)) + 1,
        rng.standard_normal((4000, 1, 80)),
    )
    areas = (positives > negatives).mean((1, 2))
    # The formula takes exponentials; for normals it is known to be a few percent off.
    expected = np.std(areas)
    assert page.sampling_error(float(np.mean(areas)), 60, 80) == pytest.approx(expected, rel=0.06)


def test_census_differences_are_of_the_same_seeds(bench):
    page = bench("census_page")
    kept = json.loads(page.RESULT.read_text(encoding="utf-8"))
    cells = pd.DataFrame(kept["cells"])
    cells = cells[(cells["features"] == "all") & (cells["seed"] != page.TUNING_SEED)]
    areas = cells.pivot(index="structure", columns="seed", values="AUC, income")
    gap = (areas.loc["MMoE"] - areas.loc["shared bottom"]).dropna()
    (row,) = [r for r in kept["rows"] if (r["features"], r["structure"]) == ("all", "MMoE")]
    assert row["AUC, income, minus shared bottom"] == pytest.approx(gap.mean(), abs=1e-5)
    assert len(gap) == kept["settings"]["seeds"]
