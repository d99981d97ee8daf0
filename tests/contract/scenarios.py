"""Simulators for parts that need more than clicks and conversions."""

from dataclasses import replace

import numpy as np

from mtl_seq import models, simulate


class WithAction(simulate.LogisticFunnel):
    """An optional action between click and purchase."""

    @property
    def schema(self):
        labels = {name: name for name in models.CLICK_ACTION_PURCHASE.names}
        return replace(super().schema, labels=labels, funnel=models.CLICK_ACTION_PURCHASE)

    def sample(self, n, rng):
        log, truth = super().sample(n, rng)
        action = log["click"] * (rng.random(n) < 0.3 + 0.4 * log["conversion"])
        return log.rename(columns={"conversion": "purchase"}).assign(action=action), truth


def small(**parameters):
    """The default scenario with fewer users and items."""
    return simulate.LogisticFunnel(users=300, items=100, **parameters)


def relabelled():
    """A log whose clicks, exclusive actions and conversions are drawn from a teacher."""
    actions = simulate.Actions(("cart", "fav"), (0.2, 0.1), (2.0, 1.0))
    real = simulate.LogisticFunnel(users=100, items=50, actions=actions)
    log, _ = real.sample(20_000, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    names = [conditional.name for conditional in real.schema.funnel.conditionals]
    teacher = {name: 0.1 + 0.3 * rng.random(len(log)) for name in names}
    return simulate.SemiSynthetic(log, real.schema, teacher)


def positioned():
    """A scenario whose log has a feature that moves clicks only."""
    exposure = simulate.Exposure("uniform", slots=4, position_effect=1.0)
    return simulate.LogisticFunnel(users=60, items=40, exposure=exposure)
