"""Each published method against its formula in NumPy, on random batches."""

from functools import partial

import numpy as np
import pytest
import torch
from exact import references

from mtl_seq import Funnel, FunnelLabels, risks
from mtl_seq.nn import compose_conditionals
from mtl_seq.risks import Objective, PropensityPolicy

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

    def value(self, risk):
        """The risk on the batch, as a model would be trained on it."""
        aux = {name: torch.from_numpy(self.aux) for name in risk.aux}
        prediction = compose_conditionals(FUNNEL, torch.from_numpy(self.logits), aux)
        labels = FunnelLabels(torch.from_numpy(np.stack((self.o, self.r), axis=1)))
        return float(Objective({"risk": risk})(prediction, labels)["risk"])


METHODS = {
    "naive": (risks.ClickSpace(), lambda b: references.naive(b.o, b.r, b.q)),
    "ESMM, CTCVR": (
        risks.EntireSpace("conversion"),
        lambda b: references.ctcvr(b.o, b.r, b.p, b.q),
    ),
    "IPS": (risks.IPS(UNCLIPPED), lambda b: references.ips(b.o, b.r, b.p, b.q)),
    "IPS, floor .2": (
        risks.IPS(PropensityPolicy(floor=0.2)),
        lambda b: references.ips(b.o, b.r, references.floored(b.p, 0.2), b.q),
    ),
    "IPS, quantile": (
        risks.IPS(PropensityPolicy(quantile=0.1)),
        lambda b: references.ips(
            b.o, b.r, references.floored(b.p, np.quantile(b.p, 0.1, method="lower")), b.q
        ),
    ),
    "SNIPS": (risks.IPS(SCALED), lambda b: references.snips(b.o, b.r, b.p, b.q)),
    "DR": (risks.DoublyRobust(UNCLIPPED), lambda b: references.dr(b.o, b.r, b.p, b.q, b.a)),
    "self-normalised DR": (
        risks.DoublyRobust(SCALED),
        lambda b: references.self_normalised_dr(b.o, b.r, b.p, b.q, b.a),
    ),
    "DR-JL imputation": (
        risks.Imputation(UNCLIPPED),
        lambda b: references.imputation(b.o, b.r, b.p, b.q, b.a, references.dr_jl),
    ),
    "MRDR imputation": (
        risks.MRDRImputation(UNCLIPPED),
        lambda b: references.imputation(b.o, b.r, b.p, b.q, b.a, references.mrdr),
    ),
    "DR-BIAS imputation": (
        risks.DRBiasImputation(UNCLIPPED),
        lambda b: references.imputation(b.o, b.r, b.p, b.q, b.a, references.dr_bias),
    ),
    "DR-MSE imputation": (
        risks.DRMSEImputation(UNCLIPPED, bias_share=0.3),
        lambda b: references.imputation(
            b.o, b.r, b.p, b.q, b.a, partial(references.dr_mse, share=0.3)
        ),
    ),
    "DCMT, IPS form": (
        risks.DCMT(UNCLIPPED, prior=0.7),
        lambda b: references.dcmt(b.o, b.r, b.p, b.q, b.a, 0.7),
    ),
    "DCMT": (
        risks.DCMT(SCALED, prior=0.7),
        lambda b: references.dcmt_self_normalised(b.o, b.r, b.p, b.q, b.a, 0.7),
    ),
    "NISE": (risks.NISE(), lambda b: references.nise(b.o, b.r, b.p, b.q, 1.0, 50.0)),
    "NISE, bounded": (
        risks.NISE(alpha=2.0, beta=0.4),
        lambda b: references.nise(b.o, b.r, b.p, b.q, 2.0, 0.4),
    ),
    "DDPO": (risks.DDPO(SCALED), lambda b: references.ddpo(b.o, b.r, b.p, b.q, b.a, True)),
    "DDPO, hard labels": (
        risks.DDPO(SCALED, soft_labels=False),
        lambda b: references.ddpo(b.o, b.r, b.p, b.q, b.a, False),
    ),
    "direct method": (risks.DirectMethod(), lambda b: references.direct(b.q, b.a)),
    "DDPO's teacher": (
        risks.ConversionPropensity(),
        lambda b: references.conversion_propensity(b.o, b.r, b.a),
    ),
    "ChorusCVR, click unconverted": (
        risks.ClickUnconverted(),
        lambda b: references.click_unconverted(b.o, b.r, b.p, b.a),
    ),
    "ChorusCVR, unconverted": (
        risks.UnconvertedIPS(UNCLIPPED),
        lambda b: references.unconverted_ips(b.o, b.r, b.p, b.a),
    ),
    "ChorusCVR, alignment": (
        risks.SoftAlignment(UNCLIPPED),
        lambda b: references.soft_alignment(b.o, b.p, b.q, b.a),
    ),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_what_its_paper_says(method, seed):
    risk, reference = METHODS[method]
    batch = Batch(seed)
    assert batch.value(risk) == pytest.approx(reference(batch), rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_references_tell_the_methods_apart(method):
    """No two rows of the table have the same value, so none can pass in another's place."""
    batch = Batch(0)
    others = [form(batch) for name, (_, form) in METHODS.items() if name != method]
    own = METHODS[method][1](batch)
    assert min(abs(own - other) for other in others) > 1e-4


def test_every_risk_with_a_formula_of_its_own_has_a_reference():
    named = {getattr(risks, name) for name in risks.__all__}
    counterfactual = {
        part for part in named if isinstance(part, type) and issubclass(part, risks.PropensityRisk)
    } - {risks.PropensityRisk, risks.WeightedImputation}
    assert counterfactual <= {type(risk) for risk, _ in METHODS.values()}
