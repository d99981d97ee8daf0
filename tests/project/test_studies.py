"""Studies of real logs run at a small size, on generated files, and find what is so there."""

import importlib
import json
import sys

import numpy as np
import pandas as pd
import pytest
from dataset_scripts import ROOT, script


@pytest.fixture
def bench(monkeypatch):
    """Loads a script of `benchmarks/`, whose neighbours it imports by name."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    return importlib.import_module


def test_open_bandit_estimates_are_those_of_a_known_policy(bench):
    """IPS, SNIPS and DR within four standard errors of the truth, the naive mean far from it."""
    study = bench("open_bandit")
    rng = np.random.default_rng(0)
    chance = np.array([0.02, 0.05, 0.1, 0.3])
    shown = np.array([0.1, 0.1, 0.2, 0.6])
    item = rng.choice(4, 40_000, p=shown)
    log = pd.DataFrame(
        {
            "item_id": item,
            "action_propensity": shown[item],
            "click": (rng.random(40_000) < chance[item]).astype(int),
        }
    )
    truth = chance.mean()
    found = study.estimates(study.rows_of(log, 4, seed=0))
    weight = 0.25 / shown
    error = np.sqrt(((shown * weight**2 * chance).sum() - truth**2) / len(log))
    for name in ("IPS", "SNIPS", "DR", "self-normalised DR", "direct"):
        assert abs(found[name] - truth) < 4 * error, name
    assert found["naive"] == pytest.approx((shown * chance).sum(), abs=0.01)
    assert found["naive"] - truth > 10 * error


def test_open_bandit_runs(bench, tmp_path):
    script("open-bandit", "sample").write_sample(tmp_path / "raw")
    study = bench("open_bandit")
    out, figure = tmp_path / "found.json", tmp_path / "found.png"
    arguments = [str(tmp_path / "raw"), "--replicates", "20", "--out", str(out)]
    assert study.main([*arguments, "--figure", str(figure)]) == 0
    table = json.loads(out.read_text())["estimates"]
    assert table["truth"]["low"] <= table["truth"]["CTR"] <= table["truth"]["high"]
    assert figure.stat().st_size > 10_000


def test_coat_goes_on_where_it_stopped_and_reads_random_ratings(bench, tmp_path, monkeypatch):
    script("coat", "sample").write_sample(tmp_path / "raw")
    study = bench("coat")
    few = {name: study.MODELS[name] for name in ("click_space", "ips, given propensities")}
    monkeypatch.setattr(study, "MODELS", few)
    out, figure = tmp_path / "found.json", tmp_path / "found.png"
    arguments = [str(tmp_path / "raw"), "--seeds", "1", "--out", str(out)]
    assert study.main([*arguments, "--figure", str(figure)]) == 0
    first = json.loads(out.read_text())
    assert [cell["model"] for cell in first["cells"]] == ["click_space", "constant", *list(few)[1:]]
    constant = first["cells"][1]
    assert constant["AUC, random"] == 0.5
    assert constant["mean pCVR, all"] == pytest.approx(constant["mean CVR, clicks"], abs=0.1)
    # Those that were chosen were liked more: what the weights are there to undo.
    assert constant["mean CVR, weighted"] < constant["mean CVR, clicks"]

    def never(*_):
        raise AssertionError("a finished cell was fitted again")

    monkeypatch.setattr(study, "fit_and_measure", never)
    assert study.main([*arguments, "--figure", str(figure)]) == 0
    assert json.loads(out.read_text())["cells"] == first["cells"]
    with pytest.raises(SystemExit, match="move it away"):
        study.main([*arguments[:1], "--seeds", "2", "--out", str(out)])


def test_census_structures_have_equal_parameters_and_run(bench, tmp_path, monkeypatch):
    script("census-income", "sample").write_sample(tmp_path / "raw")
    study = bench("census")
    monkeypatch.setattr(study, "RATES", (3e-3,))
    monkeypatch.setattr(study, "FEATURE_SETS", {"all": []})
    out, figure = tmp_path / "found.json", tmp_path / "found.png"
    arguments = [str(tmp_path / "raw"), "--seeds", "1", "--epochs", "1", "--out", str(out)]
    assert study.main([*arguments, "--figure", str(figure)]) == 0
    found = json.loads(out.read_text())
    sizes = found["parameters of bottom and towers"]
    assert set(sizes) == set(study.STRUCTURES)
    for name, size in sizes.items():
        # One more unit in each of eight experts is 5.5%.
        assert size == pytest.approx(sizes["MMoE"], rel=0.03), name
    rows = {(row["features"], row["structure"]): row for row in found["rows"]}
    assert len(rows) == len(study.STRUCTURES) + 1
    # A trait moves both labels and every column, so that boosting finds them.
    assert rows["all", "gradient boosting"]["AUC, income"] > 0.6
    assert figure.stat().st_size > 10_000


def test_serving_counts_every_network_once(bench, tmp_path):
    study = bench("serving")
    out = tmp_path / "found.json"
    assert study.main(["--rounds", "2", "--out", str(out)]) == 0
    cost = json.loads(out.read_text())["cost"]
    fused, *parts = (
        cost[name]
        for name in (
            "score fusion: esmm + lambda_ranker",
            "multi-task: esmm on MMoE",
            "pairwise: lambda_ranker",
        )
    )
    for figure in ("networks", "parameters in tables", "other parameters"):
        assert fused[figure] == sum(part[figure] for part in parts)
    ratios = json.loads(out.read_text())["latency by rows in a batch"]
    assert all(found[study.REFERENCE]["ratio"] == 1 for found in ratios.values())
