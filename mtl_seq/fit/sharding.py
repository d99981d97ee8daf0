"""Embedding tables whose rows are spread over processes.

Every process keeps some consecutive rows of each table and the moments of those rows. A lookup
sends each id to the process that keeps its row and gets the vector back; a backward pass sends
gradients the same way, so that what travels grows with the batch and not with the table. Only rows
that some process looked up are updated. Everything else of a network is the same on every process.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard
from torch.nn.parallel import DistributedDataParallel

from mtl_seq.errors import CompositionError

__all__ = ["ShardedTable", "data_parallel", "shard_tables", "sharded_optimizers"]


class ShardedTable(nn.Module):
    """The rows of an `nn.Embedding` that this process keeps; it is called as the whole one is.

    Rows are split as DTensor's ``Shard(0)`` does: in blocks of equal size, the last may be shorter.
    All processes must call it equally often, each with as many ids as it likes, none included.

    The gradient of `weight` is sparse: it holds the rows that some process looked up. It is the
    mean over processes of the gradients of their own losses, as `DistributedDataParallel` has it.

    Args:
        table: The whole table.
        mesh: The processes, in one dimension.
    """

    def __init__(self, table: nn.Embedding, mesh: DeviceMesh) -> None:
        super().__init__()
        self.mesh = mesh
        self.rows, self.size = table.weight.shape
        self.block = -(-self.rows // mesh.size())
        start = min(mesh.get_local_rank() * self.block, self.rows)
        own = table.weight.detach()[start : start + self.block]
        self.weight = nn.Parameter(own.clone())

    def forward(self, index: Tensor) -> Tensor:
        """``(...)`` ids -> ``(..., size)`` vectors."""
        found: Tensor = _Exchange.apply(  # type: ignore[no-untyped-call]  # torch does not type it
            self.weight, index.flatten(), self.mesh, self.block
        )
        return found.view(*index.shape, self.size)

    def whole(self, rows: Tensor) -> DTensor:
        """A tensor of this process's rows, such as `weight` or its moments, as part of the whole.

        It shares their memory: what is loaded into it is loaded into them.
        """
        return DTensor.from_local(
            rows.detach(),
            self.mesh,
            [Shard(0)],
            run_check=False,
            shape=torch.Size((self.rows, self.size)),
            stride=(self.size, 1),
        )


class _Exchange(torch.autograd.Function):
    """Ids to their keepers and vectors back; gradients to the keepers.

    Gradients are summed in the order of the processes and within each in that of its batch, which
    is the order in which one process sums those of the whole batch.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, index: Tensor, mesh: DeviceMesh, block: int) -> Tensor:
        group = mesh.get_group()
        keeper = index // block
        order = torch.argsort(keeper, stable=True)
        asked = torch.bincount(keeper, minlength=mesh.size())
        wanted = torch.empty_like(asked)
        dist.all_to_all_single(wanted, asked, group=group)
        sent, received = asked.tolist(), wanted.tolist()
        rows = index.new_empty(sum(received))
        dist.all_to_all_single(rows, (index % block)[order], received, sent, group=group)
        vectors = weight.new_empty(len(index), weight.shape[1])
        dist.all_to_all_single(vectors, weight[rows], sent, received, group=group)
        ctx.save_for_backward(order, rows)
        ctx.exchange = (group, sent, received, mesh.size(), weight.shape)
        found = torch.empty_like(vectors)
        found[order] = vectors
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        order, rows = ctx.saved_tensors
        group, sent, received, processes, shape = ctx.exchange
        arrived = gradients[0].new_empty(len(rows), shape[1])
        dist.all_to_all_single(arrived, gradients[0][order], received, sent, group=group)
        touched, place = torch.unique(rows, return_inverse=True)
        sums = arrived.new_zeros(len(touched), shape[1]).index_add_(0, place, arrived)
        gradient = torch.sparse_coo_tensor(
            touched[None], sums / processes, shape, is_coalesced=True, check_invariants=False
        )
        return gradient, None, None, None


def shard_tables(network: nn.Module, mesh: DeviceMesh) -> tuple[str, ...]:
    """Replace every embedding table of a network by this process's share of it, in place.

    Every process must have built the same network.

    Args:
        network: The network, or a model around it.
        mesh: The processes, in one dimension: ``init_device_mesh("cpu", (processes,))``.

    Returns:
        Names of the parameters that are spread.

    Raises:
        CompositionError: No table, or a mesh of several dimensions.
    """
    if mesh.ndim != 1:
        raise CompositionError(f"`mesh` must have one dimension, found {mesh.ndim}")
    places = [
        (parent, name, table)
        for parent in network.modules()
        for name, table in parent.named_children()
        if isinstance(table, nn.Embedding)
    ]
    if not places:
        raise CompositionError("the network must have an embedding table, found none")
    for parent, name, table in places:
        setattr(parent, name, ShardedTable(table, mesh))
    return tuple(f"{name}.weight" for name, _ in sharded(network))


def sharded(network: nn.Module) -> Iterator[tuple[str, ShardedTable]]:
    """The spread tables of a network, by name."""
    for name, module in network.named_modules():
        if isinstance(module, ShardedTable):
            yield name, module


def data_parallel(network: nn.Module) -> DistributedDataParallel:
    """Wrap a network so that gradients of all but its spread tables are averaged.

    Args:
        network: What `shard_tables` has gone over.
    """
    spread = [f"{name}.weight" for name, _ in sharded(network)]
    ignore = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model
    ignore(network, spread)  # type: ignore[no-untyped-call]  # torch does not type it
    # A linear term without dense features has a weight that no loss reaches.
    return DistributedDataParallel(network, broadcast_buffers=False, find_unused_parameters=True)


def sharded_optimizers(
    network: nn.Module, *, lr: float, weight_decay: float = 0.0
) -> tuple[torch.optim.AdamW, torch.optim.SparseAdam]:
    """AdamW for all but the spread tables, and for these Adam on the rows that were looked up.

    A row's moments rest while nobody looks it up; with a dense update they would decay in every
    step, and a step would read and write the whole table.

    Args:
        network: What `shard_tables` has gone over.
        lr: Learning rate.
        weight_decay: Decoupled decay of all but the tables.
    """
    tables = [table.weight for _, table in sharded(network)]
    spread = {id(weight) for weight in tables}
    rest = [p for p in network.parameters() if id(p) not in spread]
    return (
        torch.optim.AdamW(rest, lr=lr, weight_decay=weight_decay, fused=True),
        torch.optim.SparseAdam(tables, lr=lr),
    )
