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
