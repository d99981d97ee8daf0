"""Imputed error of doubly robust losses, and the losses that train the imputed label."""

from abc import abstractmethod

import torch
from torch import Tensor

from mtl_seq.functional import binary_cross_entropy, ips
from mtl_seq.losses.propensity import PropensityLoss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["Imputation", "WeightedImputation", "imputed_error"]


def imputed_error(prediction: FunnelPrediction) -> Tensor:
    """``(B,)`` the error against the imputed label r~: ``bce(q, r~)``, from tower ``imputation``.

    A free head for the error itself would give the CVR tower no gradient through it, so that the
    doubly robust loss would train like IPS.
    """
    return binary_cross_entropy(prediction.pcvr_logit, prediction.aux["imputation"].sigmoid())


class WeightedImputation(PropensityLoss):
    """``weight * (e - e_hat)^2`` on clicks; methods differ in the weight.

    Space: clicks. Normalisation: the mean over all impressions. Detaches: the propensity, the error
    and pCVR, so that only the imputation tower is trained; otherwise the CVR tower would be trained
    to make its loss predictable. With ``e_hat = bce(q, r~)`` the square is
    ``(r - r~)^2 logit(q)^2``: where pCVR is one half, the row has no gradient.
    """

    space = "clicks"
    aux = ("imputation",)

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, 0 off the clicks."""
        frozen = prediction._replace(pcvr_logit=prediction.pcvr_logit.detach())
        error = binary_cross_entropy(frozen.pcvr_logit, labels.conversion)
        missed = torch.square(error - imputed_error(frozen))
        weight = self.reweighted(self.propensity.inverse(prediction, labels))
        return ips(missed, self.propensity.scaled(weight, labels))

    @abstractmethod
    def reweighted(self, weight: Tensor) -> Tensor:
        """``(B,)`` inverse propensities on clicks, 0 elsewhere -> ``(B,)`` the method's weights."""


class Imputation(WeightedImputation):
    """``o (e - e_hat)^2 / p``: DR-JL (Wang et al., ICML 2019), Multi-DR, ESCM2-DR.

    Its mean is unbiased for that of ``(e - e_hat)^2`` over all impressions where the propensity is
    true. Space, normalisation and detachments are those of `WeightedImputation`.
    """

    def reweighted(self, weight: Tensor) -> Tensor:
        """The inverse propensities themselves."""
        return weight
