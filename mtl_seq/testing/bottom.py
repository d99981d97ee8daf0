"""What every bottom must keep."""

import torch
from torch import Tensor

from mtl_seq.nn import Bottom, BottomFactory
from mtl_seq.testing.base import close, perturbed, require, require_gradients

__all__ = ["check_bottom"]

_WIDTH = 12


def check_bottom(bottom: BottomFactory) -> None:
    """Shapes, independence of rows, gradients, dtype, and a state that can be restored.

    Args:
        bottom: A bottom's class, or a partial of one.

    Raises:
        ContractError: It breaks a promise.
    """
    for towers in (1, 2, 5):
        built = _build(bottom, towers)
        for rows in (1, 7):
            out = built(_input(built, rows, towers))
            shape = (rows, towers, built.out_features)
            require(tuple(out.shape) == shape, f"output {tuple(out.shape)} must be {shape}")
    built = _build(bottom, 3).eval()
    x = _input(built, 16, 3)
    out = built(x)
    require(torch.equal(out, built(x)), "two calls in eval mode must agree")
    other = x.clone()
    other[1:] += 1
    require(close(built(other)[:1], out[:1], 1e-6), "a row's output must not depend on other rows")
    for tower in range(3):
        moved = (built(x + 0.5) - out)[:, tower].abs().max()
        require(moved > 0, f"the output of tower {tower} must depend on the input")
    require_gradients(built, (built(x) ** 2).sum(), "bottom")
    twin = _build(bottom, 3, seed=1).eval()
    twin.load_state_dict(built.state_dict())
    require(torch.equal(twin(x), built(x)), "a restored state must give the same output")
    require(built.double()(x.double()).dtype == torch.float64, "float64 must stay float64")


def _build(bottom: BottomFactory, towers: int, seed: int = 0) -> Bottom:
    built = bottom(_WIDTH, towers)
    require(isinstance(built, Bottom), f"{type(built).__name__} must derive from nn.Bottom")
    perturbed(built, seed)
    return built


def _input(built: Bottom, rows: int, towers: int) -> Tensor:
    generator = torch.Generator().manual_seed(rows)
    shape = (rows, towers, _WIDTH) if built.per_tower else (rows, _WIDTH)
    return torch.randn(shape, generator=generator)
