"""Optimisers in `fit`, and what each can be combined with."""

from contextlib import nullcontext
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn as layers

from mtl_seq import FunnelEstimator, losses, models, nn
from mtl_seq.data import Encoding
from mtl_seq.errors import CompositionError
from mtl_seq.fit import DenseAdam, RowWiseAdagrad, RowWiseAdam, Uncertainty
from mtl_seq.simulate import LogisticFunnel

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, TRUTH = SCENARIO.sample(2000, np.random.default_rng(5))
BOTTOM = partial(nn.SharedBottom, hidden=(8,))
ROW_WISE = [RowWiseAdagrad(), RowWiseAdam(rate=0.5)]
row_wise = pytest.mark.parametrize("optimizer", ROW_WISE, ids=repr)


def estimator(optimizer, model=models.esmm, **settings):
    small = {"epochs": 1, "batch_size": 128, "encoding": Encoding(wide=True), **settings}
    return FunnelEstimator(
        partial(model, bottom=BOTTOM), SCENARIO.schema, optimizer=optimizer, **small
    )


def weights(fitted):
    return fitted.model_.state_dict()


def assert_same(one, other, tolerance=0.0):
    for name, value in weights(one).items():
        torch.testing.assert_close(value, weights(other)[name], rtol=0, atol=tolerance)


def test_dense_adam_is_the_default():
    assert_same(estimator(None).fit(LOG), estimator(DenseAdam()).fit(LOG))


@row_wise
def test_a_fit_ends_where_one_with_dense_gradients_does(optimizer, monkeypatch):
    fast = estimator(optimizer).fit(LOG)
    monkeypatch.setattr(
        "mtl_seq.fit.train.lightning_module.table_gradients", lambda *_: nullcontext()
    )
    slow = estimator(optimizer).fit(LOG)
    assert_same(fast, slow, tolerance=2e-4)


@row_wise
def test_tables_have_dense_gradients_again_and_any_optimiser_may_go_on(optimizer):
    model = estimator(optimizer).fit(LOG).model_
    tables = [m for m in model.modules() if isinstance(m, layers.Embedding)]
    assert tables
    assert not any(table.sparse for table in tables)


@row_wise
def test_a_saved_estimator_knows_its_optimiser(optimizer, tmp_path):
    fitted = estimator(optimizer).fit(LOG)
    fitted.save(tmp_path / "model")
    loaded = FunnelEstimator.load(tmp_path / "model")
    assert loaded.optimizer == optimizer
    pd.testing.assert_frame_equal(loaded.predict(LOG), fitted.predict(LOG))
    assert_same(loaded.fit(LOG), fitted)


def test_a_user_defined_optimiser_trains_and_is_asked_for_after_loading(tmp_path):
    def plain(network, *, lr, weight_decay):
        return torch.optim.SGD(network.parameters(), lr=lr, weight_decay=weight_decay)

    estimator(plain).fit(LOG).save(tmp_path / "model")
    loaded = FunnelEstimator.load(tmp_path / "model")
    with pytest.raises(CompositionError, match=r"set `estimator\.optimizer` before fitting again"):
        loaded.fit(LOG)


@row_wise
def test_a_balance_is_refused(optimizer):
    with pytest.raises(CompositionError, match=r"leave `balance` out, or use `fit\.DenseAdam"):
        estimator(optimizer, balance=Uncertainty).fit(LOG)


@row_wise
def test_clipping_is_refused(optimizer):
    with pytest.raises(CompositionError, match="leave `gradient_clip_val` out"):
        estimator(optimizer, trainer={"gradient_clip_val": 1.0}).fit(LOG)


@row_wise
@pytest.mark.parametrize(
    "model",
    [
        models.dr_jl,
        partial(models.escm2_ips, propensity=losses.PropensityPolicy(source=losses.CrossFit(2))),
        models.esmm_ns,
    ],
    ids=["turns", "cross-fitted", "a table a tower"],
)
def test_every_way_of_training_takes_it(optimizer, model):
    fitted = FunnelEstimator(
        model, SCENARIO.schema, epochs=1, batch_size=256, optimizer=optimizer
    ).fit(LOG)
    predicted = fitted.predict(LOG)
    assert np.isfinite(predicted.to_numpy()).all()
    assert predicted["pctr"].std() > 0


def test_gradients_are_summed_over_accumulated_batches():
    rule = RowWiseAdam()
    whole = estimator(rule, id_dropout=0.0).fit(LOG)
    parts = estimator(
        rule, id_dropout=0.0, batch_size=64, trainer={"accumulate_grad_batches": 2}
    ).fit(LOG)
    assert_same(whole, parts, tolerance=5e-4)
