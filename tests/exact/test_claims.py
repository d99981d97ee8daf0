"""What each counterfactual loss is on infinitely many impressions, and on very few."""

from itertools import product

import pytest
import torch
from exact.outcomes import FUNNEL, SCALED, UNCLIPPED, draw_scenario, ideal, population

from mtl_seq import FunnelLabels, losses
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses import Objective, PropensityPolicy
from mtl_seq.nn import compose_conditionals

WORLD = draw_scenario()
ERROR = binary_cross_entropy(WORLD["logits"][:, 1], WORLD["q"])
IMPUTED = torch.logit(WORLD["wrong_r"])
RIGHT = torch.logit(WORLD["q"])
TRUE = {"propensity": WORLD["p"]}
WRONG = {"propensity": WORLD["wrong_p"]}


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
    near(population(loss, WORLD, **nuisances), ideal(WORLD))


def test_the_bias_of_the_naive_loss_is_a_covariance():
    """As a ratio of expectations: per click, not per impression."""
    per_click = population(losses.ClickSpace(), WORLD) / WORLD["p"].mean()
    p, e = WORLD["p"], ERROR
    covariance = (p * e).mean() - p.mean() * e.mean()
    near(per_click - ideal(WORLD), covariance / p.mean())
    assert abs(covariance / p.mean()) > 1e-3


def test_the_bias_of_ips():
    form = ((WORLD["p"] - WORLD["wrong_p"]) / WORLD["wrong_p"] * ERROR).mean()
    near(population(losses.IPS(UNCLIPPED), WORLD, **WRONG) - ideal(WORLD), form)
    assert abs(form) > 1e-2


def test_the_bias_of_dr():
    imputed = binary_cross_entropy(WORLD["logits"][:, 1], WORLD["wrong_r"])
    form = ((WORLD["p"] - WORLD["wrong_p"]) / WORLD["wrong_p"] * (ERROR - imputed)).mean()
    found = population(losses.DoublyRobust(UNCLIPPED), WORLD, **WRONG, aux=IMPUTED)
    near(found - ideal(WORLD), form)
    assert abs(form) > 1e-2


def test_the_bias_of_snips():
    """That of a mean over all impressions tilted by p / p_hat."""
    tilt = WORLD["p"] / WORLD["wrong_p"]
    form = ((tilt * ERROR).mean() - tilt.mean() * ERROR.mean()) / tilt.mean()
    near(population(losses.IPS(SCALED), WORLD, **WRONG) - ideal(WORLD), form)
    assert abs(form) > 1e-2


def expected_squares():
    """``E[(e - e_hat)^2]`` of every cell, over the potential conversion."""
    z = WORLD["logits"][:, 1]
    imputed = binary_cross_entropy(z, WORLD["wrong_r"])
    no, yes = (binary_cross_entropy(z, torch.full_like(z, y)) for y in (0.0, 1.0))
    return (1 - WORLD["q"]) * (no - imputed) ** 2 + WORLD["q"] * (yes - imputed) ** 2


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
    expected = (form(WORLD["p"]) * expected_squares()).mean()
    near(population(loss, WORLD, **TRUE, aux=IMPUTED) / expected, 1)


def test_mrdrs_loss_is_the_variance_of_dr():
    """N times the variance over the clicks of three rows, whose conversions are given."""
    simulator = draw_scenario(cells=3, seed=1)
    p = simulator["p"]
    logits, aux = simulator["logits"], torch.logit(simulator["wrong_r"])
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
    twin = torch.logit(WORLD["wrong_r"])
    prior = (1 - (WORLD["logits"][:, 1].sigmoid() + WORLD["wrong_r"])).abs().mean()
    counterfactual = binary_cross_entropy(twin, torch.ones_like(twin)).mean()
    found = population(losses.DCMT(policy, prior=0.3), WORLD, **TRUE, aux=twin)
    near(found, ideal(WORLD) + counterfactual + 0.3 * prior)


@pytest.mark.parametrize("policy", [UNCLIPPED, SCALED], ids=["IPS form", "SNIPS form"])
@pytest.mark.parametrize("soft", [True, False])
def test_ddpo_learns_from_labels_of_a_known_mean(policy, soft):
    """On clicks ``q + (1 - q) q_c``, or q; off them q_c; each over all impressions."""
    teacher = WORLD["wrong_r"]
    clicked = WORLD["q"] + (1 - WORLD["q"]) * teacher if soft else WORLD["q"]
    z = WORLD["logits"][:, 1]
    expected = (binary_cross_entropy(z, clicked) + binary_cross_entropy(z, teacher)).mean()
    loss = losses.DDPO(policy, soft_labels=soft)
    near(population(loss, WORLD, **TRUE, aux=torch.logit(teacher)), expected)


