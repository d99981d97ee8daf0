"""The page on large logs states kept figures."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "large_logs.md").read_text(encoding="utf-8")


def test_its_figures_are_the_kept_results():
    place = ROOT / "benchmarks" / "large_logs_table.py"
    spec = importlib.util.spec_from_file_location("large_logs_table", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.table(*module.kept()) in PAGE
