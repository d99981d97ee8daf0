"""Studies of simulated scenarios run at a small size, and their summaries count right."""

import numpy as np
import pytest

from benchmarks.lib.metrics import Pair
from benchmarks.lib.results_store import read
from benchmarks.simulated import (
    bias_by_scenario,
    bias_by_scenario_map,
    cart_stage,
    dependence,
    dependence_coverage,
    dependence_policy,
    dependence_summary,
    dependence_variants,
    estimators,
    parameters,
    selection_bias,
)


def ran(module, folder, *more):
    """Cells of a run of one seed."""
    out, figure = folder / "found.jsonl.gz", folder / "found.png"
    given = ["--seeds", "1", "--out", str(out), "--figure", str(figure), *more]
    assert module.main(given) == 0
    assert figure.stat().st_size > 5_000
    return read(out).cells


def few(monkeypatch, module, *methods):
    monkeypatch.setattr(module, "METHODS", {name: module.METHODS[name] for name in methods})


def test_bias_by_scenario_runs(tmp_path, monkeypatch):
    few(monkeypatch, bias_by_scenario, "click_space", "esmm", "oracle")
    given = ["--scale", "0.04", "--scenarios", "dense", "hidden", "--rhos", "-0.4"]
    cells = ran(bias_by_scenario, tmp_path, *given)
    assert len(cells) == 2 * 3
    ceiling = {cell["scenario"]: cell["relative bias of P(r | x, click), all"] for cell in cells}
    assert ceiling["dense"] == 0
    # Against the observed selection, a hidden confounder raises the CVR among clicks.
    assert ceiling["hidden"] > 0.2


def records(losses):
    """One scenario; losses by method, one per seed."""
    return [
        {"seed": seed, "scenario": "dense", "rho": 0.4, "method": method, "log loss, all": loss}
        | {"relative bias, all": 0.1, "relative bias of P(r | x, click), all": 0.0}
        for method, found in losses.items()
        for seed, loss in enumerate(found)
    ]


def test_the_map_names_the_leaders_and_where_there_is_no_gap():
    place, new_map = ("dense", 0.4), bias_by_scenario_map.BiasMap
    losses = {
        "click_space": [0.5, 0.6],
        "multitask": [0.46, 0.559],
        "esmm": [0.45, 0.55],
        "oracle": [0.4, 0.5],
    }
    found = new_map(records(losses))
    assert found.closed(place, "esmm") == pytest.approx(0.5)
    assert found.closed(place, "oracle") == pytest.approx(1)
    assert found.leaders(place) == ["esmm"]
    near = new_map(records({**losses, "multitask": [0.44, 0.562]}))
    assert near.leaders(place) == ["esmm", "multitask"]
    # A gap of two seeds that contradict each other is none.
    assert np.isnan(new_map(records({**losses, "oracle": [0.3, 0.7]})).closed(place, "esmm"))
    # Two contestants within noise are all of them; one seed is no evidence.
    assert found.leaders_text(place) == "esmm"
    assert near.leaders_text(place) == "all"
    alone = new_map(records({method: losses[method][:1] for method in losses}))
    assert alone.leaders_text(place) == "esmm (one seed)"
    assert alone.seeds_text == "1 seed"
    assert found.seeds_text == "2 seeds"
    # Over the correlations: how far above the oracle, by seed.
    above = found.over_rhos("dense", "log loss, all", "esmm", "oracle")
    assert above == pytest.approx(Pair(0.05, 0, 2), abs=1e-12)


def test_the_cart_study_runs_and_hides_the_cart(tmp_path, monkeypatch):
    monkeypatch.setattr(cart_stage, "ENCODINGS", {"raw ids": cart_stage.ENCODINGS["raw ids"]})
    cells = ran(cart_stage, tmp_path, "--scale", "0.04", "--rates", "0.1")
    assert {cell["method"] for cell in cells} == {"esm2", "esmm", "multitask", "oracle"}
    assert 0 < cells[0]["purchases by the cart"] < cells[0]["purchases"] < cells[0]["carts"]
    schema = cart_stage.drawn(0.1, 0, 4_800, 4_000).scenario.schema
    hidden = cart_stage.without_the_cart(schema)
    assert "cart" in schema.labels
    assert "cart" not in hidden.labels
    assert (hidden.ids, hidden.dense) == (schema.ids, schema.dense)


