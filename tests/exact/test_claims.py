"""What each counterfactual loss is on infinitely many impressions, and on very few."""

from itertools import product

import pytest
import torch
from exact.outcomes import FUNNEL, SCALED, UNCLIPPED, draw_scenario, ideal, population

from mtl_seq import FunnelLabels, losses
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses import Objective, PropensityPolicy
from mtl_seq.nn import compose_conditionals

SCENARIO = draw_scenario()
ERROR = binary_cross_entropy(SCENARIO["logits"][:, 1], SCENARIO["q"])
IMPUTED = torch.logit(SCENARIO["wrong_r"])
RIGHT = torch.logit(SCENARIO["q"])
TRUE = {"propensity": SCENARIO["p"]}
WRONG = {"propensity": SCENARIO["wrong_p"]}


def near(found, expected):
    assert abs(float(found) - float(expected)) <= 1e-12


@pytest.mark.parametrize(
    ("loss", "nuisances"),
    [
        (losses.IPS(UNCLIPPED), TRUE),
        (losses.IPS(SCALED), TRUE),
        (losses.DoublyRobust(UNCLIPPED), TRUE | {"aux": IMPUTED}),
        (losses.DoublyRobust(UNCLIPPED), WRONG | {"aux": RIGHT}),
        (losses.DoublyRobust(SCALED), TRUE | {"aux": IMPUTED}),
        (losses.DoublyRobust(SCALED), WRONG | {"aux": RIGHT}),
        (losses.PotentialOutcome(), {}),
    ],
    ids=["IPS", "SNIPS", "DR, p", "DR, e", "SNDR, p", "SNDR, e", "oracle"],
)
def test_it_is_the_ideal_loss_at_its_nuisances(loss, nuisances):
    near(population(loss, SCENARIO, **nuisances), ideal(SCENARIO))


def test_the_bias_of_the_naive_loss_is_a_covariance():
    """As a ratio of expectations: per click, not per impression."""
    per_click = population(losses.ClickSpace(), SCENARIO) / SCENARIO["p"].mean()
    p, e = SCENARIO["p"], ERROR
    covariance = (p * e).mean() - p.mean() * e.mean()
    near(per_click - ideal(SCENARIO), covariance / p.mean())
    assert abs(covariance / p.mean()) > 1e-3


def test_the_bias_of_ips():
    form = ((SCENARIO["p"] - SCENARIO["wrong_p"]) / SCENARIO["wrong_p"] * ERROR).mean()
    near(population(losses.IPS(UNCLIPPED), SCENARIO, **WRONG) - ideal(SCENARIO), form)
    assert abs(form) > 1e-2


def test_the_bias_of_dr():
    imputed = binary_cross_entropy(SCENARIO["logits"][:, 1], SCENARIO["wrong_r"])
    form = ((SCENARIO["p"] - SCENARIO["wrong_p"]) / SCENARIO["wrong_p"] * (ERROR - imputed)).mean()
    found = population(losses.DoublyRobust(UNCLIPPED), SCENARIO, **WRONG, aux=IMPUTED)
    near(found - ideal(SCENARIO), form)
    assert abs(form) > 1e-2


def test_the_bias_of_snips():
    """That of a mean over all impressions tilted by p / p_hat."""
    tilt = SCENARIO["p"] / SCENARIO["wrong_p"]
    form = ((tilt * ERROR).mean() - tilt.mean() * ERROR.mean()) / tilt.mean()
    near(population(losses.IPS(SCALED), SCENARIO, **WRONG) - ideal(SCENARIO), form)
    assert abs(form) > 1e-2


def expected_squares():
    """``E[(e - e_hat)^2]`` of every cell, over the potential conversion."""
    z = SCENARIO["logits"][:, 1]
    imputed = binary_cross_entropy(z, SCENARIO["wrong_r"])
    no, yes = (binary_cross_entropy(z, torch.full_like(z, y)) for y in (0.0, 1.0))
    return (1 - SCENARIO["q"]) * (no - imputed) ** 2 + SCENARIO["q"] * (yes - imputed) ** 2


