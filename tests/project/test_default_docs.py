"""docs/default.md states what benchmarks/leaderboard/default.py has kept; the study runs at a small size."""

import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch):
    """Loads a script of `benchmarks/`, whose neighbours it imports by name."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def test_figures_are_those_that_were_kept(bench):
    page = bench("default_page")
    text = page.PAGE.read_text(encoding="utf-8")
    assert importlib.import_module("pages").filled(text, page.figures(page.read_kept())) == text


def test_what_was_not_measured_is_said_to_be_so(bench):
    page = bench("default_page")
    found = page.figures({"default": None, "leaderboard": None})
    marks = set(re.findall(r"<!-- (\w+) -->", page.PAGE.read_text(encoding="utf-8"))) - {"end"}
    assert set(found) == marks
    assert all(block.startswith("*Not measured yet") for block in found.values())


def test_the_result_is_whole(bench):
    study, page = bench("default"), bench("default_page")
    kept = page.read_kept()["default"]
    cells = {study.Cell(*(cell[name] for name in study.Cell._fields)) for cell in kept["cells"]}
    assert cells == set(study.planned(5))
    assert not [cell for cell in kept["cells"] if "error" in cell]
    assert min(cell.seed for cell in cells) == 2


def test_what_is_said_without_a_figure_is_so(bench):
    page = bench("default_page")
    table = page.summarise(page.records_of(page.read_kept()["default"]))
    off = table["|relative bias|, all"]
    for simulator in ("cvr_blind, rho .8", "cvr_blind, rho -.8"):
        assert 0.05 < off[simulator, "default"] < 0.06
    sparse = "sparse, rho .8"
    assert off[sparse, "default"] / off[sparse, "multitask"] == pytest.approx(0.5, abs=0.05)
    assert table["AUC, all"][sparse, "default"] == pytest.approx(
        table["AUC, all"][sparse, "multitask"], abs=0.003
    )
    gap = page.against("multitask", page.records_of(page.read_kept()["default"])).loc["low_overlap"]
    assert abs(gap["gap"]) < gap["half"]
    assert abs(off["low_overlap", "default"] - off["low_overlap", "multitask"]) < 0.05


def test_a_cell_is_fitted_in_its_scenario_and_kept_once(bench, tmp_path, monkeypatch, capsys):
    study = bench("default")
    monkeypatch.setattr(study, "GOALS", {"cvr_blind, rho -.8": ("cvr_blind", {"rho": -0.8})})
    monkeypatch.setattr(study, "METHODS", ("default", "oracle"))
    small = ["--rows", "3000", "--test-rows", "2000", "--seeds", "1"]
    given = [*small, "--out", str(tmp_path / "found.json")]
    assert study.main(given) == 0
    kept = json.loads((tmp_path / "found.json").read_text())
    found = {(cell["scenario"], cell["method"]): cell for cell in kept["cells"]}
    assert len(found) == len(kept["cells"]) == 2
    # Where the user drives click and conversion against each other, clicks convert less.
    assert found["cvr_blind, rho -.8", "oracle"]["relative bias of P(r | x, click), all"] == 0
    assert found["cvr_blind, rho -.8", "default"]["log loss, all"] > 0
    capsys.readouterr()
    assert study.main(given) == 0
    assert capsys.readouterr().out == ""


def test_goals_are_held_to_the_figures(bench):
    """A scenario whose figures are known: reached, missed, and worse than the control."""
    page = bench("default_page")
    bias = {"click_space": 0.3, "multitask": 0.28, "esmm": 0.3, "default": 0.04, "oracle": 0.0}
    loss = {"click_space": 0.5, "multitask": 0.49, "esmm": 0.5, "default": 0.42, "oracle": 0.4}
    cells = [
        {
            "scenario": simulator, "method": method, "seed": seed, "AUC, all": 0.6,
            "CTCVR AUC, all": 0.7, page.LOSS: loss[method] + 0.001 * seed,
            page.BIAS: bias[method] + 0.01 * seed * (3 if method == "esmm" else 1),
        }
        for simulator in page.GOALS
        for method in page.METHODS
        for seed in range(3)
    ]  # fmt: skip
    found = {goal: (said, reached) for goal, said, reached in page._of_scenarios(cells)}
    assert found["cvr_blind, rho .8: mean abs. bias at most 5%"] == ("5.0%", True)
    assert found["cvr_blind, rho .8: at least 75% of the gap"] == ("80%", True)
    assert found["low_overlap: spread of the bias half of ESMM's"] == ("1.0% against 3.0%", True)
    for cell in cells:
        if cell["scenario"] == "low_overlap" and cell["method"] == "default":
            cell[page.LOSS] += 0.1
    gaps = page.against("multitask", cells)
    assert list(gaps.index[gaps["gap"] > gaps["half"]]) == ["low_overlap"]
