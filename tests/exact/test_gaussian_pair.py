"""Bivariate probit: closed forms, extremes, and recovery from a scenario."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm

from mtl_seq import Funnel, nn, simulate
from mtl_seq.errors import CompositionError
from mtl_seq.functional import gaussian_pair
from mtl_seq.functional.gaussian_pair import LARGEST_CORRELATION
from mtl_seq.losses import GaussianLikelihood
from mtl_seq.records import FunnelLabels

TWO = Funnel.chain("click", "conversion")


def z_of(rho):
    return math.atanh(rho / LARGEST_CORRELATION)


@pytest.mark.parametrize("rho", [-0.6, -0.3, 0.0, 0.3, 0.6])
def test_the_three_outcomes_are_those_of_the_bivariate_normal(rho):
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1.2, (2, 40))
    logits = torch.from_numpy(np.stack([a, b, np.full(40, z_of(rho))], axis=1))
    pair = gaussian_pair(logits)
    law = multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    both = np.array([law.cdf([x, y]) for x, y in zip(a, b, strict=True)])
    np.testing.assert_allclose(pair.both.exp().numpy(), both, atol=2e-5)
    np.testing.assert_allclose(torch.sigmoid(pair.click_logit).numpy(), norm.cdf(a), atol=1e-8)
    np.testing.assert_allclose(torch.sigmoid(pair.conversion_logit).numpy(), norm.cdf(b), atol=2e-5)


def test_their_mass_is_one():
    rng = torch.Generator().manual_seed(0)
    pair = gaussian_pair(3 * torch.randn((500, 3), generator=rng, dtype=torch.float64))
    mass = pair.both.exp() + pair.click_alone.exp() + pair.neither.exp()
    torch.testing.assert_close(mass, torch.ones_like(mass), atol=1e-12, rtol=0)


def test_uncorrelated_it_is_two_probits():
    a, b = torch.linspace(-3, 3, 20, dtype=torch.float64), torch.linspace(2, -3, 20).double()
    said = nn.compose_gaussian(TWO, torch.stack((a, b, torch.zeros(20).double()), dim=1), {})
    torch.testing.assert_close(said.pctcvr, said.pctr * said.pcvr, atol=1e-9, rtol=0)


def test_the_correlation_has_a_gradient_where_it_is_zero():
    logits = torch.tensor([[0.3, -0.5, 0.0]], dtype=torch.float64, requires_grad=True)
    gaussian_pair(logits).both.exp().sum().backward()
    # Plackett: dPhi2/drho is the density of the two, at rho = 0 their product.
    density = norm.pdf(0.3) * norm.pdf(-0.5) * LARGEST_CORRELATION
    assert float(logits.grad[0, 2]) == pytest.approx(density, rel=1e-6)


def test_heckmans_scenario_gives_back_its_correlation():
    """Linear indices by maximum likelihood, with a variable that moves clicks only."""
    scenario = simulate.ProbitFunnel(error_correlation=0.5, instrument=0.4, seed=3)
    log, truth = scenario.sample(10_000, np.random.default_rng(0))
    x = torch.from_numpy(log[[f"x_{k}" for k in range(8)]].to_numpy(dtype=np.float64, copy=True))
    w = torch.from_numpy(log["instrument"].to_numpy(dtype=np.float64, copy=True))
    one = torch.ones(len(x), 1, dtype=torch.float64)
    clicks, conversions = torch.cat((x, w[:, None], one), 1), torch.cat((x, one), 1)
    given = FunnelLabels(torch.from_numpy(log[["click", "conversion"]].to_numpy(dtype=np.float32)))
    free = torch.zeros(20, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([free], max_iter=25, line_search_fn="strong_wolfe")

    def predicted():
        a, b = clicks @ free[:10], conversions @ free[10:19]
        return nn.compose_gaussian(TWO, torch.stack((a, b, free[19].expand_as(a)), dim=1), {})

    def closure():
        optimizer.zero_grad()
        loss = GaussianLikelihood()(predicted(), given).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    rho = LARGEST_CORRELATION * math.tanh(free.detach()[19].item())
    assert rho == pytest.approx(0.5, abs=0.12)
    found = float(predicted().pcvr.detach().mean()) / truth.pcvr.mean() - 1
    clicked = truth.pcvr_clicked.mean() / truth.pcvr.mean() - 1
    assert clicked > 0.4
    assert abs(found) < 0.1


def test_a_prediction_without_a_correlation_is_refused():
    said = nn.compose_conditionals(TWO, torch.zeros((3, 2)), {})
    with pytest.raises(CompositionError, match=r"use nn\.GaussianHead"):
        GaussianLikelihood()(said, FunnelLabels(torch.zeros((3, 2))))


def test_the_head_starts_at_the_rates():
    torch.manual_seed(0)
    head = nn.GaussianHead(TWO, 4, {}, hidden=())
    head.start_at({"click": 0.2, "conversion": 0.05})
    said = nn.compose_gaussian(TWO, head(torch.zeros((1, 2, 4)), {}), {})
    assert float(said.pctr.detach()) == pytest.approx(0.2, abs=1e-5)
    assert float(said.pcvr.detach()) == pytest.approx(0.05, abs=1e-5)
    with pytest.raises(CompositionError, match="two stages"):
        nn.GaussianHead(Funnel.chain("click", "cart", "order"), 4, {})
