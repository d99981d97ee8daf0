"""Doubly robust CVR loss (Multi-DR, WWW 2020; ESCM2-DR, SIGIR 2022)."""

from torch import Tensor

from mtl_seq.functional import binary_cross_entropy, dr
from mtl_seq.losses.imputation import imputed_error
from mtl_seq.losses.propensity import PropensityLoss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["DoublyRobust"]


class DoublyRobust(PropensityLoss):
    """``e_hat + o (e - e_hat) / max(p, floor)``, with ``e_hat = bce(pCVR, detached r~)``.

    Space: all impressions. Normalisation: the mean over all impressions. Detaches: the propensity
    and the imputed label; an imputation loss trains the latter. The papers leave the detachment
    open; without it the imputed label is pulled to whatever makes e_hat small on rows nobody
    clicked. Unbiased where the propensity is true or the imputed error is right on average given x.

    With a self-normalising policy it is ``mean e_hat + sum w (e - e_hat) / sum w``, the cheap form
    of StableDR (ICLR 2023): bounded by the errors however small a propensity, consistent where
    either nuisance is right, not unbiased.
    """

    space = "all"
    aux = ("imputation",)

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        error = binary_cross_entropy(prediction.pcvr_logit, labels.conversion)
        detached = prediction._replace(aux={k: v.detach() for k, v in prediction.aux.items()})
        weight = self.propensity.weights(prediction, labels)
        return dr(error, imputed_error(detached), weight)
