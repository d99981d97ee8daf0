"""Direct method: pCVR is trained on imputed labels (EIB; Steck, RecSys 2013)."""

from torch import Tensor

from mtl_seq.losses.base import Loss
from mtl_seq.losses.imputation import imputed_error
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["DirectMethod"]


class DirectMethod(Loss):
    """``e_hat = bce(q, sg[r~])`` on every impression: no label and no weight.

    Space: all impressions. Normalisation: the mean over all impressions. Detaches: the imputed
    label; an imputation loss trains it. Its optimum is the mean of r~ given the CVR tower's
    features: right over all impressions where the imputation is right, also where that tower lacks
    features that drive the click; otherwise as biased as the imputation. It is `DoublyRobust`
    without the weighted residual.
    """

    space = "all"
    aux = ("imputation",)
    detaches_pctr = True
    debiases = True

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:  # noqa: ARG002
        """Prediction of B rows -> ``(B,)`` terms."""
        detached = prediction._replace(aux={k: v.detach() for k, v in prediction.aux.items()})
        return imputed_error(detached)
