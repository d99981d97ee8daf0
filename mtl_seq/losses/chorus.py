"""ChorusCVR: chorus supervision for entire-space CVR (arXiv 2502.08277, WSDM 2026).

The formulas are those of an independent re-implementation that names the paper's equations; the
paper itself was not read. Not certain: the weights of the losses (1 here), whether the propensity
is clipped, and the direction of the alignment's gradient.
"""

from torch import Tensor

from mtl_seq.functional import binary_cross_entropy, ips, logit_product
from mtl_seq.losses.base import Loss
from mtl_seq.losses.propensity import PropensityLoss
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["ClickUnconverted", "SoftAlignment", "UnconvertedIPS"]


class ClickUnconverted(Loss):
    """Cross-entropy of a click without conversion, ``bce(p u, o (1 - r))``, u from ``unconverted``.

    Space: all impressions. Normalisation: the mean over all impressions. Detaches: nothing, as with
    CTCVR. Where ``u = 1 - q`` it and CTCVR are two parts of one likelihood of three outcomes.
    """

    space = "all"
    aux = ("unconverted",)
    detaches_pctr = False

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        both = logit_product(prediction.pctr_logit, prediction.aux["unconverted"])
        return binary_cross_entropy(both, labels.click * (1 - labels.conversion))


class UnconvertedIPS(PropensityLoss):
    """``o bce(u, 1 - r) / p`` with u from tower ``unconverted``.

    Space: clicks, weighted to represent all impressions. Normalisation: the mean over all
    impressions. Detaches: the propensity. Unbiased where the propensity is true.
    """

    space = "clicks"
    aux = ("unconverted",)

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, 0 off the clicks."""
        error = binary_cross_entropy(prediction.aux["unconverted"], 1 - labels.conversion)
        return ips(error, self.propensity.weights(prediction, labels))


class SoftAlignment(PropensityLoss):
    """``bce(q, 1 - u) + bce(u, 1 - q)``, each label detached, weighted by 1/p or 1/(1 - p).

    Space: all impressions. Normalisation: the mean over all impressions; the weights of clicks and
    of non-clicks each represent all impressions. Detaches: the propensity and the labels. It reads
    no conversion.
    """

    space = "all"
    aux = ("unconverted",)
    weighs_unclicked = True

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        converted, unconverted = prediction.pcvr_logit, prediction.aux["unconverted"]
        # 1 - u and 1 - q, from the logits.
        terms = binary_cross_entropy(converted, (-unconverted).sigmoid().detach())
        terms = terms + binary_cross_entropy(unconverted, (-converted).sigmoid().detach())
        weight = self.propensity.weights(prediction, labels)
        return (weight + self.propensity.unclicked_weights(prediction, labels)) * terms
