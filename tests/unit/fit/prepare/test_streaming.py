"""Fits of a log on disk, against fits of the same rows in memory."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Callback

from mtl_seq import FunnelEstimator, Schema, losses, models, nn
from mtl_seq.data import write_frame
from mtl_seq.errors import CompositionError, DataError, SchemaError
from mtl_seq.fit import Checkpoints
from mtl_seq.fit.prepare import rows
from mtl_seq.fit.prepare.rows import is_streamed
from mtl_seq.models import CalibrationConfig
from mtl_seq.simulate import LogisticFunnel

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, TRUTH = SCENARIO.sample(3000, np.random.default_rng(5))
LOG["at"] = np.arange(len(LOG)) // 3
HELD, _ = SCENARIO.sample(800, np.random.default_rng(6))
BOTTOM = partial(nn.SharedBottom, hidden=(8,))
TIMED = Schema.from_dict({**SCENARIO.schema.to_dict(), "time": "at", "group": "user_id"})


def estimator(model=models.esmm, schema=TIMED, **settings):
    given = {"epochs": 2, "batch_size": 100, "patience": 9, **settings}
    return FunnelEstimator(partial(model, bottom=BOTTOM), schema, **given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    for number, start in enumerate((0, 1100, 1200)):
        stop = (1100, 1200, 3000)[number]
        LOG.iloc[start:stop].to_parquet(folder / f"{number}.parquet", row_group_size=400)
    return folder


@pytest.fixture
def small_memory(monkeypatch):
    monkeypatch.setattr(rows, "IN_MEMORY", 100)


class Seen(Callback):
    """What every epoch trained on."""

    def __init__(self):
        self.epochs = []

    def on_train_epoch_start(self, *_):
        self.epochs.append([])

    def on_train_batch_start(self, *given):
        self.epochs[-1].append(given[2])


def as_frame(batches):
    """Rows of some batches in an order that does not depend on theirs."""
    columns = {
        name: torch.cat([batch.features[name] for batch in batches]).numpy()
        for name in batches[0].features
    }
    columns["labels"] = torch.cat(
        [batch.labels.stages @ torch.tensor([2.0, 1]) for batch in batches]
    )
    frame = pd.DataFrame(columns)
    return frame.sort_values([*frame.columns]).reset_index(drop=True)


def test_the_rows_and_their_encoding_are_those_of_memory(folder, small_memory):
    """The time splits at the same row, so both train on the same rows; their order differs."""
    streamed, kept = Seen(), Seen()
    settings = {"id_dropout": 0.0, "validation": 0.1}
    on_disk = estimator(trainer={"callbacks": [streamed]}, **settings).fit(folder)
    in_memory = estimator(trainer={"callbacks": [kept]}, **settings).fit(LOG)
    assert on_disk.codec_.to_dict().keys() == in_memory.codec_.to_dict().keys()
    for epoch in streamed.epochs:
        found, wanted = as_frame(epoch), as_frame(kept.epochs[0])
        pd.testing.assert_frame_equal(found, wanted, rtol=1e-5, atol=1e-6)
    first, second = (batches[0].features["price"] for batches in streamed.epochs)
    assert not torch.equal(first, second)
    # Other orders of the same rows: as good a model, within what orders do.
    assert on_disk.run_.validation_scores[-1] == pytest.approx(
        in_memory.run_.validation_scores[-1], abs=0.02
    )


def test_validation_rows_give_the_same_rule_as_in_memory(folder, small_memory, tmp_path):
    write_frame(HELD.assign(at=0), tmp_path / "held.parquet")
    on_disk = estimator(epochs=1).fit(folder, validation=tmp_path / "held.parquet")
    in_memory = estimator(epochs=1).fit(folder, validation=HELD.assign(at=0))
    assert on_disk.run_.validation_scores == pytest.approx(
        in_memory.run_.validation_scores, rel=1e-9
    )


def test_a_calibration_is_that_of_the_held_out_rows(folder, small_memory, tmp_path):
    write_frame(HELD.assign(at=0), tmp_path / "held.parquet")
    settings = {"epochs": 1, "calibrate": CalibrationConfig("shift", weighted=False)}
    on_disk = estimator(**settings).fit(folder, validation=tmp_path / "held.parquet")
    in_memory = estimator(**settings).fit(folder, validation=HELD.assign(at=0))
    assert on_disk.calibration_.intercept == pytest.approx(in_memory.calibration_.intercept)
    assert on_disk.calibration_.rows == int(HELD["click"].sum())


class Gone(Exception):
    pass


class Stop(Callback):
    def __init__(self, batches):
        self.left = batches

    def on_train_batch_end(self, *_):
        self.left -= 1
        if self.left == 0:
            raise Gone


@pytest.mark.parametrize("batches", [5, 30])
def test_a_stopped_fit_is_resumed_to_the_bit(batches, folder, small_memory, tmp_path):
    settings = {"id_dropout": 0.2}
    whole = estimator(**settings).fit(folder)
    assert len(whole.run_.validation_scores) == 2
    stopped = estimator(trainer={"callbacks": [Stop(batches)]}, **settings)
    with pytest.raises(Gone):
        stopped.fit(folder, checkpoints=Checkpoints(tmp_path / "kept", steps=1))
    again = Checkpoints(tmp_path / "kept", resume=True)
    last = estimator(**settings).fit(folder, checkpoints=again)
    assert last.run_ == whole.run_
    for name, value in whole.model_.state_dict().items():
        assert torch.equal(value, last.model_.state_dict()[name]), name


CROSSED = losses.PropensityPolicy(source=losses.CrossFit(2))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (models.pairwise_ranker, "cannot be streamed"),
        (partial(models.escm2_ips, propensity=CROSSED), "`CrossFit` adds a propensity"),
        (models.oracle, "potential outcomes"),
    ],
)
def test_what_needs_all_rows_at_once_is_refused(model, message, folder, small_memory):
    with pytest.raises((CompositionError, DataError), match=message):
        estimator(model).fit(folder)


def test_bad_rows_and_leaks_are_refused(folder, small_memory, tmp_path):
    leaky = LOG.assign(price=LOG["click"].astype(float))
    write_frame(leaky, tmp_path / "leak.parquet")
    with pytest.raises(DataError, match="feature 'price' equals 'click'"):
        estimator().fit(tmp_path / "leak.parquet")
    write_frame(LOG.assign(click=0, conversion=0), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="no click at all"):
        estimator().fit(tmp_path / "none.parquet")
    with pytest.raises(DataError, match="belongs to a frame in memory"):
        estimator(models.oracle).fit(folder, truth=TRUTH)
    (tmp_path / "two").mkdir()
    write_frame(LOG, tmp_path / "two" / "a.parquet")
    write_frame(LOG.astype({"user_id": str}), tmp_path / "two" / "b.parquet")
    with pytest.raises(SchemaError, match=r"a\.parquet.*b\.parquet|b\.parquet.*a\.parquet"):
        estimator().fit(tmp_path / "two")


def test_what_is_streamed(folder, small_memory, monkeypatch):
    assert not is_streamed(LOG)
    assert is_streamed(folder)
    assert is_streamed(str(folder / "*.parquet"))
    monkeypatch.setattr(rows, "IN_MEMORY", 3000)
    assert not is_streamed(folder)
    assert is_streamed(folder.as_uri())
    assert not is_streamed("nowhere.parquet")  # which is told by who reads it
