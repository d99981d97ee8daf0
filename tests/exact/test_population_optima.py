"""Where a method leads pCVR with infinite data and right nuisances: roots of expected gradients."""

import numpy as np
import pytest
import torch
from exact.outcomes import FUNNEL, SCALED, UNCLIPPED, population
from scipy.optimize import brentq

from mtl_seq import FunnelLabels, losses
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses import Objective
from mtl_seq.nn import compose_conditionals

CERTAIN = 40.0  # sigmoid(40) is 1 in float64


def cell(p, q):
    """One value of x with its true probabilities."""
    return {name: torch.tensor([v], dtype=torch.float64) for name, v in (("p", p), ("q", q))}


def slope(loss, scenario, z, aux):
    """Derivative of the infinite-data loss at CVR logit z, with the true propensity."""
    logit = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    click = torch.logit(scenario["p"])[0]
    logits = torch.stack((click, logit)).unsqueeze(0)
    extra = torch.tensor([aux], dtype=torch.float64)
    population(loss, scenario, logits=logits, aux=extra).backward()
    return float(logit.grad)


def optimum(loss, p, q, aux=0.0):
    """pCVR at the root of the derivative."""
    z = brentq(lambda z: slope(loss, cell(p, q), z, aux), -12, 12, xtol=1e-13)
    return 1 / (1 + np.exp(-z))


def logit(probability):
    return float(np.log(probability / (1 - probability)))


RATES = [(0.04, 0.05), (0.2, 0.2), (0.7, 0.6)]
rates = pytest.mark.parametrize(("p", "q"), RATES)


@rates
@pytest.mark.parametrize("policy", [UNCLIPPED, SCALED], ids=["IPS form", "SNIPS form"])
@pytest.mark.parametrize("prior", [0.0, 0.001, 0.1, 1.0])
def test_dcmt_with_a_certain_twin_shrinks_pcvr(p, q, policy, prior):
    """``q_true = q + prior q (1 - q)``: about q_true / (1 + prior) where conversions are rare."""
    found = optimum(losses.DCMT(policy, prior=prior), p, q, CERTAIN)
    assert found + prior * found * (1 - found) == pytest.approx(q, abs=1e-9)
    if prior == 1.0 and q == 0.05:
        assert found == pytest.approx(q / 2, rel=0.03)


def test_the_twin_of_dcmt_is_certain_in_the_end():
    """All its labels are 1, so its loss falls without end."""
    z = torch.zeros(1, dtype=torch.float64)
    for twin in (0.0, 4.0, 8.0):
        prediction = torch.tensor([twin], dtype=torch.float64, requires_grad=True)
        scenario = cell(0.2, 0.2)
        population(
            losses.DCMT(UNCLIPPED, prior=0.0),
            scenario,
            logits=torch.stack((torch.logit(scenario["p"]), z), dim=1),
            aux=prediction,
        ).backward()
        assert float(prediction.grad) < 0


@rates
@pytest.mark.parametrize("policy", [UNCLIPPED, SCALED], ids=["IPS form", "SNIPS form"])
def test_ddpo_with_a_right_teacher_inflates_pcvr(p, q, policy):
    """Half its labels have mean ``q + (1 - q) q``, half q."""
    assert optimum(losses.DDPO(policy), p, q, logit(q)) == pytest.approx((3 * q - q**2) / 2)


@rates
def test_ddpo_without_soft_labels_does_not(p, q):
    assert optimum(losses.DDPO(UNCLIPPED, soft_labels=False), p, q, logit(q)) == pytest.approx(q)


@pytest.mark.parametrize("teacher", [0.05, 0.3])
@pytest.mark.parametrize("q", [0.05, 0.4])
def test_ddpos_soft_labels_on_clicks_alone(q, teacher):
    """q + (1 - q) q_c."""
    labels = FunnelLabels(
        torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64),
        weight=2 * torch.tensor([1 - q, q], dtype=torch.float64),
    )
    objective = Objective({"cvr": losses.DDPO(SCALED)})

    def gradient(z):
        cvr = torch.tensor(z, dtype=torch.float64, requires_grad=True)
        logits = torch.stack((torch.zeros_like(cvr), cvr)).repeat(2, 1)
        aux = {"conversion_propensity": torch.full((2,), logit(teacher), dtype=torch.float64)}
        objective.total(compose_conditionals(FUNNEL, logits, aux), labels).backward()
        return float(cvr.grad)

    z = brentq(gradient, -12, 12, xtol=1e-13)
    assert 1 / (1 + np.exp(-z)) == pytest.approx(q + (1 - q) * teacher)


