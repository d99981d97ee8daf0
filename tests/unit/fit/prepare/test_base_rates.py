"""Base rates are counts of a log, whatever the shape of the funnel."""

import numpy as np
import pandas as pd
import pytest
import torch

from mtl_seq import Funnel, Stage
from mtl_seq.fit.prepare.base_rates import base_rates

ROWS = 500


def shrunk(happened, given):
    """Happenings among the rows given, half a row added on either side."""
    return (happened[given].sum() + 0.5) / (given.sum() + 1)


def extra(converted):
    """What towers of losses start at: the rate of a conversion after a click, or the rest."""
    like = dict.fromkeys(("imputation", "conversion_propensity"), converted)
    return like | dict.fromkeys(("counterfactual", "unconverted"), 1 - converted)


def rates(funnel, log):
    stages = np.array(log[list(funnel.names)], dtype=np.float32)
    return base_rates(funnel, torch.from_numpy(stages))


def draws(seed=0):
    return np.random.default_rng(seed).random((ROWS, 4))


def test_chain():
    u = draws()
    log = pd.DataFrame({"click": u[:, 0] < 0.6})
    log["cart"] = log["click"] & (u[:, 1] < 0.3)
    log["buy"] = log["cart"] & (u[:, 2] < 0.5)
    assert rates(Funnel.chain("click", "cart", "buy"), log) == pytest.approx(
        {
            "click": (log["click"].sum() + 0.5) / (ROWS + 1),
            "cart": shrunk(log["cart"], log["click"]),
            "buy": shrunk(log["buy"], log["cart"]),
            **extra(shrunk(log["buy"], log["click"])),
        }
    )


def test_one_mediator():
    u = draws()
    log = pd.DataFrame({"click": u[:, 0] < 0.6})
    log["cart"] = log["click"] & (u[:, 1] < 0.3)
    log["buy"] = log["click"] & (u[:, 2] < np.where(log["cart"], 0.7, 0.1))
    funnel = Funnel((Stage("click"), Stage("cart", "click"), Stage("buy", "click", ("cart",))))
    assert rates(funnel, log) == pytest.approx(
        {
            "click": (log["click"].sum() + 0.5) / (ROWS + 1),
            "cart": shrunk(log["cart"], log["click"]),
            "buy|cart": shrunk(log["buy"], log["cart"]),
            "buy|other": shrunk(log["buy"], log["click"] & ~log["cart"]),
            **extra(shrunk(log["buy"], log["click"])),
        }
    )


def test_exclusive_mediators():
    u = draws()
    log = pd.DataFrame({"click": u[:, 0] < 0.6})
    log["cart"] = log["click"] & (u[:, 1] < 0.3)
    log["wish"] = log["click"] & (u[:, 1] > 0.8)
    chance = np.select([log["cart"], log["wish"]], [0.7, 0.4], 0.1)
    log["buy"] = log["click"] & (u[:, 2] < chance)
    funnel = Funnel(
        (
            Stage("click"),
            Stage("cart", "click"),
            Stage("wish", "click"),
            Stage("buy", "click", ("cart", "wish")),
        )
    )
    assert rates(funnel, log) == pytest.approx(
        {
            "click": (log["click"].sum() + 0.5) / (ROWS + 1),
            "cart": shrunk(log["cart"], log["click"]),
            "wish": shrunk(log["wish"], log["click"]),
            "buy|cart": shrunk(log["buy"], log["cart"]),
            "buy|wish": shrunk(log["buy"], log["wish"]),
            "buy|other": shrunk(log["buy"], log["click"] & ~log["cart"] & ~log["wish"]),
            **extra(shrunk(log["buy"], log["click"])),
        }
    )


def test_no_rate_is_0_or_1_where_nothing_or_everything_happened():
    funnel = Funnel.chain("click", "buy")
    never = pd.DataFrame({"click": [False] * 4, "buy": [False] * 4})
    assert rates(funnel, never) == {"click": 0.1, "buy": 0.5, **extra(0.5)}
    always = ~never
    assert rates(funnel, always) == {"click": 0.9, "buy": 0.9, **extra(0.9)}


def test_one_stage():
    log = pd.DataFrame({"click": [True, False, False]})
    assert rates(Funnel.chain("click"), log)["click"] == 0.375
