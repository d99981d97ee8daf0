"""Expectations of the risks over click x conversion, with the truth known: no sampling noise.

Given x, the click o and the potential conversion r are independent with probabilities p and q, and
the log shows (o, o * r). Every expectation is a sum over the four outcomes.
"""

from itertools import product

import pytest
import torch

from mtl_seq import Funnel, FunnelLabels, risks
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.nn import compose_conditionals

FUNNEL = Funnel.chain("click", "conversion")
CELLS = 40


@pytest.fixture(scope="module")
def world():
    generator = torch.Generator().manual_seed(0)

    def draw(low, high):
        return low + (high - low) * torch.rand(CELLS, generator=generator, dtype=torch.float64)

    return {
        "p": draw(0.02, 0.6),
        "q": draw(0.01, 0.5),
        "wrong_p": draw(0.02, 0.6),
        "wrong_r": draw(0.01, 0.9),
        "logits": torch.stack((draw(-3, 1), draw(-3, 1)), dim=1),
    }


def expectation(risk, world, *, propensity=None, imputed=None):
    """Mean over the cells of the risk's expected term, ``(CELLS,)`` before the mean."""
    aux = {} if imputed is None else {"imputation": torch.logit(imputed)}
    prediction = compose_conditionals(FUNNEL, world["logits"], aux)
    total = torch.zeros(CELLS, dtype=torch.float64)
    for o, r in product((0, 1), (0, 1)):
        chance = torch.where(torch.tensor(o == 1), world["p"], 1 - world["p"])
        chance = chance * torch.where(torch.tensor(r == 1), world["q"], 1 - world["q"])
        labels = FunnelLabels.of(
            click=torch.full((CELLS,), o),
            conversion=torch.full((CELLS,), o * r),
            propensity=propensity,
            potential=torch.full((CELLS,), float(r)),
        )
        total += chance * risk(prediction, labels)
    return total.mean()


def ideal(world):
    """The risk everyone wants: expected error of pCVR over all impressions."""
    return binary_cross_entropy(world["logits"][:, 1], world["q"]).mean()


UNCLIPPED = risks.PropensityPolicy(quantile=0.0)


def test_ips_is_unbiased_under_the_true_propensity(world):
    found = expectation(risks.IPS(UNCLIPPED), world, propensity=world["p"])
    assert abs(float(found - ideal(world))) <= 1e-12


def test_the_bias_of_ips_is_its_closed_form(world):
    found = expectation(risks.IPS(UNCLIPPED), world, propensity=world["wrong_p"])
    error = binary_cross_entropy(world["logits"][:, 1], world["q"])
    form = ((world["p"] - world["wrong_p"]) / world["wrong_p"] * error).mean()
    assert abs(float(found - ideal(world) - form)) <= 1e-12
    assert abs(float(form)) > 1e-2


@pytest.mark.parametrize(
    ("propensity", "imputed"), [("p", "q"), ("p", "wrong_r"), ("wrong_p", "q")]
)
def test_dr_is_unbiased_with_either_nuisance_right(world, propensity, imputed):
    risk = risks.DoublyRobust(UNCLIPPED)
    found = expectation(risk, world, propensity=world[propensity], imputed=world[imputed])
    assert abs(float(found - ideal(world))) <= 1e-12


def test_dr_with_both_nuisances_wrong_is_biased(world):
    risk = risks.DoublyRobust(UNCLIPPED)
    found = expectation(risk, world, propensity=world["wrong_p"], imputed=world["wrong_r"])
    error = binary_cross_entropy(world["logits"][:, 1], world["q"])
    imputed = binary_cross_entropy(world["logits"][:, 1], world["wrong_r"])
    form = ((world["p"] - world["wrong_p"]) / world["wrong_p"] * (error - imputed)).mean()
    assert abs(float(found - ideal(world) - form)) <= 1e-12
    assert abs(float(form)) > 1e-2


def test_the_floor_raises_small_propensities_only(world):
    floor = float(world["p"].median())
    found = expectation(
        risks.IPS(risks.PropensityPolicy(floor=floor)), world, propensity=world["p"]
    )
    error = binary_cross_entropy(world["logits"][:, 1], world["q"])
    expected = (world["p"] / world["p"].clamp_min(floor) * error).mean()
    assert abs(float(found - expected)) <= 1e-12


def test_click_space_is_the_ideal_error_weighted_by_the_propensity(world):
    error = binary_cross_entropy(world["logits"][:, 1], world["q"])
    found = expectation(risks.ClickSpace(), world)
    assert abs(float(found - (world["p"] * error).mean())) <= 1e-12


@pytest.mark.parametrize("stage", ["click", "conversion"])
def test_entire_space_is_the_cross_entropy_of_the_joint(world, stage):
    logit = torch.sigmoid(world["logits"][:, 0])
    target = world["p"]
    if stage == "conversion":
        logit, target = logit * torch.sigmoid(world["logits"][:, 1]), target * world["q"]
    expected = -(target * torch.log(logit) + (1 - target) * torch.log1p(-logit)).mean()
    assert abs(float(expectation(risks.EntireSpace(stage), world) - expected)) <= 1e-12


def test_the_oracle_risk_is_the_ideal_one(world):
    found = expectation(risks.PotentialOutcome(), world)
    assert abs(float(found - ideal(world))) <= 1e-12


def test_the_imputation_risk_vanishes_nowhere_but_stays_unbiased(world):
    """``o (e - e_hat)^2 / p`` has the expectation of ``(e - e_hat)^2`` over all impressions."""
    found = expectation(
        risks.Imputation(UNCLIPPED), world, propensity=world["p"], imputed=world["wrong_r"]
    )
    z = world["logits"][:, 1]
    imputed = binary_cross_entropy(z, world["wrong_r"])
    errors = [binary_cross_entropy(z, torch.full_like(z, y)) for y in (0.0, 1.0)]
    squared = [(e - imputed) ** 2 for e in errors]
    expected = ((1 - world["q"]) * squared[0] + world["q"] * squared[1]).mean()
    assert abs(float(found - expected)) <= 1e-12
