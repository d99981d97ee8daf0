"""Two processes that exchange over gloo fit what one process fits on the same global batches."""

import json
import os
import socket
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import multiprocessing

from mtl_seq import FunnelEstimator, Schema, losses, models, nn
from mtl_seq.errors import CompositionError
from mtl_seq.fit import DWA, Checkpoints, GradNorm, RowWiseAdagrad, Uncertainty
from mtl_seq.fit.train.distributed import is_rank_zero, launched
from mtl_seq.simulate import LogisticFunnel

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, _ = SCENARIO.sample(1000, np.random.default_rng(5))
BOTTOM = partial(nn.SharedBottom, hidden=(8,))
SNIPS = losses.PropensityPolicy(source=losses.MovingAverage(0.9), self_normalise=True)
CASES = {
    # Batches of 101 and a last one of 1: uneven slices, and one without rows.
    "uneven": {"model": models.esmm, "batch_size": 101},
    "batch statistics": {"model": models.escm2_ips},
    "extra towers": {"model": models.escm2_dr},
    "self-normalised by a moving average": {"model": partial(models.escm2_ips, propensity=SNIPS)},
    "cross-fitted": {
        "model": partial(
            models.escm2_ips, propensity=losses.PropensityPolicy(source=losses.CrossFit(2))
        ),
        "epochs": 1,
    },
    "DWA": {"model": models.esmm, "balance": partial(DWA, steps=5)},
    "uncertainty": {"model": models.esmm, "balance": Uncertainty},
    "rows of tables": {"model": models.esmm, "optimizer": RowWiseAdagrad()},
    "accumulated and clipped": {
        "model": models.esmm,
        "trainer": {"accumulate_grad_batches": 2, "gradient_clip_val": 0.05},
    },
}
REFUSED = {
    "compared to one another": {"model": models.pairwise_ranker},
    "alternates between its losses": {"model": models.dr_jl},
    "reads gradients": {"model": models.esmm, "balance": GradNorm},
}


def fitted(*, model, checkpoints=None, **settings):
    schema = Schema.from_dict({**SCENARIO.schema.to_dict(), "group": "user_id"})
    given = {"epochs": 2, "batch_size": 100, "patience": 9, "id_dropout": 0.2, **settings}
    one = FunnelEstimator(partial(model, bottom=BOTTOM), schema, **given)
    return one.fit(LOG, checkpoints=checkpoints)


def process(rank, folder, port):
    torch.set_num_threads(1)
    os.environ |= {
        **{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"},
        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"},
        **{"GROUP_RANK": "0"},
    }
    found = {}
    for name, case in CASES.items():
        one = fitted(**case)
        found[name] = (one.run_.to_dict(), one.model_.state_dict(), one.predict(LOG).to_numpy())
    for reason, case in REFUSED.items():
        with pytest.raises(CompositionError, match=reason):
            fitted(**case)
    kept = Checkpoints(f"{folder}/kept", steps=4)
    found["kept"] = fitted(model=models.esmm, checkpoints=kept).run_.to_dict()
    torch.save(found, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(process, args=(str(folder), port), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)], folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_fit_what_one_fits(found, name):
    one = fitted(**CASES[name])
    for run, weights, scores in (process[name] for process in found[0]):
        np.testing.assert_allclose(
            run["validation_scores"], one.run_.validation_scores, rtol=0, atol=1e-5
        )
        assert run["best_epoch"] == one.run_.best_epoch
        for metrics, alone in zip(run["training_history"], one.run_.training_history, strict=True):
            assert metrics.keys() == alone.keys()
            np.testing.assert_allclose([*metrics.values()], [*alone.values()], rtol=1e-5, atol=1e-5)
        for key, value in one.model_.state_dict().items():
            torch.testing.assert_close(weights[key], value, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(scores, one.predict(LOG).to_numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_both_processes_end_with_the_same_weights(found, name):
    first, second = (process[name] for process in found[0])
    assert first[0] == second[0]
    assert all(torch.equal(value, second[1][key]) for key, value in first[1].items())


def test_rank_0_alone_writes_the_checkpoint_that_both_resume_from(found):
    _, folder = found
    assert {path.name for path in (folder / "kept").iterdir()} == {
        *("plan.json", "codec.json", "state.pt")
    }
    state = torch.load(folder / "kept" / "state.pt", weights_only=True)
    generators = next(s for n, s in state["callbacks"].items() if "Write" in n)["generators"]
    assert len(generators["cpu"]) == 2


def test_alone_nothing_is_launched(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert launched() == {}
    assert is_rank_zero()


def test_the_processes_of_torchrun_are_used(monkeypatch):
    for name, value in {"RANK": 5, "WORLD_SIZE": 8, "LOCAL_WORLD_SIZE": 4}.items():
        monkeypatch.setenv(name, str(value))
    assert launched() == {"devices": 4, "num_nodes": 2, "strategy": "ddp"}
    assert not is_rank_zero()


@pytest.mark.slow
def test_torchrun_fits_from_the_shell_what_one_process_fits(tmp_path):
    LOG.to_parquet(tmp_path / "log.parquet")
    SCENARIO.schema.to_json(tmp_path / "schema.json")
    fit = ["-m", "mtl_seq", "fit", "log.parquet", "--schema", "schema.json", "--quiet"]
    small = ["--epochs", "2", "--batch-size", "101", "--bottom", "shared", "--json"]
    rules = []
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node=2"]
    for out, start in {"one": [], "two": torchrun}.items():
        command = [sys.executable, *start, *fit, *small, "--out", out]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        rules.append(json.loads(done.stdout)["rule_by_epoch"])  # said once, not by both
    np.testing.assert_allclose(rules[0], rules[1], rtol=0, atol=1e-5)
    one, two = (load_file(tmp_path / out / "model.safetensors") for out in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-4)
