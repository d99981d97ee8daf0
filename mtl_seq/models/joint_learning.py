"""Doubly robust joint learning: DR-JL, MRDR, DR-BIAS and DR-MSE (Dai et al., KDD 2022), SN-DR."""

from dataclasses import replace

from mtl_seq.funnel import Funnel
from mtl_seq.losses import (
    DoublyRobust,
    DRBiasImputation,
    DRMSEImputation,
    Imputation,
    MRDRImputation,
    Objective,
    PropensityPolicy,
)
from mtl_seq.losses.imputation import WeightedImputation
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel, assemble_separate
from mtl_seq.models.policies import Schedule
from mtl_seq.models.search_space import Range, SearchSpace
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["assemble_joint_learning", "dr_bias", "dr_jl", "dr_mse", "mrdr", "sn_dr"]

SPACE: SearchSpace = {"bias_share": Range(0.0, 1.0)}


def assemble_joint_learning(
    spec: FeatureSpec,
    imputation: WeightedImputation,
    *,
    funnel: Funnel,
    bottom: BottomFactory,
    seed: int,
    double: bool = False,
) -> FunnelModel:
    """Separate networks for CTR, CVR and imputation, the last two by alternating optimisation.

    Every batch first fits the imputed label with pCVR frozen, then pCVR and pCTR with the imputed
    label frozen. The policy of `imputation` is also that of the CVR loss. Where `double`, the CVR
    network's weights are copied to the imputation at the start of every epoch; it then sees what
    the CVR tower sees. On a funnel of three or more stages pCVR is no single network, and nothing
    is copied.
    """
    predicted = {**losses_before(funnel), "cvr": DoublyRobust(imputation.propensity)}
    objective = Objective({**predicted, "imputation": imputation})
    double = double and len(funnel.names) == 2
    if double:
        hidden = dict(spec.hidden_from)
        spec = replace(spec, hidden_from={**hidden, "imputation": hidden.get(funnel.last, ())})
    schedule = Schedule(
        steps=(("imputation",), tuple(predicted)),
        weight_copies=((funnel.last, "imputation"),) if double else (),
    )
    return assemble_separate(
        spec, objective, funnel=funnel, bottom=bottom, seed=seed, schedule=schedule
    )


def dr_jl(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """DR-JL (Wang et al., ICML 2019): doubly robust CVR and its imputation, trained alternately.

    CTR, CVR and imputed label have separate networks; the imputed label is fitted with weights 1/p.
    Every batch fits it with pCVR frozen, then pCVR with the imputed label frozen.
    """
    return assemble_joint_learning(
        spec, Imputation(propensity), funnel=funnel, bottom=bottom, seed=seed
    )


def mrdr(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """MRDR (Guo et al., SIGIR 2021): `dr_jl` with an imputation fitted for least variance.

    Double learning: at the start of every epoch the CVR network's weights are copied to the
    imputation, which sees the same features. With one epoch, the default, the two start from the
    same weights. On a longer funnel pCVR is no single network, and nothing is copied. The authors'
    code adds sampled non-clicks to the prediction step; here it uses all rows of a batch.
    """
    return assemble_joint_learning(
        spec, MRDRImputation(propensity), funnel=funnel, bottom=bottom, seed=seed, double=True
    )


def dr_bias(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """`mrdr` with an imputation fitted for a small bound on the bias of DR (Dai et al., 2022)."""
    return assemble_joint_learning(
        spec, DRBiasImputation(propensity), funnel=funnel, bottom=bottom, seed=seed, double=True
    )


def dr_mse(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    bias_share: float = 0.5,
    seed: int,
) -> FunnelModel:
    """`mrdr` with an imputation that trades the bias of DR against its variance (Dai et al., 2022).

    `bias_share` is the share of DR-BIAS's weight in [0, 1]; the paper tunes it.
    """
    imputation = DRMSEImputation(propensity, bias_share=bias_share)
    return assemble_joint_learning(
        spec, imputation, funnel=funnel, bottom=bottom, seed=seed, double=True
    )


def sn_dr(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """`dr_jl` with self-normalised weights, which bound the loss at any propensity.

    The cheap form of StableDR (Li et al., ICLR 2023), which also learns a propensity under a
    constraint that makes the mean imputed error on weighted clicks that of all impressions; this
    does not.
    """
    scaled = replace(propensity or PropensityPolicy(), self_normalise=True)
    return dr_jl(spec, funnel=funnel, bottom=bottom, propensity=scaled, seed=seed)
