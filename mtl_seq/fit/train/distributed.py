"""Training over several processes: losses of a whole batch whose rows are split over them."""

import os
from typing import Any

import torch
from torch import Tensor, distributed

from mtl_seq.errors import CompositionError
from mtl_seq.fit.balance import Balance
from mtl_seq.losses import RankingLoss
from mtl_seq.models import FunnelModel
from mtl_seq.nn import FunnelNetwork
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["GatheredBatch", "check_distributed", "is_rank_zero", "launched"]


def is_rank_zero() -> bool:
    """Whether this is rank 0, the process that writes files and messages."""
    return int(os.environ.get("RANK", "0")) == 0


def launched() -> dict[str, Any]:
    """Arguments of Lightning's Trainer for the processes that ``torchrun`` started; none without.

    The backend is gloo on CPUs and nccl on GPUs.
    """
    world_size, local = (int(os.environ.get(n, "1")) for n in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world_size == 1 or "RANK" not in os.environ:
        return {}
    return {"devices": local, "num_nodes": world_size // local, "strategy": "ddp"}


def check_distributed(model: FunnelModel, balance: Balance | None) -> None:
    """Refuse a model that cannot be trained on batches split over processes.

    Raises:
        CompositionError: It cannot, and why.
    """
    if any(isinstance(loss, RankingLoss) for loss in model.objective.losses.values()):
        raise CompositionError(
            "a ranker's batches hold rows that are compared to one another, and are not split "
            "over processes: train it in one process"
        )
    if model.schedule is not None:
        raise CompositionError(
            "a model that alternates between its losses predicts each batch several times, which "
            "is not done over several processes: train this model in one process"
        )
    if balance is not None and not balance.distributed:
        raise CompositionError(
            f"{type(balance).__name__} reads gradients before they are reduced over processes: "
            "train in one process, or balance by `DWA` or `Uncertainty`"
        )


class GatheredBatch:
    """Predictions and labels of a whole batch whose rows are split over processes.

    Many losses are no sums over rows: they scale weights by their sum over the batch, or take a
    quantile of its propensities. So every process computes them on all rows; those of the others
    are constants. The gradient of a process's rows is multiplied by the number of processes, since
    DistributedDataParallel takes a mean where a sum is needed.

    Args:
        labels: Of this process's rows. All processes must build one at the same time.
    """

    def __init__(self, labels: FunnelLabels) -> None:
        self.world_size = distributed.get_world_size()
        self.rank = distributed.get_rank()
        size = torch.tensor(len(labels.stages), device=labels.stages.device)
        sizes = [torch.zeros_like(size) for _ in range(self.world_size)]
        distributed.all_gather(sizes, size)
        self.sizes = [int(n) for n in sizes]
        parts = (None if part is None else self._gather(part) for part in labels)
        self.labels = FunnelLabels(*parts)  # type: ignore[arg-type]

    @classmethod
    def of(cls, labels: FunnelLabels) -> "GatheredBatch | None":
        """The batch; None where there is only one process."""
        alone = not (distributed.is_available() and distributed.is_initialized())
        return None if alone or distributed.get_world_size() == 1 else cls(labels)

    def prediction(self, local: FunnelPrediction, network: FunnelNetwork) -> FunnelPrediction:
        """This process's prediction -> that of all rows."""
        columns = torch.cat([local.logits, *(x.unsqueeze(1) for x in local.aux.values())], dim=1)
        gathered = self._gather(columns)
        count = local.logits.shape[1]
        aux = dict(zip(local.aux, gathered[:, count:].unbind(1), strict=True))
        return type(network.head).compose(network.funnel, gathered[:, :count], aux)

    def _gather(self, local: Tensor) -> Tensor:
        padded = local.new_zeros((max(self.sizes), *local.shape[1:]))
        padded[: len(local)] = local.detach()
        parts = [torch.empty_like(padded) for _ in range(self.world_size)]
        distributed.all_gather(parts, padded)
        parts = [part[:size] for part, size in zip(parts, self.sizes, strict=True)]
        if local.requires_grad:
            live = local.view_as(local)
            live.register_hook(self._scaled)  # type: ignore[no-untyped-call]
            parts[self.rank] = live
        return torch.cat(parts)

    def _scaled(self, gradient: Tensor) -> Tensor:
        return gradient * self.world_size
