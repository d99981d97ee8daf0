"""Studies of simulated scenarios run at a small size, go on where they stopped, and count right."""

import argparse
import importlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtl_seq import FeatureSpec
from mtl_seq.errors import DataError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch):
    """Loads a script of `benchmarks/`, whose neighbours it imports by name."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def ran(module, folder, *more):
    """A run of one seed; its result."""
    out, figure = folder / "found.json", folder / "found.png"
    given = ["--seeds", "1", "--out", str(out), "--figure", str(figure), *more]
    assert module.main(given) == 0
    assert figure.stat().st_size > 5_000
    return json.loads(out.read_text())


def few(monkeypatch, module, *methods):
    monkeypatch.setattr(module, "METHODS", {name: module.METHODS[name] for name in methods})


def test_the_esmm_paper_runs_and_all_methods_share_one_pctr(bench, tmp_path, monkeypatch):
    study = bench("esmm_paper")
    few(monkeypatch, study, "BASE", "ESMM")
    given = ["--scale", "0.02", "--scenarios", "sparse"]
    first = ran(study, tmp_path, *given)
    assert first["settings"]["rows"] == {"sparse": 4_000, "aliccp": 10_000}
    base, esmm = first["cells"]
    assert (base["method"], esmm["method"]) == ("BASE", "ESMM")
    # The common pCTR is that of BASE itself, and of nobody else.
    assert base["CTCVR AUC, common pCTR, all"] == base["CTCVR AUC, all"]
    assert esmm["CTCVR AUC, common pCTR, all"] != esmm["CTCVR AUC, all"]
    assert base["conversions"] == esmm["conversions"] > 0
    # A cell that is fitted on its own later is the same: BASE is fitted again for its pCTR.
    out = tmp_path / "found.json"
    out.write_text(json.dumps({**first, "cells": [base]}))
    study.base_scores.cache_clear()
    study.drawn.cache_clear()
    _, again = ran(study, tmp_path, *given)["cells"]
    assert {**again, "seconds": 0} == {**esmm, "seconds": 0}

    def never(*_):
        raise AssertionError("a finished cell was fitted again")

    monkeypatch.setattr(study, "scores_of", never)
    ran(study, tmp_path, *given)
    with pytest.raises(SystemExit, match="move it away"):
        ran(study, tmp_path, "--scale", "0.03", "--scenarios", "sparse")


def test_the_papers_form_shares_embeddings_and_nothing_else(bench):
    """ESMM and the control share tables; BASE and ESMM-NS not even those; the rest is alike."""
    study = bench("esmm_paper")
    spec = FeatureSpec(ids={"user": 50, "item": 30}, dense=("price",))

    def parts(method):
        named = study.METHODS[method](spec, seed=0).network.named_parameters()
        tables, rest = [], 0
        for name, values in named:
            if "tables" in name:
                tables.append(tuple(values.shape))
            else:
                rest += values.numel()
        return tables, rest

    table = (50 + 30, 16)
    _, rest = parts("BASE")
    for method in study.METHODS:
        shared = method in ("ESMM", "control", "oracle")
        assert parts(method) == ([table] * (1 if shared else 2), rest), method


def test_who_is_right_runs(bench, tmp_path, monkeypatch):
    study = bench("who_is_right")
    few(monkeypatch, study, "click_space", "esmm", "oracle")
    given = ["--scale", "0.04", "--scenarios", "dense", "hidden", "--rhos", "-0.4"]
    cells = ran(study, tmp_path, *given)["cells"]
    assert len(cells) == 2 * 3
    ceiling = {cell["scenario"]: cell["relative bias of P(r | x, click), all"] for cell in cells}
    assert ceiling["dense"] == 0
    # Against the selection that is seen, something hidden raises the CVR among clicks.
    assert ceiling["hidden"] > 0.2


def test_the_cart_study_runs_and_hides_the_cart(bench, tmp_path, monkeypatch):
    study = bench("esm2_cart")
    few(monkeypatch, study, "esm2", "esmm", "multitask", "oracle")
    monkeypatch.setattr(study, "ENCODINGS", {"raw ids": study.ENCODINGS["raw ids"]})
    cells = ran(study, tmp_path, "--scale", "0.04", "--rates", "0.1")["cells"]
    assert {cell["method"] for cell in cells} == {"esm2", "esmm", "multitask", "oracle"}
    assert 0 < cells[0]["purchases by the cart"] < cells[0]["purchases"] < cells[0]["carts"]
    simulator = study.drawn(0.1, 0, 4_800, 4_000).simulator
    hidden = study.without_the_cart(simulator.schema)
    assert "cart" in simulator.schema.labels
    assert "cart" not in hidden.labels
    assert (hidden.ids, hidden.dense) == (simulator.schema.ids, simulator.schema.dense)


def test_a_cell_with_too_few_rows_stops_nobody_and_an_interrupted_run_goes_on(bench, tmp_path):
    study, module = bench("study"), bench("who_is_right")
    cells = [module.Cell(seed, "dense", 0.4, "esmm") for seed in range(4)]
    out, fitted = tmp_path / "found.json", []

    def fit(cell):
        fitted.append(cell)
        if cell.seed == 1:
            raise DataError("too few rows")
        if cell.seed == 2 and len(fitted) == 3:
            raise KeyboardInterrupt
        return {"relative bias, all": 0.1, "AUC, all": float("nan")}

    given = argparse.Namespace(out=out, table=False)
    with pytest.raises(KeyboardInterrupt):
        study.finish(cells, fit, given, {"rows": 1}, "python it.py")
    assert json.loads(out.read_text())["command"] == "python it.py --seeds 2"
    records = study.finish(cells, fit, given, {"rows": 1}, "python it.py")
    assert [cell.seed for cell in fitted] == [0, 1, 2, 2, 3]
    assert [record.get("error") for record in records] == [None, "too few rows", None, None]
    assert records[0]["AUC, all"] is None


def test_differences_are_paired_and_one_seed_proves_nothing(bench):
    study = bench("study")
    index = pd.MultiIndex.from_product([["a", "b"], range(3)])
    figures = pd.Series([0.1, 0.2, 0.3, 0.2, 0.4, 0.6], index)
    pair = study.compared(figures, "b", "a")
    gaps = np.array([0.1, 0.2, 0.3])
    assert pair.said() == f"+0.2000 ± {gaps.std(ddof=1) / np.sqrt(3):.4f}"
    assert pair.apart()
    one = study.compared(figures[figures.index.get_level_values(1) == 0], "b", "a")
    assert one.said("+.1%") == "+10.0%"
    assert not one.apart()


def records_of(losses):
    """One scenario; losses by method, each a seed."""
    return [
        {"seed": seed, "scenario": "dense", "rho": 0.4, "method": method, "log loss, all": loss}
        | {"relative bias, all": 0.1, "relative bias of P(r | x, click), all": 0.0}
        for method, found in losses.items()
        for seed, loss in enumerate(found)
    ]


def test_the_map_says_who_is_right_and_where_there_is_no_gap(bench):
    page, place = bench("who_is_right_page"), ("dense", 0.4)
    losses = {
        "click_space": [0.5, 0.6],
        "multitask": [0.46, 0.559],
        "esmm": [0.45, 0.55],
        "oracle": [0.4, 0.5],
    }
    found = page.Map(records_of(losses))
    assert found.closed(place, "esmm") == pytest.approx(0.5)
    assert found.closed(place, "oracle") == pytest.approx(1)
    assert found.leaders(place) == ["esmm"]
    near = page.Map(records_of({**losses, "multitask": [0.44, 0.562]}))
    assert near.leaders(place) == ["esmm", "multitask"]
    # A gap of two seeds that contradict each other is none.
    assert np.isnan(page.Map(records_of({**losses, "oracle": [0.3, 0.7]})).closed(place, "esmm"))
    # With two contestants that noise does not tell apart it is all of them; one seed tells nothing.
    assert page.first_of(found, place) == "esmm"
    assert page.first_of(near, place) == "all"
    alone = page.Map(records_of({method: losses[method][:1] for method in losses}))
    assert page.first_of(alone, place) == "esmm (one seed)"
    assert page.said_of_seeds(alone) == "1 seed"
    assert page.said_of_seeds(found) == "2 seeds"
    # Over the correlations: how far above the oracle, by seed.
    assert page.Map(records_of(losses)).over_rhos("dense", page.LOSS, "esmm", "oracle") == (
        pytest.approx(0.05),
        pytest.approx(0, abs=1e-12),
        2,
    )


def test_points_become_a_list(bench):
    text = bench("pages").bullets("a  point\n   of two lines", "x" * 60 + " " + "y" * 60)
    assert text == f"* a point of two lines\n* {'x' * 60}\n  {'y' * 60}"
