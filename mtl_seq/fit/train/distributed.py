"""Rows of a batch that are parted over processes, and what is computed on all of them."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, distributed

from mtl_seq.errors import CompositionError
from mtl_seq.fit.balance import Balance
from mtl_seq.losses import RankingLoss
from mtl_seq.models import FunnelModel
from mtl_seq.nn import FunnelNetwork
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["Parted", "check_parted", "is_first", "launched"]


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def launched() -> dict[str, Any]:
    """Arguments of Lightning's Trainer for the processes that ``torchrun`` started; none without.

    The backend is gloo on CPUs and nccl on GPUs.
    """
    simulator, local = (int(os.environ.get(n, "1")) for n in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if simulator == 1 or "RANK" not in os.environ:
        return {}
    return {"devices": local, "num_nodes": simulator // local, "strategy": "ddp"}


def check_parted(model: FunnelModel, balance: Balance | None) -> None:
    """Whether a model can be trained on batches whose rows are parted over processes.

    Raises:
        CompositionError: It cannot, and why.
    """
    if any(isinstance(loss, RankingLoss) for loss in model.objective.losses.values()):
        raise CompositionError(
            "a ranker's batches hold rows that are compared to one another, and are not parted "
            "over processes: train it in one process"
        )
    if model.schedule is not None:
        raise CompositionError(
            "losses that train in turns predict each batch several times, which is not done over "
            "several processes: train this model in one process"
        )
    if balance is not None and not balance.parted:
        raise CompositionError(
            f"{type(balance).__name__} looks at gradients before they are reduced over processes: "
            "train in one process, or balance by `DWA` or `Uncertainty`"
        )


class Parted:
    """A batch of which each process has some rows, and all the losses of all rows.

    Many losses are no sums over rows: they scale weights by their sum over the batch, or take a
    quantile of its propensities. So every process computes them on all rows, of which the others'
    are constants to it. What flows back into its own is multiplied by the number of processes,
    since DistributedDataParallel takes the mean of what is a sum.

    Args:
        labels: Of this process's rows; every process must make one at the same time.
    """

    def __init__(self, labels: FunnelLabels) -> None:
        self.simulator = distributed.get_world_size()
        self.rank = distributed.get_rank()
        size = torch.tensor(len(labels.stages), device=labels.stages.device)
        sizes = [torch.zeros_like(size) for _ in range(self.simulator)]
        distributed.all_gather(sizes, size)
        self.sizes = [int(n) for n in sizes]
        self.labels = self._labels(labels)

    @classmethod
    def of(cls, labels: FunnelLabels) -> "Parted | None":
        """None where there is but one process."""
        alone = not (distributed.is_available() and distributed.is_initialized())
        return None if alone or distributed.get_world_size() == 1 else cls(labels)

    def prediction(self, own: FunnelPrediction, network: FunnelNetwork) -> FunnelPrediction:
        """This process's prediction -> that of all rows."""
        columns = torch.cat([own.logits, *(x.unsqueeze(1) for x in own.aux.values())], dim=1)
        whole = self._whole(columns)
        count = own.logits.shape[1]
        aux = dict(zip(own.aux, whole[:, count:].unbind(1), strict=True))
        return type(network.head).compose(network.funnel, whole[:, :count], aux)

    def _labels(self, own: FunnelLabels) -> FunnelLabels:
        found: Mapping[str, Tensor | None] = {
            name: None if part is None else self._whole(part)
            for name, part in own._asdict().items()
        }
        return FunnelLabels(**found)  # type: ignore[arg-type]

    def _whole(self, own: Tensor) -> Tensor:
        padded = own.new_zeros((max(self.sizes), *own.shape[1:]))
        padded[: len(own)] = own.detach()
        parts = [torch.empty_like(padded) for _ in range(self.simulator)]
        distributed.all_gather(parts, padded)
        parts = [part[:size] for part, size in zip(parts, self.sizes, strict=True)]
        if own.requires_grad:
            live = own.view_as(own)
            live.register_hook(self._summed)  # type: ignore[no-untyped-call]
            parts[self.rank] = live
        return torch.cat(parts)

    def _summed(self, gradient: Tensor) -> Tensor:
        return gradient * self.simulator
