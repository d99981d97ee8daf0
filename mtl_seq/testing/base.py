"""Helpers of the contract checks. Those that check something raise `ContractError` otherwise."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = [
    "ContractError",
    "accepts",
    "close",
    "in_graphs",
    "keeps_global_random_state",
    "perturbed",
    "require",
    "require_dtypes",
    "require_finite",
    "require_gradients",
]


class ContractError(AssertionError):
    """A part violates its contract."""


def require(condition: object, message: str) -> None:
    """Raise unless the condition holds."""
    if not condition:
        raise ContractError(message)


def require_finite(values: Tensor, what: str) -> None:
    """Check that all values are finite."""
    require(bool(torch.isfinite(values).all()), f"{what} must be finite")


@contextmanager
def accepts(what: str) -> Iterator[None]:
    """Check that the block raises nothing."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ContractError(f"{what}: {type(error).__name__}: {reason}") from error


def close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Whether two tensors agree to an absolute tolerance."""
    return a.shape == b.shape and bool(torch.all((a - b).abs() <= tolerance))


def perturbed(module: nn.Module, seed: int = 0) -> nn.Module:
    """Perturb every parameter of a module, so that no zero initialisation hides a path.

    Args:
        module: Changed in place.
        seed: Seed of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
            parameter.add_(0.1 * noise)
    return module


def require_gradients(module: nn.Module, loss: Tensor, what: str) -> None:
    """Check that every parameter has a finite, nonzero gradient."""
    require(loss.requires_grad, f"{what}: no parameter is connected to the loss")
    module.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in module.named_parameters():
        gradient = parameter.grad
        require(gradient is not None, f"{what}: parameter {name} is not connected to the loss")
        assert gradient is not None
        require_finite(gradient, f"{what}: gradient of {name}")
        require(bool((gradient != 0).any()), f"{what}: gradient of {name} is 0 everywhere")


@contextmanager
def keeps_global_random_state(what: str) -> Iterator[None]:
    """Check that the block draws nothing from torch's or NumPy's global generator."""
    torch_before = torch.random.get_rng_state()
    numpy_before = np.random.get_state(legacy=False)  # noqa: NPY002  # watched, not used
    yield
    require(
        torch.equal(torch_before, torch.random.get_rng_state()),
        f"{what} draws from torch's global generator: pass a generator or a seed",
    )
    numpy_after = np.random.get_state(legacy=False)  # noqa: NPY002
    require(
        str(numpy_before) == str(numpy_after),
        f"{what} draws from NumPy's global generator: pass a generator",
    )


def require_dtypes(
    module: nn.Module, inputs: tuple[Any, ...], out: Tensor, tolerance: float
) -> None:
    """Check a module in float64, given its output in float32, and under bfloat16 autocast."""
    double = copy.deepcopy(module).double()
    with accepts("float64"):
        result = double(inputs[0].double(), *inputs[1:])
    require(result.dtype == torch.float64, "float64 must stay float64")
    require(close(result, out.double(), tolerance), "float64 must agree with float32")
    with accepts("bfloat16 autocast"), torch.autocast("cpu", dtype=torch.bfloat16):
        half = module(*inputs)
    require(bool(torch.isfinite(half).all()), "bfloat16 autocast must give finite outputs")


def in_graphs(module: nn.Module, whole: Any, few: Any, rows: Any) -> tuple[Any, Any, Any]:
    """Call a module as exported, on all rows and on few of them, and as compiled on all."""
    with accepts("torch.export with any number of rows"):
        exported = torch.export.export(module, (whole,), dynamic_shapes=(rows,)).module()
        results = exported(whole), exported(few)
    # Earlier compilations count against the limit of recompilations.
    torch.compiler.reset()
    with accepts("torch.compile in one graph"):
        compiled = torch.compile(module, fullgraph=True, backend="eager")(whole)
    torch.compiler.reset()
    return *results, compiled
