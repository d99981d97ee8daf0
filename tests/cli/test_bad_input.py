"""Bad input: exit code 2, one clear line on standard error, nothing written, nothing trained."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest

from mtl_seq import FunnelEstimator, Schema
from mtl_seq.cli import main
from mtl_seq.simulate import scenario


@pytest.fixture(scope="module")
def log():
    frame, _ = scenario("clean").sample(3000, np.random.default_rng(0))
    return frame


@pytest.fixture
def simulator(tmp_path):
    scenario("clean").schema.to_json(tmp_path / "schema.json")
    return tmp_path


def fails(arguments, capsys):
    """The one line on standard error."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    return lines[0]


def broken(log, name):
    frame = log.copy()
    if name == "conversion without click":
        rows = frame.index[frame["click"] == 0][:12]
        frame.loc[rows, "conversion"] = 1
        return frame, ["'conversion'", "12 rows", f"first: {rows[0]}, {rows[1]}, {rows[2]}"]
    if name == "label neither 0 nor 1":
        frame.loc[[7, 9], "click"] = 2
        return frame, ["'click'", "2 rows (first: 7, 9)"]
    if name == "missing label":
        frame["click"] = frame["click"].astype(float)
        frame.loc[[3], "click"] = np.nan
        return frame, ["'click'", "missing", "1 row (first: 3)"]
    if name == "absent column":
        return frame.drop(columns="item_brand"), ["item_brand"]
    if name == "NaN":
        frame.loc[[1, 2, 5, 8], "price"] = np.nan
        return frame, ["'price'", "NaN", "4 rows (first: 1, 2, 5)", "impute"]
    if name == "infinity":
        frame.loc[[4], "price"] = np.inf
        return frame, ["'price'", "infinite", "1 row (first: 4)"]
    if name == "no rows":
        return frame.iloc[:0], ["at least one row"]
    if name == "no click":
        return frame.assign(click=0, conversion=0), ["no click", "3,000 rows"]
    if name == "no conversion":
        return frame.assign(conversion=0), ["no conversion", "'conversion'"]
    if name == "a label among the features":
        return frame.assign(user_tier=frame["click"]), ["'user_tier'", "'click'", "allow_leak"]
    assert name == "a label in disguise"
    noise = np.random.default_rng(1).random(len(frame)) < 0.005
    return frame.assign(user_tier=frame["click"] ^ noise), ["'user_tier'", "AUC 0.9"]


@pytest.mark.parametrize(
    "name",
    [
        "conversion without click",
        "label neither 0 nor 1",
        "missing label",
        "absent column",
        "NaN",
        "infinity",
        "no rows",
        "no click",
        "no conversion",
        "a label among the features",
        "a label in disguise",
    ],
)
def test_bad_rows_are_named_before_any_training(name, log, simulator, capsys, monkeypatch):
    frame, said = broken(log, name)
    frame.to_parquet(simulator / "log.parquet")

    def train(*arguments, **settings):
        raise AssertionError("training has begun")

    monkeypatch.setattr("mtl_seq.fit.estimator.train", train)
    schema = simulator / "schema.json"
    line = fails(
        ["fit", simulator / "log.parquet", "--schema", schema, "--out", simulator / "model"], capsys
    )
    for text in said:
        assert text in line
    assert not (simulator / "model").exists()


def test_impute_and_allow_leak_let_such_rows_pass(log, simulator):
    frame = log.assign(user_tier=log["click"], price=log["price"].where(log.index % 7 > 0))
    frame.to_parquet(simulator / "log.parquet")
    arguments = ["fit", simulator / "log.parquet", "--schema", simulator / "schema.json", "--quiet"]
    insisting = ["--impute", "--allow-leak", "user_tier", "--epochs", "1", "--out", simulator / "m"]
    assert main([str(argument) for argument in (*arguments, *insisting)]) == 0
    assert FunnelEstimator.load(simulator / "m").allow_leak == ["user_tier"]


