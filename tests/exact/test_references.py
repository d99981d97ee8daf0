"""Each published method against its formula in NumPy, on random batches."""

from functools import partial

import numpy as np
import pytest
import torch
from exact import references

from mtl_seq import Funnel, FunnelLabels, losses
from mtl_seq.losses import Objective, PropensityPolicy
from mtl_seq.nn import compose_conditionals

FUNNEL = Funnel.chain("click", "conversion")
UNCLIPPED = PropensityPolicy(quantile=0.0)
SCALED = PropensityPolicy(quantile=0.0, self_normalise=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Batch:
    """Rows whose labels off the clicks are 0, as a log has them."""

    def __init__(self, seed, rows=200):
        rng = np.random.default_rng(seed)
        self.logits = rng.normal(-0.5, 1.2, (rows, 2))
        self.aux = rng.normal(0, 1.5, rows)
        self.o = (rng.random(rows) < 0.35).astype(float)
        self.r = self.o * (rng.random(rows) < 0.4)
        self.p, self.q = sigmoid(self.logits).T
        self.a = sigmoid(self.aux)

    def value(self, loss):
        """The loss on the batch, as a model would be trained on it."""
        aux = {name: torch.from_numpy(self.aux) for name in loss.aux}
        prediction = compose_conditionals(FUNNEL, torch.from_numpy(self.logits), aux)
        labels = FunnelLabels(torch.from_numpy(np.stack((self.o, self.r), axis=1)))
        return float(Objective({"loss": loss})(prediction, labels)["loss"])


METHODS = {
    "naive": (losses.ClickSpace(), lambda b: references.naive(b.o, b.r, b.q)),
    "ESMM, CTCVR": (
        losses.EntireSpace("conversion"),
        lambda b: references.ctcvr(b.o, b.r, b.p, b.q),
    ),
    "IPS": (losses.IPS(UNCLIPPED), lambda b: references.ips(b.o, b.r, b.p, b.q)),
    "IPS, floor .2": (
        losses.IPS(PropensityPolicy(floor=0.2)),
        lambda b: references.ips(b.o, b.r, references.floored(b.p, 0.2), b.q),
    ),
    "IPS, quantile": (
        losses.IPS(PropensityPolicy(quantile=0.1)),
        lambda b: references.ips(
            b.o, b.r, references.floored(b.p, np.quantile(b.p, 0.1, method="lower")), b.q
        ),
    ),
    "SNIPS": (losses.IPS(SCALED), lambda b: references.snips(b.o, b.r, b.p, b.q)),
    "DR": (losses.DoublyRobust(UNCLIPPED), lambda b: references.dr(b.o, b.r, b.p, b.q, b.a)),
    "self-normalised DR": (
        losses.DoublyRobust(SCALED),
        lambda b: references.self_normalised_dr(b.o, b.r, b.p, b.q, b.a),
    ),
    "DR-JL imputation": (
        losses.Imputation(UNCLIPPED),
        lambda b: references.imputation(b.o, b.r, b.p, b.q, b.a, references.dr_jl),
    ),
    "MRDR imputation": (
        losses.MRDRImputation(UNCLIPPED),
        lambda b: references.imputation(b.o, b.r, b.p, b.q, b.a, references.mrdr),
    ),
    "DR-BIAS imputation": (
        losses.DRBiasImputation(UNCLIPPED),
        lambda b: references.imputation(b.o, b.r, b.p, b.q, b.a, references.dr_bias),
    ),
    "DR-MSE imputation": (
        losses.DRMSEImputation(UNCLIPPED, bias_share=0.3),
        lambda b: references.imputation(
            b.o, b.r, b.p, b.q, b.a, partial(references.dr_mse, share=0.3)
        ),
    ),
    "DCMT, IPS form": (
        losses.DCMT(UNCLIPPED, prior=0.7),
        lambda b: references.dcmt(b.o, b.r, b.p, b.q, b.a, 0.7),
    ),
    "DCMT": (
        losses.DCMT(SCALED, prior=0.7),
        lambda b: references.dcmt_self_normalised(b.o, b.r, b.p, b.q, b.a, 0.7),
    ),
    "NISE": (losses.NISE(), lambda b: references.nise(b.o, b.r, b.p, b.q, 1.0, 50.0)),
    "NISE, bounded": (
        losses.NISE(alpha=2.0, beta=0.4),
        lambda b: references.nise(b.o, b.r, b.p, b.q, 2.0, 0.4),
    ),
    "DDPO": (losses.DDPO(SCALED), lambda b: references.ddpo(b.o, b.r, b.p, b.q, b.a, True)),
    "DDPO, hard labels": (
        losses.DDPO(SCALED, soft_labels=False),
        lambda b: references.ddpo(b.o, b.r, b.p, b.q, b.a, False),
    ),
    "direct method": (losses.DirectMethod(), lambda b: references.direct(b.q, b.a)),
    "DDPO's teacher": (
        losses.ConversionPropensity(),
        lambda b: references.conversion_propensity(b.o, b.r, b.a),
    ),
    "ChorusCVR, click unconverted": (
        losses.ClickUnconverted(),
        lambda b: references.click_unconverted(b.o, b.r, b.p, b.a),
    ),
    "ChorusCVR, unconverted": (
        losses.UnconvertedIPS(UNCLIPPED),
        lambda b: references.unconverted_ips(b.o, b.r, b.p, b.a),
    ),
    "ChorusCVR, alignment": (
        losses.SoftAlignment(UNCLIPPED),
        lambda b: references.soft_alignment(b.o, b.p, b.q, b.a),
    ),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("method", METHODS)
def test_a_method_equals_the_formula_of_its_paper(method, seed):
    loss, reference = METHODS[method]
    batch = Batch(seed)
    assert batch.value(loss) == pytest.approx(reference(batch), rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_references_differ_between_methods(method):
    """No two rows of the table have the same value, so none can pass in another's place."""
    batch = Batch(0)
    others = [form(batch) for name, (_, form) in METHODS.items() if name != method]
    own = METHODS[method][1](batch)
    assert min(abs(own - other) for other in others) > 1e-4


def test_every_loss_with_a_formula_has_a_reference():
    named = {getattr(losses, name) for name in losses.__all__}
    counterfactual = {
        part for part in named if isinstance(part, type) and issubclass(part, losses.PropensityLoss)
    } - {losses.PropensityLoss, losses.WeightedImputation}
    assert counterfactual <= {type(loss) for loss, _ in METHODS.values()}
