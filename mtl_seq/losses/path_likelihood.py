"""Cross-entropy of one path through a mediator."""

from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.functional import binary_cross_entropy, logit_product
from mtl_seq.funnel import Conditional, Funnel
from mtl_seq.losses.base import Loss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["PathLoss"]


class PathLoss(Loss):
    """Cross-entropy of reaching a stage through a mediator.

    On ESM2's funnel: of y1 y2 y3, click and action and purchase, against the product of the three
    labels. It is not part of the paper. ESM2's losses depend on y3 and y4 only through
    ``y2 y3 + (1 - y2) y4``; with this loss the two are identified.

    Space: all impressions. Normalisation: the mean over all impressions. Detaches: nothing.

    Args:
        mediator: The mediator's name.
        funnel: The network's stages, which determine the logit of the stage given the mediator.

    Raises:
        CompositionError: No stage of the funnel has such a mediator.
    """

    space = "all"
    detaches_pctr = False

    def __init__(self, mediator: str, *, funnel: Funnel) -> None:
        super().__init__()
        served = [stage.name for stage in funnel.stages if mediator in stage.via]
        if not served:
            known = [name for stage in funnel.stages for name in stage.via]
            raise CompositionError(
                f"`mediator` must be one of the funnel's mediators {known}, found {mediator!r}: "
                "name it in the `via` of the stage it leads to"
            )
        self.mediator = mediator
        self.stage = served[0]
        self.column = funnel.conditionals.index(Conditional(self.stage, mediator))
        self.columns = [0, funnel.names.index(mediator), funnel.names.index(self.stage)]

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        passed = logit_product(
            prediction.joint_logit[self.mediator], prediction.logits[:, self.column]
        )
        return binary_cross_entropy(passed, labels.stages[:, self.columns].prod(1))
