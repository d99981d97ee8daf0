"""Balances through the estimator."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from mtl_seq import FunnelEstimator, models, nn
from mtl_seq.errors import CompositionError
from mtl_seq.fit import DWA, GradNorm, JacobianDescent, Uncertainty
from mtl_seq.simulate import LogisticFunnel

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, _ = SCENARIO.sample(3000, np.random.default_rng(5))
ORDER = np.random.default_rng(0).permutation(len(LOG))
ROWS, HELD = LOG.iloc[np.sort(ORDER[:2850])], LOG.iloc[np.sort(ORDER[2850:])]
FRESH, FRESH_TRUTH = SCENARIO.sample(2000, np.random.default_rng(6))


def estimator(model=models.esmm, **settings):
    build = partial(model, bottom=partial(nn.SharedBottom, hidden=(8,)))
    return FunnelEstimator(build, SCENARIO.schema, **{"epochs": 3, "batch_size": 128, **settings})


BALANCES = {
    "uncertainty": Uncertainty,
    "DWA": partial(DWA, steps=5),
    "GradNorm": partial(GradNorm, alpha=0.12),
    "PCGrad": partial(JacobianDescent, aggregator="PCGrad"),
    "UPGrad": JacobianDescent,
    "GradVac": partial(JacobianDescent, aggregator="GradVac"),
    "CAGrad": partial(JacobianDescent, aggregator="CAGrad", settings={"c": 0.4}),
    "NashMTL": partial(
        JacobianDescent, aggregator="NashMTL", settings={"update_weights_every": 10}
    ),
}
NEEDS = {"PCGrad": "torchjd", "GradVac": "torchjd", "UPGrad": "qpsolvers", "CAGrad": "clarabel"}
NEEDS["NashMTL"] = "ecos"
not_dpp = pytest.mark.filterwarnings("ignore:You are solving a parameterized problem")


@pytest.fixture(scope="module")
def plain():
    return estimator().fit(ROWS, validation=HELD)


def loss(scores):
    """Expected log loss of pCTR and pCTCVR against the truth of fresh rows."""
    total = 0.0
    for name in ("pctr", "pctcvr"):
        p, q = scores[name].to_numpy(), getattr(FRESH_TRUTH, name)
        total -= (q * np.log(p) + (1 - q) * np.log1p(-p)).mean()
    return total


@not_dpp
@pytest.mark.parametrize("name", BALANCES)
def test_a_balanced_model_learns_and_is_another_one(name, plain):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    one = estimator(balance=BALANCES[name]).fit(ROWS, validation=HELD)
    scores = one.predict(FRESH)
    assert not np.allclose(scores["pctr"], plain.predict(FRESH)["pctr"], rtol=1e-3)
    constant = pd.DataFrame(
        {"pctr": LOG["click"].mean(), "pctcvr": LOG["conversion"].mean()}, index=FRESH.index
    )
    assert loss(scores) < loss(constant) - 0.01
    again = estimator(balance=BALANCES[name]).fit(ROWS, validation=HELD).predict(FRESH)
    pd.testing.assert_frame_equal(again, scores)


def test_the_weights_are_in_the_training_history(plain):
    assert not any(name.startswith("balance/") for name in plain.run_.training_history[-1])
    found = estimator(balance=GradNorm).fit(ROWS, validation=HELD).run_.training_history
    sums = [metrics["balance/ctr"] + metrics["balance/ctcvr"] for metrics in found]
    assert sums == pytest.approx([2, 2, 2], abs=1e-4)
    assert abs(found[-1]["balance/ctr"] - 1) > 0.01
    learned = estimator(balance=Uncertainty).fit(ROWS, validation=HELD).run_.training_history[-1]
    # exp(-s) / 2 goes from 1/2 to 1 / (2 L), and CTCVR's loss is the smaller.
    assert learned["balance/ctcvr"] > learned["balance/ctr"] > 0.5


def test_dwa_by_epochs_starts_in_the_third():
    history = (
        estimator(balance=DWA, epochs=4, patience=4)
        .fit(ROWS, validation=HELD)
        .run_.training_history
    )
    weights = [metrics["balance/ctr"] for metrics in history]
    # The weights logged after an epoch are those of the next one.
    assert weights[0] == 1
    assert weights[1] != 1
    means = [(metrics["ctr"], metrics["ctcvr"]) for metrics in history]
    rate = np.array(means[1]) / np.array(means[0])
    expected = 2 * np.exp(rate / 2) / np.exp(rate / 2).sum()
    assert weights[1] == pytest.approx(expected[0], rel=1e-2)


def test_a_balance_is_saved_with_its_estimator(tmp_path):
    balance = partial(GradNorm, alpha=0.5, tasks={"click": ["ctr"], "rest": ["ctcvr"]})
    one = estimator(balance=balance).fit(ROWS, validation=HELD)
    one.save(tmp_path / "model")
    loaded = FunnelEstimator.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(FRESH), one.predict(FRESH))
    pd.testing.assert_frame_equal(
        loaded.fit(ROWS, validation=HELD).predict(FRESH), one.predict(FRESH)
    )
    assert set(loaded.run_.training_history[-1]) >= {"balance/click", "balance/rest"}


def test_a_user_defined_balance_is_asked_for_after_loading(tmp_path):
    one = estimator(balance=partial(JacobianDescent, aggregator=lambda rows: rows.mean(0)))
    one.fit(ROWS, validation=HELD).save(tmp_path / "model")
    loaded = FunnelEstimator.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(FRESH), one.predict(FRESH))
    with pytest.raises(CompositionError, match=r"set `estimator.balance` before fitting again"):
        loaded.fit(ROWS, validation=HELD)
    loaded.balance = None
    loaded.fit(ROWS, validation=HELD)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": models.pairwise_ranker}, "at least two tasks to balance"),
        ({"model": models.dr_jl}, "alternates between its losses"),
        ({"model": models.click_space}, "share none"),
        ({"trainer": {"accumulate_grad_batches": 2}}, "`accumulate_grad_batches`"),
        ({"trainer": {"precision": "16-mixed"}}, "a scaled precision"),
    ],
)
def test_what_cannot_be_balanced_is_refused(settings, message):
    with pytest.raises(CompositionError, match=message):
        estimator(balance=GradNorm, **settings).fit(ROWS, validation=HELD)
