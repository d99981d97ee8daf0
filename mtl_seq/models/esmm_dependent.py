"""ESMM with a learned dependence between click and conversion."""

from collections.abc import Sequence
from functools import partial

from mtl_seq.funnel import Funnel
from mtl_seq.models.model import CLICK_CONVERSION, FunnelModel, assemble
from mtl_seq.nn import BottomFactory, DependentHead, MMoE
from mtl_seq.risks import DependentLikelihood, Objective
from mtl_seq.schema import FeatureSpec

__all__ = ["esmm_dependent"]


def esmm_dependent(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_CONVERSION,
    bottom: BottomFactory = MMoE,
    dependence: Sequence[int] | None = None,
    seed: int,
) -> FunnelModel:
    """Click and conversion with a log odds ratio lambda beyond what the features say.

    Where something nobody logged moves both, every method that takes them to be independent given
    the features is wrong; lambda is what they leave out. It needs a feature that moves clicks only,
    ``Schema(click_only=[...])``. Trained jointly, lambda lags behind on id embeddings: for a
    number to rely on, see `mtl_seq.fit.dependence_moment`.

    Args:
        spec: The features.
        funnel: A chain of two stages.
        bottom: Builds the bottom.
        dependence: Widths of a tower lambda(x); None for one number.
        seed: Seed of the initial weights.

    Returns:
        The model.

    Raises:
        CompositionError: A funnel of other than two stages.
    """
    return assemble(
        spec,
        Objective({"likelihood": DependentLikelihood()}),
        funnel=funnel,
        bottom=bottom,
        seed=seed,
        head=partial(DependentHead, dependence=dependence),
    )
