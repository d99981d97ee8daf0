"""Inverse propensity score CVR loss (Multi-IPW, WWW 2020; ESCM2-IPS, SIGIR 2022), and SNIPS."""

from torch import Tensor

from mtl_seq.functional import binary_cross_entropy, ips
from mtl_seq.losses.propensity import PropensityLoss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["IPS"]


class IPS(PropensityLoss):
    """``o * e / max(p, floor)`` with e the cross-entropy of pCVR.

    Space: clicks, weighted to represent all impressions. Normalisation: the mean over all
    impressions, as in the papers; other code divides by the number of clicks, which makes the loss
    1/CTR times larger. Detaches: the propensity. Unbiased where the propensity is true; the
    floor trades bias for variance. Some ports mark the propensity with `stop_gradient = True`,
    which does nothing in torch.

    With ``PropensityPolicy(self_normalise=True)`` it is SNIPS, ``sum w e / sum w``: consistent
    where the propensity is true up to a factor, not unbiased.
    """

    space = "clicks"

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, 0 off the clicks."""
        error = binary_cross_entropy(prediction.pcvr_logit, labels.conversion)
        return ips(error, self.propensity.weights(prediction, labels))
