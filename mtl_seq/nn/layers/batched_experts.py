"""Batched evaluation of experts, or towers, of one shape: equivalent forms, and their choice.

The fastest form was measured (docs/speed.md). On a CPU it is a loop, except that one joint product
for narrow first layers is up to 1.5 times as fast once a batch has enough rows. Products of all
experts at every layer were never faster there; on a GPU, which starts a kernel for each product,
they are used.

Shapes: B rows, F input features, E experts, D output features.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtl_seq.nn.layers.mlp import MLP

__all__ = ["Form", "few_rows", "form_of", "run_alike", "run_fused", "run_wide"]

Form = Callable[[Sequence[nn.Module], Tensor], Sequence[Tensor]]
"""Experts and their input ``(B, F)`` -> E times ``(B, D)``."""

_MANY_ROWS = 1024
_NARROW = 64


def few_rows(x: Tensor) -> bool:
    """Whether a batch is so small that the form hardly matters.

    An exported or compiled program is for any number of rows, and counts as small.
    """
    return torch.compiler.is_compiling() or x.shape[0] < _MANY_ROWS


def form_of(experts: Sequence[nn.Module], x: Tensor) -> Form | None:
    """The fastest form for these experts and this batch on its device; None for a loop."""
    if few_rows(x) or len(experts) < 2 or not _alike(experts):
        return None
    if x.device.type == "cuda":
        return run_fused
    narrow = _layers(experts[0])[0].out_features <= _NARROW
    return run_wide if narrow and x.device.type == "cpu" else None


def run_alike(several: Sequence[nn.Module], x: Tensor) -> Sequence[Tensor]:
    """Run every module on one input, in the fastest form: ``(B, F)`` -> E times ``(B, D)``."""
    form = form_of(several, x)
    return [module(x) for module in several] if form is None else form(several, x)


def run_wide(experts: Sequence[nn.Module], x: Tensor) -> Sequence[Tensor]:
    """Run the first layers as one product, the others expert by expert."""
    stacks = [_layers(expert) for expert in experts]
    weight = torch.cat([layers[0].weight for layers in stacks])
    bias = torch.cat([layers[0].bias for layers in stacks])
    outputs = torch.relu(functional.linear(x, weight, bias)).chunk(len(stacks), dim=1)
    results = []
    for layers, output in zip(stacks, outputs, strict=True):
        for layer in layers[1:]:
            output = torch.relu(layer(output))
        results.append(output)
    return results


def run_fused(experts: Sequence[nn.Module], x: Tensor) -> Sequence[Tensor]:
    """Run every layer of all experts as one batched product."""
    stacks = [_layers(expert) for expert in experts]
    output = x.expand(len(stacks), -1, -1)
    for layers in zip(*stacks, strict=True):
        weight = torch.stack([layer.weight for layer in layers]).transpose(1, 2)
        bias = torch.stack([layer.bias for layer in layers]).unsqueeze(1)
        output = torch.relu(torch.baddbmm(bias, output, weight))
    return output.unbind(0)


def _alike(experts: Sequence[nn.Module]) -> bool:
    """Whether all are MLPs of the same widths; a user-defined expert never counts."""
    if any(type(expert) is not MLP for expert in experts):
        return False
    shapes = {tuple(layer.weight.shape for layer in _layers(expert)) for expert in experts}
    return len(shapes) == 1 and shapes != {()}


def _layers(expert: nn.Module) -> list[nn.Linear]:
    assert isinstance(expert, MLP)
    return [layer for layer in expert.layers if isinstance(layer, nn.Linear)]
