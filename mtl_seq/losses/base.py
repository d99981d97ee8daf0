"""Base of the losses: row terms, and statements about them that contract checks verify."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from mtl_seq.records import FunnelLabels, FunnelPrediction, Space

__all__ = ["Loss"]


class Loss(nn.Module, ABC):
    """Row terms whose mean over all impressions estimates a risk.

    Attributes:
        space: The space of its terms: ``"all"`` or ``"clicks"``.
        aux: Extra towers it reads, by name. They see every feature, also those hidden from the
            stages: a nuisance must see all that drives the click.
        detaches_pctr: Whether its gradient with respect to the click tower is exactly 0.
        reads_unclicked: Whether labels after the click matter on rows that were not clicked.
        needs_potential: Whether it reads ``labels.potential``, which only a simulator knows.
        debiases: Whether pCVR is to be right over all impressions and not only on clicks, so that
            nothing fitted to unweighted clicks may follow it.
        ranks_only: Whether it orders impressions by pCTCVR and gives no probabilities.
    """

    space: ClassVar[Space]
    aux: ClassVar[tuple[str, ...]] = ()
    detaches_pctr: bool
    reads_unclicked: ClassVar[bool] = False
    needs_potential: ClassVar[bool] = False
    debiases: ClassVar[bool] = False
    ranks_only: ClassVar[bool] = False

    @abstractmethod
    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, unreduced and unweighted."""

    def figures(self) -> dict[str, float]:
        """Figures of the loss after an epoch of training, by name."""
        return {}
