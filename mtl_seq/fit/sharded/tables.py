"""Embedding tables whose rows are sharded over processes.

Every process keeps some consecutive rows of each table and the moments of those rows. A lookup
sends each id to the process that keeps its row and gets the vector back; a backward pass sends
gradients the same way, so that communication grows with the batch and not with the table. Only rows
that some process looked up are updated. Everything else of a network is the same on every process.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard

from mtl_seq.errors import CompositionError

__all__ = ["ShardedTable", "average_gradients", "shard_tables", "sharded_optimizers"]


class ShardedTable(nn.Module):
    """The rows of an `nn.Embedding` that this process keeps, with the interface of the whole table.

    Rows are split as DTensor's ``Shard(0)`` does: in blocks of equal size, the last may be shorter.
    All processes must call it equally often, each with any number of ids, also none.

    The gradient of `weight` is sparse: it holds the rows that some process looked up. It is the
    mean over processes of the gradients of their losses, as `average_gradients` computes it for the
    rest.

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
        rows = table.weight.detach()[start : start + self.block]
        self.weight = nn.Parameter(rows.clone())

    def forward(self, index: Tensor) -> Tensor:
        """``(...)`` ids -> ``(..., size)`` vectors."""
        vectors: Tensor = _Exchange.apply(  # type: ignore[no-untyped-call]  # torch does not type it
            self.weight, index.flatten(), self.mesh, self.block
        )
        return vectors.view(*index.shape, self.size)

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
        ordered = torch.empty_like(vectors)
        ordered[order] = vectors
        return ordered

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
        Names of the sharded parameters.

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
    """The sharded tables of a network, by name."""
    for name, module in network.named_modules():
        if isinstance(module, ShardedTable):
            yield name, module


def average_gradients(network: nn.Module, mesh: DeviceMesh) -> None:
    """Average the gradients over processes; those of sharded tables are averages already.

    Call it between the backward pass and the step, on every process.

    Args:
        network: After `shard_tables`.
        mesh: The processes.
    """
    rest = [p for p in _rest(network) if p.requires_grad]
    # A parameter that no loss reached here may have been reached elsewhere.
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in rest]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat, group=mesh.get_group())
    flat /= mesh.size()
    parts = torch.split(flat, [p.numel() for p in rest])
    for parameter, part in zip(rest, parts, strict=True):
        parameter.grad = part.view_as(parameter)


def _rest(network: nn.Module) -> list[nn.Parameter]:
    spread = {id(table.weight) for _, table in sharded(network)}
    return [p for p in network.parameters() if id(p) not in spread]


def sharded_optimizers(
    network: nn.Module, *, lr: float, weight_decay: float = 0.0
) -> tuple[torch.optim.AdamW, torch.optim.SparseAdam]:
    """AdamW for all but the sharded tables, and for these Adam on the rows that were looked up.

    A row's moments stay while it is not looked up; with a dense update they would decay in every
    step, and a step would read and write the whole table.

    Args:
        network: After `shard_tables`.
        lr: Learning rate.
        weight_decay: Decoupled decay of all but the tables.
    """
    tables = [table.weight for _, table in sharded(network)]
    return (
        torch.optim.AdamW(_rest(network), lr=lr, weight_decay=weight_decay, fused=True),
        torch.optim.SparseAdam(tables, lr=lr),
    )
