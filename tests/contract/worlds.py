"""Worlds for parts that clicks and conversions are not enough for."""

from dataclasses import replace

from mtl_seq import models, simulate


class WithAction(simulate.LogisticFunnel):
    """A click may be followed by an action, and a purchase comes with it or without."""

    @property
    def schema(self):
        labels = {name: name for name in models.CLICK_ACTION_PURCHASE.names}
        return replace(super().schema, labels=labels, funnel=models.CLICK_ACTION_PURCHASE)

    def sample(self, n, rng):
        log, truth = super().sample(n, rng)
        action = log["click"] * (rng.random(n) < 0.3 + 0.4 * log["conversion"])
        return log.rename(columns={"conversion": "purchase"}).assign(action=action), truth
