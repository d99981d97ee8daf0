"""Where each loss leads with infinite data: stationary points of expected losses, linear logits.

The scenario: x1, x2 standard normal, click logit alpha + x1, conversion logit
beta + rho x1 + sqrt(1 - rho^2) x2, CTR 20%, CVR on clicks 20%. Expectations over x are
Gauss-Hermite sums, expectations over labels are sums over outcomes, nothing is clipped. With a
detached propensity the gradient is not that of the reported loss, so a root of the gradient is
sought, not a minimum.
"""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from mtl_seq import Funnel, FunnelLabels, losses
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses import Objective
from mtl_seq.nn import FunnelNetwork, ParallelHead, SharedBottom
from mtl_seq.schema import FeatureSpec

FUNNEL = Funnel.chain("click", "conversion")
NODES = 32
UNCLIPPED = losses.PropensityPolicy(quantile=0.0)
SCALED = losses.PropensityPolicy(quantile=0.0, self_normalise=True)
REPAIRING = ["IPS", "SNIPS", "DR", "self-normalised DR", "default", "MRDR", "DR-MSE"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Scenario:
    """Cells of x, their mass, and the true probabilities."""

    def __init__(self, rho):
        node, weight = np.polynomial.hermite_e.hermegauss(NODES)
        x1, x2 = (axis.ravel() for axis in np.meshgrid(node, node, indexing="ij"))
        mass = np.outer(weight, weight).ravel()
        self.mass = mass / mass.sum()
        self.x1, self.x2 = x1, x2
        driver = rho * x1 + np.sqrt(1 - rho**2) * x2
        alpha = brentq(lambda c: self.mass @ sigmoid(c + x1) - 0.2, -20, 20)
        self.p = sigmoid(alpha + x1)
        weighted = self.mass * self.p / (self.mass @ self.p)
        beta = brentq(lambda c: weighted @ sigmoid(c + driver) - 0.2, -20, 20)
        self.q = sigmoid(beta + driver)

    def rows(self):
        """Every cell with every outcome the log can show, weighted by its probability."""
        none, click = np.zeros_like(self.p), np.ones_like(self.p)
        outcomes = [
            (none, none, 1 - self.p),
            (click, none, self.p * (1 - self.q)),
            (click, click, self.p * self.q),
        ]
        features = {
            name: torch.from_numpy(np.tile(x, len(outcomes)))
            for name, x in (("x1", self.x1), ("x2", self.x2))
        }
        weight = np.concatenate([self.mass * chance for *_, chance in outcomes])
        labels = FunnelLabels.of(
            click=torch.from_numpy(np.concatenate([o for o, *_ in outcomes])),
            conversion=torch.from_numpy(np.concatenate([r for _, r, _ in outcomes])),
            weight=torch.from_numpy(weight * len(weight)),
        )
        return features, labels


OBJECTIVES = {
    "naive": {"cvr": losses.ClickSpace()},
    "ESMM": {"ctcvr": losses.EntireSpace("conversion")},
    "IPS": {"cvr": losses.IPS(UNCLIPPED)},
    "DR": {"cvr": losses.DoublyRobust(UNCLIPPED), "imputation": losses.Imputation(UNCLIPPED)},
    "SNIPS": {"cvr": losses.IPS(SCALED)},
    "self-normalised DR": {
        "cvr": losses.DoublyRobust(SCALED),
        "imputation": losses.Imputation(SCALED),
    },
    "default": {"cvr": losses.DirectMethod(), "imputation": losses.LabelImputation()},
    "MRDR": {
        "cvr": losses.DoublyRobust(UNCLIPPED),
        "imputation": losses.MRDRImputation(UNCLIPPED),
    },
    "DR-MSE": {
        "cvr": losses.DoublyRobust(UNCLIPPED),
        "imputation": losses.DRMSEImputation(UNCLIPPED),
    },
    "DDPO": {
        "teacher": losses.ConversionPropensity(),
        "cvr": losses.DDPO(soft_labels=False, propensity=SCALED),
    },
    "ESCM2-IPS": {"cvr": losses.IPS(UNCLIPPED), "ctcvr": losses.EntireSpace("conversion")},
}


WEIGHTS = {"ESCM2-IPS, a tenth": {"cvr": 0.1}, "ESCM2-IPS, half": {"cvr": 0.5}}


def solve(field, x):
    """Root of a vector field by Newton's method, never further than one unit a step."""
    for _ in range(50):
        value = field(x)
        if np.abs(value).max() <= 1e-10:
            break
        moves = 1e-5 * np.eye(len(x))
        slope = np.stack([field(x + m) - field(x - m) for m in moves], axis=1) / 2e-5
        step = np.linalg.solve(slope, -value)
        scale = 1 / max(1.0, np.abs(step).max())
        while np.abs(field(x + scale * step)).max() > np.abs(value).max() and scale > 1e-6:
            scale /= 2
        x = x + scale * step
    return x


def on_clicks(prediction, labels):
    """CTR over all impressions; CVR, and the imputed label where there is one, on clicks."""
    logits = [prediction.pcvr_logit, *prediction.aux.values()]
    terms = sum(binary_cross_entropy(logit, labels.conversion) for logit in logits)
    terms = labels.click * terms + binary_cross_entropy(prediction.pctr_logit, labels.click)
    return (labels.weight * terms).mean()


def relative_bias(method, rho, *, blind):
    """Bias of the mean pCVR over all impressions at the method's stationary point."""
    scenario = Scenario(rho)
    parts = OBJECTIVES[method.partition(",")[0]]
    objective = Objective({"ctr": losses.EntireSpace("click"), **parts}, WEIGHTS.get(method))
    spec = FeatureSpec(dense=["x1", "x2"], hidden_from={"conversion": ["x1"]} if blind else {})
    net = FunnelNetwork(
        spec,
        funnel=FUNNEL,
        bottom=partial(SharedBottom, hidden=()),
        head=partial(ParallelHead, hidden=()),
        aux=objective.aux,
        aux_hidden=(),
    ).double()
    features, labels = scenario.rows()
    parameters = list(net.parameters())

    def gradient(values, loss):
        torch.nn.utils.vector_to_parameters(torch.from_numpy(values), parameters)
        net.zero_grad()
        loss(net(features), labels).backward()
        return torch.cat([p.grad.ravel() for p in parameters]).numpy().copy()

    # The convex problem on clicks is where everyone starts from.
    start = solve(lambda x: gradient(x, on_clicks), np.zeros(sum(p.numel() for p in parameters)))
    end = solve(lambda x: gradient(x, objective.total), start)
    assert np.abs(gradient(end, objective.total)).max() <= 1e-9
    with torch.no_grad():
        predicted = net(features).pcvr[: len(scenario.p)].numpy()
    return float(scenario.mass @ predicted / (scenario.mass @ scenario.q) - 1)


@pytest.mark.parametrize("rho", [0.4, 0.8, -0.8])
@pytest.mark.parametrize("method", ["naive", "ESMM", "DDPO", *REPAIRING])
def test_well_specified_nobody_is_biased(method, rho):
    assert abs(relative_bias(method, rho, blind=False)) <= 0.001


@pytest.mark.parametrize(("rho", "expected"), [(0.4, 0.24), (-0.8, -0.33), (0.8, 0.545)])
def test_esmm_is_biased_where_the_cvr_model_misses_the_click_driver(rho, expected):
    assert relative_bias("ESMM", rho, blind=True) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("rho", "expected"), [(0.4, 0.213), (-0.8, -0.312)])