@pytest.mark.parametrize(
    ("loss", "form"),
    [
        (losses.Imputation(UNCLIPPED), lambda p: torch.ones_like(p)),
        (losses.MRDRImputation(UNCLIPPED), lambda p: (1 - p) / p),
        (losses.DRBiasImputation(UNCLIPPED), lambda p: ((1 - p) / p) ** 2),
        (
            losses.DRMSEImputation(UNCLIPPED, bias_share=0.25),
            lambda p: 0.25 * ((1 - p) / p) ** 2 + 0.75 * (1 - p) / p,
        ),
    ],
    ids=["DR-JL", "MRDR", "DR-BIAS", "DR-MSE"],
)
def test_an_imputation_is_a_weighted_square_over_all_impressions(loss, form):
    expected = (form(SCENARIO["p"]) * expected_squares()).mean()
    near(population(loss, SCENARIO, **TRUE, aux=IMPUTED) / expected, 1)


def test_mrdrs_loss_is_the_variance_of_dr():
    """N times the variance over the clicks of three rows, whose conversions are given."""
    scenario = draw_scenario(cells=3, seed=1)
    p = scenario["p"]
    logits, aux = scenario["logits"], torch.logit(scenario["wrong_r"])
    r = torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)
    values, chances, mrdr = [], [], 0.0
    for clicks in product((0.0, 1.0), repeat=3):
        o = torch.tensor(clicks, dtype=torch.float64)
        labels = FunnelLabels(torch.stack((o, o * r), dim=1), propensity=p)
        prediction = compose_conditionals(FUNNEL, logits, {"imputation": aux})
        chance = torch.where(o > 0, p, 1 - p).prod()
        values.append(losses.DoublyRobust(UNCLIPPED)(prediction, labels).mean())
        chances.append(chance)
        mrdr += chance * losses.MRDRImputation(UNCLIPPED)(prediction, labels).mean()
    values, chances = torch.stack(values), torch.stack(chances)
    mean = (chances * values).sum()
    near(3 * (chances * (values - mean) ** 2).sum() / mrdr, 1)


@pytest.mark.parametrize("policy", [UNCLIPPED, SCALED], ids=["IPS form", "SNIPS form"])
def test_dcmt_is_the_ideal_loss_and_a_twin_that_does_not_read_it(policy):
    counterfactual_logit = torch.logit(SCENARIO["wrong_r"])
    prior = (1 - (SCENARIO["logits"][:, 1].sigmoid() + SCENARIO["wrong_r"])).abs().mean()
    counterfactual = binary_cross_entropy(
        counterfactual_logit, torch.ones_like(counterfactual_logit)
    ).mean()
    found = population(losses.DCMT(policy, prior=0.3), SCENARIO, **TRUE, aux=counterfactual_logit)
    near(found, ideal(SCENARIO) + counterfactual + 0.3 * prior)


@pytest.mark.parametrize("policy", [UNCLIPPED, SCALED], ids=["IPS form", "SNIPS form"])
@pytest.mark.parametrize("soft", [True, False])
def test_ddpo_learns_from_labels_of_a_known_mean(policy, soft):
    """On clicks ``q + (1 - q) q_c``, or q; off them q_c; each over all impressions."""
    teacher = SCENARIO["wrong_r"]
    clicked = SCENARIO["q"] + (1 - SCENARIO["q"]) * teacher if soft else SCENARIO["q"]
    z = SCENARIO["logits"][:, 1]
    expected = (binary_cross_entropy(z, clicked) + binary_cross_entropy(z, teacher)).mean()
    loss = losses.DDPO(policy, soft_labels=soft)
    near(population(loss, SCENARIO, **TRUE, aux=torch.logit(teacher)), expected)


def test_nise_is_the_naive_loss_and_an_entropy_times_a_constant():
    z = SCENARIO["logits"][:, 1]
    p = SCENARIO["p"]
    entropy = binary_cross_entropy(z, z.sigmoid())
    expected = (p * ERROR + (1 - p) * entropy).mean()
    near(population(losses.NISE(alpha=0.5, beta=1e-3), SCENARIO), 0.5e-3 * expected)


