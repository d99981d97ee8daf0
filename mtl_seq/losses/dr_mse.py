"""DR-MSE (Dai et al., KDD 2022)."""

from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.functional import bias_weight, variance_weight
from mtl_seq.losses.imputation import WeightedImputation
from mtl_seq.losses.propensity import PropensityPolicy

__all__ = ["DRMSEImputation"]


class DRMSEImputation(WeightedImputation):
    """A mixture of the weights of DR-BIAS and MRDR: trades DR's bias against its variance.

    Space, normalisation and detachments are those of `WeightedImputation`.

    Args:
        propensity: Source and floor of the propensities.
        bias_share: Share of DR-BIAS's weight in [0, 1]; the paper tunes it.

    Raises:
        CompositionError: A share outside [0, 1].
    """

    def __init__(
        self, propensity: PropensityPolicy | None = None, *, bias_share: float = 0.5
    ) -> None:
        super().__init__(propensity)
        if not 0 <= bias_share <= 1:
            raise CompositionError(f"`bias_share` must lie in [0, 1], found {bias_share}")
        self.bias_share = bias_share

    def reweighted(self, weight: Tensor) -> Tensor:
        """``o / p`` -> the mixture of ``o (1 - p)^2 / p^3`` and ``o (1 - p) / p^2``."""
        share = self.bias_share
        return share * bias_weight(weight) + (1 - share) * variance_weight(weight)