def test_files_that_are_not_what_they_should_be(log, simulator, capsys):
    log.to_parquet(simulator / "log.parquet")
    schema, parquet, out = simulator / "schema.json", simulator / "log.parquet", simulator / "model"
    assert "nowhere.parquet" in fails(
        ["fit", simulator / "nowhere.parquet", "--schema", schema, "--out", out], capsys
    )
    assert "no parquet" in fails(["fit", schema, "--schema", schema, "--out", out], capsys)
    log.to_csv(simulator / "log.csv", index=False)
    for arguments in (
        ["fit", simulator / "log.csv", "--schema", schema, "--out", out],
        ["evaluate", simulator / "log.csv", f"m={parquet}", "--schema", schema, "--out", out],
        ["evaluate", parquet, f"m={simulator / 'log.csv'}", "--schema", schema, "--out", out],
    ):
        assert "log.csv must be parquet, found a CSV file" in fails(arguments, capsys)
    assert "no JSON" in fails(["fit", parquet, "--schema", parquet, "--out", out], capsys)
    assert "save" in fails(["predict", parquet, parquet, "--out", out], capsys)
    assert "estimator.json" in fails(["predict", simulator, parquet, "--out", out], capsys)
    common = ["--schema", schema, "--out", out]
    assert "NAME=FILE" in fails(["evaluate", parquet, parquet, *common], capsys)
    assert "pctr" in fails(["evaluate", parquet, f"esmm={parquet}", *common], capsys)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["simulate", "--scenario", "foggy"], "known are aliccp"),
        (["simulate", "--set", "rho=4"], "`rho` must lie in [-1, 1], found 4"),
        (["simulate", "--set", "rho"], "PARAM=VALUE"),
        (["simulate", "--set", "tempo=1"], "no parameter 'tempo'"),
        (["simulate", "--rows", "0"], "--rows"),
        (["simulate", "--rows", "many"], "--rows"),
        (["compare", "--models", "esmm,magic"], "found 'magic'"),
        (["compare", "--models", ","], "at least one model"),
        (["compare", "--seed", "-1"], "--seed"),
        (["comparee"], "No such command"),
    ],
)
def test_bad_options_are_one_line(arguments, said, tmp_path, capsys):
    line = fails([*arguments, *(["--out", tmp_path / "o"] if len(arguments) > 1 else [])], capsys)
    assert said in line
    assert not (tmp_path / "o").exists()


def test_the_oracle_needs_a_truth(log, simulator, capsys):
    log.to_parquet(simulator / "log.parquet")
    files = [simulator / "log.parquet", "--schema", simulator / "schema.json"]
    line = fails(["fit", *files, "--model", "oracle", "--out", simulator / "m", "--quiet"], capsys)
    assert "truth" in line


def test_ctrl_c_leaves_no_half_written_file(tmp_path):
    Schema.to_json(scenario("clean").schema, tmp_path / "schema.json")
    frame, _ = scenario("clean").sample(50_000, np.random.default_rng(0))
    frame.to_parquet(tmp_path / "log.parquet")
    before = sorted(path.name for path in tmp_path.iterdir())
    arguments = ["fit", "log.parquet", "--schema", "schema.json", "--out", "model"]
    command = [sys.executable, "-m", "mtl_seq", *arguments, "--epochs", "50"]
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "99"},
        # What a shell starts in the background ignores it, and so do its children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    # However slow the machine is, the first epoch is then over and another one is running.
    while not (tmp_path / "model" / "checkpoint" / "state.pt").exists():
        assert running.poll() is None
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=300)
    assert running.returncode == 130, said
    assert said.splitlines()[-1].startswith("interrupted")
    assert "Traceback" not in said
    left = sorted(path.name for path in tmp_path.rglob("*") if path.name not in before)
    # What it takes to resume after the last finished epoch.
    assert left == ["checkpoint", "codec.json", "fit.json", "model", "plan.json", "state.pt"]
    assert len(pd.read_parquet(tmp_path / "log.parquet")) == 50_000


def test_what_stands_at_out_is_never_lost(log, simulator, capsys, monkeypatch):
    log.to_parquet(simulator / "log.parquet")
    schema, parquet = simulator / "schema.json", simulator / "log.parquet"
    held = sorted(path.name for path in simulator.iterdir())
    fit = ["fit", parquet, "--schema", schema, "--quiet", "--out"]
    assert "which would be lost" in fails([*fit, simulator], capsys)
    assert "must be a folder" in fails([*fit, parquet], capsys)
    assert "which would be lost" in fails(
        ["simulate", "--rows", "9", "--out", simulator.parent], capsys
    )
    assert sorted(path.name for path in simulator.iterdir()) == held
    assert main([str(a) for a in (*fit, simulator / "model", "--epochs", "1")]) == 0
    assert "the log itself" in fails(
        ["predict", simulator / "model", parquet, "--out", parquet], capsys
    )
    assert "must be a file" in fails(
        ["predict", simulator / "model", parquet, "--out", simulator], capsys
    )
    assert pd.read_parquet(parquet).equals(log)
    # A model of an earlier run is ours to replace.
    assert main([str(a) for a in (*fit, simulator / "model", "--epochs", "1")]) == 0
