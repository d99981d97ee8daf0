"""Which propensity a loss divides by, and how small it may be."""

import math
import re

import numpy as np
import pytest
import torch

from mtl_seq import Funnel, FunnelLabels
from mtl_seq.errors import CompositionError
from mtl_seq.losses import PropensityPolicy
from mtl_seq.nn import compose_conditionals

PCTR = (0.5, 0.02, 0.25, 0.1, 0.8)
LOGGED = (0.05, 0.4, 0.2, 0.5, 0.9)
CLICK = (1, 1, 0, 1, 0)
UNCLIPPED = PropensityPolicy(quantile=0.0)


def batch(logged=None, dtype=torch.float64):
    rates = torch.tensor([PCTR, (0.3,) * 5], dtype=torch.float64)
    logits = torch.logit(rates).T.to(dtype).requires_grad_()
    clicks = torch.tensor(CLICK)
    labels = FunnelLabels.of(click=clicks, conversion=torch.zeros(5), propensity=logged)
    return compose_conditionals(Funnel.chain("click", "conversion"), logits, {}), labels


def tensor(values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


def inverse(propensities):
    """``o / p``, row by row."""
    return [o / p for o, p in zip(CLICK, propensities, strict=True)]


def test_without_logged_propensities_the_models_own_pctr_is_used():
    found = UNCLIPPED.weights(*batch())
    assert found.tolist() == pytest.approx(inverse(PCTR), rel=1e-12)


def test_logged_propensities_beat_the_models_pctr():
    found = UNCLIPPED.weights(*batch(tensor(LOGGED)))
    assert found.tolist() == pytest.approx(inverse(LOGGED), rel=1e-15)


@pytest.mark.parametrize("policy", [UNCLIPPED, PropensityPolicy(0.5), PropensityPolicy(floor=0.3)])
@pytest.mark.parametrize("logged", [False, True])
def test_weights_carry_no_gradient(policy, logged):
    prediction, labels = batch(tensor(LOGGED).requires_grad_() if logged else None)
    assert prediction.pctr.requires_grad
    assert not policy.weights(prediction, labels).requires_grad


@pytest.mark.parametrize("floor", [0.01, 0.1, 0.3, 0.99])
def test_a_floor_raises_the_propensities_below_it(floor):
    found = PropensityPolicy(floor=floor).weights(*batch(tensor(LOGGED)))
    assert found.tolist() == pytest.approx(inverse([max(p, floor) for p in LOGGED]), rel=1e-15)


@pytest.mark.parametrize(
    ("quantile", "smallest"), [(0, 0.05), (0.2, 0.05), (0.25, 0.2), (0.5, 0.4), (0.75, 0.5)]
)
def test_a_quantile_is_taken_over_all_rows_clicked_or_not(quantile, smallest):
    # The 0.2 of the third row and the 0.9 of the last were not clicked.
    found = PropensityPolicy(quantile).weights(*batch(tensor(LOGGED)))
    assert found.tolist() == pytest.approx(inverse([max(p, smallest) for p in LOGGED]), rel=1e-15)


def test_a_floor_replaces_the_quantile():
    found = PropensityPolicy(quantile=0.9, floor=0.06).weights(*batch(tensor(LOGGED)))
    assert found.tolist() == pytest.approx(inverse([max(p, 0.06) for p in LOGGED]), rel=1e-15)


def test_the_default_raises_one_row_in_a_hundred():
    propensity = torch.arange(1, 202, dtype=torch.float64) / 202
    logits = torch.zeros(201, 2, dtype=torch.float64)
    ones = torch.ones(201)
    labels = FunnelLabels.of(click=ones, conversion=ones, propensity=propensity)
    prediction = compose_conditionals(Funnel.chain("click", "conversion"), logits, {})
    found = PropensityPolicy().weights(prediction, labels)
    raised = found != 1 / propensity
    assert raised.nonzero().flatten().tolist() == [0, 1]
    assert found[:2].tolist() == pytest.approx([202 / 3] * 2, rel=1e-15)


@pytest.mark.parametrize("policy", [UNCLIPPED, PropensityPolicy(floor=0.3)])
def test_rows_without_a_click_have_weight_zero(policy):
    found = policy.weights(*batch(tensor([0.5, 0.5, 1e-9, 0.5, 1e-9])))
    assert [found[2].item(), found[4].item()] == [0, 0]
    assert found[[0, 1, 3]].tolist() == [2, 2, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_have_the_type_of_the_prediction(dtype):
    prediction, labels = batch(tensor(LOGGED), dtype)
    assert UNCLIPPED.weights(prediction, labels).dtype == dtype


@pytest.mark.parametrize("policy", [PropensityPolicy(), PropensityPolicy(floor=0.1)])
def test_a_batch_without_rows_has_no_weights(policy):
    prediction = compose_conditionals(Funnel.chain("a", "b"), torch.zeros(0, 2), {})
    assert policy.weights(prediction, FunnelLabels(torch.zeros(0, 2))).shape == (0,)


@pytest.mark.parametrize("quantile", [-0.01, 1.0, 2.0, math.nan])
def test_a_quantile_that_is_no_share_is_refused(quantile):
    with pytest.raises(CompositionError, match=re.escape("`quantile` must lie in [0, 1), found")):
        PropensityPolicy(quantile=quantile)


@pytest.mark.parametrize("floor", [0.0, 1.0, -0.1, math.nan])
def test_a_floor_that_is_no_probability_is_refused(floor):
    with pytest.raises(CompositionError, match=re.escape("`floor` must lie in (0, 1), found")):
        PropensityPolicy(floor=floor)


@pytest.mark.parametrize("rows", [1, 99, 100, 101, 1199, 2901])
def test_the_floor_is_the_one_percent_quantile_of_tensors_and_arrays(rows):
    propensity = np.random.default_rng(rows).uniform(0, 1, rows)
    expected = np.quantile(propensity, 0.01, method="inverted_cdf")
    for given in (propensity, torch.from_numpy(propensity)):
        assert float(PropensityPolicy().floor_of(given)) == expected
        assert PropensityPolicy(floor=0.3).floor_of(given) == 0.3
