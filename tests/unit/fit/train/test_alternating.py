"""Alternating optimisation: which parameters move when, and at which learning rate."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from lightning import Trainer

from mtl_seq import FunnelEstimator, models, nn
from mtl_seq.data import BatchLoader, Codec
from mtl_seq.fit import FunnelModule
from mtl_seq.fit.train.alternating import copy_towers
from mtl_seq.simulate import LogisticFunnel

# What Lightning says of itself; `fit` keeps it quiet, here its Trainer is used as it comes.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, _ = SCENARIO.sample(1024, np.random.default_rng(5))
CODEC = Codec.fit(SCENARIO.schema, LOG)
ROWS = CODEC.encode(LOG)
SMALL = partial(nn.SharedBottom, hidden=(8,))
LR = 0.02


def built(build=models.dr_jl, **settings):
    return build(CODEC.spec, funnel=SCENARIO.schema.funnel, bottom=SMALL, seed=1, **settings)


def trained(model, *, epochs=1, batch_size=256, module=FunnelModule):
    """Trained in the order of the rows, without validation."""
    engine = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    fitted = module(model, lr=LR)
    engine.fit(fitted, BatchLoader(ROWS, batch_size))
    return fitted


def parts(model):
    """Parameters of the imputation and all others."""
    net = model.network
    index = net.towers.index("imputation")
    modules = (net.embedding.lookups[index], net.bottom.bottoms[index], net.aux_towers)
    own = [p for module in modules for p in module.parameters()]
    return own, [p for p in model.parameters() if all(p is not q for q in own)]


def by_hand(model, *, epochs=1, batch_size=256):
    """The same with plain torch: each turn has an optimiser of its own."""
    optimizers = [torch.optim.AdamW(part, lr=LR, weight_decay=0.0) for part in parts(model)]
    loader = BatchLoader(ROWS, batch_size)
    steps = epochs * len(loader)
    step = 0
    for _ in range(epochs):
        copy_towers(model)
        for features, labels in loader:
            for names, optimizer in zip((["imputation"], ["ctr", "cvr"]), optimizers, strict=True):
                optimizer.param_groups[0]["lr"] = LR * (1 - step / steps)
                losses = model.objective(model(features), labels)
                model.zero_grad()
                sum(losses[name] for name in names).backward()
                optimizer.step()
            step += 1
    return model


def values(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("build", [models.dr_jl, models.mrdr])
def test_turns_are_two_steps_a_batch_under_one_falling_rate(build):
    model = built(build)
    twin = copy.deepcopy(model)
    trained(model, epochs=2)
    expected = values(by_hand(twin, epochs=2))
    for name, found in values(model).items():
        torch.testing.assert_close(found, expected[name], rtol=1e-4, atol=1e-6, msg=name)


class Freezing(FunnelModule):
    """Notes which of the two parts each optimiser step moves."""

    def on_train_start(self):
        self.moves = []
        optimizer = self.optimizers(use_pl_optimizer=False)
        optimizer.register_step_pre_hook(self.before)
        optimizer.register_step_post_hook(self.after)

    def before(self, *_):
        self.old = [[p.detach().clone() for p in part] for part in parts(self.model)]

    def after(self, *_):
        pairs = zip(parts(self.model), self.old, strict=True)
        self.moves.append(
            tuple(any(not torch.equal(p, q) for p, q in zip(*pair, strict=True)) for pair in pairs)
        )


@pytest.mark.parametrize("build", [models.dr_jl, models.sn_dr, models.dr_mse])
def test_each_turn_freezes_what_the_other_trains(build):
    """Not even momentum moves it."""
    moves = trained(built(build), epochs=2, module=Freezing).moves
    imputes, predicts = (True, False), (False, True)
    assert moves == [imputes, predicts] * (len(moves) // 2)
    assert len(moves) == 2 * 2 * 4


class Recording(FunnelModule):
    """Notes at every epoch's first batch how far apart the two towers are."""

    def training_step(self, batch, batch_index):
        if batch_index == 0:
            prediction = self.model(batch.features)
            gap = prediction.aux["imputation"] - prediction.pcvr_logit
            self.apart = [*getattr(self, "apart", []), float(gap.abs().max())]
        return super().training_step(batch, batch_index)


def test_double_learning_starts_every_epoch_at_the_predictor():
    assert max(trained(built(models.mrdr), epochs=3, module=Recording).apart) <= 1e-6


def test_single_learning_does_not():
    assert min(trained(built(models.dr_jl), epochs=3, module=Recording).apart) > 1e-3


@pytest.mark.parametrize(
    "build", [models.snips, models.sn_dr, models.mrdr, models.dcmt, models.ddpo, models.nise]
)
def test_batches_without_clicks_train_on(build):
    """Batches of 4 rows at a CTR of 5%: most have no click, and nearly all no conversion."""
    simulator = LogisticFunnel(users=60, items=40, ctr=0.05, cvr=0.1, seed=0)
    log, _ = simulator.sample(3000, np.random.default_rng(3))
    one = FunnelEstimator(partial(build, bottom=SMALL), simulator.schema, batch_size=4, epochs=1)
    scores = one.fit(log.iloc[:1500], validation=log.iloc[1500:]).predict(log)
    assert np.isfinite(scores.to_numpy()).all()
    assert all(np.isfinite(value) for value in one.run_.training_history[0].values())
    assert scores["pcvr"].std() > 0
