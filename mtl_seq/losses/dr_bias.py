"""DR-BIAS (Dai et al., KDD 2022)."""

from torch import Tensor

from mtl_seq.functional import bias_weight
from mtl_seq.losses.imputation import WeightedImputation

__all__ = ["DRBiasImputation"]


class DRBiasImputation(WeightedImputation):
    """``o (1 - p)^2 / p^3 (e - e_hat)^2``: an imputed label that minimises a bound of DR's bias.

    The weight is ``o / p * ((o - p) / p)^2``. Space, normalisation and detachments are those of
    `WeightedImputation`. Of all imputations it puts most weight on rows of small propensity.
    """

    def reweighted(self, weight: Tensor) -> Tensor:
        """``o / p -> o (1 - p)^2 / p^3``."""
        return bias_weight(weight)
