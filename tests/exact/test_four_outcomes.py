"""The plain risks on infinitely many impressions, against closed forms."""

import pytest
import torch
from exact.outcomes import UNCLIPPED, draw_world, ideal, population

from mtl_seq import risks
from mtl_seq.functional import binary_cross_entropy


@pytest.fixture(scope="module")
def world():
    return draw_world()


def near(found, expected):
    assert abs(float(found) - float(expected)) <= 1e-12


def test_the_floor_raises_small_propensities_only(world):
    floor = float(world["p"].median())
    found = population(risks.IPS(risks.PropensityPolicy(floor=floor)), world, propensity=world["p"])
    error = binary_cross_entropy(world["logits"][:, 1], world["q"])
    near(found, (world["p"] / world["p"].clamp_min(floor) * error).mean())


def test_the_floor_of_the_unclicked_raises_small_chances_of_no_click_only(world):
    policy = risks.PropensityPolicy(floor=0.9)
    p, floored = world["p"], (1 - world["p"]).clamp_min(0.9)
    found = population(risks.SoftAlignment(policy), world, propensity=p, aux=world["logits"][:, 1])
    z = world["logits"][:, 1]
    terms = binary_cross_entropy(z, 1 - z.sigmoid()) * 2
    weight = p / p.clamp_min(0.9) + (1 - p) / floored
    near(found, (weight * terms).mean())
    assert (weight < 2).any()


def test_click_space_is_the_ideal_error_weighted_by_the_propensity(world):
    error = binary_cross_entropy(world["logits"][:, 1], world["q"])
    near(population(risks.ClickSpace(), world), (world["p"] * error).mean())


@pytest.mark.parametrize("stage", ["click", "conversion"])
def test_entire_space_is_the_cross_entropy_of_the_joint(world, stage):
    predicted = torch.sigmoid(world["logits"][:, 0])
    target = world["p"]
    if stage == "conversion":
        predicted = predicted * torch.sigmoid(world["logits"][:, 1])
        target = target * world["q"]
    expected = -(target * torch.log(predicted) + (1 - target) * torch.log1p(-predicted)).mean()
    near(population(risks.EntireSpace(stage), world), expected)


def test_the_oracle_risk_is_the_ideal_one(world):
    near(population(risks.PotentialOutcome(), world), ideal(world))


def test_an_unclipped_policy_is_unclipped(world):
    found = population(risks.IPS(UNCLIPPED), world, propensity=world["p"])
    near(found, ideal(world))
