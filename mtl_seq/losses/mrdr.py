"""More robust doubly robust learning (Guo et al., SIGIR 2021)."""

from torch import Tensor

from mtl_seq.functional import variance_weight
from mtl_seq.losses.imputation import WeightedImputation

__all__ = ["MRDRImputation"]


class MRDRImputation(WeightedImputation):
    """``o (1 - p) / p^2 (e - e_hat)^2``: an imputed label that minimises the variance of DR.

    Its mean is unbiased for N times the variance of the doubly robust estimator where the
    propensity is true. Other code weights ``bce(r~, r)`` in the place of the square, which
    has another minimum where the imputation is misspecified. Space, normalisation and detachments
    are those of `WeightedImputation`.
    """

    def reweighted(self, weight: Tensor) -> Tensor:
        """``o / p -> o (1 - p) / p^2``."""
        return variance_weight(weight)
