"""Which propensity a counterfactual risk divides by."""

from dataclasses import dataclass

from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.functional import inverse_propensity, propensity_quantile
from mtl_seq.records import FunnelLabels, FunnelPrediction
from mtl_seq.risks.base import Risk

__all__ = ["PropensityPolicy", "PropensityRisk"]


@dataclass(frozen=True)
class PropensityPolicy:
    """Where propensities come from and how small they may be.

    The propensity is ``labels.propensity`` where the labels carry one, else the network's own pCTR,
    detached: otherwise the click tower learns to inflate pCTR, which lowers the CVR risk.

    Attributes:
        quantile: Propensities below this quantile of the batch are raised to it. An absolute floor
            copied from another log can undo the method: at a CTR of 4%, 0.1 makes nearly every
            weight equal to 10.
        floor: An absolute floor in (0, 1) instead, as the papers have it.

    Raises:
        CompositionError: A quantile outside [0, 1), or a floor outside (0, 1).
    """

    quantile: float = 0.01
    floor: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.quantile < 1:
            raise CompositionError(f"`quantile` must lie in [0, 1), found {self.quantile}")
        if self.floor is not None and not 0 < self.floor < 1:
            raise CompositionError(
                f"`floor` must lie in (0, 1), found {self.floor}: leave it out to use `quantile`"
            )

    def weights(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """``(B,)`` inverse propensity weights, without a gradient; 0 off the clicks."""
        propensity = prediction.pctr if labels.propensity is None else labels.propensity
        propensity = propensity.detach().to(prediction.pcvr_logit.dtype)
        click = labels.click.to(propensity.dtype)
        if self.floor is not None:
            return inverse_propensity(click, propensity, self.floor)
        return inverse_propensity(click, propensity, propensity_quantile(propensity, self.quantile))


class PropensityRisk(Risk):
    """A risk that divides by a detached propensity and reads the conversion on clicks only.

    Args:
        propensity: Where propensities come from and how small they may be.
    """

    detaches_pctr = True
    reads_unclicked = False

    def __init__(self, propensity: PropensityPolicy | None = None) -> None:
        super().__init__()
        self.propensity = propensity or PropensityPolicy()
