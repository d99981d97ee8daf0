"""The `mtl-seq` command as its users run it, from simulation to report."""

import json

import numpy as np
import pandas as pd
import pytest

from mtl_seq import FunnelEstimator, Schema
from mtl_seq.cli import main
from mtl_seq.fit import CHECKPOINT_RULE


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "scenario"
    arguments = ["simulate", "--scenario", "clean", "--rows", "4000", "--out", str(folder)]
    assert main(arguments) == 0
    return folder


@pytest.fixture(scope="module")
def scores(simulator):
    model = simulator.parent / "model"
    files = [str(simulator / "log.parquet"), "--schema", str(simulator / "schema.json")]
    small = ["--model", "esmm", "--epochs", "1", "--quiet"]
    assert main(["fit", *files, "--out", str(model), *small]) == 0
    out = simulator.parent / "scores.parquet"
    assert main(["predict", str(model), str(simulator / "log.parquet"), "--out", str(out)]) == 0
    return out


def evaluate(simulator, scores, out, *more):
    return main(
        [
            *("evaluate", str(simulator / "log.parquet"), f"esmm={scores}"),
            *("--schema", str(simulator / "schema.json"), "--out", str(out), "--replicates", "20"),
            *more,
        ]
    )


def test_simulate_writes_a_log_its_truth_and_its_schema(simulator, capsys):
    log = pd.read_parquet(simulator / "log.parquet")
    truth = pd.read_parquet(simulator / "truth.parquet")
    assert len(log) == len(truth) == 4000
    assert np.array_equal(log["conversion"], log["click"] * truth["true_potential"])
    assert main(["simulate", "--rows", "500", "--out", str(simulator.parent / "j"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    found = pd.read_parquet(simulator.parent / "j" / "log.parquet")
    assert summary["ctr"] == found["click"].mean()
    assert summary["impressions"] == 500


def test_one_seed_is_one_log(simulator, tmp_path):
    again = ["simulate", "--scenario", "clean", "--rows", "4000", "--out", str(tmp_path / "a")]
    assert main(again) == 0
    assert main([*again[:-1], str(tmp_path / "b"), "--seed", "1"]) == 0
    log = pd.read_parquet(simulator / "log.parquet")
    assert pd.read_parquet(tmp_path / "a" / "log.parquet").equals(log)
    assert not pd.read_parquet(tmp_path / "b" / "log.parquet").equals(log)


def test_test_rows_are_of_the_same_scenario_and_no_training_rows(tmp_path):
    arguments = ["simulate", "--scenario", "clean", "--rows", "3000", "--test-rows", "2000"]
    assert main([*arguments, "--out", str(tmp_path / "w")]) == 0
    log, test = (
        pd.read_parquet(tmp_path / "w" / f"{name}.parquet") for name in ("log", "test_log")
    )
    assert len(test) == len(pd.read_parquet(tmp_path / "w" / "test_truth.parquet")) == 2000
    assert not test.equals(log.iloc[:2000])
    attributes = ["user_id", "user_segment", "user_tier"]
    users = log[attributes].drop_duplicates().set_index("user_id")
    known = test[test["user_id"].isin(users.index)]
    assert (users.loc[known["user_id"]].to_numpy() == known[attributes[1:]].to_numpy()).all()


def test_a_parameter_can_be_turned(tmp_path, capsys):
    arguments = ["simulate", "--rows", "20000", "--set", "ctr=0.5", "--json"]
    assert main([*arguments, "--out", str(tmp_path / "w")]) == 0
    ctr = json.loads(capsys.readouterr().out)["ctr"]
    assert ctr == pytest.approx(0.5, abs=5 * np.sqrt(0.25 / 20000))


def test_predict_scores_every_row_without_labels(simulator, scores):
    log = pd.read_parquet(simulator / "log.parquet")
    found = pd.read_parquet(scores)
    assert found.index.equals(log.index)
    bare = simulator.parent / "bare.parquet"
    log.drop(columns=["click", "conversion"]).to_parquet(bare)
    out = simulator.parent / "bare_scores.parquet"
    arguments = ["predict", str(simulator.parent / "model"), str(bare), "--out", str(out), "--json"]
    assert main(arguments) == 0
    assert pd.read_parquet(out).equals(found)


def test_evaluate_against_the_truth(simulator, scores, tmp_path, capsys):
    truth = pd.read_parquet(simulator / "truth.parquet")
    assert evaluate(simulator, scores, tmp_path, "--truth", str(simulator / "truth.parquet")) == 0
    printed = capsys.readouterr().out
    content = json.loads((tmp_path / "report.json").read_text())
    (found,) = [
        row["value"]
        for row in content["metrics"]
        if (row["model"], row["quantity"], row["space"], row["metric"])
        == ("esmm", "pcvr", "all", "relative_bias")
    ]
    expected = pd.read_parquet(scores)["pcvr"].mean() / truth["true_pcvr"].mean() - 1
    assert found == pytest.approx(expected, rel=1e-9)
    assert f"{expected:+.1%}" in printed
    # The predictions say by what rule their model's checkpoint was picked.
    assert content["metadata"]["checkpoint rule"] == CHECKPOINT_RULE
    assert {file.name for file in tmp_path.iterdir()} == {
        "report.html",
        "report.json",
        "relative_bias.png",
        "bias_by_decile.png",
        "reliability.png",
        "auc_by_space.png",
        "overlap.png",
        "sensitivity.png",
    }


def test_evaluate_from_a_log_says_what_is_not_identified(simulator, scores, tmp_path, capsys):
    assert evaluate(simulator, scores, tmp_path, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert "not identified" in content["title"]
    assert content == {
        key: value
        for key, value in json.loads((tmp_path / "report.json").read_text()).items()
        if key not in ("kind", "format")
    }
    assert ("pcvr", "all") not in {(row["quantity"], row["space"]) for row in content["metrics"]}


def test_compare_runs_the_whole_way(tmp_path, capsys):
    arguments = ["compare", "--scenario", "clean", "--rows", "3000", "--test-rows", "3000"]
    models = ["--models", "click_space, esmm,oracle", "--out", str(tmp_path)]
    assert main([*arguments, *models]) == 0
    captured = capsys.readouterr()
    for name in ("click_space", "esmm", "oracle", "checkpoint rule", "gap"):
        assert name in captured.out
    assert "written:" in captured.err
    report = (tmp_path / "report.html").read_text()
    assert "clean" in report
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["models"] == ["click_space", "esmm", "oracle"]


def test_quiet_prints_nothing(tmp_path, capsys):
    arguments = ["compare", "--scenario", "clean", "--rows", "2000", "--test-rows", "500"]
    assert main([*arguments, "--models", "esmm", "--out", str(tmp_path), "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == ""


@pytest.mark.parametrize(
    "command", ["simulate", "scenarios", "fit", "predict", "evaluate", "compare", "inspect"]
)
def test_every_help_shows_an_example_and_the_common_options(command, capsys):
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Example: mtl-seq {command} " in shown
    for option in ("--seed", "--quiet", "--json", "--help"):
        assert option in shown


def test_fit_tells_the_unsure_what_to_try(capsys):
    assert main(["fit", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Compare `targeted`, the default, with `multitask`, the control" in shown
    assert "docs/choosing.md" in shown


def test_fit_says_where_a_constant_would_do_better(tmp_path, capsys):
    # Clicks that nothing tells of: passes without end learn the ids by heart.
    rng = np.random.default_rng(0)
    log = pd.DataFrame(
        {"user_id": rng.integers(300, size=3000), "click": rng.integers(2, size=3000)}
    )
    log["conversion"] = log["click"] * rng.integers(2, size=3000)
    log.to_parquet(tmp_path / "log.parquet")
    labels = {"click": "click", "conversion": "conversion"}
    Schema(labels=labels, ids=["user_id"]).to_json(tmp_path / "schema.json")
    files = [str(tmp_path / "log.parquet"), "--schema", str(tmp_path / "schema.json")]
    arguments = ["fit", *files, "--out", str(tmp_path / "m"), "--epochs", "3", "--lr", "0.05"]
    arguments += ["--model", "esmm", "--validation", "0.3"]
    assert main(arguments) == 0
    said = capsys.readouterr().err
    assert "warning: the validation log loss of pctr, " in said
    assert "is worse than that of a constant" in said
    found = FunnelEstimator.load(tmp_path / "m").run_
    assert (
        found.validation_metrics["pctr/log_loss"]
        > found.validation_metrics["pctr/constant"]
        > np.log(2) - 0.01
    )


def test_no_arguments_show_the_help(capsys):
    assert main(["--help"]) == 0
    assert "compare" in capsys.readouterr().out


def test_inspect_looks_into_the_experts(simulator, scores, tmp_path, capsys):
    model, log = str(simulator.parent / "model"), str(simulator / "log.parquet")
    out = tmp_path / "gates.png"
    assert main(["inspect", model, log, "--by", "user_tier", "--out", str(out), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["gates"]
    tiers = pd.read_parquet(log)["user_tier"].nunique()
    assert len(rows) == 2 * (1 + tiers)
    for row in rows:
        assert sum(row[f"expert {e}"] for e in range(4)) == pytest.approx(1)
        assert 0 <= row["entropy"] <= 1
    assert out.read_bytes()[:4] == b"\x89PNG"
