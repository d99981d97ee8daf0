"""Cross-entropy of reaching a stage, over all impressions (Ma et al., SIGIR 2018)."""

from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses.base import Loss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["EntireSpace"]


class EntireSpace(Loss):
    """Cross-entropy of the joint probability of a stage: CTR for the first, CTCVR for the last.

    Space: all impressions. Normalisation: the mean over all impressions. Detaches: nothing, as in
    the paper; the CTCVR term therefore also pushes pCTR down on clicks without conversion.
    Implementations that multiply probabilities and then take a logarithm lose the gradient of
    saturated rows; this one composes logits.

    Args:
        stage: The stage's name.

    Raises:
        CompositionError: The prediction has no such stage.
    """

    space = "all"
    detaches_pctr = False
    reads_unclicked = True

    def __init__(self, stage: str) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        if self.stage not in prediction.stages:
            raise CompositionError(
                f"`stage` must be one of the network's stages {prediction.stages}, "
                f"found {self.stage!r}"
            )
        label = labels.stages[:, prediction.stages.index(self.stage)]
        return binary_cross_entropy(prediction.joint_logit[self.stage], label)
