"""The tables of docs/dependence.md are those of the kept results, and what it says holds."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "dependence.md").read_text(encoding="utf-8")
NAMES = ("bias", "quality", "evidence", "nothing hidden", "coverage", "policy", "ways", "trained")


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("dependence_page")


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_are_those_of_the_kept_results(page, name):
    table = page.tables()[name]
    assert table.count("\n") >= 2
    assert f"<!-- {name} -->\n\n{table}\n" in TEXT


def test_every_table_of_the_page_is_held(page):
    assert set(NAMES) == set(page.tables())
    assert TEXT.count("<!-- ") == len(NAMES)


def test_the_verdicts_are_as_the_thresholds_say(page):
    for cell in page.cells_of("dependence.json"):
        if cell["method"] == "esmm_dependent":
            error = cell["standard error"]
            expected = "not identified"
            if error is not None:
                expected = "identified" if error <= 0.2 else "weak" if error <= 1 else expected
            assert cell["verdict"] == expected


def test_without_a_position_effect_the_figures_are_the_controls(page):
    found = page.cells_of("dependence.json")
    cells = [cell for cell in found if cell.get("verdict") == "not identified"]
    assert cells
    for cell in cells:
        own, control = cell["relative bias, all"], cell["multitask"]["relative bias, all"]
        assert own == pytest.approx(control, abs=2e-5)


def runs(page, simulator, rate, effect):
    return [
        cell
        for cell in page.cells_of("dependence.json")
        if cell["method"] == "esmm_dependent"
        and (cell["scenario"], cell["rate"], cell["effect"]) == (simulator, rate, effect)
    ]


def mean(cells, *path):
    found = []
    for cell in cells:
        for name in path:
            cell = cell[name]
        found.append(cell)
    return sum(found) / len(found)


@pytest.mark.parametrize("scenario", ["mnar", "hidden"])
def test_the_mean_is_as_near_as_the_page_says(page, simulator):
    bias = "relative bias, all"
    for rate, effect, seeds, limit in (
        ("CTR 20%", "full", 10, 0.05),
        ("CTR 20%", "half", 10, 0.05),
        ("CTR 20%", "quarter", 10, 0.15),
        ("CTR 4%", "full", 3, 0.15),
    ):
        cells = runs(page, simulator, rate, effect)
        assert len(cells) == seeds
        assert abs(mean(cells, bias)) <= limit
        assert mean(cells, "log loss, all") < mean(cells, "multitask", "log loss, all")
    assert mean(runs(page, simulator, "CTR 4%", "full"), "multitask", bias) > 1
    assert [c["verdict"] for c in runs(page, simulator, "CTR 20%", "full")] == ["identified"] * 10
    off = sum(abs(cell[bias]) > 0.15 for cell in runs(page, simulator, "CTR 4%", "full"))
    assert off == (simulator == "hidden")


def test_where_nothing_is_hidden_it_costs_what_the_page_says(page):
    for simulator, rejects in (("dense", range(5)), ("cvr_blind", range(8, 9))):
        cells = runs(page, simulator, "CTR 20%", "full")
        assert len(cells) == 50
        assert sum(abs(cell["t"]) > 1.96 for cell in cells) in rejects
        shrunk, own = (
            [abs(c[k]["relative bias, all"]) for c in cells] for k in ("shrunk", "multitask")
        )
        assert sum(shrunk) <= sum(own)
        loss = "log loss, all"
        assert mean(cells, "shrunk", loss) <= 1.001 * mean(cells, "multitask", loss)
