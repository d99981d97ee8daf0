"""The leaderboard's bookkeeping, on cells whose standings are known."""

import importlib
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
METHODS = [
    "click_space",
    "multitask",
    "esmm",
    "escm2_ips",
    "ddpo",
    "aitm",
    "lambda_ranker",
    "oracle",
]
SCENARIOS = ["dense", "hidden"]
LOSS = {
    "dense": {
        "click_space": 0.50, "multitask": 0.44, "esmm": 0.45, "escm2_ips": 0.46,
        "ddpo": 0.45, "aitm": 0.70, "oracle": 0.40,
    },
    "hidden": {
        "click_space": 0.60, "multitask": 0.58, "esmm": 0.59, "escm2_ips": 0.52,
        "ddpo": 0.45, "aitm": 0.70, "oracle": 0.50,
    },
}  # fmt: skip


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    module = importlib.import_module("leaderboard")
    cells = importlib.import_module("methods")
    monkeypatch.setattr(module, "BEST", 1)
    module.fitted = []

    def fit(cell, rows, test_rows):
        seed, scenario, method = cell
        module.fitted.append(cell)
        if method == "lambda_ranker":
            return {"AUC, all": 0.6, "seconds": 1.0}
        loss = LOSS[scenario][method] + 0.01 * seed
        return {
            "AUC, all": 1 - loss, "AUC, clicks": 0.6, "log loss, all": loss,
            "relative bias, all": loss - 0.4, "relative bias, clicks": 0.0, "seconds": 1.0,
        }  # fmt: skip

    monkeypatch.setattr(cells, "fit_and_measure", fit)
    return module


def run(bench, folder, *more):
    files = [
        *("--cells", str(folder / "cells.json"), "--out", str(folder / "board.json")),
        *("--page", str(folder / "board.html")),
    ]
    sizes = ["--rows", "300", "--test-rows", "200", "--seeds", "2", "--final-seeds", "4"]
    chosen = ["--scenarios", *SCENARIOS, "--methods", *METHODS]
    assert bench.main([*sizes, *chosen, *files, *more]) == 0
    return json.loads((folder / "board.json").read_text())


def test_standings_are_by_mean_regret_to_the_best_of_each_scenario(bench, tmp_path):
    made = run(bench, tmp_path)
    table = {row["method"]: row for row in made["standings"]}
    # The oracle competes with nobody, a ranker has no log loss, and what scales pCVR in every scenario
    # is right in `hidden` by accident.
    assert list(table) == ["escm2_ips", "multitask", "esmm", "click_space", "aitm"]
    # More seeds, each of which is worse than the one before, count against nobody.
    assert table["escm2_ips"]["mean regret"] == pytest.approx((0.02 + 0) / 2)
    assert table["multitask"]["mean regret"] == pytest.approx((0 + 0.06) / 2)
    assert table["multitask"]["worst in"] == "hidden"
    assert table["escm2_ips"]["worse than the control in"] == 1
    assert table["esmm"]["worse than the control in"] == 2
    cell = next(
        row
        for row in made["by scenario"]
        if (row["scenario"], row["method"]) == ("hidden", "escm2_ips")
    )
    assert cell["gap closed"] == pytest.approx((0.60 - 0.52) / (0.60 - 0.50))
    assert cell["rank"] == 1
    assert made["cells left"] == 0


def test_finalists_get_more_seeds_and_nothing_is_fitted_twice(bench, tmp_path):
    made = run(bench, tmp_path)
    assert len(bench.fitted) == len(set(bench.fitted))
    seeds = {(row["scenario"], row["method"]): row["seeds"] for row in made["by scenario"]}
    assert seeds["dense", "esmm"] == seeds["hidden", "multitask"] == 4
    assert seeds["dense", "escm2_ips"] == seeds["dense", "oracle"] == 4
    assert seeds["dense", "lambda_ranker"] == seeds["hidden", "aitm"] == 2
    count = len(bench.fitted)
    assert run(bench, tmp_path) == made
    assert len(bench.fitted) == count


def test_it_says_where_to_start_and_when_to_change(bench, tmp_path):
    said = run(bench, tmp_path)["conclusions"]
    assert said[0].startswith(
        "Start with escm2_ips: its mean regret in log loss, 10.00 thousandths of a nat,"
    )
    assert said[1] == "The control has 30.00 thousandths of a nat."
    assert said[2] == "Within noise of it in every scenario: none."
    assert said[3] == (
        "dense: change to multitask, which is ahead of it by 20.00 thousandths of a nat and closes "
        "60% of the gap between naive and oracle to 40%."
    )
    assert said[4] == (
        "Nobody is ahead of it by more than noise, all comparisons counted, in: hidden."
    )
    assert said[-1] == "Nowhere worse than the control by more than noise: none."
    html = (tmp_path / "board.html").read_text()
    assert "Start with escm2_ips" in html
    assert "http" not in html


