"""The arithmetic of a network: what is chosen, what stays float32, and what is put back."""

import logging
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from mtl_seq import FeatureSpec, FunnelEstimator, models, nn
from mtl_seq.errors import CompositionError
from mtl_seq.fit.train import precision as module
from mtl_seq.fit.train.precision import Arithmetic, arithmetic_for, is_float32
from mtl_seq.simulate import LogisticFunnel

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, _ = SCENARIO.sample(3000, np.random.default_rng(5))
SPEC = FeatureSpec(ids={"user": 50, "item": 50}, dense=["price"])
FEATURES = {
    "user": torch.arange(40),
    "item": torch.arange(40),
    "price": torch.linspace(-1, 1, 40),
}
SMALL = partial(nn.MMoE, experts=2, hidden=(16, 8))


def network():
    return models.esmm(SPEC, bottom=SMALL, seed=0).network


def estimator(**settings):
    small = {"epochs": 1, "batch_size": 128, **settings}
    return FunnelEstimator(partial(models.esmm, bottom=SMALL), SCENARIO.schema, **small)


@pytest.fixture
def timed(monkeypatch):
    """Seconds by arithmetic, in place of a clock."""

    def fix(**seconds):
        monkeypatch.setattr(module, "_seconds", lambda which, *_, **__: seconds[which.name])
        monkeypatch.setattr(module, "_computes_bfloat16", lambda _: "BFLOAT16" in seconds)
        monkeypatch.setattr(module, "is_float32", lambda _: "ONEDNN" in seconds)
        return arithmetic_for("auto", network(), FEATURES, train=True)

    return fix


def test_auto_takes_what_is_fastest_and_says_so(timed, caplog):
    caplog.set_level(logging.INFO, "mtl_seq")
    assert timed(FLOAT32=3e-3, ONEDNN=2e-3, BFLOAT16=1e-3) is Arithmetic.BFLOAT16
    assert caplog.messages == [
        "precision: bfloat16 (milliseconds a batch: float32 3.00, float32 through oneDNN 2.00, "
        "bfloat16 1.00)"
    ]


def test_auto_stays_with_float32_where_nothing_is_a_tenth_faster(timed):
    assert timed(FLOAT32=1.0, ONEDNN=0.95, BFLOAT16=0.92) is Arithmetic.FLOAT32
    assert timed(FLOAT32=1.0, ONEDNN=0.90, BFLOAT16=2.0) is Arithmetic.ONEDNN


def test_auto_leaves_out_what_the_processor_emulates_or_rounds(timed):
    assert timed(FLOAT32=1.0) is Arithmetic.FLOAT32


def test_the_probe_knows_float32_from_bfloat16():
    assert is_float32(Arithmetic.FLOAT32)
    assert not is_float32(Arithmetic.BFLOAT16)


@pytest.mark.parametrize("arithmetic", Arithmetic, ids=lambda which: which.name)
def test_what_is_set_is_put_back_even_after_an_error(arithmetic):
    before = torch.get_float32_matmul_precision()

    def fail():
        with arithmetic.network(torch.device("cpu")), arithmetic.backward():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_float32_matmul_precision() == before
    assert not torch.is_autocast_enabled("cpu")


def test_probing_leaves_no_trace():
    one = network()
    before = {name: x.clone() for name, x in one.state_dict().items()}
    state = torch.random.get_rng_state()
    assert arithmetic_for("auto", one, FEATURES, train=True) in Arithmetic
    assert all(p.grad is None for p in one.parameters())
    assert torch.equal(state, torch.random.get_rng_state())
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_float32_is_the_default_and_changes_nothing():
    plain = estimator().fit(LOG)
    named = estimator(precision="float32").fit(LOG)
    assert plain.run_.arithmetic is Arithmetic.FLOAT32
    pd.testing.assert_frame_equal(plain.predict(LOG), named.predict(LOG))


def test_losses_weights_and_logits_are_float32_under_bfloat16():
    model = models.esmm(SPEC, bottom=SMALL, seed=0)
    with Arithmetic.BFLOAT16.network(torch.device("cpu")):
        prediction = model(FEATURES)
    assert prediction.logits.dtype == torch.float32
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    # Rounded to 8 digits these logits near 0 would be multiples of 2^-10 or coarser.
    assert len(prediction.logits[:, 0].unique()) > 35
    exact = model(FEATURES).logits
    torch.testing.assert_close(prediction.logits, exact, rtol=0, atol=0.02)
    assert not torch.equal(prediction.logits, exact)


def test_bfloat16_trains_close_to_float32_and_is_remembered(tmp_path):
    exact = estimator().fit(LOG)
    rounded = estimator(precision="bfloat16").fit(LOG)
    assert rounded.run_.arithmetic is Arithmetic.BFLOAT16
    assert rounded.run_.validation_scores == pytest.approx(exact.run_.validation_scores, rel=0.02)
    assert rounded.run_.validation_scores != exact.run_.validation_scores
    rounded.save(tmp_path / "model")
    loaded = FunnelEstimator.load(tmp_path / "model")
    assert loaded.precision == "bfloat16"
    assert loaded.run_.arithmetic is Arithmetic.BFLOAT16
    pd.testing.assert_frame_equal(loaded.predict(LOG), rounded.predict(LOG))


@pytest.mark.parametrize("model", [models.dr_jl, models.dbmtl, models.aitm, models.escm2_dr])
def test_every_way_of_training_takes_it(model):
    fitted = FunnelEstimator(
        model, SCENARIO.schema, epochs=1, batch_size=256, precision="bfloat16"
    ).fit(LOG)
    assert np.isfinite(fitted.predict(LOG).to_numpy()).all()


def test_a_precision_that_is_none_is_refused():
    with pytest.raises(CompositionError, match=r"`precision` must be one of .*found 'half'"):
        estimator(precision="half").fit(LOG)
