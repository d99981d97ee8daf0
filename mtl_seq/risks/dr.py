"""Doubly robust CVR risk and the imputation it needs (Multi-DR, WWW 2020; ESCM2-DR, SIGIR 2022)."""

import torch
from torch import Tensor

from mtl_seq.functional import binary_cross_entropy, dr, ips
from mtl_seq.records import FunnelLabels, FunnelPrediction
from mtl_seq.risks.propensity import PropensityRisk

__all__ = ["DoublyRobust", "Imputation", "imputed_error"]


def imputed_error(prediction: FunnelPrediction) -> Tensor:
    """``(B,)`` the error against the imputed label r~: ``bce(q, r~)``, from tower ``imputation``.

    A free head for the error itself would give the CVR tower no gradient through it, so that the
    doubly robust risk would train like IPS.
    """
    return binary_cross_entropy(prediction.pcvr_logit, prediction.aux["imputation"].sigmoid())


class DoublyRobust(PropensityRisk):
    """``e_hat + o (e - e_hat) / max(p, floor)``, with ``e_hat = bce(pCVR, detached r~)``.

    Space: all impressions. Normalisation: the mean over all impressions. Detaches: the propensity
    and the imputed label; `Imputation` trains the latter. The papers leave the detachment open;
    without it the imputed label is pulled to whatever makes e_hat small on rows nobody clicked.
    Unbiased where the propensity is true or the imputed error is right on average given x.

    Args:
        propensity: Where propensities come from and how small they may be.
    """

    space = "all impressions"
    aux = ("imputation",)

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        error = binary_cross_entropy(prediction.pcvr_logit, labels.conversion)
        detached = prediction._replace(aux={k: v.detach() for k, v in prediction.aux.items()})
        weight = self.propensity.weights(prediction, labels)
        return dr(error, imputed_error(detached), weight)


class Imputation(PropensityRisk):
    """``o (e - e_hat)^2 / max(p, floor)``: trains the imputed label.

    Space: clicks, weighted to stand for all impressions. Normalisation: the mean over all
    impressions. Detaches: the propensity, the error and pCVR, so that only the imputation tower
    learns; otherwise the CVR tower is trained to make its own loss predictable.

    Args:
        propensity: Where propensities come from and how small they may be.
    """

    space = "clicks"
    aux = ("imputation",)

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, 0 off the clicks."""
        frozen = prediction._replace(pcvr_logit=prediction.pcvr_logit.detach())
        error = binary_cross_entropy(frozen.pcvr_logit, labels.conversion)
        missed = torch.square(error - imputed_error(frozen))
        return ips(missed, self.propensity.weights(prediction, labels))
