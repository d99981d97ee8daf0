"""The likelihood of dependent stages: its mass, its gradients, its case without dependence."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid

from mtl_seq import Funnel, nn
from mtl_seq.errors import CompositionError
from mtl_seq.functional import dependent_chain
from mtl_seq.losses import ClickSpace, DependentLikelihood, EntireSpace
from mtl_seq.records import FunnelLabels

TWO, THREE = Funnel.chain("click", "conversion"), Funnel.chain("click", "cart", "order")
STEPS = (0.0, 2.0, 4.0, 8.0, 12.0, 20.0, 30.0, 60.0, 100.0, 200.0)
LOGITS = sorted({*STEPS, *(-step for step in STEPS)})
OUTCOMES = {"none": (0, 0), "click": (1, 0), "both": (1, 1)}


def sigmoid(x):
    shrunk = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, shrunk) / (1 + shrunk)


def labels(click, conversion, rows):
    return FunnelLabels(torch.tensor([[float(click), float(conversion)]]).expand(rows, 2))


def grid(lambdas, dtype):
    return torch.tensor(list(itertools.product(LOGITS, LOGITS, lambdas)), dtype=dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_without_dependence_it_is_the_loss_of_the_control(dtype, tolerance):
    rng = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn((500, 2), generator=rng, dtype=dtype)
    stages = (torch.rand((500, 2), generator=rng) < 0.5).float()
    given = FunnelLabels(torch.stack((stages[:, 0], stages[:, 0] * stages[:, 1]), dim=1))
    plain = nn.compose_conditionals(TWO, logits, {})
    held = torch.cat((logits, torch.zeros((500, 1), dtype=dtype)), dim=1)
    found = nn.compose_dependent(TWO, held, {})
    control = EntireSpace("click")(plain, given) + ClickSpace()(plain, given)
    ours = DependentLikelihood()(found, given)
    torch.testing.assert_close(ours, control, atol=tolerance, rtol=tolerance)
    for name in ("pctr", "pcvr", "pctcvr"):
        torch.testing.assert_close(
            getattr(found, name), getattr(plain, name), atol=tolerance, rtol=0
        )


@pytest.mark.parametrize("stages", [2, 3, 5])
def test_the_mass_of_the_outcomes_is_one(stages):
    rng = torch.Generator().manual_seed(stages)
    logits = 6 * torch.randn((2000, 2 * stages - 1), generator=rng, dtype=torch.float64)
    chain = dependent_chain(logits)
    mass = sum(x.exp() for x in (*chain.log_leave, chain.log_reach[-1]))
    torch.testing.assert_close(mass, torch.ones_like(mass), atol=1e-12, rtol=0)


def test_three_stages_are_their_enumerated_potential_outcomes():
    rng = np.random.default_rng(0)
    b, log_odds_ratio = rng.normal(0, 2, (3, 300)), rng.normal(0, 2, (2, 300))
    mass = {}
    for r in itertools.product((0, 1), repeat=3):
        chance = np.where(r[2], sigmoid(b[2]), sigmoid(-b[2]))
        for k in (1, 0):
            up = sigmoid(b[k] + log_odds_ratio[k] * r[k + 1])
            chance = chance * np.where(r[k], up, 1 - up)
        reached = next((k for k in range(3) if not r[k]), 3)
        mass[reached] = mass.get(reached, 0) + chance
        if r[1] and r[2]:
            mass["last"] = mass.get("last", 0) + chance
    chain = dependent_chain(torch.from_numpy(np.concatenate((b, log_odds_ratio)).T))
    for k in range(3):
        np.testing.assert_allclose(chain.log_leave[k].exp().numpy(), mass[k], atol=1e-13)
    np.testing.assert_allclose(chain.log_reach[2].exp().numpy(), mass[3], atol=1e-13)
    np.testing.assert_allclose(chain.log_reach[1].exp().numpy(), mass[3] + mass[2], atol=1e-13)
    np.testing.assert_allclose(chain.log_last.exp().numpy(), mass["last"], atol=1e-13)


def exact_gradients(a, b, log_odds_ratio, outcome):
    """By a, b and lambda; of no click with ``s(-a - lambda)`` and ``s(-a)`` as they are."""
    up = a + log_odds_ratio
    if outcome == "both":
        return -sigmoid(-up), -sigmoid(-b), -sigmoid(-up)
    if outcome == "click":
        return -sigmoid(-a), sigmoid(b), np.zeros_like(a)
    # With the weights of the two ways of not clicking, from their logarithms.
    with_, without = (
        -np.logaddexp(0, -b) - np.logaddexp(0, up),
        -np.logaddexp(0, b) - np.logaddexp(0, a),
    )
    way = sigmoid(with_ - without)
    by_up = way * sigmoid(up)
    return by_up + (1 - way) * sigmoid(a), -(way - sigmoid(b)), by_up


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_gradients_on_extreme_logits(outcome, dtype, tolerance):
    places = grid((-4.0, 0.0, 1.5, 12.0), dtype).requires_grad_()
    terms = DependentLikelihood()(
        nn.compose_dependent(TWO, places, {}), labels(*OUTCOMES[outcome], len(places))
    )
    (found,) = torch.autograd.grad(terms.sum(), places)
    assert bool(torch.isfinite(terms).all())
    exact = exact_gradients(*places.detach().double().numpy().T, outcome)
    for ours, column in zip(found.double().numpy().T, exact, strict=True):
        np.testing.assert_allclose(ours, column, atol=tolerance)


def test_the_optimum_in_the_population_is_lambda_and_every_cvr():
    """A scenario of discrete x and levels, enumerated; a, b and lambda free."""
    rng = np.random.default_rng(1)
    cells, levels, log_odds_ratio = 6, 3, 1.5
    q, a = rng.uniform(0.05, 0.5, cells), rng.normal(-1, 1, (cells, levels))
    both = q[:, None] * sigmoid(a + log_odds_ratio)
    p = both + (1 - q)[:, None] * sigmoid(a)
    mass = torch.from_numpy(np.stack([1 - p, p - both, both]) / (cells * levels))
    free = torch.zeros(cells * levels + cells + 1, dtype=torch.float64, requires_grad=True)
    given = {name: labels(*outcome, cells * levels) for name, outcome in OUTCOMES.items()}

    def loss():
        clicks = free[: cells * levels]
        conversions = free[cells * levels : -1].repeat_interleave(levels)
        logits = torch.stack((clicks, conversions, free[-1].expand_as(clicks)), dim=1)
        said = nn.compose_dependent(TWO, logits, {})
        terms = [DependentLikelihood()(said, given[name]) for name in OUTCOMES]
        return (mass * torch.stack(terms).reshape(3, cells, levels)).sum()

    for _ in range(40):
        gradient = torch.autograd.grad(loss(), free, create_graph=True)[0]
        hessian = torch.stack(
            [torch.autograd.grad(g, free, retain_graph=True)[0] for g in gradient]
        )
        # A little of the identity carries it over the flat start.
        size = float(gradient.detach().norm())
        step = torch.linalg.solve(
            hessian + min(size, 1e-3) * torch.eye(len(free), dtype=torch.float64), gradient
        )
        with torch.no_grad():
            free -= step.detach().clamp(-1, 1)
    assert abs(float(free.detach()[-1]) - log_odds_ratio) <= 1e-6
    np.testing.assert_allclose(sigmoid(free[cells * levels : -1].detach().numpy()), q, atol=1e-6)


def test_a_prediction_without_lambda_is_refused():
    said = nn.compose_conditionals(TWO, torch.zeros((3, 2)), {})
    with pytest.raises(CompositionError, match=r"use nn\.DependentHead"):
        DependentLikelihood()(said, labels(0, 0, 3))


def test_a_click_is_predictive_of_the_conversion_where_they_depend():
    logits = torch.tensor([[-1.0, -2.0, 1.5], [-1.0, -2.0, -1.5]])
    said = nn.compose_dependent(TWO, logits, {})
    among_clicks = said.pctcvr / said.pctr
    assert among_clicks[0] > said.pcvr[0]
    assert among_clicks[1] < said.pcvr[1]
    odds = logsigmoid(torch.tensor(-1.0) + logits[:, 2]) - logsigmoid(torch.tensor(-1.0))
    torch.testing.assert_close(torch.logit(among_clicks), -2 + odds)
