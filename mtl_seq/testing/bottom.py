"""The contract of bottoms."""

import torch
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.nn import Bottom, BottomFactory
from mtl_seq.testing.base import (
    accepts,
    close,
    in_graphs,
    keeps_global_random_state,
    perturbed,
    require,
    require_dtypes,
    require_gradients,
)

__all__ = ["check_bottom"]

_WIDTH, _ROWS = 12, 16


def check_bottom(bottom: BottomFactory) -> None:
    """Check a bottom: shapes, row independence, gates, gradients, dtypes, export, and state.

    Args:
        bottom: A bottom's class, or a partial of one.
    """
    for towers in (1, 2, 5):
        built = _build(bottom, towers)
        for rows in (0, 1, 7):
            with accepts(f"a batch of {rows} rows"):
                out = built(_input(built, rows, towers))
            shape = (rows, towers, built.out_features)
            require(tuple(out.shape) == shape, f"output {tuple(out.shape)} must be {shape}")
    _check_training(bottom)
    built = _build(bottom, 3).eval()
    x = _input(built, _ROWS, 3)
    with keeps_global_random_state("a bottom in eval mode"):
        out = built(x)
    _check_rows(built, x, out)
    for tower in range(3):
        moved = (built(x + 0.5) - out)[:, tower].abs().max()
        require(moved > 0, f"the output of tower {tower} must depend on the input")
    _check_gates(built, x)
    _check_state(bottom, built, x)
    require_dtypes(built, (x,), out, 1e-5)
    _check_graphs(built, x, out)


def _build(bottom: BottomFactory, towers: int, seed: int = 0) -> Bottom:
    # Bottoms draw their weights from the global generator; unseeded, a dead ReLU would sometimes be
    # mistaken for a disconnected layer.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = bottom(_WIDTH, towers)
    require(isinstance(built, Bottom), f"{type(built).__name__} must derive from nn.Bottom")
    perturbed(built, seed)
    return built


def _input(built: Bottom, rows: int, towers: int) -> Tensor:
    generator = torch.Generator().manual_seed(rows)
    shape = (rows, towers, _WIDTH) if built.per_tower else (rows, _WIDTH)
    return torch.randn(shape, generator=generator)


def _check_rows(built: Bottom, x: Tensor, out: Tensor) -> None:
    require(torch.equal(out, built(x)), "two calls in eval mode must agree")
    other = x.clone()
    other[1:] += 1
    require(close(built(other)[:1], out[:1], 1e-6), "a row's output must not depend on other rows")
    order = torch.randperm(_ROWS, generator=torch.Generator().manual_seed(3))
    require(close(built(x[order]), out[order], 1e-6), "permuted rows must give permuted outputs")


def _check_training(bottom: BottomFactory) -> None:
    built = _build(bottom, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        require_gradients(built, (built(_input(built, 64, 3)) ** 2).sum(), "bottom")


def _check_gates(built: Bottom, x: Tensor) -> None:
    try:
        gates = built.gates(x)
    except CompositionError:
        return
    agreed = gates.dim() == 3 and gates.shape[:2] == (_ROWS, 3)
    require(agreed, f"gates {tuple(gates.shape)} must be (B, T, E)")
    require(bool((gates >= 0).all()), "gates must not be negative")
    require(close(gates.sum(2), torch.ones(_ROWS, 3), 1e-6), "gates must add up to 1 over experts")


def _check_state(bottom: BottomFactory, built: Bottom, x: Tensor) -> None:
    other = _build(bottom, 3, seed=1).eval()
    require(not torch.equal(other(x), built(x)), "another state must give another output")
    other.load_state_dict(built.state_dict())
    require(torch.equal(other(x), built(x)), "a restored state must give the same output")


@torch.no_grad()
def _check_graphs(built: Bottom, x: Tensor, out: Tensor) -> None:
    exported, few, compiled = in_graphs(built, x, x[:5], {0: torch.export.Dim("rows")})
    require(close(exported, out, 1e-6), "the exported module must give the same output")
    require(close(few, out[:5], 1e-6), "the exported module must give the same for fewer rows")
    require(close(compiled, out, 1e-6), "the compiled module must give the same output")
