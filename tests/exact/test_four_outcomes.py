"""The plain losses on infinitely many impressions, against closed forms."""

import pytest
import torch
from exact.outcomes import UNCLIPPED, draw_scenario, ideal, population

from mtl_seq import losses
from mtl_seq.functional import binary_cross_entropy


@pytest.fixture(scope="module")
def simulator():
    return draw_scenario()


def near(found, expected):
    assert abs(float(found) - float(expected)) <= 1e-12


def test_the_floor_raises_small_propensities_only(simulator):
    floor = float(simulator["p"].median())
    found = population(
        losses.IPS(losses.PropensityPolicy(floor=floor)), simulator, propensity=simulator["p"]
    )
    error = binary_cross_entropy(simulator["logits"][:, 1], simulator["q"])
    near(found, (simulator["p"] / simulator["p"].clamp_min(floor) * error).mean())


def test_the_floor_of_the_unclicked_raises_small_chances_of_no_click_only(simulator):
    policy = losses.PropensityPolicy(floor=0.9)
    p, floored = simulator["p"], (1 - simulator["p"]).clamp_min(0.9)
    found = population(
        losses.SoftAlignment(policy), simulator, propensity=p, aux=simulator["logits"][:, 1]
    )
    z = simulator["logits"][:, 1]
    terms = binary_cross_entropy(z, 1 - z.sigmoid()) * 2
    weight = p / p.clamp_min(0.9) + (1 - p) / floored
    near(found, (weight * terms).mean())
    assert (weight < 2).any()


def test_click_space_is_the_ideal_error_weighted_by_the_propensity(simulator):
    error = binary_cross_entropy(simulator["logits"][:, 1], simulator["q"])
    near(population(losses.ClickSpace(), simulator), (simulator["p"] * error).mean())


@pytest.mark.parametrize("stage", ["click", "conversion"])
def test_entire_space_is_the_cross_entropy_of_the_joint(simulator, stage):
    predicted = torch.sigmoid(simulator["logits"][:, 0])
    target = simulator["p"]
    if stage == "conversion":
        predicted = predicted * torch.sigmoid(simulator["logits"][:, 1])
        target = target * simulator["q"]
    expected = -(target * torch.log(predicted) + (1 - target) * torch.log1p(-predicted)).mean()
    near(population(losses.EntireSpace(stage), simulator), expected)


def test_the_oracle_loss_is_the_ideal_one(simulator):
    near(population(losses.PotentialOutcome(), simulator), ideal(simulator))


def test_an_unclipped_policy_is_unclipped(simulator):
    found = population(losses.IPS(UNCLIPPED), simulator, propensity=simulator["p"])
    near(found, ideal(simulator))
