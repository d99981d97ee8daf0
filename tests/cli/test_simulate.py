"""`mtl-seq simulate` at size, its look at a scenario, and `mtl-seq scenarios`."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest

from mtl_seq import Schema, simulate
from mtl_seq.cli import main
from mtl_seq.data import read_frame, truth_from_frame
from mtl_seq.report import SimulationSummary

SHARDED = ["simulate", "--scenario", "clean", "--rows", "9000", "--shard-rows", "2000"]


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".png"
    }


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulate") / "scenario"
    assert main([*SHARDED, "--test-rows", "3000", "--out", str(folder), "--quiet"]) == 0
    return folder


def test_more_rows_than_a_shard_holds_are_written_as_shards(simulator):
    assert [name for name in contents(simulator) if not name.startswith("test/")] == [
        *(f"log/part-0000{k}.parquet" for k in range(5)),
        "manifest.json",
        "schema.json",
        *(f"truth/part-0000{k}.parquet" for k in range(5)),
    ]
    scenario = simulate.scenario("clean", seed=0)
    assert Schema.from_json(simulator / "schema.json") == scenario.schema
    rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(1, 3)))
    log, _ = scenario.sample(2000, rng)
    found = pd.read_parquet(simulator / "log/part-00003.parquet")
    pd.testing.assert_frame_equal(found.drop(columns="row_id"), log)
    rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(2, 1)))
    test, _ = scenario.sample(1000, rng)
    found = pd.read_parquet(simulator / "test/log/part-00001.parquet")
    pd.testing.assert_frame_equal(found.drop(columns="row_id"), test)


def test_workers_do_not_change_a_byte_and_a_finished_folder_stays(simulator, tmp_path, capsys):
    again = [*SHARDED, "--test-rows", "3000", "--out", str(tmp_path), "--json"]
    assert main([*again, "--workers", "2"]) == 0
    assert contents(tmp_path) == contents(simulator)
    summary = json.loads(capsys.readouterr().out)
    log = read_frame(tmp_path / "log")
    assert summary["impressions"] == len(log) == 9000
    assert summary["ctr"] == pytest.approx(log["click"].mean())
    assert summary["cvr_on_clicks"] == pytest.approx(
        log.loc[log["click"] == 1, "conversion"].mean()
    )
    truth = truth_from_frame(read_frame(tmp_path / "truth"))
    assert summary["true_cvr_on_all"] == pytest.approx(truth.pcvr.mean())
    (tmp_path / "log" / "part-00002.parquet").unlink()
    assert main(again[:-1]) == 0
    assert f"{tmp_path}: 1 shards written, 4 were finished before" in capsys.readouterr().err
    assert contents(tmp_path) == contents(simulator)


def test_ctrl_c_keeps_whole_shards_and_the_same_command_goes_on(tmp_path):
    command = ["simulate", "--scenario", "clean", "--rows", "3000000", "--shard-rows", "100000"]
    command += ["--out", str(tmp_path / "w"), "--quiet"]
    running = subprocess.Popen(
        [sys.executable, "-m", "mtl_seq", *command],
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores it, and so do its children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("w/log/part-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.splitlines() == ["interrupted: no partial file is left"]
    assert not list(tmp_path.rglob("*/.part-*"))
    left = {path: os.stat(path).st_ino for path in tmp_path.glob("w/*/part-*")}
    for path in left:
        assert len(pd.read_parquet(path)) == 100_000
    assert main(command) == 0
    assert {path: os.stat(path).st_ino for path in left} == left
    assert len(list(tmp_path.glob("w/log/part-*"))) == 30
    assert not list(tmp_path.rglob("_unfinished"))


def test_fit_predict_and_evaluate_read_folders_of_shards(simulator, tmp_path, capsys):
    schema = ["--schema", str(simulator / "schema.json")]
    model, scores = str(tmp_path / "model"), tmp_path / "scores.parquet"
    fit = ["fit", str(simulator / "log"), *schema, "--truth", str(simulator / "truth"), "--quiet"]
    assert main([*fit, "--model", "oracle", "--out", model, "--epochs", "1"]) == 0
    test = [str(simulator / "test" / name) for name in ("log", "truth")]
    assert main(["predict", model, test[0], "--out", str(scores), "--quiet"]) == 0
    capsys.readouterr()
    evaluate = ["evaluate", test[0], f"oracle={scores}", "--truth", test[1], *schema, "--json"]
    assert main([*evaluate, "--replicates", "20", "--out", str(tmp_path / "report")]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    (found,) = [
        row["value"]
        for row in metrics
        if (row["model"], row["quantity"], row["space"], row["metric"])
        == ("oracle", "pcvr", "all", "relative_bias")
    ]
    truth = truth_from_frame(read_frame(test[1]))
    expected = pd.read_parquet(scores)["pcvr"].mean() / truth.pcvr.mean() - 1
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*SHARDED, "--set", "rho=0.1"], "scenario.parameters.rho is 0.8 there and 0.1 here"),
        ([*SHARDED, "--seed", "1"], "seed is 0 there and 1 here"),
        (["simulate", "--rows", "10"], "which would be lost"),
        ([*SHARDED, "--workers", "0"], "--workers"),
        (
            ["fit", "{scenario}", "--schema", "{scenario}/schema.json"],
            "no parquet file in",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_and_changes_nothing(simulator, arguments, said, capsys):
    before = contents(simulator)
    out = simulator if arguments[0] == "simulate" else simulator.parent / "none"
    given = [argument.replace("{scenario}", str(simulator)) for argument in arguments]
    assert main([*given, "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert said in captured.err
    assert contents(simulator) == before


@pytest.mark.parametrize("shards", [[], ["--shard-rows", "2000"]])
def test_a_look_at_a_scenario_is_one_picture_and_one_table(tmp_path, capsys, shards):
    arguments = ["simulate", "--scenario", "clean", "--rows", "5000", "--describe", *shards]
    assert main([*arguments, "--out", str(tmp_path / "a")]) == 0
    printed = capsys.readouterr().out
    assert main([*arguments, "--out", str(tmp_path / "b"), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    name = "{}" if shards else "{}.parquet"
    log, truth = (read_frame(tmp_path / "b" / name.format(part)) for part in ("log", "truth"))
    schema = Schema.from_json(tmp_path / "b" / "schema.json")
    expected = SimulationSummary.from_log(log, truth_from_frame(truth), schema)
    for row in content["description"]["table"]:
        for column in ("drawn", "expected"):
            value = expected.table.loc[row["name"], column]
            assert row[column] == (None if np.isnan(value) else pytest.approx(value, rel=1e-9))
    for figure in expected.table.index:
        assert figure in printed
        assert expected.formatted(figure, "drawn") in printed
    for folder in ("a", "b"):
        assert (tmp_path / folder / "describe.png").read_bytes()[:4] == b"\x89PNG"


def test_a_scenario_of_ones_own_and_its_seed_can_be_named(tmp_path, capsys):
    file = tmp_path / "mine.toml"
    file.write_text('version = 1\nsummary = "Mine."\n\n[parameters]\nusers = 60\nctr = 0.5\n')
    arguments = ["simulate", "--scenario", str(file), "--rows", "4000", "--set", "seed=7"]
    assert main([*arguments, "--out", str(tmp_path / "w"), "--json"]) == 0
    ctr = json.loads(capsys.readouterr().out)["ctr"]
    assert ctr == pytest.approx(0.5, abs=5 * np.sqrt(0.25 / 4000))
    log, _ = simulate.scenario(file, seed=7).sample(4000, np.random.default_rng([0, 1]))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "w" / "log.parquet"), log)


def test_scenarios_are_listed_with_the_rates_of_their_truth(capsys):
    assert main(["scenarios", "--rows", "3000", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in content["scenarios"]] == list(simulate.scenarios())
    for row in content["scenarios"]:
        if row["name"] not in ("clean", "delayed"):
            continue
        _, truth = simulate.scenario(row["name"]).sample(3000, np.random.default_rng([0, 1]))
        assert row["ctr"] == pytest.approx(truth.pctr.mean())
        assert row["cvr_on_clicks"] == pytest.approx(truth.pctcvr.sum() / truth.pctr.sum())
        assert row["cvr_on_all"] == pytest.approx(truth.pcvr.mean())


def test_scenarios_can_be_listed_without_building_any(capsys, monkeypatch):
    def built(*arguments, **parameters):
        raise AssertionError("nothing is to be built")

    monkeypatch.setattr("mtl_seq.cli.scenarios.named", built)
    assert main(["scenarios", "--rows", "0"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for name, what in simulate.scenarios().items():
        assert name in printed
        assert what.split()[0] in printed
    assert main(["scenarios", "--rows", "0", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
