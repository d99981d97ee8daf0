"""Every user's propensity comes from networks that did not see the user."""

from functools import partial

import numpy as np
import pytest
import torch
from lightning import Callback

from mtl_seq import FunnelEstimator, Schema, losses, models, nn
from mtl_seq.data import Codec, Encoding
from mtl_seq.errors import DataError
from mtl_seq.fit import FitConfig
from mtl_seq.fit.train.cross_fitting import cross_fitted, user_folds
from mtl_seq.records import FunnelBatch
from mtl_seq.simulate import LogisticFunnel

# What Lightning says of itself; `fit` keeps it quiet, here its Trainer is used as it comes.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")

SCENARIO = LogisticFunnel(users=60, items=40, seed=0)
LOG, TRUTH = SCENARIO.sample(3000, np.random.default_rng(5))
CODEC = Codec.fit(SCENARIO.schema, LOG)
ROWS = CODEC.encode(LOG)
SETTINGS = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def crossed(rows=ROWS, folds=3, network=None):
    network = network or models.multi_ipw(CODEC.spec, bottom=nn.SharedBottom, seed=0).network
    return cross_fitted(
        network,
        rows,
        folds,
        config=FitConfig(schema=SCENARIO.schema, batch_size=64),
        epochs=4,
        settings=SETTINGS,
    ).labels.propensity


@pytest.mark.parametrize("folds", [2, 3, 7])
def test_a_user_is_in_one_fold_and_folds_are_even(folds):
    group = ROWS.labels.group
    fold = user_folds(group, folds, seed=0)
    assert fold.shape == group.shape
    users = {(int(g), int(f)) for g, f in zip(group, fold, strict=True)}
    assert len(users) == len(torch.unique(group))
    sizes = np.bincount([f for _, f in users], minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    assert not torch.equal(fold, user_folds(group, folds, seed=1))


def test_what_a_user_did_does_not_move_the_users_own_propensities():
    """Flip one user's clicks: only propensities of other folds may change."""
    fold = user_folds(ROWS.labels.group, 3, seed=0)
    mine = ROWS.labels.group == ROWS.labels.group[0]
    stages = ROWS.labels.stages.clone()
    stages[mine, 0] = 1 - stages[mine, 0]
    stages[mine, 1] = 0
    flipped = FunnelBatch(ROWS.features, ROWS.labels._replace(stages=stages))
    before, after = crossed(), crossed(flipped)
    same = fold == fold[0]
    assert torch.equal(before[same], after[same])
    assert not torch.equal(before[~same], after[~same])


def test_they_are_propensities_and_know_something():
    network = models.multi_ipw(CODEC.spec, bottom=nn.SharedBottom, seed=0).network
    state = {name: x.clone() for name, x in network.state_dict().items()}
    found = crossed(network=network).numpy()
    assert ((found > 0) & (found < 1)).all()
    assert np.corrcoef(found, TRUTH.pctr)[0, 1] > 0.3
    assert found.mean() == pytest.approx(LOG["click"].mean(), abs=0.04)
    # The network they start from is left as it was.
    assert all(torch.equal(x, state[name]) for name, x in network.state_dict().items())


def test_ids_that_the_other_folds_lack_are_unseen():
    """With the user as the only feature, all rows of a fold have the propensity of the unseen."""

    class Propensities(Callback):
        def __init__(self):
            self.values = set()

        def on_train_batch_start(self, *arguments):
            batch = arguments[2]
            if batch.labels.propensity is not None:  # in training proper, not in a fold's
                self.values |= set(batch.labels.propensity.tolist())

    schema = Schema(
        ids=["user_id"], labels={"click": "click", "conversion": "conversion"}, group="user_id"
    )
    policy = losses.PropensityPolicy(source=losses.CrossFit(3))
    FunnelEstimator(
        partial(models.escm2_ips, propensity=policy, bottom=nn.SharedBottom),
        schema,
        epochs=1,
        encoding=Encoding(target_encoding=None),
        trainer={"callbacks": [seen := Propensities()]},
    ).fit(LOG)
    assert len(seen.values) == 3


def test_without_users_there_are_no_folds():
    with pytest.raises(DataError, match="`CrossFit` splits the users into folds, but the rows"):
        user_folds(None, 2, seed=0)


def test_more_folds_than_users_are_refused():
    with pytest.raises(DataError, match="at most the number of users, 2, found 3"):
        user_folds(torch.tensor([4, 4, 9]), 3, seed=0)
