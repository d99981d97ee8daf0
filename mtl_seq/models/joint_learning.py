"""Doubly robust joint learning: an imputation and a prediction that train in turns."""

from dataclasses import replace

from mtl_seq.funnel import Funnel
from mtl_seq.models.joints import risks_before
from mtl_seq.models.model import FunnelModel
from mtl_seq.models.schedule import Schedule
from mtl_seq.models.separate import assemble_separate
from mtl_seq.nn import BottomFactory
from mtl_seq.risks import DoublyRobust, Objective
from mtl_seq.risks.imputation import WeightedImputation
from mtl_seq.schema import FeatureSpec

__all__ = ["joint_learning"]


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
        imputation: How the imputed label is trained; its policy is also that of the CVR risk.
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
        **risks_before(funnel),
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
