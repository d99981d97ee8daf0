"""A resumed fit ends as one without the stop, to the bit."""

import errno
import os
import signal
from functools import partial

import numpy as np
import pytest
import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from mtl_seq import FunnelEstimator, Schema, losses, models, nn
from mtl_seq.data import BatchLoader, Codec
from mtl_seq.errors import ArtifactError, DataError, Terminated
from mtl_seq.fit import DWA, Checkpoints, FunnelModule, GradNorm, Uncertainty
from mtl_seq.simulate import LogisticFunnel

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, _ = SCENARIO.sample(1000, np.random.default_rng(5))
BATCHES = 10  # of 100 rows; 950 of the rows train
EXPERTS = partial(nn.MMoE, experts=2, hidden=(8,), gate_dropout=0.3)
SMALL = partial(nn.SharedBottom, hidden=(8,))


def estimator(build=models.esmm, bottom=SMALL, callbacks=(), **settings):
    given = {"epochs": 3, "batch_size": 100, "patience": 9, "id_dropout": 0.2, **settings}
    schema = Schema.from_dict({**SCENARIO.schema.to_dict(), "group": "user_id"})
    trainer = {"callbacks": list(callbacks), **given.pop("trainer", {})}
    return FunnelEstimator(partial(build, bottom=bottom), schema, trainer=trainer, **given)


class Gone(Exception):
    """Stands for a killed process."""


class Stop(Callback):
    """Stops the training when so many batches have been trained on in this process."""

    def __init__(self, batches, stop=None):
        self.left = batches
        self.stop = stop

    def on_train_batch_end(self, *_):
        self.left -= 1
        if self.left == 0 and self.stop is None:
            raise Gone
        if self.left == 0:
            self.stop()


def same(one, other):
    assert one.run_ == other.run_
    first, second = one.model_.state_dict(), other.model_.state_dict()
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def broken(folder, stops, build=models.esmm, every=1, **settings):
    """A fit that is stopped after so many batches, again and again, and then goes on to the end."""
    for number, batches in enumerate(stops):
        kept = Checkpoints(folder, steps=every, resume=number > 0)
        with pytest.raises(Gone):
            estimator(build, callbacks=[Stop(batches)], **settings).fit(LOG, checkpoints=kept)
    last = estimator(build, **settings)
    return last.fit(LOG, checkpoints=Checkpoints(folder, steps=every, resume=True))


MOVING = losses.PropensityPolicy(source=losses.MovingAverage(0.9))
CASES = {
    "plain": {},
    "dropout in the gates": {"bottom": EXPERTS},
    "moving average": {"build": partial(models.escm2_ips, propensity=MOVING)},
    "alternating, with copied towers": {"build": models.dr_jl},
    "Bernoulli sampling in the loss": {"build": models.unbias},
    "pairs": {"build": models.pairwise_ranker},
    "GradNorm": {"balance": GradNorm},
    "DWA of 7 steps": {"balance": partial(DWA, steps=7)},
    "uncertainty": {"balance": Uncertainty},
    "accumulated and clipped": {
        "trainer": {"accumulate_grad_batches": 3, "gradient_clip_val": 0.1}
    },
}


@pytest.mark.parametrize("name", CASES)
def test_stopped_in_the_middle_of_epochs_it_ends_the_same(name, tmp_path):
    case = CASES[name]
    whole = estimator(**case).fit(LOG)
    again = broken(tmp_path / "kept", [4, 9, 1], **case)
    same(again, whole)


@pytest.mark.parametrize("batches", [1, 9, 10, 11, 20, 29, 30])
def test_stopped_anywhere_it_ends_the_same(batches, tmp_path):
    same(broken(tmp_path / "kept", [batches]), estimator().fit(LOG))


def test_a_fit_that_was_over_gives_its_weights_again(tmp_path):
    kept = Checkpoints(tmp_path / "kept")
    whole = estimator().fit(LOG, checkpoints=kept)
    same(whole, estimator().fit(LOG))  # keeping it changes nothing
    again = Checkpoints(tmp_path / "kept", resume=True)
    same(estimator(callbacks=[Stop(1)]).fit(LOG, checkpoints=again), whole)  # not one batch more


def test_a_fit_that_stopped_early_stays_stopped(tmp_path):
    settings = {"epochs": 12, "lr": 0.3, "patience": 1}
    whole = estimator(**settings).fit(LOG, checkpoints=Checkpoints(tmp_path / "kept"))
    assert len(whole.run_.validation_scores) < 12
    again = Checkpoints(tmp_path / "kept", resume=True)
    same(estimator(callbacks=[Stop(1)], **settings).fit(LOG, checkpoints=again), whole)


