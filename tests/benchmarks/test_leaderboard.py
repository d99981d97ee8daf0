"""The leaderboard's standings and conclusions on cells whose standings are known."""

import numpy as np
import pytest

from benchmarks.leaderboard import claims, default, epochs, families, methods, run, standings
from benchmarks.leaderboard.summary import SCALING, summarise
from benchmarks.lib.results_store import read
from mtl_seq import models
from mtl_seq.errors import DataError

METHODS = ["click_space", "multitask", "esmm", "escm2_ips", "ddpo", "aitm", "lambda_ranker"]
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
def fitted(monkeypatch):
    """The cells that were fitted, with losses that are known."""
    done = []

    def fit(cell, **_):
        done.append(cell)
        if cell.method == "lambda_ranker":
            return {"AUC, all": 0.6, "seconds": 1.0}
        loss = LOSS[cell.scenario][cell.method] + 0.01 * cell.seed
        return {
            "AUC, all": 1 - loss, "AUC, clicks": 0.6, "log loss, all": loss,
            "relative bias, all": loss - 0.4, "relative bias, clicks": 0.0, "seconds": 1.0,
        }  # fmt: skip

    monkeypatch.setattr(methods, "fit_and_measure", fit)
    monkeypatch.setattr(run, "BEST", 1)
    return done


def fit_board(folder, *more):
    out = folder / "board.jsonl.gz"
    sizes = ["--rows", "300", "--test-rows", "200", "--seeds", "2", "--final-seeds", "4"]
    chosen = ["--scenarios", *LOSS, "--methods", *METHODS, "oracle"]
    assert run.main([*sizes, *chosen, "--out", str(out), *more]) == 0
    return standings.board(read(out).cells)


def test_standings_are_by_mean_regret_to_the_best_of_each_scenario(fitted, tmp_path):
    board = fit_board(tmp_path)
    table = board.overall
    # The oracle is no contestant, a ranker has no log loss, and what only rescales pCVR is right in
    # `hidden` by accident.
    assert list(table.index) == ["escm2_ips", "multitask", "esmm", "click_space", "aitm"]
    # More seeds, each of which is worse than the one before, are no disadvantage.
    assert table.loc["escm2_ips", "mean regret"] == pytest.approx((0.02 + 0) / 2)
    assert table.loc["multitask", "mean regret"] == pytest.approx((0 + 0.06) / 2)
    assert table.loc["multitask", "worst in"] == "hidden"
    assert table["worse than the control in"].to_dict() == {
        "escm2_ips": 1, "multitask": 0, "esmm": 2, "click_space": 2, "aitm": 2,
    }  # fmt: skip
    cell = board.by_scenario.loc[("hidden", "escm2_ips")]
    assert cell["gap closed"] == pytest.approx((0.60 - 0.52) / (0.60 - 0.50))
    assert cell["rank"] == 1
    assert board.absent == {
        "ddpo": "only rescales pCVR: where it is right is an accident",
        "lambda_ranker": "an order and no probability",
    }
    assert board.methods[:5] == list(table.index)
    assert board.scenarios == list(LOSS)


def test_finalists_get_more_seeds_and_nothing_is_fitted_twice(fitted, tmp_path):
    seeds = fit_board(tmp_path).seeds
    assert len(fitted) == len(set(fitted))
    finalists = {"click_space", "multitask", "esmm", "escm2_ips", "oracle"}
    assert {name for name, count in seeds.items() if count == 4} == finalists
    assert {name for name, count in seeds.items() if count == 2} == {*METHODS} - finalists
    count = len(fitted)
    fit_board(tmp_path)
    assert len(fitted) == count
    (tmp_path / "other").mkdir()
    fit_board(tmp_path / "other", "--reuse", str(tmp_path / "board.jsonl.gz"))
    assert len(fitted) == count


def test_it_says_where_to_start_and_when_to_change(fitted, tmp_path):
    text = fit_board(tmp_path).conclusions
    assert text[0].startswith(
        "Start with escm2_ips: its mean regret in log loss, 10.00 thousandths of a nat,"
    )
    assert text[1] == "The control has 30.00 thousandths of a nat."
    assert text[2] == "Within noise of it in every scenario: none."
    assert text[3] == (
        "dense: change to multitask, which is ahead of it by 20.00 thousandths of a nat and closes "
        "60% of the gap between naive and oracle to 40%."
    )
    assert text[4] == "No method is significantly ahead of it (Bonferroni) in: hidden."
    assert text[-1] == "Nowhere worse than the control by more than noise: none."