def nise_by_hand(p, q):
    """Root of ``p (s(z) - q) - (1 - p) z s(z) s(-z)``, the least of the loss."""

    def derivative(z):
        s = 1 / (1 + np.exp(-z))
        return p * (s - q) - (1 - p) * z * s * (1 - s)

    z = brentq(derivative, -12, 0, xtol=1e-13)
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize(("p", "q"), RATES[:2])
def test_nise_drives_rare_conversions_towards_zero(p, q):
    found = optimum(losses.NISE(), p, q)
    assert found == pytest.approx(nise_by_hand(p, q), rel=1e-6)
    assert found < 0.1 * q


def test_nise_with_a_detached_pseudo_label_has_no_gradient_off_the_clicks():
    """``s(z) - s(z)``; as published it is ``-z s(z) s(-z)``."""
    z = torch.linspace(-8, 8, 33, dtype=torch.float64).requires_grad_()
    (detached,) = torch.autograd.grad(binary_cross_entropy(z, z.sigmoid().detach()).sum(), z)
    assert detached.abs().max() <= torch.finfo(torch.float64).eps
    labels = FunnelLabels(torch.zeros(33, 2, dtype=torch.float64))
    prediction = compose_conditionals(FUNNEL, torch.stack((torch.zeros_like(z), z), dim=1), {})
    terms = losses.NISE(beta=1.0)(prediction, labels)
    constant = torch.clamp_max(np.log(2) / binary_cross_entropy(z, z.sigmoid()).mean(), 1.0)
    (found,) = torch.autograd.grad(terms.sum(), z)
    expected = -z * z.sigmoid() * (-z).sigmoid() * constant
    torch.testing.assert_close(found, expected.detach(), rtol=1e-12, atol=1e-15)


@rates
@pytest.mark.parametrize("policy", [UNCLIPPED, SCALED], ids=["plain", "self-normalised"])
def test_ips_and_dr_lead_to_the_truth(p, q, policy):
    assert optimum(losses.IPS(policy), p, q) == pytest.approx(q)
    for imputed in (0.01, 0.9):
        found = optimum(losses.DoublyRobust(policy), p, q, logit(imputed))
        assert found == pytest.approx(q)


@rates
def test_the_naive_loss_too_where_the_model_can_represent_the_truth(p, q):
    assert optimum(losses.ClickSpace(), p, q) == pytest.approx(q)


@rates
def test_every_loss_of_chorus_rests_at_the_truth(p, q):
    scenario = cell(p, q)
    logits = torch.logit(torch.stack((scenario["p"], scenario["q"]), dim=1)).requires_grad_()
    twin = torch.logit(1 - scenario["q"]).requires_grad_()
    for loss in (
        losses.EntireSpace("conversion"),
        losses.IPS(UNCLIPPED),
        losses.UnconvertedIPS(UNCLIPPED),
        losses.ClickUnconverted(),
        losses.SoftAlignment(UNCLIPPED),
    ):
        value = population(loss, scenario, logits=logits, aux=twin)
        for gradient in torch.autograd.grad(value, [logits, twin], allow_unused=True):
            assert gradient is None or float(gradient.abs().max()) <= 1e-12


@pytest.mark.parametrize(
    "loss",
    [
        losses.Imputation(UNCLIPPED),
        losses.MRDRImputation(UNCLIPPED),
        losses.DRBiasImputation(UNCLIPPED),
        losses.DRMSEImputation(UNCLIPPED),
    ],
)
@pytest.mark.parametrize("q", [0.05, 0.4])
def test_every_imputation_of_one_cell_leads_to_the_truth(loss, q):
    """The weights tell methods apart only where the imputed label cannot follow x."""
    scenario = cell(0.2, q)
    logits = torch.tensor([[logit(0.2), -1.0]], dtype=torch.float64)

    def gradient(z):
        aux = torch.tensor([z], dtype=torch.float64, requires_grad=True)
        population(loss, scenario, logits=logits, aux=aux).backward()
        return float(aux.grad)

    z = brentq(gradient, -12, 12, xtol=1e-13)
    assert 1 / (1 + np.exp(-z)) == pytest.approx(q)
