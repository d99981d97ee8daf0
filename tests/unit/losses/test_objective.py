"""The objective: weighted means over all impressions, of losses whose terms are known."""

import re

import pytest
import torch

from mtl_seq import Funnel, FunnelLabels, losses
from mtl_seq.errors import CompositionError, DataError
from mtl_seq.losses import Loss, Objective
from mtl_seq.nn import compose_conditionals

FUNNEL = Funnel.chain("click", "conversion")
FIRST, SECOND = (1.0, 2.0, 3.0, 6.0), (0.0, 0.5, -0.5, 8.0)
ALL = {
    "ctr": losses.EntireSpace("click"),
    "ctcvr": losses.EntireSpace("conversion"),
    "clicks": losses.ClickSpace(),
    "ips": losses.IPS(),
    "dr": losses.DoublyRobust(),
    "imputation": losses.Imputation(),
    "oracle": losses.PotentialOutcome(),
}


class Known(Loss):
    """Terms that are given, whatever the prediction."""

    space = "all"
    detaches_pctr = True
    reads_unclicked = False

    def __init__(self, terms, aux=()):
        super().__init__()
        self.terms = torch.tensor(terms, dtype=torch.float64)
        self.aux = aux

    def forward(self, *_):
        return self.terms


def batch(rows=4, weight=None):
    generator = torch.Generator().manual_seed(rows)
    logits = torch.randn(rows, 2, generator=generator, dtype=torch.float64).requires_grad_()
    click = (torch.rand(rows, generator=generator) < 0.6).float()
    potential = (torch.rand(rows, generator=generator) < 0.5).float()
    labels = FunnelLabels.of(
        click=click, conversion=click * potential, potential=potential, weight=weight
    )
    return compose_conditionals(FUNNEL, logits, {"imputation": logits[:, 1] / 2}), labels


def values(losses):
    return {name: loss.item() for name, loss in losses.items()}


def test_each_loss_is_its_mean_over_all_rows():
    found = Objective({"a": Known(FIRST), "b": Known(SECOND)})(*batch())
    assert values(found) == pytest.approx({"a": 3.0, "b": 2.0}, rel=1e-15)


def test_weights_scale_their_loss_and_leave_the_others_at_one():
    objective = Objective({"a": Known(FIRST), "b": Known(SECOND)}, {"b": 0.25})
    assert objective.weights == {"a": 1, "b": 0.25}
    assert values(objective(*batch())) == pytest.approx({"a": 3.0, "b": 0.5}, rel=1e-15)
    assert objective.total(*batch()).item() == pytest.approx(3.5, rel=1e-15)


def test_a_weight_of_zero_switches_a_loss_off():
    objective = Objective({"a": Known(FIRST), "b": Known(SECOND)}, {"a": 0})
    assert values(objective(*batch())) == {"a": 0, "b": 2}


def test_row_weights_multiply_the_terms_and_not_the_number_of_rows():
    prediction, labels = batch(weight=torch.tensor([2.0, 0.0, 1.0, 5.0]))
    found = Objective({"a": Known(FIRST)}, {"a": 3})(prediction, labels)
    assert values(found) == pytest.approx({"a": 3 * (2 + 0 + 3 + 30) / 4}, rel=1e-15)


@pytest.mark.parametrize("name", ["ctr", "ctcvr", "clicks", "oracle"])
def test_a_row_of_weight_two_is_that_row_twice(name):
    prediction, labels = batch(3, weight=torch.tensor([2.0, 0.0, 1.0]))
    rows = torch.tensor([0, 0, 2])
    again = compose_conditionals(FUNNEL, prediction.logits[rows], {})
    repeated = FunnelLabels(labels.stages[rows], potential=labels.potential[rows])
    objective = Objective({name: ALL[name]})
    expected = objective(again, repeated)[name]
    torch.testing.assert_close(objective(prediction, labels)[name], expected, rtol=1e-14, atol=0)


def test_equal_row_weights_change_nothing():
    plain = Objective(ALL)(*batch(50))
    weighted = Objective(ALL)(*batch(50, weight=torch.ones(50)))
    assert values(plain) == values(weighted)


@pytest.mark.parametrize("weight", [None, torch.zeros(0)])
def test_a_batch_without_rows_gives_zero_and_no_gradient(weight):
    prediction, labels = batch(0, weight=weight)
    objective = Objective(ALL)
    assert values(objective(prediction, labels)) == dict.fromkeys(ALL, 0)
    objective.total(prediction, labels).backward()


def test_the_total_is_the_sum_of_the_weighted_losses():
    objective = Objective(ALL, {"ctr": 2.0, "ips": 0.1})
    losses = objective(*batch(50))
    assert list(losses) == list(ALL)
    expected = sum(values(losses).values())
    assert objective.total(*batch(50)).item() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", ALL)
def test_a_loss_in_an_objective_is_the_mean_of_its_terms(name):
    terms = ALL[name](*batch(50))
    assert terms.shape == (50,)
    found = Objective({name: ALL[name]}, {name: 0.5})(*batch(50))[name]
    torch.testing.assert_close(found, 0.5 * terms.mean(), rtol=1e-14, atol=0)


def test_extra_towers_are_named_once_in_the_order_of_the_losses():
    objective = Objective({"a": Known(FIRST, ("x", "y")), "b": Known(FIRST, ("z", "x"))})
    assert objective.aux == ("x", "y", "z")


@pytest.mark.parametrize(("name", "needed"), [("oracle", True), ("ips", False)])
def test_only_the_oracle_needs_potential_outcomes(name, needed):
    assert Objective({"ctr": ALL["ctr"], name: ALL[name]}).needs_potential is needed


@pytest.mark.parametrize(
    ("names", "weights", "message"),
    [
        ((), None, "`losses` must hold at least one loss, found none"),
        (("a", "b"), {"c": 1.0}, "`weights` must name losses ('a', 'b'), found 'c'"),
        (("a",), {"a": -0.5}, "the weight of 'a' must be at least 0 and finite, found -0.5"),
        (("a",), {"a": float("nan")}, "the weight of 'a' must be at least 0 and finite, found nan"),
        (("a",), {"a": float("inf")}, "the weight of 'a' must be at least 0 and finite, found inf"),
    ],
)
def test_a_contradiction_is_refused(names, weights, message):
    with pytest.raises(CompositionError, match=re.escape(message)):
        Objective({name: Known(FIRST) for name in names}, weights)


@pytest.mark.parametrize("value", [-0.5, float("nan"), float("inf")])
def test_a_weight_of_a_row_that_would_turn_its_loss_round_is_refused(value):
    prediction, labels = batch(weight=torch.tensor([1.0, 0.0, value, 2.0]))
    message = rf"`labels.weight` must be at least 0 and finite, found {value} in row 2: .* weight 0"
    with pytest.raises(DataError, match=message):
        Objective({"ctr": ALL["ctr"]})(prediction, labels)
