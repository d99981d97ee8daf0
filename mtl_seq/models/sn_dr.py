"""Self-normalised doubly robust learning, the cheap form of StableDR (Li et al., ICLR 2023)."""

from dataclasses import replace

from mtl_seq.funnel import Funnel
from mtl_seq.losses import Imputation, PropensityPolicy
from mtl_seq.models.base import CLICK_CONVERSION, FunnelModel
from mtl_seq.models.joint_learning import assemble_joint_learning
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["sn_dr"]


def sn_dr(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    propensity: PropensityPolicy | None = None,
    seed: int,
) -> FunnelModel:
    """`dr_jl` with self-normalised weights, which bound the loss at any propensity.

    StableDR itself also learns a propensity under a constraint that makes the mean imputed error on
    weighted clicks that of all impressions; this does not.

    Args:
        spec: The features.
        funnel: The stages.
        bottom: Builds the bottom of each network.
        propensity: Source, floor and normalisation of the propensities; its weights are made
            self-normalising.
        seed: Seed of the initial weights.

    Returns:
        The model.
    """
    scaled = replace(propensity or PropensityPolicy(), self_normalise=True)
    return assemble_joint_learning(
        spec, Imputation(scaled), funnel=funnel, bottom=bottom, seed=seed
    )
