"""Intercepts hit the rates asked for, checked by summing whole small scenarios exactly.

Every user, item, day, position, node of the context and of the confounder is enumerated; nothing
is drawn. The sums are written here again, apart from the package's own.
"""

import numpy as np
import pytest

from mtl_seq.simulate import Actions, Context, Drift, Exposure, LogisticFunnel, ParameterError
from mtl_seq.simulate.logistic.outcome_probabilities import ActionClasses, marginal_probabilities
from mtl_seq.simulate.logistic.sample_impressions import Impressions

USERS, ITEMS = 60, 40
SCENARIOS = {
    "plain": {},
    "curved": {"curvature": -0.9, "rho": 0.8},
    "over impressions": {"cvr_over": "impressions", "rho": 0.8, "cvr": 0.05},
    "MNAR": {"mnar": 1.5, "ctr": 0.05},
    "confounded apart": {"confounder_click": 1.5, "confounder_conversion": -0.7, "mnar": 1.0},
    "confounded by user": {"confounder": 1.0, "confounder_per": "user", "user_zipf": 1.2},
    "drift": {"days": 4, "drift": Drift(click=0.3, conversion=-0.4, turn=25.0)},
    "positions": {"exposure": Exposure(slots=5, position_effect=1.2)},
    "context": {"context": Context(features=3, share=0.6, cosine=-0.5, sines=2)},
    "straight context": {"context": Context(features=3, share=0.6), "rho": -0.7, "cvr": 0.01},
    "actions": {"actions": Actions(("cart", "fav"), (0.3, 0.1), (2.0, 1.0)), "mnar": 0.8},
    "chain": {"actions": Actions(("cart",), (0.3,), (0.0,), required=True), "cvr": 0.1},
    "much at once": {
        "days": 3,
        "drift": Drift(click=0.3, turn=25.0),
        "exposure": Exposure(slots=3, position_effect=0.9),
        "confounder": 0.8,
        "curvature": 0.4,
        "actions": Actions(("cart",), (0.3,), (2.0,)),
    },
}


def enumerated(simulator):
    """Every impression there can be, with its probability."""
    slots = 1 if simulator.exposure is None else simulator.exposure.slots
    days = max(simulator.days, 1)
    grids = [np.arange(USERS), np.arange(ITEMS), np.arange(slots) + 1, np.arange(days)]
    nodes, mass = np.zeros((1, 0)), np.ones(1)
    logit_model = simulator._scenario.outcomes.logit_model
    if simulator.context is not None:
        t, w = np.polynomial.hermite_e.hermegauss(31)
        w = w / w.sum()
        plane = np.stack([part.ravel() for part in np.meshgrid(t, t, indexing="ij")], axis=1)
        nodes, mass = plane @ logit_model.directions.plane.T, np.outer(w, w).ravel()
    user, item, position, day, node = (
        part.ravel() for part in np.meshgrid(*grids, np.arange(len(mass)), indexing="ij")
    )
    zipf = [np.arange(1.0, n + 1) ** -e for n, e in ((USERS, simulator.user_zipf), (ITEMS, 0.8))]
    weight = zipf[0][user] * zipf[1][item] * mass[node]
    impressions = Impressions(
        user,
        item,
        position if simulator.exposure is not None else None,
        None,
        day + 0.5 if simulator.days else None,
        nodes[node] if simulator.context is not None else None,
    )
    return impressions, weight / weight.sum()


@pytest.mark.parametrize("name", SCENARIOS)
def test_rates_are_met_to_a_thousandth(name):
    simulator = LogisticFunnel(**{"users": USERS, "items": ITEMS, "seed": 6, **SCENARIOS[name]})
    impressions, weight = enumerated(simulator)
    outcome_sampler = simulator._scenario.outcomes
    logits = outcome_sampler.logit_model.logits(impressions)
    a, b = logits.click, logits.conversion
    loadings = outcome_sampler.loadings
    if outcome_sampler.user_confounder is not None:
        h = outcome_sampler.user_confounder[impressions.user]
        a, b, loadings = a + loadings[0] * h, b + loadings[1] * h, (0.0, 0.0)
    classes = None
    if simulator.actions is not None:
        odds = np.exp(np.concatenate([np.zeros((1, len(a))), logits.actions]))
        lift = [-np.inf if simulator.actions.required else 0.0, *simulator.actions.lift]
        classes = ActionClasses(odds / odds.sum(axis=0), np.array(lift))
    given = marginal_probabilities(a, b, simulator.mnar, loadings, classes)
    ctr = weight @ given.click
    over = given.conversion if simulator.cvr_over == "impressions" else given.both / ctr
    assert ctr == pytest.approx(simulator.ctr, rel=1e-3)
    assert weight @ over == pytest.approx(simulator.cvr, rel=1e-3)
    if simulator.actions is not None:
        for reached, rate in zip(given.by_action[0], simulator.actions.rates, strict=True):
            assert weight @ reached / ctr == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize(
    ("policy", "parameters"),
    [("top_k", {"strength": 2.0}), ("epsilon_greedy", {"epsilon": 0.2})],
)
def test_rates_are_met_under_a_ranking_policy(policy, parameters):
    """Draws, since nothing sums a ranking: within 4 standard errors over slates, and 1e-3."""
    exposure = Exposure(policy, slots=4, candidates=10, position_effect=0.5, **parameters)
    simulator = LogisticFunnel(users=USERS, items=ITEMS, exposure=exposure, seed=6)
    _, truth = simulator.sample(800_000, np.random.default_rng(7))
    for error, scale in (
        (truth.pctr - 0.2, 0.2),
        (truth.pctcvr - 0.2 * truth.pctr, 0.04),
    ):
        slates = error.reshape(-1, 4).mean(axis=1)
        assert abs(slates.mean()) <= 4 * slates.std() / np.sqrt(len(slates)) + 1e-3 * scale


def test_rates_of_a_scenario_with_many_ids_are_met():
    """More pairs than are enumerated: 4 standard errors of 1M draws, and 1e-3."""
    simulator = LogisticFunnel(users=40_000, items=5_000, ctr=0.05, cvr=0.02, rho=0.8, seed=6)
    _, truth = simulator.sample(1_000_000, np.random.default_rng(7))
    for error, scale in ((truth.pctr - 0.05, 0.05), (truth.pctcvr - 0.02 * truth.pctr, 1e-3)):
        assert abs(error.mean()) <= 4 * error.std() / 1e3 + 1e-3 * scale


@pytest.mark.parametrize(
    ("parameter", "parameters"),
    [
        ("ctr", {"click_slope": 20.0}),
        ("cvr", {"curvature": -20.0, "cvr_over": "impressions"}),
    ],
)
def test_an_unreachable_rate_names_the_range_that_slopes_allow(parameter, parameters):
    message = rf"`{parameter}` must lie in \[.*\] in this scenario, found 0.9999"
    with pytest.raises(ParameterError, match=message):
        LogisticFunnel(users=USERS, items=ITEMS, **parameters, **{parameter: 0.9999})
