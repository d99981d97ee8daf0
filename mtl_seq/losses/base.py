"""What every loss promises, and states of itself so that a test can hold it to it."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor, nn

from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["Loss"]


class Loss(nn.Module, ABC):
    """Row terms whose mean over all impressions estimates one loss.

    Attributes:
        space: Which impressions carry its terms.
        aux: Extra towers it reads, by name. They see every feature, whatever is hidden from the
            stages: a nuisance must know all that moved the click.
        detaches_pctr: Whether its gradient with respect to the click tower is exactly 0.
        reads_unclicked: Whether labels after the click matter on rows that were not clicked.
        needs_potential: Whether it reads ``labels.potential``, which only a simulator knows.
        debiases: Whether it aims pCVR at all impressions and not at clicks, so that nothing fitted
            to clicks alone may follow it.
        ranks_only: Whether it orders impressions by pCTCVR and makes no probability of anything.
    """

    space: ClassVar[Literal["all impressions", "clicks"]]
    aux: ClassVar[tuple[str, ...]] = ()
    detaches_pctr: bool
    reads_unclicked: ClassVar[bool]
    needs_potential: ClassVar[bool] = False
    debiases: ClassVar[bool] = False
    ranks_only: ClassVar[bool] = False

    @abstractmethod
    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, unreduced and unweighted."""

    def figures(self) -> dict[str, float]:
        """What the loss has to state of itself after an epoch of training, by name."""
        return {}
