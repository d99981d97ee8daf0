"""Doubly robust joint learning: an imputation and a prediction that train in turns."""

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
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel
from mtl_seq.models.policies import Schedule
from mtl_seq.models.search_space import Range, SearchSpace
from mtl_seq.models.separate import assemble_separate
from mtl_seq.models.stage_losses import losses_before
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["dr_bias", "dr_jl", "dr_mse", "joint_learning", "mrdr"]


def joint_learning(
    spec: FeatureSpec,
    imputation: WeightedImputation,
    *,
    funnel: Funnel,
    bottom: BottomFactory,
    seed: int,
    double: bool = False,
) -> FunnelModel:
    """CTR, CVR and imputation networks that share nothing, the last two trained in turns.

    Every batch first fits the imputed label with pCVR frozen, then pCVR and pCTR with the imputed
    label frozen.

    Args:
        spec: The features.
        imputation: How the imputed label is trained; its policy is also that of the CVR loss.
        funnel: The stages.
        bottom: Builds the bottom of each network.
        seed: Seed of the initial weights.
        double: Whether the imputation takes over the CVR network's weights at the start of every
            epoch. It then sees what the CVR tower sees. On a funnel of three or more stages pCVR is
            no single network, and there is nothing to take over.

    Returns:
        The model.
    """
    predicted = {
        **losses_before(funnel),
        "cvr": DoublyRobust(imputation.propensity),
    }
    objective = Objective({**predicted, "imputation": imputation})
    double = double and len(funnel.names) == 2
    if double:
        hidden = dict(spec.hidden_from)
        spec = replace(spec, hidden_from={**hidden, "imputation": hidden.get(funnel.last, ())})
    schedule = Schedule(
        turns=(("imputation",), tuple(predicted)),
        copies=((funnel.last, "imputation"),) if double else (),
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
    """Networks of CTR, CVR and imputed label that share nothing; the last two train in turns.

    The imputed label is fitted with weights 1/p. Every batch fits it with pCVR frozen, then pCVR
    with the imputed label frozen. On a longer funnel the stages between have the losses of ESMM.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each network.
        propensity: Source and floor of the propensities.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    imputation = Imputation(propensity)
    return joint_learning(spec, imputation, funnel=funnel, bottom=bottom, seed=seed)


def mrdr(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """`dr_jl` with an imputation fitted for least variance, and double learning.

    At the start of every epoch the imputation takes over the weights of the CVR network, and sees
    what that sees. With one pass, the default, it is a common start. On a longer funnel pCVR is no
    single network, and the imputation keeps its own weights. The authors' code adds sampled
    non-clicks to the prediction step; here all rows of a batch are in it.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each network.
        propensity: Source and floor of the propensities.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    imputation = MRDRImputation(propensity)
    return joint_learning(spec, imputation, funnel=funnel, bottom=bottom, seed=seed, double=True)


def dr_bias(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """`mrdr` with an imputation fitted for a small bound on the bias of DR.

    Double learning is that of `mrdr`.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each network.
        propensity: Source and floor of the propensities.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    imputation = DRBiasImputation(propensity)
    return joint_learning(spec, imputation, funnel=funnel, bottom=bottom, seed=seed, double=True)


SPACE: SearchSpace = {"bias_share": Range(0.0, 1.0)}


def dr_mse(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    bias_share: float = 0.5,
    seed: int,
) -> FunnelModel:
    """`mrdr` with an imputation that trades the bias of DR against its variance.

    Double learning is that of `mrdr`.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each network.
        propensity: Source and floor of the propensities.
        bias_share: Share of DR-BIAS's weight in [0, 1]; the paper tunes it.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    imputation = DRMSEImputation(propensity, bias_share=bias_share)
    return joint_learning(spec, imputation, funnel=funnel, bottom=bottom, seed=seed, double=True)
