"""Helpers of the contract checks."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

__all__ = [
    "ContractError",
    "accepts",
    "close",
    "keeps_global_random_state",
    "perturbed",
    "require",
    "require_gradients",
]


class ContractError(AssertionError):
    """A part violates its contract."""


def require(condition: object, message: str) -> None:
    """Raise unless the condition holds.

    Raises:
        ContractError: The condition is false.
    """
    if not condition:
        raise ContractError(message)


@contextmanager
def accepts(what: str) -> Iterator[None]:
    """Check that the block raises nothing.

    Raises:
        ContractError: It raises an exception.
    """
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
    """Check that every parameter has a finite, nonzero gradient.

    Raises:
        ContractError: Some parameter has no gradient, or one that is zero everywhere or not finite.
    """
    require(loss.requires_grad, f"{what}: no parameter is connected to the loss")
    module.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in module.named_parameters():
        gradient = parameter.grad
        require(gradient is not None, f"{what}: parameter {name} is not connected to the loss")
        assert gradient is not None
        require(bool(torch.isfinite(gradient).all()), f"{what}: gradient of {name} is not finite")
        require(bool((gradient != 0).any()), f"{what}: gradient of {name} is 0 everywhere")


@contextmanager
def keeps_global_random_state(what: str) -> Iterator[None]:
    """Check that the block draws nothing from torch's or NumPy's global generator.

    Raises:
        ContractError: It draws.
    """
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