def test_the_kept_dependence_is_whole_and_its_verdicts_follow_from_the_errors():
    cells = read("dependence").cells
    known = {dependence.Cell(*(c[f] for f in dependence.Cell._fields)) for c in cells}
    assert known == set(dependence.planned())
    for cell in cells:
        if cell["method"] != dependence_summary.OURS:
            continue
        error, verdict = cell["standard error"], "not identified"
        if error is not None:
            verdict = "identified" if error <= 0.2 else "weak" if error <= 1 else verdict
        assert cell["verdict"] == verdict
        if verdict == "not identified":
            bias = "relative bias, all"
            assert cell[bias] == pytest.approx(cell["multitask"][bias], abs=2e-5)


def test_every_cell_of_a_dependence_is_fitted_with_its_method(monkeypatch):
    monkeypatch.setattr(dependence, "RATES", {"CTR 20%": ({}, 3_000, 2_000)})
    cell = dependence.Cell("mnar", "CTR 20%", "full", 0, dependence.OURS)
    found = dependence.fit(cell)
    assert set(found["multitask"]) == set(found["shrunk"]) - {"lambda"}
    control = dependence.fit(cell._replace(method="esmm"))
    assert set(control) == {*found["multitask"], "seconds"}
    assert found["relative bias of P(r | x, click), all"] > 0.5


def test_coverage_is_counted_by_lambda():
    cells = [
        {"true": 1.5, "lambda": 1.5 + off, "standard error": 0.1, "t": t}
        for off, t in ((0.1, 16.0), (0.2, 17.0), (-0.1, 1.0), (0.0, 15.0))
    ]
    found = dependence_coverage.summary([*cells, {**cells[0], "true": 0.0}], 1.5)
    assert found["replicates"] == 4
    assert found["coverage"] == 0.75
    assert found["rejects"] == 0.75
    assert found["mean"] == pytest.approx(1.55)
    assert dependence_coverage.fit(dependence_coverage.Cell(0, 1.5))["lambda"] == pytest.approx(
        1.5, abs=0.6
    )


def test_a_position_chosen_by_a_hidden_quality_misleads_the_moment():
    kept = read("dependence_policy").cells
    assert dependence_policy.case(seen=True, chosen=True) == pytest.approx(kept[1])
    assert dependence_policy.case(seen=False, chosen=True) == pytest.approx(kept[3])
    assert abs(kept[3]["relative bias with"]) > abs(kept[3]["relative bias without"])


def test_variants_leave_out_item_features_where_they_say_so():
    cell = dependence_variants.Cell("policy", "ranked, items left out")
    found = dependence_variants.fit(cell, scale=0.02)
    assert np.isfinite(found["log loss, all"])
    assert "relative bias of the base, all" in found
    known = {(c["scenario"], c["variant"]) for c in read("dependence_variants").cells}
    assert known == set(dependence_variants.planned())


def test_kept_estimators_are_as_near_to_their_formulas_as_is_asked():
    for study in read("estimators").metadata["studies"].values():
        assert study["farthest_mc_errors"] <= estimators.ERRORS
    row = {"bias": -1e-9, "truth": 0.5}
    assert estimators.percent(row, "bias", "+.1f") == "+0.0"


def test_without_hidden_features_clicks_teach_the_truth():
    dense = selection_bias.measured("dense", 5_000, seed=0)
    assert dense["relative bias over all impressions"]["learned on clicks"] == 0
    blind = selection_bias.measured("cvr_blind", 20_000, seed=0)
    bias = blind["relative bias over all impressions"]
    assert bias["learned on clicks"] > 0.15
    assert abs(bias["learned on weighted clicks"]) < 0.03


def test_rates_of_a_named_scenario_are_those_of_its_draw():
    found = parameters.rates("dense", 50_000)
    kept = next(c for c in read("scenarios").cells if c["scenario"] == "dense")
    assert found["CTR"] == pytest.approx(kept["CTR"], abs=0.01)
    assert set(found) | {"scenario"} == set(kept)
