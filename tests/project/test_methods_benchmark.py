"""The bookkeeping of benchmarks/leaderboard/methods.py: cells, parts, resumption, and what its table says."""

import importlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtl_seq import models
from mtl_seq.errors import DataError
from mtl_seq.records import FunnelTruth

FOLDER = Path(__file__).parents[2] / "benchmarks"
SMALL = ["--rows", "300", "--test-rows", "200", "--seeds", "2", "--scenarios", "dense", "hidden"]
METHODS = ["click_space", "esmm", "oracle"]
LOSS = {"click_space": 0.5, "esmm": 0.45, "oracle": 0.4}


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    module = importlib.import_module("methods")
    module.fitted = []

    def fit(cell, rows, test_rows):
        seed, scenario, method = cell
        module.fitted.append(cell)
        if (scenario, method) == ("hidden", "esmm") and seed == 1:
            raise DataError("too few rows")
        bias = {"click_space": 0.4, "esmm": 0.3, "oracle": 0.0}[method] + 0.1 * seed
        return {
            "AUC, all": 0.6,
            "AUC, clicks": 0.6,
            "log loss, all": LOSS[method] + 0.001 * seed,
            "relative bias, all": bias,
            "relative bias, clicks": float("nan"),
            "relative bias of P(r | x, click), all": 0.5,
            "seconds": 1.0,
        }

    monkeypatch.setattr(module, "fit_and_measure", fit)
    return module


def run(bench, folder, *more):
    out, figure = folder / "methods.json", folder / "methods.png"
    given = [*SMALL, "--methods", *METHODS, "--out", str(out), "--figure", str(figure)]
    assert bench.main([*given, *more]) == 0
    return out, figure


def cells(path):
    return json.loads(path.read_text())["cells"]


def test_every_cell_is_fitted_once_and_kept(bench, tmp_path):
    out, figure = run(bench, tmp_path)
    assert len(bench.fitted) == len(set(bench.fitted)) == len(cells(out)) == 2 * 2 * 3
    assert figure.stat().st_size > 0
    run(bench, tmp_path)
    assert len(bench.fitted) == 12
    assert set(tmp_path.iterdir()) == {out, figure}


def test_an_interrupted_run_goes_on_where_it_stopped(bench, tmp_path, monkeypatch):
    fit = bench.fit_and_measure

    def interrupted(cell, rows, test_rows):
        if len(bench.fitted) == 5:
            raise KeyboardInterrupt
        return fit(cell, rows, test_rows)

    monkeypatch.setattr(bench, "fit_and_measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(bench, tmp_path)
    monkeypatch.setattr(bench, "fit_and_measure", fit)
    out, _ = run(bench, tmp_path)
    assert len(bench.fitted) == len(set(bench.fitted)) == len(cells(out)) == 12


def test_parts_share_the_cells_and_the_last_one_merges(bench, tmp_path, capsys):
    out, _ = run(bench, tmp_path, "--part", "0/2")
    assert "6 cells are left to the other parts" in capsys.readouterr().out
    assert not out.exists()
    assert len(cells(tmp_path / "methods.part-0-of-2.json")) == 6
    run(bench, tmp_path, "--part", "1/2")
    assert len(bench.fitted) == len(set(bench.fitted)) == len(cells(out)) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["methods.json", "methods.png"]
    alone = tmp_path / "alone"
    alone.mkdir()
    assert cells(run(bench, alone)[0]) == cells(out)


def test_cells_of_other_settings_are_not_mixed_in(bench, tmp_path):
    run(bench, tmp_path)
    with pytest.raises(SystemExit, match=r"holds cells of .*'rows': 300"):
        run(bench, tmp_path, "--rows", "400")


def test_a_method_with_too_little_data_stops_nobody(bench, tmp_path, capsys):
    out, _ = run(bench, tmp_path)
    failed = [cell for cell in cells(out) if "error" in cell]
    assert [(c["seed"], c["scenario"], c["method"]) for c in failed] == [(1, "hidden", "esmm")]
    assert "hidden, esmm: too few rows" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["2/2", "0", "a/b", "-1/2"])
def test_a_part_that_is_none(bench, text):
    with pytest.raises(SystemExit):
        bench.main(["--part", text])


def test_the_table_has_means_spread_and_the_gap(bench, tmp_path):
    out, _ = run(bench, tmp_path)
    table = importlib.import_module("methods_table").summarise(cells(out))
    row = table.loc[("dense", "esmm")]
    assert row["relative bias, all"] == pytest.approx(0.35)
    assert row["sd of relative bias"] == pytest.approx(0.1 / np.sqrt(2))
    assert row["gap closed"] == pytest.approx(0.5)
    assert table.loc[("dense", "oracle"), "gap closed"] == pytest.approx(1)
    assert table.loc[("dense", "click_space"), "gap closed"] == pytest.approx(0)


