"""What each counterfactual model is trained on, and that its settings reach its risks."""

from functools import partial

import pytest

from mtl_seq import FeatureSpec, Funnel, models, nn, risks
from mtl_seq.risks import CrossFit, PropensityPolicy
from mtl_seq.testing import FUNNELS, check_model

SPEC = FeatureSpec(ids={"user": 5, "item": 4})
POLICY = PropensityPolicy(floor=0.2, source=CrossFit(2))
SCALED = PropensityPolicy(floor=0.2, source=CrossFit(2), self_normalise=True)

PARTS = {
    models.ips: {"ctr": risks.EntireSpace, "cvr": risks.IPS},
    models.snips: {"ctr": risks.EntireSpace, "cvr": risks.IPS},
    models.multi_ipw: {"ctr": risks.EntireSpace, "cvr": risks.IPS},
    models.multi_dr: {
        "ctr": risks.EntireSpace,
        "cvr": risks.DoublyRobust,
        "imputation": risks.Imputation,
    },
    models.dr_jl: {
        "ctr": risks.EntireSpace,
        "cvr": risks.DoublyRobust,
        "imputation": risks.Imputation,
    },
    models.sn_dr: {
        "ctr": risks.EntireSpace,
        "cvr": risks.DoublyRobust,
        "imputation": risks.Imputation,
    },
    models.mrdr: {
        "ctr": risks.EntireSpace,
        "cvr": risks.DoublyRobust,
        "imputation": risks.MRDRImputation,
    },
    models.dr_bias: {
        "ctr": risks.EntireSpace,
        "cvr": risks.DoublyRobust,
        "imputation": risks.DRBiasImputation,
    },
    models.dr_mse: {
        "ctr": risks.EntireSpace,
        "cvr": risks.DoublyRobust,
        "imputation": risks.DRMSEImputation,
    },
    models.dcmt: {
        "ctr": risks.EntireSpace,
        "cvr": risks.DCMT,
        "ctcvr": risks.EntireSpace,
    },
    models.ddpo: {
        "ctr": risks.EntireSpace,
        "teacher": risks.ConversionPropensity,
        "cvr": risks.DDPO,
        "ctcvr": risks.EntireSpace,
    },
    models.chorus_cvr: {
        "ctr": risks.EntireSpace,
        "cvr": risks.IPS,
        "ctcvr": risks.EntireSpace,
        "unconverted": risks.UnconvertedIPS,
        "click_unconverted": risks.ClickUnconverted,
        "alignment": risks.SoftAlignment,
    },
    models.nise: {"ctr": risks.EntireSpace, "cvr": risks.NISE},
}
builders = pytest.mark.parametrize("build", PARTS, ids=lambda build: build.__name__)
weighing = pytest.mark.parametrize(
    "build", [b for b in PARTS if b is not models.nise], ids=lambda build: build.__name__
)


@builders
def test_it_is_trained_on_the_risks_of_its_paper(build):
    objective = build(SPEC, seed=0).objective
    assert {name: type(risk) for name, risk in objective.risks.items()} == PARTS[build]
    assert set(objective.weights.values()) == {1.0}


@weighing
def test_its_policy_reaches_every_risk_that_divides(build):
    found = build(SPEC, propensity=POLICY, seed=0).objective.risks.values()
    expected = SCALED if build in (models.snips, models.sn_dr) else POLICY
    policies = [r.propensity for r in found if isinstance(r, risks.PropensityRisk)]
    assert policies
    assert set(policies) == {expected}


@weighing
def test_by_default_only_forms_that_are_published_so_are_self_normalised(build):
    risk = build(SPEC, seed=0).objective.risks["cvr"]
    scaled = build in (models.snips, models.sn_dr, models.dcmt, models.ddpo)
    assert risk.propensity == PropensityPolicy(self_normalise=scaled)


def test_settings_of_single_models():
    assert models.dcmt(SPEC, prior=0.5, seed=0).objective.risks["cvr"].prior == 0.5
    weighted = models.dcmt(SPEC, cvr_weight=0.5, ctcvr_weight=2.0, seed=0).objective
    assert weighted.weights == {"ctr": 1.0, "cvr": 0.5, "ctcvr": 2.0}
    nise = models.nise(SPEC, alpha=0.5, beta=3.0, seed=0).objective.risks["cvr"]
    assert (nise.alpha, nise.beta) == (0.5, 3.0)
    assert models.dr_mse(SPEC, bias_share=0.9, seed=0).objective.risks["imputation"].bias_share == (
        0.9
    )
    assert not models.ddpo(SPEC, soft_labels=False, seed=0).objective.risks["cvr"].soft_labels
    chorus = models.chorus_cvr(SPEC, alignment_weight=0.0, seed=0)
    assert chorus.objective.weights["alignment"] == 0


@builders
def test_stages_between_have_their_own_risk(build):
    chain = Funnel.chain("click", "cart", "conversion")
    objective = build(SPEC, funnel=chain, seed=0).objective
    assert objective.risks["cart"].stage == "cart"


@pytest.mark.parametrize("build", [models.ips, models.mrdr, models.dcmt, models.chorus_cvr])
@pytest.mark.parametrize("funnel", FUNNELS[2:], ids=["mediator", "exclusive mediators"])
def test_on_a_funnel_with_mediators(build, funnel):
    check_model(partial(build, bottom=nn.SharedBottom), funnel=funnel)
