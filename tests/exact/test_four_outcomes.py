"""The plain losses on infinitely many impressions, against closed forms."""

import pytest
import torch
from exact.outcomes import UNCLIPPED, draw_scenario, ideal, population

from mtl_seq import losses
from mtl_seq.functional import binary_cross_entropy


@pytest.fixture(scope="module")
def scenario():
    return draw_scenario()


def near(found, expected):
    assert abs(float(found) - float(expected)) <= 1e-12


def test_the_floor_raises_small_propensities_only(scenario):
    floor = float(scenario["p"].median())
    found = population(
        losses.IPS(losses.PropensityPolicy(floor=floor)), scenario, propensity=scenario["p"]
    )
    error = binary_cross_entropy(scenario["logits"][:, 1], scenario["q"])
    near(found, (scenario["p"] / scenario["p"].clamp_min(floor) * error).mean())


def test_the_floor_of_the_unclicked_raises_small_chances_of_no_click_only(scenario):
    policy = losses.PropensityPolicy(floor=0.9)
    p, floored = scenario["p"], (1 - scenario["p"]).clamp_min(0.9)
    found = population(
        losses.SoftAlignment(policy), scenario, propensity=p, aux=scenario["logits"][:, 1]
    )
    z = scenario["logits"][:, 1]
    terms = binary_cross_entropy(z, 1 - z.sigmoid()) * 2
    weight = p / p.clamp_min(0.9) + (1 - p) / floored
    near(found, (weight * terms).mean())
    assert (weight < 2).any()


def test_click_space_is_the_ideal_error_weighted_by_the_propensity(scenario):
    error = binary_cross_entropy(scenario["logits"][:, 1], scenario["q"])
    near(population(losses.ClickSpace(), scenario), (scenario["p"] * error).mean())


@pytest.mark.parametrize("stage", ["click", "conversion"])
def test_entire_space_is_the_cross_entropy_of_the_joint(scenario, stage):
    predicted = torch.sigmoid(scenario["logits"][:, 0])
    target = scenario["p"]
    if stage == "conversion":
        predicted = predicted * torch.sigmoid(scenario["logits"][:, 1])
        target = target * scenario["q"]
    expected = -(target * torch.log(predicted) + (1 - target) * torch.log1p(-predicted)).mean()
    near(population(losses.EntireSpace(stage), scenario), expected)


def test_the_oracle_loss_is_the_ideal_one(scenario):
    near(population(losses.PotentialOutcome(), scenario), ideal(scenario))


def test_an_unclipped_policy_is_unclipped(scenario):
    found = population(losses.IPS(UNCLIPPED), scenario, propensity=scenario["p"])
    near(found, ideal(scenario))
