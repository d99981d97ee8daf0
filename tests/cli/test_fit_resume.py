"""A fit of the shell that is stopped anyhow goes on to the same files, byte for byte."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from mtl_seq import FunnelEstimator
from mtl_seq.cli import main
from mtl_seq.cli.fit_options import checkpoint_rule
from mtl_seq.errors import DataError
from mtl_seq.fit.storage.model_folder import FILES
from mtl_seq.simulate import LogisticFunnel

SIMULATOR = LogisticFunnel(users=40, items=30, seed=0)
SMALL = ["--model", "esmm", "--bottom", "shared", "--epochs", "3", "--batch-size", "100", "--quiet"]
# A copy of the interpreter that has everything loaded is forked for each attempt, since loading
# takes longer than the fits. While a checkpoint is written it dawdles, so that it is hit there too.
SERVER = """
import os, sys, time
import torch
torch.set_num_threads(1)
import lightning, torchmetrics
from mtl_seq import _files
from mtl_seq.cli import main
import mtl_seq.fit.train.trainer, mtl_seq.fit.train.lightning_module
import mtl_seq.fit.train.cross_fitting
plain = _files._sync
def slow(path):
    time.sleep(float(os.environ["DAWDLE"]))
    plain(path)
_files._sync = slow
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os._exit(main(line.rstrip("\\n").split("\\t")))
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Server:
    """Forks a process for every command; what they say on standard error is in a file."""

    def __init__(self, folder, dawdle):
        self.said = folder / "said"
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVER],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env={**os.environ, "DAWDLE": str(dawdle)},
            )
        assert self.process.stdout.readline() == "ready\n", self.said.read_text()

    def run(self, arguments, wait=None, sign=signal.SIGKILL):
        """Exit code of a command; it is sent a signal once it was waited for."""
        self.process.stdin.write("\t".join(arguments) + "\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        if wait is not None:
            wait()
            with contextlib.suppress(ProcessLookupError):  # it has come to its end
                os.kill(child, sign)
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenario")
    log, _ = SIMULATOR.sample(2000, np.random.default_rng(5))
    log.to_parquet(folder / "log.parquet")
    SIMULATOR.schema.to_json(folder / "schema.json")
    start = ["fit", "log.parquet", "--schema", "schema.json", *SMALL, "--checkpoint-every", "2"]
    server = Server(folder, 0.004)
    with server.process:
        begun = time.perf_counter()
        assert server.run([*start, "--out", "whole"]) == 0
        took = time.perf_counter() - begun
        assert {path.name for path in (folder / "whole").iterdir()} <= {*FILES}
        yield folder, start, server, took
        server.process.stdin.close()


def same(one, other):
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def kills(simulator, folder, wanted, seed):
    """Kill a fit at random moments until it was hit so often, then let it go on to its end."""
    place, start, server, took = simulator
    rng = random.Random(seed)
    begin = [*start, "--out", str(folder)]
    go_on = ["fit", "--resume", str(folder), "--quiet"]
    hit = 0
    while True:
        fresh = not (folder / "checkpoint" / "fit.json").exists()
        moment = None if hit == wanted else partial(time.sleep, rng.uniform(0.02, took * 0.8))
        code = server.run(begin if fresh else go_on, moment)
        assert code in (0, -signal.SIGKILL), server.said.read_text()
        hit += code != 0
        state = folder / "checkpoint" / "state.pt"
        if state.exists():
            torch.load(state, weights_only=True)  # never half of one
        if code == 0:
            same(folder, place / "whole")
            if hit == wanted:
                break
            shutil.rmtree(folder)
    assert server.run(go_on) == 0  # once more, though it is finished
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_killed_three_times_it_ends_the_same(simulator, tmp_path):
    kills(simulator, tmp_path / "run", 3, seed=0)


@pytest.mark.slow
def test_killed_ten_times_it_ends_the_same(simulator, tmp_path):
    kills(simulator, tmp_path / "run", 10, seed=1)


def test_killed_between_the_renames_of_its_end_it_ends_the_same(simulator, tmp_path):
    """The one moment at which the folder of the run is away."""
    place, start, server, _ = simulator
    begun = partial(wait_for, tmp_path / "run" / "checkpoint" / "state.pt")
    assert server.run([*start, "--out", str(tmp_path / "run")], begun) == -signal.SIGKILL
    aside = tmp_path / ".run-old-abcd1234"
    aside.mkdir()
    (tmp_path / "run").rename(aside / "run")
    (tmp_path / ".run-xyz_0000").mkdir()
    assert server.run(["fit", "--resume", str(tmp_path / "run"), "--quiet"]) == 0
    same(tmp_path / "run", place / "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def wait_for(path):
    while not path.exists():
        time.sleep(0.005)


def test_sigterm_saves_and_says_how_to_go_on(simulator, tmp_path):
    place, start, server, _ = simulator
    out = tmp_path / "run"
    before = server.said.read_text()
    state = out / "checkpoint" / "state.pt"
    code = server.run([*start, "--out", str(out)], partial(wait_for, state), signal.SIGTERM)
    assert code == 143
    said = server.said.read_text().removeprefix(before)
    assert said.startswith("stopped by SIGTERM after ")
    assert said.endswith(f"resume with `mtl-seq fit --resume {out}`\n")
    assert server.run(["fit", "--resume", str(out), "--quiet"]) == 0
    same(out, place / "whole")


def fails(arguments, capsys):
    assert main([str(a) for a in arguments]) == 2
    return capsys.readouterr().err


def test_what_cannot_go_on_is_refused(simulator, tmp_path, capsys, monkeypatch):
    place, start, server, _ = simulator
    monkeypatch.chdir(place)
    assert "holds no unfinished fit" in fails(["fit", "--resume", tmp_path], capsys)
    said = fails(["fit", "--resume", tmp_path, "--lr", "0.1", "--seed", "3"], capsys)
    assert "so --lr, --seed cannot be given with it" in said
    assert "LOG, --schema and --out are needed" in fails(["fit", "log.parquet"], capsys)
    out = tmp_path / "run"
    server.run([*start, "--out", str(out)], partial(wait_for, out / "checkpoint" / "state.pt"))
    said = fails([*start, "--out", out], capsys)
    assert "holds an unfinished fit: resume it, `mtl-seq fit --resume" in said


def test_a_fit_that_never_began_leaves_nothing(simulator, tmp_path, capsys, monkeypatch):
    place, start, *_ = simulator
    monkeypatch.chdir(place)
    said = fails([*start, "--out", tmp_path / "run", "--truth", "nowhere.parquet"], capsys)
    assert "nowhere.parquet" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("every", ["0", "2h", "x", "-3", "1.5"])
def test_how_often_is_batches_seconds_or_minutes(every):
    with pytest.raises(DataError, match="must be batches, seconds or minutes"):
        checkpoint_rule(every)


def test_a_warm_start_takes_over_the_model(simulator, tmp_path, capsys, monkeypatch):
    place, *_ = simulator
    monkeypatch.chdir(place)
    later, _ = LogisticFunnel(users=60, items=30, seed=0).sample(1000, np.random.default_rng(6))
    later.to_parquet(tmp_path / "later.parquet")
    files = ["fit", str(tmp_path / "later.parquet"), "--schema", "schema.json", "--epochs", "1"]
    on = [*files, "--warm-start", "whole", "--out", str(tmp_path / "on"), "--json"]
    said = fails([*on, "--bottom", "mmoe"], capsys)
    assert "`--warm-start` keeps the model as it is, so --bottom cannot be given" in said
    assert main([*on, "--quiet"]) == 0
    before, after = (FunnelEstimator.load(path) for path in ("whole", tmp_path / "on"))
    known, more = (one.codec_.vocabularies["user_id"].keys for one in (before, after))
    assert list(more[: len(known)]) == list(known)
    assert len(more) > len(known)


def test_figures_are_logged_beside_the_model(simulator, tmp_path, monkeypatch):
    place, start, *_ = simulator
    monkeypatch.chdir(place)
    more = [
        "--logger",
        "csv",
        "--gradient-clip-val",
        "1",
        "--accumulate-grad-batches",
        "2",
        "--patience",
        "9",
    ]
    assert main([*start, *more, "--out", str(tmp_path / "run")]) == 0
    log = pd.read_csv(tmp_path / "run-logs" / "version_0" / "metrics.csv")
    run = FunnelEstimator.load(tmp_path / "run").run_
    assert log["valid/rule"].dropna().tolist() == pytest.approx(run.validation_scores)
    for quantity in ("pctr", "pcvr", "pctcvr"):
        assert len(log[f"valid/{quantity}/pcoc"].dropna()) == 3
        assert len(log[f"valid/{quantity}/log_loss"].dropna()) == 3
    assert log["train/ctr"].dropna().tolist() == pytest.approx(
        [t["ctr"] for t in run.training_history]
    )
