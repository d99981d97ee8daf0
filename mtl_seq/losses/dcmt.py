"""DCMT: direct entire-space causal multi-task framework (Zhu et al., ICDE 2023)."""

import math

import torch
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.functional import binary_cross_entropy, ips
from mtl_seq.losses.propensity import PropensityLoss, PropensityPolicy
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["DCMT"]


class DCMT(PropensityLoss):
    """A factual pCVR on clicks, a counterfactual one elsewhere, and a prior that their sum is 1.

    ``o bce(q, r) / p + (1 - o) bce(q*, 1) / (1 - p) + prior |1 - (q + q*)|``, with q* from tower
    ``counterfactual``, whose label off the clicks is ``1 - 0``. pCVR is q.

    Space: all impressions. Normalisation: with the default policy, which is self-normalising, the
    first two terms are weighted means over clicks and over non-clicks, the paper's headline form;
    with ``PropensityPolicy()`` all is a mean over all impressions, its IPS form. Detaches: the
    propensity; re-implementations do not. The prior trains both towers.

    All labels of q* are 1, and so is its optimum. The prior is then ``prior * q`` and shrinks pCVR:
    the optimum solves ``q_true = q + prior q (1 - q)``, so that q is about ``q_true / (1 + prior)``
    where conversions are rare. At the small prior in use the loss is IPS or SNIPS.

    Args:
        propensity: Source and floor of the propensities; by default self-normalising.
        prior: Weight of the prior, at least 0. 0.001 is that of a re-implementation.

    Raises:
        CompositionError: A prior that is negative or infinite.
    """

    space = "all"
    aux = ("counterfactual",)
    weighs_unclicked = True

    def __init__(self, propensity: PropensityPolicy | None = None, *, prior: float = 0.001) -> None:
        super().__init__(propensity or PropensityPolicy(self_normalise=True))
        if not 0 <= prior < math.inf:
            raise CompositionError(f"`prior` must be at least 0 and finite, found {prior}")
        self.prior = prior

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms."""
        factual, counterfactual = prediction.pcvr_logit, prediction.aux["counterfactual"]
        clicked = self.propensity.weights(prediction, labels)
        missed = self.propensity.unclicked_weights(prediction, labels)
        on_clicks = ips(binary_cross_entropy(factual, labels.conversion), clicked)
        off_clicks = ips(
            binary_cross_entropy(counterfactual, torch.ones_like(counterfactual)), missed
        )
        # 1 - q* is formed from the logit, so that nothing is lost where q* is nearly 1.
        gap = torch.sigmoid(-counterfactual) - torch.sigmoid(factual)
        return on_clicks + off_clicks + self.prior * gap.abs()
