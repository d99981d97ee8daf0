"""benchmarks/leaderboard/epochs.py at a small size, and the table of docs/training.md."""

import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("passes")


def test_a_rule_makes_at_least_its_steps_and_one_pass(bench):
    assert bench.passes_of(400, 50_000) == 2
    assert bench.passes_of(100, 10_000) == 3
    assert bench.passes_of(100, 100_000) == 1


def test_regret_is_to_the_best_of_each_log(bench, monkeypatch):
    monkeypatch.setattr(bench, "TRIED", {50_000: (1, 2)})
    monkeypatch.setattr(bench, "STEPS", (400, 100))
    records = [
        {"seed": seed, "scenario": "dense", "rows": 50_000, "passes": passes}
        | dict.fromkeys(bench.FIGURES, loss)
        for seed, losses in enumerate([(0.5, 0.6), (0.5, 0.4)])
        for passes, loss in zip((1, 2), losses, strict=True)
    ]
    found = bench.rules(records).loc[(50_000, bench.FIGURES[0])]
    assert found["400 steps"] == "50.00 ± 50.00 (2)"
    assert found["100 steps"] == "50.00 ± 50.00 (1)"


def test_it_runs_and_goes_on_where_it_stopped(bench, monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "TRIED", {2_000: (1, 2)})
    monkeypatch.setattr(bench, "WORLDS", ("dense",))
    out = tmp_path / "passes.json"
    arguments = ["--seeds", "2", "--out", str(out)]
    assert bench.main(arguments) == 0
    first = json.loads(out.read_text())
    assert len(first["cells"]) == 4
    for cell in first["cells"]:
        assert 0 < cell["CTR log loss, all"] < 2
        assert 1 <= cell["pass kept"] <= cell["passes"]

    def never(*_, **__):
        raise AssertionError("a finished fit was fitted again")

    monkeypatch.setattr(bench, "fit", never)
    assert bench.main(arguments) == 0


def test_the_table_of_the_page_is_that_of_the_kept_result(bench):
    records = importlib.import_module("study").records_of(bench.RESULT)
    text = bench.PAGE.read_text(encoding="utf-8")
    assert f"<!-- passes -->\n{bench.table(records)}\n<!-- end -->" in text
    found = bench.rules(records)
    regret = found.map(lambda said: float(said.split()[0]))
    # 100 steps lose less than 400 by every figure of a log below 100,000 rows, or as much.
    assert (regret["100 steps"] <= regret["400 steps"]).all()
