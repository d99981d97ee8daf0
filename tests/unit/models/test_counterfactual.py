"""What each counterfactual model is trained on, and that its settings reach its losses."""

from functools import partial

import pytest

from mtl_seq import FeatureSpec, Funnel, losses, models, nn
from mtl_seq.losses import CrossFit, PropensityPolicy
from mtl_seq.testing import FUNNELS, check_model

SPEC = FeatureSpec(ids={"user": 5, "item": 4})
POLICY = PropensityPolicy(floor=0.2, source=CrossFit(2))
SCALED = PropensityPolicy(floor=0.2, source=CrossFit(2), self_normalise=True)

PARTS = {
    models.ips: {"ctr": losses.EntireSpace, "cvr": losses.IPS},
    models.snips: {"ctr": losses.EntireSpace, "cvr": losses.IPS},
    models.multi_ipw: {"ctr": losses.EntireSpace, "cvr": losses.IPS},
    models.multi_dr: {
        "ctr": losses.EntireSpace,
        "cvr": losses.DoublyRobust,
        "imputation": losses.Imputation,
    },
    models.dr_jl: {
        "ctr": losses.EntireSpace,
        "cvr": losses.DoublyRobust,
        "imputation": losses.Imputation,
    },
    models.sn_dr: {
        "ctr": losses.EntireSpace,
        "cvr": losses.DoublyRobust,
        "imputation": losses.Imputation,
    },
    models.mrdr: {
        "ctr": losses.EntireSpace,
        "cvr": losses.DoublyRobust,
        "imputation": losses.MRDRImputation,
    },
    models.dr_bias: {
        "ctr": losses.EntireSpace,
        "cvr": losses.DoublyRobust,
        "imputation": losses.DRBiasImputation,
    },
    models.dr_mse: {
        "ctr": losses.EntireSpace,
        "cvr": losses.DoublyRobust,
        "imputation": losses.DRMSEImputation,
    },
    models.dcmt: {
        "ctr": losses.EntireSpace,
        "cvr": losses.DCMT,
        "ctcvr": losses.EntireSpace,
    },
    models.ddpo: {
        "ctr": losses.EntireSpace,
        "teacher": losses.ConversionPropensity,
        "cvr": losses.DDPO,
        "ctcvr": losses.EntireSpace,
    },
    models.chorus_cvr: {
        "ctr": losses.EntireSpace,
        "cvr": losses.IPS,
        "ctcvr": losses.EntireSpace,
        "unconverted": losses.UnconvertedIPS,
        "click_unconverted": losses.ClickUnconverted,
        "alignment": losses.SoftAlignment,
    },
    models.nise: {"ctr": losses.EntireSpace, "cvr": losses.NISE},
}
builders = pytest.mark.parametrize("build", PARTS, ids=lambda build: build.__name__)
weighing = pytest.mark.parametrize(
    "build", [b for b in PARTS if b is not models.nise], ids=lambda build: build.__name__
)


@builders
def test_it_is_trained_on_the_losses_of_its_paper(build):
    objective = build(SPEC, seed=0).objective
    assert {name: type(loss) for name, loss in objective.losses.items()} == PARTS[build]
    assert set(objective.weights.values()) == {1.0}


@weighing
def test_its_policy_reaches_every_loss_that_divides(build):
    result = build(SPEC, propensity=POLICY, seed=0).objective.losses.values()
    expected = SCALED if build in (models.snips, models.sn_dr) else POLICY
    policies = [r.propensity for r in result if isinstance(r, losses.PropensityLoss)]
    assert policies
    assert set(policies) == {expected}


@weighing
def test_by_default_only_forms_that_are_published_so_are_self_normalised(build):
    loss = build(SPEC, seed=0).objective.losses["cvr"]
    scaled = build in (models.snips, models.sn_dr, models.dcmt, models.ddpo)
    assert loss.propensity == PropensityPolicy(self_normalise=scaled)


def test_settings_of_single_models():
    assert models.dcmt(SPEC, prior=0.5, seed=0).objective.losses["cvr"].prior == 0.5
    weighted = models.dcmt(SPEC, cvr_weight=0.5, ctcvr_weight=2.0, seed=0).objective
    assert weighted.weights == {"ctr": 1.0, "cvr": 0.5, "ctcvr": 2.0}
    nise = models.nise(SPEC, alpha=0.5, beta=3.0, seed=0).objective.losses["cvr"]
    assert (nise.alpha, nise.beta) == (0.5, 3.0)
    assert models.dr_mse(SPEC, bias_share=0.9, seed=0).objective.losses[
        "imputation"
    ].bias_share == (0.9)
    assert not models.ddpo(SPEC, soft_labels=False, seed=0).objective.losses["cvr"].soft_labels
    chorus = models.chorus_cvr(SPEC, alignment_weight=0.0, seed=0)
    assert chorus.objective.weights["alignment"] == 0


@builders
def test_intermediate_stages_have_a_loss(build):
    chain = Funnel.chain("click", "cart", "conversion")
    objective = build(SPEC, funnel=chain, seed=0).objective
    assert objective.losses["cart"].stage == "cart"


@pytest.mark.parametrize("build", [models.ips, models.mrdr, models.dcmt, models.chorus_cvr])
@pytest.mark.parametrize("funnel", FUNNELS[2:], ids=["mediator", "exclusive mediators"])
def test_on_a_funnel_with_mediators(build, funnel):
    check_model(partial(build, bottom=nn.SharedBottom), funnel=funnel)