def test_a_change_is_advised_only_where_it_is_significant_after_bonferroni_correction():
    noise = [-0.001, 0.0, 0.001]
    lead = {"dense": {"a": 0.0, "b": -0.003}, "hidden": {"a": 0.0, "b": 0.01}}
    cells = [
        {
            "scenario": scenario, "method": method, "seed": seed, "AUC, all": 0.7,
            "log loss, all": 0.5 + value + (shift if method == "b" else 0.0),
            "relative bias, all": 0.0, "seconds": 1.0,
        }
        for scenario, values in lead.items()
        for method, value in [*values.items(), ("multitask", 0.02)]
        for seed, shift in enumerate(noise)
    ]  # fmt: skip
    board = standings.board(cells)
    assert list(board.overall.index) == ["a", "b", "multitask"]
    # .003 with a standard error of .001 / sqrt(3), two degrees of freedom: t = 5.2, within 95%
    # (4.3), and not so once three more comparisons are counted (8.9).
    assert (
        "No method is significantly ahead of it (Bonferroni) in: dense; hidden."
        in board.conclusions
    )
    gap = standings._gap(standings._losses(cells)["dense"], "a", "b")
    assert gap.half_width() < 0.003 < gap.half_width(0.05 / 4)


def test_a_table_of_nothing_fits_nothing(fitted, tmp_path, capsys):
    assert run.main(["--table", "--out", str(tmp_path / "none.jsonl.gz")]) == 0
    assert fitted == []
    assert "no finished cell yet" in capsys.readouterr().out


def test_the_kept_leaderboard_has_every_method_in_every_scenario():
    kept = read("leaderboard")
    cells = {tuple(cell[name] for name in methods.Cell._fields) for cell in kept.cells}
    scenarios = {cell[1] for cell in cells}
    assert set(run.planned(3, sorted(scenarios), methods.METHODS)) <= cells
    assert len(scenarios) == 14


def test_the_kept_methods_have_three_seeds_everywhere():
    table = summarise(read("methods").cells)
    expected = {(scenario, name) for scenario in methods.SCENARIOS for name in methods.METHODS}
    assert set(table.index) == expected
    assert set(table["seeds"]) == {3}
    assert "errors" not in table


def test_methods_are_all_named_models_but_the_controls_other_bottoms():
    assert set(methods.ALL) - set(methods.METHODS) == set(methods.BOTTOMS)
    assert set(methods.METHODS) - set(methods.ALL) == set(methods.OPTIONS)
    assert set(SCALING) <= set(methods.METHODS)
    assert methods.METHODS["oracle"] is models.oracle
    assert list(methods.METHODS)[-1] == "oracle"


def records(losses, biases=(0.3, 0.4)):
    return [
        {"seed": seed, "scenario": "dense", "method": method, "log loss, all": loss}
        | {"relative bias, all": biases[seed % 2], "AUC, all": 0.6}
        for method, found in losses.items()
        for seed, loss in enumerate(found)
    ]


def test_a_summary_has_means_spread_and_the_gap():
    losses = {"click_space": (0.5, 0.501), "esmm": (0.45, 0.451), "oracle": (0.4, 0.401)}
    table = summarise(records(losses)).loc["dense"]
    assert table.loc["esmm", "relative bias, all"] == pytest.approx(0.35)
    assert table.loc["esmm", "sd of relative bias"] == pytest.approx(0.1 / np.sqrt(2))
    assert table["gap closed"].to_dict() == pytest.approx(
        {"click_space": 0, "esmm": 0.5, "oracle": 1}
    )
    assert list(table["seeds"]) == [2, 2, 2]


def test_a_gap_within_its_error_is_undefined():
    losses = {"click_space": (0.3, 0.5, 0.7), "oracle": (0.49, 0.49, 0.49)}
    assert summarise(records(losses))["gap closed"].isna().all()


def test_a_study_of_methods_draws_its_figure_and_rankers_have_none(fitted, tmp_path, capsys):
    out, figure = tmp_path / "m.jsonl.gz", tmp_path / "m.png"
    given = ["--seeds", "1", "--scenarios", "dense", "--out", str(out), "--figure", str(figure)]
    assert methods.main([*given, "--methods", "lambda_ranker"]) == 0
    assert "0.6000" in capsys.readouterr().out
    assert not figure.exists()
    assert methods.main([*given, "--methods", "click_space", "esmm"]) == 0
    assert figure.stat().st_size > 5_000
    assert len(fitted) == len(read(out).cells) == 3