def test_sigterm_saves_and_the_fit_is_resumed(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    kept = Checkpoints(tmp_path / "kept", seconds=None)
    stop = Stop(13, partial(os.kill, os.getpid(), signal.SIGTERM))
    with pytest.raises(Terminated, match="after 13 batches, saved in") as caught:
        estimator(callbacks=[stop]).fit(LOG, checkpoints=kept)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    last = estimator(callbacks=[rest := Stop(10**6)])
    last.fit(LOG, checkpoints=Checkpoints(tmp_path / "kept", resume=True))
    assert rest.left == 10**6 - (3 * BATCHES - 13)
    same(last, estimator().fit(LOG))


def test_an_unfinished_fit_is_not_overwritten(tmp_path):
    kept = Checkpoints(tmp_path / "kept", steps=2)
    with pytest.raises(Gone):
        estimator(callbacks=[Stop(5)]).fit(LOG, checkpoints=kept)
    with pytest.raises(ArtifactError, match="holds an unfinished fit: resume it"):
        estimator().fit(LOG, checkpoints=kept)


@pytest.mark.parametrize(
    ("settings", "log", "message"),
    [
        ({"lr": 0.01}, LOG, r"'lr' was 0\.005, is 0\.01"),
        ({}, LOG.iloc[:-20], "'rows' was 944, is 924"),
        ({"build": models.multitask}, LOG, "another model"),
    ],
)
def test_a_fit_is_resumed_only_with_the_same_log_and_settings(settings, log, message, tmp_path):
    with pytest.raises(Gone):
        estimator(callbacks=[Stop(5)]).fit(LOG, checkpoints=Checkpoints(tmp_path / "kept", steps=2))
    again = Checkpoints(tmp_path / "kept", resume=True)
    with pytest.raises(ArtifactError, match=message):
        estimator(**settings).fit(log, checkpoints=again)


def test_a_torn_checkpoint_is_refused_and_unfinished_files_are_removed(tmp_path):
    kept = Checkpoints(tmp_path / "kept", steps=2)
    with pytest.raises(Gone):
        estimator(callbacks=[Stop(5)]).fit(LOG, checkpoints=kept)
    (tmp_path / "kept" / ".state-x1.pt").write_bytes(b"half")
    state = kept.state
    state.write_bytes(state.read_bytes()[:-100])
    again = Checkpoints(tmp_path / "kept", resume=True)
    with pytest.raises(ArtifactError, match="is no checkpoint that can be read"):
        estimator().fit(LOG, checkpoints=again)
    assert {path.name for path in state.parent.iterdir()} == {"plan.json", "codec.json", "state.pt"}


@pytest.mark.parametrize("name", ["steps", "seconds"])
def test_how_often_must_be_a_positive_number(name):
    with pytest.raises(DataError, match=f"`{name}` must be above 0"):
        Checkpoints("kept", **{name: 0})


def test_a_fit_of_two_processes_is_not_resumed_by_one(tmp_path):
    kept = Checkpoints(tmp_path / "kept", steps=2)
    with pytest.raises(Gone):
        estimator(callbacks=[Stop(5)]).fit(LOG, checkpoints=kept)
    state = torch.load(kept.state, weights_only=True)
    for callback in state["callbacks"].values():
        if "generators" in callback:
            callback["generators"]["cpu"] *= 2
    torch.save(state, kept.state)
    with pytest.raises(ArtifactError, match="a fit of 2 processes, found 1"):
        estimator().fit(LOG, checkpoints=Checkpoints(tmp_path / "kept", resume=True))


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
@pytest.mark.parametrize("batches", [3, 10, 14])
def test_a_users_trainer_resumes_from_its_checkpoints(batches, tmp_path):
    codec = Codec.fit(SCENARIO.schema, LOG)

    def fitted(callbacks, begun=None):
        model = models.esmm(codec.spec, bottom=SMALL, seed=0)
        draws = torch.Generator().manual_seed(3)
        loader = BatchLoader(codec.encode(LOG), 100, generator=draws, id_dropout=0.2)
        quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
        trainer = Trainer(max_epochs=3, accelerator="cpu", callbacks=callbacks, **quiet)
        held = BatchLoader(codec.encode(LOG), 500)
        trainer.fit(FunnelModule(model), loader, held, ckpt_path=begun)
        return model.state_dict()

    def keeping(folder):
        return ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1)

    whole = fitted([keeping(tmp_path / "whole")])
    with pytest.raises(Gone):
        fitted([Stop(batches + 1), keeping(tmp_path / "kept")])
    again = fitted([keeping(tmp_path / "more")], tmp_path / "kept" / f"step={batches}.ckpt")
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    whole, written = estimator().fit(LOG), []

    def save(content, path):
        written.append(path)
        if len(written) == 4:
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        plain(content, path)

    plain = torch.save
    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(OSError, match="No space left"):
        estimator().fit(LOG, checkpoints=Checkpoints(tmp_path / "kept", steps=2))
    monkeypatch.undo()
    names = {path.name for path in (tmp_path / "kept").iterdir()}
    assert names == {"plan.json", "codec.json", "state.pt"}
    again = Checkpoints(tmp_path / "kept", resume=True)
    same(estimator().fit(LOG, checkpoints=again), whole)
