"""Entire-space losses of the stages, on any funnel."""

from mtl_seq.errors import CompositionError
from mtl_seq.funnel import Funnel
from mtl_seq.losses import EntireSpace, Loss

__all__ = ["joint_losses", "losses_before"]

_LOSSES = (
    "ctr",
    "cvr",
    "ctcvr",
    "imputation",
    "teacher",
    "unconverted",
    "click_unconverted",
    "alignment",
)


def joint_losses(funnel: Funnel) -> dict[str, Loss]:
    """Cross-entropy of every stage's joint probability, over all impressions.

    By stage, in the funnel's order; ``"ctr"`` and ``"ctcvr"`` where there are two stages.
    """
    names = ("ctr", "ctcvr") if len(funnel.names) == 2 else funnel.names
    return {name: EntireSpace(stage) for name, stage in zip(names, funnel.names, strict=True)}


def losses_before(funnel: Funnel) -> dict[str, Loss]:
    """Cross-entropy of the joint of every stage before the last, over all impressions.

    ``"ctr"`` for the first, then the stages between by name, in the funnel's order. Every model has
    these, whatever its CVR loss: pCVR is a product over the stages between, and its loss alone
    would not identify their towers. Models differ in the CVR loss only.

    Raises:
        CompositionError: An intermediate stage has the name of a loss.
    """
    for stage in funnel.names[1:-1]:
        if stage in _LOSSES:
            raise CompositionError(
                f"no stage between may be named as one of the losses {_LOSSES}, found {stage!r}: "
                "rename the stage"
            )
    between = {stage: EntireSpace(stage) for stage in funnel.names[1:-1]}
    return {"ctr": EntireSpace(funnel.first), **between}
