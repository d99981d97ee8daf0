"""Small reports with every section, for the tests of what is made from them."""

import functools

import numpy as np
import pandas as pd

from mtl_seq import BiasReport
from mtl_seq.simulate import LogisticFunnel

SIMULATOR = LogisticFunnel(users=80, items=40, mnar=1.0, cvr=0.15, seed=0)
LOG, KNOWN = SIMULATOR.sample(3000, np.random.default_rng(5))
LOG["shown_at_random"] = (np.arange(len(LOG)) % 5 == 0).astype(int)
RULE = "least log loss of pCTCVR / pCTR on clicked validation rows"


def predicted(pcvr, pctr=KNOWN.pctr):
    """Predictions of a model whose joint is the product."""
    return pd.DataFrame({"pctr": pctr, "pcvr": pcvr, "pctcvr": pctr * pcvr}, index=LOG.index)


def noisy(sd, seed):
    """The true CVR with multiplicative noise."""
    shift = np.exp(sd * np.random.default_rng(seed).standard_normal(len(KNOWN.pcvr)))
    return np.clip(KNOWN.pcvr * shift, 0, 1)


MODELS = {
    "click_space": predicted(noisy(0.8, 1)),
    "multitask": predicted(KNOWN.pcvr_clicked),
    "<b>mine</b>": predicted(np.clip(1.2 * noisy(0.1, 2), 0, 1)),
    "oracle": predicted(noisy(0.02, 3)),
}
BY = ("user_tier", "item_category", "price")


@functools.cache
def known(replicates=20):
    """Against the truth, with segments."""
    return BiasReport.against_truth(
        MODELS,
        LOG,
        KNOWN,
        schema=SIMULATOR.schema,
        by=BY,
        checkpoint_rule=RULE,
        replicates=replicates,
    )


@functools.cache
def observed(replicates=20):
    """From the log, with segments and rows shown at random."""
    scores = {name: frame for name, frame in MODELS.items() if name != "oracle"}
    return BiasReport.from_log(
        scores,
        LOG,
        schema=SIMULATOR.schema,
        by=BY,
        random="shown_at_random",
        checkpoint_rule=RULE,
        replicates=replicates,
    )


@functools.cache
def silent():
    """From a log without a click."""
    quiet = LOG.assign(click=0, conversion=0)
    return BiasReport.from_log(
        MODELS, quiet, schema=SIMULATOR.schema, by=BY, random="shown_at_random", replicates=5
    )


ALL = {"truth": known, "log": observed, "silent": silent}
