"""Training rows, the kept epoch, and interrupted fits."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from lightning import Callback

from mtl_seq import FunnelEstimator, Schema, models, nn
from mtl_seq.errors import DataError, NotFittedError
from mtl_seq.fit import estimator as module
from mtl_seq.fit.storage import model_folder
from mtl_seq.simulate import LogisticFunnel

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, TRUTH = SCENARIO.sample(2000, np.random.default_rng(5))
HELD, _ = SCENARIO.sample(800, np.random.default_rng(6))
BOTTOM = partial(nn.SharedBottom, hidden=(8,))


def estimator(model=models.esmm, schema=SCENARIO.schema, **settings):
    small = {"epochs": 2, "batch_size": 128, **settings}
    return FunnelEstimator(partial(model, bottom=BOTTOM), schema, **small)


class Stop(Exception):
    pass


def training_data(monkeypatch, one, log, **settings):
    """The training data that `fit` prepares; nothing is trained."""
    seen = []

    def record(config, data, checkpoints=None):
        seen.append(data)
        raise Stop

    monkeypatch.setattr(module, "train", record)
    with pytest.raises(Stop):
        one.fit(log, **settings)
    return seen[0]


class Interrupt(Callback):
    """Ctrl-C in the middle of an epoch."""

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 8:
            raise KeyboardInterrupt


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_interrupted_fit_leaves_the_earlier_one_and_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = estimator().fit(LOG)
    one.save("model")
    scores, run, codec, saved = one.predict(HELD), one.run_, one.codec_, files(tmp_path)
    one.trainer = {"callbacks": [Interrupt()]}
    with pytest.raises(KeyboardInterrupt):
        one.fit(HELD)
    pd.testing.assert_frame_equal(one.predict(HELD), scores)
    assert (one.run_, one.codec_) == (run, codec)
    assert files(tmp_path) == saved
    pd.testing.assert_frame_equal(FunnelEstimator.load("model").predict(HELD), scores)


def test_an_interrupted_first_fit_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = estimator(trainer={"callbacks": [Interrupt()]})
    with pytest.raises(KeyboardInterrupt):
        one.fit(LOG)
    with pytest.raises(NotFittedError):
        one.predict(LOG)
    assert files(tmp_path) == {}


def test_an_interrupted_save_leaves_the_older_folder(tmp_path, monkeypatch):
    estimator().fit(LOG).save(tmp_path / "model")
    saved = files(tmp_path)
    other = estimator(seed=1).fit(LOG)

    def interrupt(weights, path):
        path.write_bytes(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(model_folder, "save_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        other.save(tmp_path / "model")
    assert files(tmp_path) == saved
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_weights_kept_are_those_of_the_epoch_with_the_least_rule():
    # A rate far too high, so that later epochs are worse.
    one = estimator(epochs=6, lr=0.1, patience=6).fit(LOG, validation=HELD)
    assert len(one.run_.validation_scores) == 6
    assert one.run_.best_epoch == int(np.argmin(one.run_.validation_scores))
    assert one.run_.best_epoch < 5
    clicked = HELD[HELD["click"] == 1]
    scores = one.predict(clicked)
    implied = scores["pctcvr"] / scores["pctr"]
    loss = -np.where(clicked["conversion"] == 1, np.log(implied), np.log1p(-implied)).mean()
    assert min(one.run_.validation_scores) == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("patience", [1, 3])
def test_training_stops_when_patience_ends(patience):
    run = estimator(epochs=30, lr=0.1, patience=patience).fit(LOG, validation=HELD).run_
    assert len(run.validation_scores) == run.best_epoch + 1 + patience
    assert run.best_epoch == int(np.argmin(run.validation_scores))


def test_with_explicit_validation_rows_all_of_the_log_is_trained_on(monkeypatch):
    seen = training_data(monkeypatch, estimator(), LOG, validation=HELD)._asdict()
    row = {user: row for row, user in enumerate(sorted(set(LOG["user_id"])), start=1)}
    for part, frame in (("rows", LOG), ("validation", HELD)):
        assert seen[part].features["user_id"].tolist() == frame["user_id"].map(row).tolist()
    assert seen["validation"].labels.click.tolist() == HELD["click"].tolist()


def test_ids_of_held_out_rows_are_not_learned(monkeypatch):
    schema = Schema.from_dict({**SCENARIO.schema.to_dict(), "time": "at"})
    late = np.arange(len(LOG)) % 4 == 3
    timed = LOG.assign(at=late, user_id=LOG["user_id"] + 1000 * late)
    one = estimator(schema=schema, validation=0.25)
    seen = training_data(monkeypatch, one, timed)._asdict()
    assert (seen["rows"].features["user_id"] > 0).all()
    assert (seen["validation"].features["user_id"] == 0).all()
    assert seen["validation"].labels.click.tolist() == timed["click"][late].tolist()
    # Scaled by the rows trained on, not by all.
    assert seen["rows"].features["price"].mean().item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("epochs", "batch_size", "expected"),
    [(None, 100, 6), (None, 4, 1), (3, 100, 3)],
    ids=["100 steps of 19 an epoch", "475 steps in one", "as asked"],
)
def test_epochs_by_default_make_100_steps(epochs, batch_size, expected):
    one = estimator(epochs=epochs, batch_size=batch_size, patience=9).fit(LOG)
    assert len(one.run_.validation_scores) == expected  # 1,900 of the rows train


def test_the_oracle_trains_on_the_potential_outcomes_of_its_own_rows(monkeypatch):
    labels = training_data(monkeypatch, estimator(models.oracle), LOG, truth=TRUTH).rows.labels
    assert (labels.conversion == labels.click * labels.potential).all()
    share = TRUTH.potential.mean()
    sigma = np.sqrt(share * (1 - share) * (1 / 1900 - 1 / 2000))
    assert labels.potential.mean().item() == pytest.approx(share, abs=5 * sigma)


def test_no_other_model_is_shown_potential_outcomes(monkeypatch):
    data = training_data(monkeypatch, estimator(), LOG, truth=TRUTH)
    assert data.rows.labels.potential is None


def test_the_order_of_rows_depends_on_the_seed():
    class FirstBatch(Callback):
        def on_train_batch_start(self, *arguments):
            _, _, batch, index = arguments
            if index == 0:
                self.prices = batch.features["price"].tolist()

    orders = []
    for seed in (0, 0, 1):
        first = FirstBatch()
        settings = {"epochs": 1, "seed": seed, "trainer": {"callbacks": [first]}}
        estimator(**settings).fit(LOG, validation=HELD)
        orders.append(first.prices)
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (None, "only a simulator knows"),
        (TRUTH.take(np.arange(1999)), r"one entry per row of the log, 2,000, found 1,999"),
    ],
)
def test_the_oracle_needs_the_truth_of_the_same_rows(monkeypatch, truth, message):
    monkeypatch.setattr(module, "train", None)  # nothing may come to training
    with pytest.raises(DataError, match=message):
        estimator(models.oracle).fit(LOG, truth=truth)