def test_to_change_is_advised_only_where_all_comparisons_counted_it_is_no_chance(bench):
    table = importlib.import_module("leaderboard_table")
    noise = [-0.001, 0.0, 0.001]
    lead = {"dense": {"a": 0.0, "b": -0.003}, "hidden": {"a": 0.0, "b": 0.01}}
    cells = [
        {
            "scenario": simulator, "method": method, "seed": seed, "AUC, all": 0.7,
            "log loss, all": 0.5 + value + (shift if method == "b" else 0.0),
            "relative bias, all": 0.0, "seconds": 1.0,
        }
        for simulator, values in lead.items()
        for method, value in [*values.items(), ("multitask", 0.02)]
        for seed, shift in enumerate(noise)
    ]  # fmt: skip
    overall, by_scenario = table.standings(cells, bench.summarise(cells))
    assert list(overall.index) == ["a", "b", "multitask"]
    # .003 with a standard error of .001 / sqrt(3), two degrees of freedom: t = 5.2, within 95%
    # (4.3), and not so once three more comparisons are counted (8.9).
    said = table.conclusions(cells, overall, by_scenario)
    assert (
        "Nobody is ahead of it by more than noise, all comparisons counted, in: dense; hidden."
        in said
    )
    assert table._paired(table._losses(cells), "dense", "a", "b")[1] < 0.003


def test_cells_of_another_result_are_taken_over(bench, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    made = run(bench, first)
    bench.fitted.clear()
    again = run(bench, second, "--reuse", str(first / "cells.json"))
    assert bench.fitted == []
    assert again["standings"] == made["standings"]


def test_a_table_of_what_is_there_runs_nothing(bench, tmp_path):
    out = tmp_path / "board.json"
    assert bench.main(["--table", "--cells", str(tmp_path / "cells.json"), "--out", str(out)]) == 0
    assert bench.fitted == []
    assert not out.exists()


def test_pages_state_what_was_kept(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    made = importlib.import_module("leaderboard_page")
    pages = importlib.import_module("pages")
    for name, blocks in made.figures(made.read_kept()).items():
        text = (FOLDER.parent / name).read_text(encoding="utf-8")
        assert pages.filled(text, blocks) == text
    html = (FOLDER.parent / "docs" / "leaderboard.html").read_text(encoding="utf-8")
    assert importlib.import_module("leaderboard_html").page(made.read_kept()) == html


def test_what_the_decision_page_says_without_a_figure_is_so():
    kept = json.loads((FOLDER / "results" / "leaderboard.json").read_text(encoding="utf-8"))
    found = {row["method"]: row for row in kept["standings"]}
    every = {(row["scenario"], row["method"]): row for row in kept["by scenario"]}
    simulators = list(kept["scenarios"])
    assert kept["scenarios"] == "14 of 14"
    assert kept["cells left"] == 0
    finalists = ("click_space", "multitask", "esmm", "oracle", "default")
    assert all(
        every[simulator, name]["seeds"] == 10 for simulator in simulators for name in finalists
    )
    assert next(iter(found)) == "default"
    assert found["default"]["worse than the control in"] == 0
    nobody = next(line for line in kept["conclusions"] if line.startswith("Nobody is ahead of it"))
    assert all(simulator in nobody for simulator in simulators)
    half = "minus control, half width"
    weighted = ("escm2_ips", "ips", "snips", "multi_ipw", "escm2_dr", "multi_dr", "dr_jl", "mrdr")
    for name in (*weighted, "dcmt"):
        assert 0.68 < every["cvr_blind", name]["gap closed"] < 0.82
        low = every["low_overlap", name]
        if name in ("ips", "dcmt"):
            assert low[half] < low["minus control"]
            assert 0.0015 < low["minus control"] < 0.0045
        else:
            assert found[name]["worse than the control in"] == 0
            assert low["seeds"] == 3
    bias = {name: every["cvr_blind", name]["mean |relative bias|"] for name in finalists}
    assert 0.22 < bias["multitask"] < 0.28
    assert 0.04 < bias["default"] < 0.06
    apart = [w for w in simulators if abs(every[w, "default"]["minus control"]) > 0.002]
    assert apart == ["cvr_blind"]
    gaps = {w: every[w, "esmm"] for w in simulators}
    assert found["esmm"]["worse than the control in"] == 7
    assert found["esmm"]["worst in"] == "ctr_blind"
    ahead = [row["minus control"] for row in gaps.values() if row["minus control"] < -row[half]]
    assert len(ahead) == 2
    assert min(ahead) > -0.001
    for simulator in ("hidden", "mnar"):
        assert max(every[simulator, name]["gap closed"] for name in found) < 0.1
    parts = [sum(every[w, name]["regret"] for w in ("mnar", "low_overlap")) for name in weighted]
    wholes = [len(simulators) * found[name]["mean regret"] for name in weighted]
    assert sum(parts) > sum(wholes) / 2
