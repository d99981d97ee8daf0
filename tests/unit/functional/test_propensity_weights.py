"""Propensity weights and the row terms of IPS and DR against their definitions."""

import math

import pytest
import torch

from mtl_seq.functional import (
    bias_weight,
    dr,
    inverse_propensity,
    ips,
    propensity_quantile,
    self_normalised,
    variance_weight,
)

CLICK = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0], dtype=torch.float64)
PROPENSITY = torch.tensor([0.5, 0.25, 0.1, 0.8, 1.0], dtype=torch.float64)
ERROR = torch.tensor([0.3, 7.0, 2.0, 9.0, 0.0], dtype=torch.float64)
IMPUTED = torch.tensor([0.1, 0.2, 0.4, 0.8, 1.6], dtype=torch.float64)
POISON = [math.nan, math.inf, -math.inf]


def poisoned(value):
    """Errors that are worthless wherever nobody clicked."""
    return torch.where(CLICK > 0, ERROR, value).requires_grad_()


@pytest.mark.parametrize("rows", [1, 2, 10, 101, 1000])
@pytest.mark.parametrize("quantile", [0.0, 0.01, 0.25, 0.5, 0.95, 0.999])
def test_the_quantile_is_an_entry_of_the_sorted_list(rows, quantile):
    generator = torch.Generator().manual_seed(rows)
    propensity = torch.rand(rows, generator=generator)
    found = propensity_quantile(propensity, quantile)
    assert found.shape == ()
    assert float(found) == sorted(propensity.tolist())[math.floor(quantile * (rows - 1))]


def test_the_quantile_counts_ties_as_rows():
    propensity = torch.tensor([0.5, 0.1, 0.1, 0.1, 0.9])
    found = [float(propensity_quantile(propensity, q)) for q in (0.0, 0.5, 0.75)]
    assert found == pytest.approx([0.1, 0.1, 0.5])


def test_the_quantile_of_no_rows_is_zero():
    assert float(propensity_quantile(torch.zeros(0), 0.5)) == 0


def test_weights_are_inverse_propensities_on_clicks_and_zero_elsewhere():
    assert inverse_propensity(CLICK, PROPENSITY).tolist() == pytest.approx([2, 0, 10, 0, 1])


@pytest.mark.parametrize("floor", [0.2, torch.tensor(0.2, dtype=torch.float64)])
def test_a_floor_caps_the_weights_and_changes_no_other(floor):
    assert inverse_propensity(CLICK, PROPENSITY, floor).tolist() == pytest.approx([2, 0, 5, 0, 1])


def test_the_weight_off_the_clicks_is_zero_even_at_propensity_zero():
    found = inverse_propensity(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.5]))
    assert found.tolist() == [0, 2]


def test_ips_is_the_weighted_error():
    found = ips(ERROR, inverse_propensity(CLICK, PROPENSITY))
    assert found.tolist() == pytest.approx([0.6, 0, 20, 0, 0], rel=1e-15)


def test_dr_corrects_the_imputed_error_on_clicks():
    found = dr(ERROR, IMPUTED, inverse_propensity(CLICK, PROPENSITY))
    expected = [0.1 + 0.2 / 0.5, 0.2, 0.4 + 1.6 / 0.1, 0.8, 1.6 - 1.6]
    assert found.tolist() == pytest.approx(expected, rel=1e-15, abs=1e-15)


def test_dr_with_a_right_imputation_is_the_imputation():
    weight = inverse_propensity(CLICK, PROPENSITY)
    torch.testing.assert_close(dr(ERROR, ERROR, weight), ERROR, rtol=0, atol=0)


def test_dr_without_an_imputation_is_ips():
    weight = inverse_propensity(CLICK, PROPENSITY)
    found = dr(ERROR, torch.zeros_like(ERROR), weight)
    torch.testing.assert_close(found, ips(ERROR, weight), rtol=0, atol=0)


@pytest.mark.parametrize("value", POISON)
def test_errors_off_the_clicks_do_not_reach_ips(value):
    error, weight = poisoned(value), inverse_propensity(CLICK, PROPENSITY).requires_grad_()
    found = ips(error, weight)
    torch.testing.assert_close(found, ips(ERROR, weight), rtol=0, atol=0)
    found.sum().backward()
    torch.testing.assert_close(error.grad, weight.detach(), rtol=0, atol=0)
    torch.testing.assert_close(weight.grad, CLICK * ERROR, rtol=0, atol=0)


@pytest.mark.parametrize("value", POISON)
def test_errors_off_the_clicks_do_not_reach_dr(value):
    error, weight = poisoned(value), inverse_propensity(CLICK, PROPENSITY)
    imputed = IMPUTED.clone().requires_grad_()
    found = dr(error, imputed, weight)
    torch.testing.assert_close(found, dr(ERROR, IMPUTED, weight), rtol=0, atol=0)
    found.sum().backward()
    torch.testing.assert_close(error.grad, weight, rtol=0, atol=0)
    torch.testing.assert_close(imputed.grad, 1 - weight, rtol=0, atol=0)


@pytest.mark.parametrize("mass", [None, torch.tensor([2.0, 1.0, 0.0, 1.0, 1.0])])
def test_self_normalised_weights_make_a_weighted_mean(mass):
    weight = inverse_propensity(CLICK, PROPENSITY)
    found = ips(ERROR, self_normalised(weight, mass))
    rows = torch.ones(5) if mass is None else mass
    top = sum(m * w * e for m, w, e in zip(*map(list, (rows, weight, ERROR)), strict=True))
    below = sum(m * w for m, w in zip(rows, weight, strict=True))
    assert float((rows * found).mean()) == pytest.approx(float(top / below), rel=1e-15)


@pytest.mark.parametrize("scale", [1e-3, 7.0])
def test_self_normalised_weights_have_no_scale(scale):
    weight = inverse_propensity(CLICK, PROPENSITY)
    torch.testing.assert_close(
        self_normalised(scale * weight), self_normalised(weight), rtol=1e-14, atol=0
    )


def test_without_weight_there_is_nothing_to_normalise():
    weight = torch.zeros(3, requires_grad=True)
    found = self_normalised(weight)
    assert found.tolist() == [0, 0, 0]
    found.sum().backward()
    assert bool(torch.isfinite(weight.grad).all())
    assert self_normalised(torch.zeros(0)).shape == (0,)


def test_weights_of_variance_and_bias():
    """o (1 - p) / p^2 and o (1 - p)^2 / p^3, at p of .5, .1 and 1."""
    weight = inverse_propensity(CLICK, PROPENSITY)
    assert variance_weight(weight).tolist() == pytest.approx([2, 0, 90, 0, 0], rel=1e-14)
    assert bias_weight(weight).tolist() == pytest.approx([2, 0, 810, 0, 0], rel=1e-14)
