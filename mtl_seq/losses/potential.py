"""Cross-entropy of the potential conversion: the oracle, in simulation only."""

from torch import Tensor

from mtl_seq.errors import DataError
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.losses.base import Loss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["PotentialOutcome"]


class PotentialOutcome(Loss):
    """Cross-entropy of pCVR against the potential conversion of every impression.

    Space: all impressions. Normalisation: the mean over all impressions. Detaches: nothing; it
    reads the CVR tower alone. Its mean is the ideal risk that the other losses estimate.

    Raises:
        DataError: The labels carry no potential outcomes.
    """

    space = "all"
    detaches_pctr = True
    needs_potential = True
    debiases = True

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        if labels.potential is None:
            raise DataError(
                "`labels.potential` must hold potential outcomes, found None: the oracle trains in "
                "simulation only, `fit(log, truth=truth)`"
            )
        return binary_cross_entropy(prediction.pcvr_logit, labels.potential)