def test_rankers_alone_have_an_order_and_nothing_else(bench, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "fit_and_measure", lambda *_: {"AUC, all": 0.55, "seconds": 1.0})
    out, figure = tmp_path / "r.json", tmp_path / "r.png"
    given = [*SMALL, "--methods", "pairwise_ranker", "--out", str(out), "--figure", str(figure)]
    assert bench.main(given) == 0
    assert "0.5500" in capsys.readouterr().out
    assert len(cells(out)) == 4
    assert not figure.exists()


def test_a_gap_within_its_error_is_undefined(bench):
    records = [
        {"seed": seed, "scenario": "dense", "method": method, "log loss, all": loss}
        | {"relative bias, all": 0.0}
        for seed in range(3)
        for method, loss in (("click_space", 0.5 + 0.2 * (seed - 1)), ("oracle", 0.49))
    ]
    table = importlib.import_module("methods_table").summarise(records)
    assert table["gap closed"].isna().all()


def verdicts_on(*, ips, dr, least, clicked):
    """What is said where ESMM's bias is -.6 and the hidden confounder's ceiling .5."""
    bench = importlib.import_module("methods_table")
    auc = dict(zip(("click_space", "esmm_ns", "esmm"), clicked, strict=True))
    biases = {"click_space": 0.5, "esmm_ns": 0.45, "esmm": -0.6, "aman": 0.0, "oracle": 0.01}
    records = [
        {
            "seed": 0,
            "scenario": scenario,
            "method": method,
            "AUC, clicks": auc.get(method, 0.6),
            "log loss, all": 0.4,
            "relative bias, all": bias,
            "relative bias of P(r | x, click), all": 0.5,
        }
        for scenario, more in (
            ("sparse", {}),
            ("cvr_blind", {"escm2_ips": ips, "escm2_dr": dr}),
            ("hidden", {"escm2_dr": least}),
        )
        for method, bias in {**biases, **more}.items()
    ]
    return bench.verdicts(bench.summarise(records))


def test_verdicts_are_drawn_from_the_figures(bench):
    good = verdicts_on(ips=0.29, dr=-0.19, least=-0.26, clicked=(0.60, 0.62, 0.64))
    assert len(good) == 4
    assert all(" holds:" in line for line in good)
    bad = verdicts_on(ips=-0.31, dr=0.21, least=0.24, clicked=(0.60, 0.64, 0.62))
    assert len(bad) == 4
    assert all(" does not hold:" in line for line in bad)
    # AMAN, which scales pCVR, and the oracle are not taken for a repair.
    assert "least has escm2_dr, 24.0%" in bad[-1]


def test_figures_are_those_of_the_truth(bench):
    rng = np.random.default_rng(0)
    p, q, hidden = rng.uniform(0.1, 0.4, 50), rng.uniform(0.05, 0.5, 50), rng.uniform(0.8, 1.2, 50)
    truth = FunnelTruth(p, q, p * q * hidden, p, q, np.zeros(50))
    click = rng.random(50) < 0.4
    found = bench.measure(
        pd.DataFrame({"pctr": p, "pcvr": q / 2, "pctcvr": p * q / 2}), click, truth
    )
    assert found["relative bias, all"] == pytest.approx(-0.5)
    assert found["AUC, all"] > 0.5
    assert found["log loss, all"] == pytest.approx(
        -(q * np.log(q / 2) + (1 - q) * np.log1p(-q / 2)).mean()
    )
    clicked = (q * hidden)[click]
    assert found["relative bias, clicks"] == pytest.approx(
        (q / 2)[click].mean() / clicked.mean() - 1
    )
    off = ((q - p * q * hidden) / (1 - p))[~click]
    assert found["relative bias, non-clicks"] == pytest.approx(
        (q / 2)[~click].mean() / off.mean() - 1
    )
    ranked = bench.measure(pd.DataFrame({"score": 3 * q - 1}), click, truth)
    assert set(ranked) == {"AUC, all"}
    assert ranked["AUC, all"] == pytest.approx(found["AUC, all"])


def test_every_method_is_in_it(bench):
    """All named models of clicks and conversions, but the control's other bottoms."""
    assert set(bench.ALL) - set(bench.METHODS) == set(bench.BOTTOMS)
    assert set(bench.METHODS) - set(bench.ALL) == set(bench.OPTIONS)
    assert set(importlib.import_module("methods_table").SCALING) <= set(bench.METHODS)
    assert bench.METHODS["oracle"] is models.oracle
    assert list(bench.METHODS)[-1] == "oracle"