def test_the_default_is_fitted_in_its_scenario(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(default, "METHODS", ("targeted", "oracle"))
    out = tmp_path / "found.jsonl.gz"
    given = ["--scale", "0.015", "--seeds", "1", "--out", str(out)]
    assert default.main(given) == 0
    found = {cell["method"]: cell for cell in read(out).cells}
    assert {cell["scenario"] for cell in found.values()} == {default.NEGATIVE}
    assert {cell["seed"] for cell in found.values()} == {2}
    # Where the user drives click and conversion against each other, clicks convert less.
    assert found["oracle"]["relative bias of P(r | x, click), all"] == 0
    assert found["targeted"]["log loss, all"] > 0


def test_goals_are_compared_with_the_metrics():
    """Metrics that are known: reached, missed, and worse than the control."""
    bias = {"click_space": 0.3, "multitask": 0.28, "esmm": 0.3, "targeted": 0.04, "oracle": 0.0}
    loss = {"click_space": 0.5, "multitask": 0.49, "esmm": 0.5, "targeted": 0.42, "oracle": 0.4}
    cells = [
        {
            "scenario": scenario, "method": method, "seed": seed, "AUC, all": 0.6,
            "CTCVR AUC, all": 0.7, default.LOSS: loss[method] + 0.001 * seed,
            "relative bias, all": bias[method] + 0.01 * seed * (3 if method == "esmm" else 1),
        }
        for scenario in default.GOALS
        for method in default.METHODS
        for seed in range(3)
    ]  # fmt: skip
    found = {goal: result for goal, *result in default.goals_of_scenarios(cells)}
    assert found["cvr_blind, rho .8: mean abs. bias at most 5%"] == ["5.0%", True]
    assert found["cvr_blind, rho .8: at least 75% of the gap"] == ["80%", True]
    assert found["low_overlap: spread of the bias half of ESMM's"] == ["1.0% against 3.0%", True]
    for cell in cells:
        if cell["scenario"] == "low_overlap" and cell["method"] == "targeted":
            cell[default.LOSS] += 0.1
    gaps = default.against("multitask", cells)
    assert [s for s, gap in gaps.items() if gap.mean > gap.half_width()] == ["low_overlap"]


def test_the_kept_default_is_whole_and_on_seeds_that_it_was_not_chosen_on():
    cells = {tuple(c[f] for f in methods.Cell._fields) for c in read("default").cells}
    assert cells == set(default.planned(5))
    assert {cell["seed"] for cell in default.judged()} == {2, 3, 4, 5, 6}
    assert not [cell for cell in default.judged() if "error" in cell]


def test_the_claims_hold_in_the_kept_result():
    found = claims.ratios(claims.by_model())
    assert all(found[name] <= limit for name, limit in claims.CLAIMS.items())


def test_a_rule_makes_at_least_its_steps_and_one_epoch():
    assert epochs.epochs_for(400, 50_000) == 2
    assert epochs.epochs_for(100, 10_000) == 3
    assert epochs.epochs_for(100, 100_000) == 1


def test_regret_is_to_the_best_of_each_log(monkeypatch):
    monkeypatch.setattr(epochs, "TRIED", {50_000: (1, 2)})
    monkeypatch.setattr(epochs, "STEPS", (400, 100))
    cells = [
        {"seed": seed, "scenario": "dense", "rows": 50_000, "epochs": count}
        | dict.fromkeys(epochs.LOSSES, loss)
        for seed, losses in enumerate([(0.5, 0.6), (0.5, 0.4)])
        for count, loss in zip((1, 2), losses, strict=True)
    ]
    found = epochs.rules(cells).loc["50,000, CTR"]
    assert found["400 steps"] == "50.00 ± 50.00 (2)"
    assert found["100 steps"] == "50.00 ± 50.00 (1)"


def test_100_steps_lose_no_more_than_400_in_the_kept_result():
    regret = epochs.rules(read("epochs").cells).map(lambda text: float(text.split()[0]))
    assert (regret["100 steps"] <= regret["400 steps"]).all()


def test_epochs_are_fitted(monkeypatch, tmp_path):
    monkeypatch.setattr(epochs, "TRIED", {2_000: (1, 2)})
    monkeypatch.setattr(epochs, "SCENARIOS", ("dense",))
    out = tmp_path / "epochs.jsonl.gz"
    assert epochs.main(["--seeds", "1", "--out", str(out)]) == 0
    cells = read(out).cells
    assert [cell["epochs"] for cell in cells] == [1, 2]
    for cell in cells:
        assert 0 < cell["CTR log loss, all"] < 2
        assert 1 <= cell["epoch kept"] <= cell["epochs"]


def test_families_are_fitted_and_the_kept_result_is_whole(monkeypatch):
    kept = {families.Cell(*(c[f] for f in families.Cell._fields)) for c in read("families").cells}
    assert kept == {*families.planned(0), *families.planned(1)}
    monkeypatch.setattr(families, "TEST_ROWS", 2_000)
    cells = [
        families.Cell(0, "calibration", "dense", "esmm", "shift"),
        families.Cell(0, "ranking", "dense", "lambda_ranker"),
        families.Cell(0, "weighted clicks", "dense", "beta 4", "normalised"),
        families.Cell(0, "balance", "dense", "esmm", "DWA, 100 steps"),
    ]
    calibrated, ranked, weighted, balanced = (families.fit(cell, 6_000) for cell in cells)
    assert set(calibrated) < set(balanced)
    assert set(ranked) < set(weighted)
    assert weighted["k"] > 1


def test_too_few_rows_for_one_method_do_not_stop_the_others(fitted, tmp_path, monkeypatch):
    fit = methods.fit_and_measure

    def fail(cell, **settings):
        if (cell.scenario, cell.method, cell.seed) == ("hidden", "esmm", 1):
            raise DataError("too few rows")
        return fit(cell, **settings)

    monkeypatch.setattr(methods, "fit_and_measure", fail)
    board = fit_board(tmp_path)
    failed = [cell for cell in read(tmp_path / "board.jsonl.gz").cells if "error" in cell]
    assert [(cell["scenario"], cell["method"], cell["seed"]) for cell in failed] == [
        ("hidden", "esmm", 1)
    ]
    assert board.overall.loc["esmm", "mean regret"] > 0