def test_the_naive_model_is_biased_there_too(rho, expected):
    assert relative_bias("naive", rho, blind=True) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("rho", [0.4, -0.8])
@pytest.mark.parametrize("method", REPAIRING)
def test_ips_and_dr_repair_it(method, rho):
    assert abs(relative_bias(method, rho, blind=True)) <= 0.001


@pytest.mark.parametrize("rho", [0.4, -0.8])
def test_so_does_ddpo_without_soft_labels_under_a_teacher_that_sees_everything(rho):
    assert abs(relative_bias("DDPO", rho, blind=True)) <= 0.001


@pytest.mark.parametrize(("rho", "expected"), [(0.4, 0.021), (0.8, 0.036), (-0.8, -0.076)])
def test_escm2_ips_nearly_repairs_it(rho, expected):
    """Its CTCVR term keeps pulling, and bends the propensity."""
    assert relative_bias("ESCM2-IPS", rho, blind=True) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("weight", "expected"), [("a tenth", 0.29), ("half", 0.09)])
def test_a_small_weight_of_the_counterfactual_loss_leaves_much_of_esmms_bias(weight, expected):
    """ESMM has +.545 there."""
    found = relative_bias(f"ESCM2-IPS, {weight}", 0.8, blind=True)
    assert found == pytest.approx(expected, abs=0.01)
