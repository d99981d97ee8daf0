"""Head whose towers emit joint probabilities: the head of DIVISION."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.funnel import Funnel
from mtl_seq.nn.compose.compose_joints import compose_joints, joint_rates
from mtl_seq.nn.heads.base import Head
from mtl_seq.nn.heads.parallel import ParallelHead

__all__ = ["JointHead"]


class JointHead(Head):
    """One tower per stage, none of which sees another; its logit is that of reaching the stage.

    Nothing forces a stage to be less probable than its parent. pCVR is the ratio pCTCVR / pCTR,
    clipped below 1 where the two are in the wrong order; see `compose_joints`.

    Args:
        hidden: Widths of a tower's layers before its logit.

    Raises:
        CompositionError: A funnel that is no chain of two or more stages.
    """

    compose = staticmethod(compose_joints)
    conditional = False

    def __init__(
        self,
        funnel: Funnel,
        in_features: int,
        own: Mapping[str, int],
        *,
        hidden: Sequence[int] = (32,),
    ) -> None:
        super().__init__()
        if len(funnel.stages) < 2 or funnel != Funnel.chain(*funnel.names):
            raise CompositionError(
                "`funnel` must be a chain of two or more stages, since joints have no mediators, "
                f"found {funnel.to_dict()}: use `ParallelHead` or `DBMTL`"
            )
        self.names = funnel.names
        self.parallel = ParallelHead(funnel, in_features, own, hidden=hidden)

    def forward(self, hidden: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        """``(B, T, D)`` and own features by tower -> ``(B, C)`` logits of joints."""
        logits: Tensor = self.parallel(hidden, own)
        return logits

    def start_at(self, rates: Mapping[str, float]) -> None:
        """Set the biases of the logits to products of rates, up to the first that is absent."""
        self.parallel.start_at(joint_rates(self.names, rates))
