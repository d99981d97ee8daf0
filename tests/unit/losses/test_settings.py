"""Settings outside their range, and what one may do about them."""

import math
import re

import pytest
import torch

from mtl_seq import Funnel, FunnelLabels, losses
from mtl_seq.errors import CompositionError, DataError
from mtl_seq.losses import CrossFit, MovingAverage, PropensityPolicy
from mtl_seq.nn import compose_conditionals

FUNNEL = Funnel.chain("click", "conversion")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.DCMT(prior=-0.1), "`prior` must be at least 0 and finite, found -0.1"),
        (lambda: losses.DCMT(prior=math.nan), "`prior` must be at least 0 and finite, found nan"),
        (lambda: losses.DCMT(prior=math.inf), "`prior` must be at least 0 and finite, found inf"),
        (lambda: losses.NISE(alpha=0.0), "`alpha` must be above 0 and finite, found 0.0"),
        (lambda: losses.NISE(alpha=math.inf), "`alpha` must be above 0 and finite, found inf"),
        (lambda: losses.NISE(beta=-1.0), "`beta` must be above 0, found -1.0"),
        (lambda: losses.DRMSEImputation(bias_share=1.1), "`bias_share` must lie in [0, 1], found"),
        (lambda: losses.DRMSEImputation(bias_share=-0.1), "`bias_share` must lie in [0, 1], found"),
        (lambda: MovingAverage(1.0), "`decay` must lie in [0, 1), found 1.0"),
        (lambda: MovingAverage(-0.1), "`decay` must lie in [0, 1), found -0.1"),
        (lambda: CrossFit(1), "`folds` must be at least 2, found 1"),
    ],
)
def test_a_setting_outside_its_range_is_refused(make, message):
    with pytest.raises(CompositionError, match=re.escape(message)):
        make()


ROWS = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
WEIGHING = {
    "IPS": losses.IPS(),
    "DCMT": losses.DCMT(),
    "DDPO": losses.DDPO(),
    "MRDR": losses.MRDRImputation(),
    "alignment": losses.SoftAlignment(),
}


@pytest.mark.parametrize("value", [0.0, 1.0, -0.2, 1.3, math.nan, math.inf])
@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("name", [*WEIGHING, "UNBIAS"])
def test_a_propensity_of_the_labels_lies_inside(name, row, value):
    loss = WEIGHING.get(name, losses.Unbias())
    propensity = torch.full((3,), 0.4)
    propensity[row] = value
    labels = FunnelLabels(ROWS, propensity=propensity)
    aux = {tower: torch.zeros(3) for tower in loss.aux}
    prediction = compose_conditionals(FUNNEL, torch.zeros(3, 2), aux)
    message = rf"`labels.propensity` must lie in \(0, 1\), found \S+ in row {row}: .*leave the"
    with pytest.raises(DataError, match=message):
        loss(prediction, labels)


@pytest.mark.parametrize("logit", [-300.0, 300.0])
@pytest.mark.parametrize("name", WEIGHING)
def test_a_saturated_pctr_gives_finite_weights(name, logit):
    """Finite, since a propensity is never below what its type resolves."""
    loss = WEIGHING[name]
    logits = torch.tensor([[logit, 0.3]] * 3, requires_grad=True)
    aux = {tower: torch.full((3,), 0.2, requires_grad=True) for tower in loss.aux}
    terms = loss(compose_conditionals(FUNNEL, logits, aux), FunnelLabels(ROWS))
    assert bool(torch.isfinite(terms).all())
    for gradient in torch.autograd.grad(terms.sum(), [logits, *aux.values()], allow_unused=True):
        assert gradient is None or bool(torch.isfinite(gradient).all())


def test_the_least_propensity_is_the_resolution_of_its_type():
    policy = PropensityPolicy(quantile=0.0)
    labels = FunnelLabels(ROWS[:1])
    for dtype in (torch.float32, torch.float64):
        prediction = compose_conditionals(FUNNEL, torch.tensor([[-300.0, 0.0]], dtype=dtype), {})
        assert float(policy.weights(prediction, labels)) == 1 / torch.finfo(dtype).eps


def test_a_chance_of_no_click_is_formed_from_the_logit():
    """As ``1 - p`` it would be 0 in float32."""
    policy = PropensityPolicy(quantile=0.0)
    prediction = compose_conditionals(FUNNEL, torch.tensor([[15.0, 0.0]]), {})
    found = policy.unclicked_weights(prediction, FunnelLabels(torch.zeros(1, 2)))
    assert float(found) == pytest.approx(1 + math.exp(15.0), rel=1e-5)


@pytest.mark.parametrize("weight", [None, torch.tensor([2.0, 0.5, 0.5])])
def test_self_normalised_weights_add_up_to_the_rows(weight):
    policy = PropensityPolicy(self_normalise=True)
    labels = FunnelLabels(ROWS, weight=weight, propensity=torch.tensor([0.1, 0.3, 0.6]))
    prediction = compose_conditionals(FUNNEL, torch.zeros(3, 2), {})
    mass = torch.ones(3) if weight is None else weight
    for found in (policy.weights, policy.unclicked_weights):
        assert float((mass * found(prediction, labels)).sum()) == pytest.approx(3)


def test_without_a_click_they_are_all_zero():
    policy = PropensityPolicy(self_normalise=True)
    prediction = compose_conditionals(FUNNEL, torch.zeros(3, 2), {})
    assert policy.weights(prediction, FunnelLabels(torch.zeros(3, 2))).tolist() == [0, 0, 0]


def test_a_row_of_weight_two_is_that_row_twice():
    """Also where a loss divides by a sum over the batch."""
    policy = PropensityPolicy(quantile=0.0, self_normalise=True)
    logits = torch.tensor([[0.3, -0.2], [-0.5, 0.4], [0.9, -1.1]], dtype=torch.float64)
    for loss in (losses.IPS(policy), losses.DCMT(policy), losses.DDPO(policy), losses.NISE()):
        aux = {tower: logits.sum(1) for tower in loss.aux}
        objective = losses.Objective({"cvr": loss})
        labels = FunnelLabels(ROWS, weight=torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64))
        once = objective.total(compose_conditionals(FUNNEL, logits, aux), labels)
        rows = torch.tensor([0, 0, 1])
        again = compose_conditionals(FUNNEL, logits[rows], {k: v[rows] for k, v in aux.items()})
        twice = objective.total(again, FunnelLabels(ROWS[rows]))
        torch.testing.assert_close(once, twice, rtol=1e-12, atol=0)
