"""Expectations over click x conversion with the truth known: no sampling noise.

Given x, the click o and the potential conversion r are independent with probabilities p and q, and
the log shows (o, o * r). Every expectation is a sum over the four outcomes.
"""

from itertools import product

import torch

from mtl_seq import Funnel, FunnelLabels
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses import Objective, PropensityPolicy
from mtl_seq.nn import compose_conditionals

FUNNEL = Funnel.chain("click", "conversion")
UNCLIPPED = PropensityPolicy(quantile=0.0)
SCALED = PropensityPolicy(quantile=0.0, self_normalise=True)


def draw_scenario(cells=40, seed=0):
    """Cells of equal mass: true p and q, wrong ones, and logits of a model that is off."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low, high):
        return low + (high - low) * torch.rand(cells, generator=generator, dtype=torch.float64)

    return {
        "p": draw(0.02, 0.6),
        "q": draw(0.01, 0.5),
        "wrong_p": draw(0.02, 0.6),
        "wrong_r": draw(0.01, 0.9),
        "logits": torch.stack((draw(-3, 1), draw(-3, 1)), dim=1),
    }


def population(loss, scenario, *, propensity=None, aux=None, logits=None):
    """The loss on infinitely many impressions.

    Every cell stands there with every outcome, weighted by its probability. A self-normalised loss
    is then its ratio of expectations, any other its expectation.
    """
    logits = scenario["logits"] if logits is None else logits
    cells = len(scenario["p"])
    ones = torch.ones(cells, dtype=torch.float64)
    clicks, conversions, potentials, chances = [], [], [], []
    for o, r in product((0.0, 1.0), (0.0, 1.0)):
        clicks.append(o * ones)
        potentials.append(r * ones)
        conversions.append(o * r * ones)
        chance = scenario["p"] if o else 1 - scenario["p"]
        chances.append(chance * (scenario["q"] if r else 1 - scenario["q"]))
    labels = FunnelLabels(
        torch.stack((torch.cat(clicks), torch.cat(conversions)), dim=1),
        weight=4 * torch.cat(chances),
        propensity=None if propensity is None else propensity.repeat(4),
        potential=torch.cat(potentials),
    )
    extra = {} if aux is None else {name: aux.repeat(4) for name in loss.aux}
    prediction = compose_conditionals(FUNNEL, logits.repeat(4, 1), extra)
    return Objective({"loss": loss})(prediction, labels)["loss"]


def ideal(scenario):
    """The loss everyone wants: expected error of pCVR over all impressions."""
    return binary_cross_entropy(scenario["logits"][:, 1], scenario["q"]).mean()
