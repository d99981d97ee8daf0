"""docs/speed.md states what benchmarks/performance/training.py and speed_quality.py have kept."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("speed_markdown")


def test_figures_are_those_that_were_kept(page):
    text = page.PAGE.read_text(encoding="utf-8")
    assert importlib.import_module("pages").filled(text, page.figures(page.read_kept())) == text


def test_what_was_not_measured_is_said_to_be_so(page):
    found = page.figures({"speed": None, "speed_quality": None})
    marks = set(re.findall(r"<!-- (\w+) -->", page.PAGE.read_text(encoding="utf-8"))) - {"end"}
    assert set(found) == marks
    assert all(block.startswith("*Not measured yet: `python bench") for block in found.values())


def test_a_difference_and_a_verdict_are_stated_by_scenario(page):
    line = {
        "scenario": "dense",
        "precision": "float32",
        "figure": "AUC, CTR, all",
        "standard error": 0.001,
    }
    rows = [
        line | {"optimiser": "dense Adam", "better by": 0.0, "as good": True},
        line | {"optimiser": "row-wise Adam", "better by": 0.0005, "as good": True},
        line | {"optimiser": "row-wise Adagrad", "better by": -0.02, "as good": False},
    ]
    assert page.compared({"compared": rows}).splitlines() == [
        "| `dense` | AUC, CTR, all |",
        "|---|---|",
        "| row-wise Adam, float32 | +0.00050 ± 0.00100 |",
        "| row-wise Adagrad, float32 | -0.02000 ± 0.00100 **worse** |",
    ]


def test_every_cell_that_the_quality_table_compares_is_kept(page):
    quality = page.read_kept()["speed_quality"] or {"compared": []}
    for line in quality["compared"]:
        head = f"{line['simulator']} | {line['optimiser']} | {line['precision']} | {line['rate']} |"
        values = [
            cell[line["figure"]]
            for name, cell in quality["cells"].items()
            if name.startswith(head) and not name.endswith(f"| {quality['tuning seed']}")
        ]
        assert len(values) >= line["seeds"]
        assert sum(values) / len(values) == pytest.approx(line["value"], abs=1e-5)


def test_a_page_without_a_mark_is_refused(page):
    with pytest.raises(ValueError, match="no mark 'goals'"):
        importlib.import_module("pages").filled("<!-- parts -->\n<!-- end -->\n", {"goals": ""})
