"""ESM2: Elaborated Entire Space Supervised Multi-task Model (Wen et al., SIGIR 2020)."""

from mtl_seq.errors import CompositionError
from mtl_seq.funnel import Funnel, Stage
from mtl_seq.losses import EntireSpace, Loss, Objective, PathLoss
from mtl_seq.models.base import FunnelModel, assemble
from mtl_seq.nn import BottomFactory, MMoE
from mtl_seq.schema import FeatureSpec

__all__ = ["CLICK_ACTION_PURCHASE", "esm2"]

CLICK_ACTION_PURCHASE = Funnel(
    (Stage("click"), Stage("action", "click"), Stage("purchase", "click", ("action",)))
)
"""A click, an action such as adding to the cart, and a purchase with the action or without it."""


def esm2(
    spec: FeatureSpec,
    *,
    funnel: Funnel = CLICK_ACTION_PURCHASE,
    bottom: BottomFactory = MMoE,
    path_weight: float = 0.0,
    seed: int,
) -> FunnelModel:
    """CTR, CTAVR and CTCVR over all impressions, on a funnel with a mediator.

    With y1 = P(click), y2 = P(action | click), y3 = P(purchase | action) and
    y4 = P(purchase | click, no action)::

        pCTR = y1,  pCTAVR = y1 y2,  pCVR = y2 y3 + (1 - y2) y4,  pCTCVR = y1 pCVR

    Each of pCTR, pCTAVR and pCTCVR has a cross-entropy of weight 1, and nothing is detached.
    Exclusive actions, ``via=("cart", "favourite")``, are classes of one softmax; actions that can
    happen together must be made exclusive first.

    y3 and y4 are NOT identified by these losses: they enter only through y2 y3 + (1 - y2) y4, so a
    line of pairs has the same loss and the same pCVR. Do not interpret them as probabilities of the
    paths unless `path_weight` is positive: the weight of each mediator's `PathLoss`, which
    identifies them; 0, none, in the paper.

    Losses: ``"ctr"``; ``"ctavr"``, or ``"ctavr_<mediator>"`` for each of several; ``"ctcvr"``; any
    further stage by its name; with a `path_weight`, ``"path"`` or ``"path_<mediator>"``.

    The paper shares embeddings only: ``bottom=partial(nn.SingleTask, bottom=nn.SharedBottom)``.

    Raises:
        CompositionError: The funnel has no mediator.
    """
    mediators = [name for stage in funnel.stages for name in stage.via]
    if not mediators:
        raise CompositionError(
            f"`funnel` of esm2 must have a stage with a mediator, found {funnel.names} without: "
            "name one in a stage's `via`, or use esmm"
        )
    losses: dict[str, Loss] = {}
    for name in funnel.names:
        losses[_loss_of(funnel, name, mediators)] = EntireSpace(name)
    paths: dict[str, Loss] = {}
    if path_weight != 0:
        for name in mediators:
            paths[_of_mediator("path", name, mediators)] = PathLoss(name, funnel=funnel)
    objective = Objective({**losses, **paths}, dict.fromkeys(paths, path_weight))
    return assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed)


def _loss_of(funnel: Funnel, stage: str, mediators: list[str]) -> str:
    if stage in mediators:
        return _of_mediator("ctavr", stage, mediators)
    return {funnel.first: "ctr", funnel.last: "ctcvr"}.get(stage, stage)


def _of_mediator(loss: str, mediator: str, mediators: list[str]) -> str:
    return loss if len(mediators) == 1 else f"{loss}_{mediator}"