def test_nise_is_the_naive_loss_and_an_entropy_times_a_constant():
    z = WORLD["logits"][:, 1]
    p = WORLD["p"]
    entropy = binary_cross_entropy(z, z.sigmoid())
    expected = (p * ERROR + (1 - p) * entropy).mean()
    near(population(losses.NISE(alpha=0.5, beta=1e-3), WORLD), 0.5e-3 * expected)


def test_the_losses_of_chorus():
    u = WORLD["wrong_r"]
    aux = torch.logit(u)
    z = WORLD["logits"][:, 1]
    unconverted = binary_cross_entropy(aux, 1 - WORLD["q"]).mean()
    near(population(losses.UnconvertedIPS(UNCLIPPED), WORLD, **TRUE, aux=aux), unconverted)
    both = WORLD["logits"][:, 0].sigmoid() * u
    share = WORLD["p"] * (1 - WORLD["q"])
    expected = -(share * both.log() + (1 - share) * torch.log1p(-both)).mean()
    near(population(losses.ClickUnconverted(), WORLD, aux=aux), expected)
    terms = binary_cross_entropy(z, 1 - u) + binary_cross_entropy(aux, 1 - z.sigmoid())
    found = population(losses.SoftAlignment(UNCLIPPED), WORLD, **TRUE, aux=aux)
    near(found, 2 * terms.mean())


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_snips_does_not_notice_the_scale_of_unclipped_propensities(scale, seed):
    p = {"propensity": WORLD["p"]}
    scaled = {"propensity": scale * WORLD["p"]}
    before = population(losses.IPS(SCALED), WORLD, **p)
    near(population(losses.IPS(SCALED), WORLD, **scaled) / before, 1)
    plain = population(losses.IPS(UNCLIPPED), WORLD, **scaled)
    near(plain * scale / population(losses.IPS(UNCLIPPED), WORLD, **p), 1)


def test_clipped_snips_does_notice_it():
    policy = PropensityPolicy(floor=0.1, self_normalise=True)
    before = population(losses.IPS(policy), WORLD, propensity=WORLD["p"])
    after = population(losses.IPS(policy), WORLD, propensity=0.3 * WORLD["p"])
    assert abs(float(after / before - 1)) > 1e-3


def mean_over_draws(policy, copies):
    """Expected value of the loss on a few rows: a sum over all that the log can show of them."""
    simulator = draw_scenario(cells=3, seed=2)
    p, q = (simulator[name].repeat(copies) for name in ("p", "q"))
    logits = simulator["logits"].repeat(copies, 1)
    prediction = compose_conditionals(FUNNEL, logits, {})
    objective = Objective({"loss": losses.IPS(policy)})
    expected = 0.0
    for shown in product((0, 1, 2), repeat=len(p)):
        code = torch.tensor(shown)
        o, r = (code > 0).double(), (code == 2).double()
        chance = torch.where(o > 0, p * torch.where(r > 0, q, 1 - q), 1 - p).prod()
        labels = FunnelLabels(torch.stack((o, r), dim=1), propensity=p)
        expected += float(chance * objective(prediction, labels)["loss"])
    return expected - float(ideal(simulator))


def test_ips_is_unbiased_on_any_number_of_rows_and_snips_on_none():
    """SNIPS is consistent: its bias falls with the rows, and is not 0 on few."""
    assert abs(mean_over_draws(UNCLIPPED, 1)) <= 1e-12
    assert abs(mean_over_draws(UNCLIPPED, 2)) <= 1e-12
    few, twice = (abs(mean_over_draws(SCALED, copies)) for copies in (1, 2))
    assert few > twice > 1e-3


@pytest.mark.parametrize("name", ["p", "wrong_p"])
def test_a_propensity_of_the_network_is_that_of_its_labels(name):
    """The model's own pCTR and one handed in are one and the same formula."""
    logits = torch.stack((torch.logit(WORLD[name]), WORLD["logits"][:, 1]), dim=1)
    handed = population(losses.DDPO(), WORLD, propensity=WORLD[name], aux=IMPUTED)
    own = population(losses.DDPO(), WORLD, aux=IMPUTED, logits=logits)
    near(handed / own, 1)