def test_the_losses_of_chorus():
    u = SCENARIO["wrong_r"]
    aux = torch.logit(u)
    z = SCENARIO["logits"][:, 1]
    unconverted = binary_cross_entropy(aux, 1 - SCENARIO["q"]).mean()
    near(population(losses.UnconvertedIPS(UNCLIPPED), SCENARIO, **TRUE, aux=aux), unconverted)
    both = SCENARIO["logits"][:, 0].sigmoid() * u
    share = SCENARIO["p"] * (1 - SCENARIO["q"])
    expected = -(share * both.log() + (1 - share) * torch.log1p(-both)).mean()
    near(population(losses.ClickUnconverted(), SCENARIO, aux=aux), expected)
    terms = binary_cross_entropy(z, 1 - u) + binary_cross_entropy(aux, 1 - z.sigmoid())
    found = population(losses.SoftAlignment(UNCLIPPED), SCENARIO, **TRUE, aux=aux)
    near(found, 2 * terms.mean())


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_snips_does_not_notice_the_scale_of_unclipped_propensities(scale, seed):
    p = {"propensity": SCENARIO["p"]}
    scaled = {"propensity": scale * SCENARIO["p"]}
    before = population(losses.IPS(SCALED), SCENARIO, **p)
    near(population(losses.IPS(SCALED), SCENARIO, **scaled) / before, 1)
    plain = population(losses.IPS(UNCLIPPED), SCENARIO, **scaled)
    near(plain * scale / population(losses.IPS(UNCLIPPED), SCENARIO, **p), 1)


def test_clipped_snips_does_notice_it():
    policy = PropensityPolicy(floor=0.1, self_normalise=True)
    before = population(losses.IPS(policy), SCENARIO, propensity=SCENARIO["p"])
    after = population(losses.IPS(policy), SCENARIO, propensity=0.3 * SCENARIO["p"])
    assert abs(float(after / before - 1)) > 1e-3


def mean_over_draws(policy, copies):
    """Expected value of the loss on a few rows: a sum over all that the log can show of them."""
    scenario = draw_scenario(cells=3, seed=2)
    p, q = (scenario[name].repeat(copies) for name in ("p", "q"))
    logits = scenario["logits"].repeat(copies, 1)
    prediction = compose_conditionals(FUNNEL, logits, {})
    objective = Objective({"loss": losses.IPS(policy)})
    expected = 0.0
    for shown in product((0, 1, 2), repeat=len(p)):
        code = torch.tensor(shown)
        o, r = (code > 0).double(), (code == 2).double()
        chance = torch.where(o > 0, p * torch.where(r > 0, q, 1 - q), 1 - p).prod()
        labels = FunnelLabels(torch.stack((o, r), dim=1), propensity=p)
        expected += float(chance * objective(prediction, labels)["loss"])
    return expected - float(ideal(scenario))


def test_ips_is_unbiased_on_any_number_of_rows_and_snips_on_none():
    """SNIPS is consistent: its bias falls with the rows, and is not 0 on few."""
    assert abs(mean_over_draws(UNCLIPPED, 1)) <= 1e-12
    assert abs(mean_over_draws(UNCLIPPED, 2)) <= 1e-12
    few, twice = (abs(mean_over_draws(SCALED, copies)) for copies in (1, 2))
    assert few > twice > 1e-3


@pytest.mark.parametrize("name", ["p", "wrong_p"])
def test_a_propensity_of_the_network_is_that_of_its_labels(name):
    """The model's own pCTR and one handed in are one and the same formula."""
    logits = torch.stack((torch.logit(SCENARIO[name]), SCENARIO["logits"][:, 1]), dim=1)
    handed = population(losses.DDPO(), SCENARIO, propensity=SCENARIO[name], aux=IMPUTED)
    own = population(losses.DDPO(), SCENARIO, aux=IMPUTED, logits=logits)
    near(handed / own, 1)
