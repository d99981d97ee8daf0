"""Arithmetic of a network: float32, bfloat16, or the fastest that is accurate.

Only matrix products change. Weights, the optimiser, losses and metrics are float32 in every case:
logits are promoted before they are used.
"""

import logging
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum
from typing import get_args

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError
from mtl_seq.fit.config import Precision

__all__ = ["Arithmetic", "Precision", "arithmetic_for", "check_precision", "is_float32"]

_LOGGER = logging.getLogger("mtl_seq")
_ROUNDS = 3
_WORTH = 1.1
_FLOAT32_ERROR = 1e-5


class Arithmetic(Enum):
    """How matrix products are computed."""

    FLOAT32 = "float32"
    """As torch does by default."""

    ONEDNN = "float32 through oneDNN"
    """On some processors twice as fast; on others torch then computes in bfloat16."""

    BFLOAT16 = "bfloat16"
    """Under autocast."""

    def network(self, device: torch.device) -> AbstractContextManager[object]:
        """Context of a network's forward pass."""
        if self is Arithmetic.BFLOAT16:
            return torch.autocast(device.type, torch.bfloat16)
        return self.backward()

    def backward(self) -> AbstractContextManager[object]:
        """Context of a backward pass, without autocast."""
        return _through_onednn() if self is Arithmetic.ONEDNN else nullcontext()


def arithmetic_for(
    precision: Precision, network: nn.Module, features: Mapping[str, Tensor], *, train: bool
) -> Arithmetic:
    """The arithmetic to compute in.

    ``"auto"`` times the network itself on the batch in every arithmetic that the device computes
    natively and to its name's accuracy, and leaves float32 only for one that is at least a
    tenth faster; it logs its choice (logger ``mtl_seq``). Near that mark two runs may choose
    differently: name a precision where a run must repeat to the bit.

    Args:
        precision: The setting.
        network: The network; its gradients and weights are left as they are.
        features: A typical batch, on its device.
        train: Whether to time a backward pass too.

    Raises:
        CompositionError: Another precision.
    """
    check_precision(precision)
    if precision != "auto":
        return Arithmetic(precision)
    device = next(iter(features.values())).device
    candidates = [Arithmetic.FLOAT32]
    if device.type == "cpu" and is_float32(Arithmetic.ONEDNN):
        candidates.append(Arithmetic.ONEDNN)
    if _computes_bfloat16(device):
        candidates.append(Arithmetic.BFLOAT16)
    seconds = {which: _seconds(which, network, features, train=train) for which in candidates}
    fastest = min(seconds, key=lambda which: seconds[which])
    worth = seconds[Arithmetic.FLOAT32] / seconds[fastest] >= _WORTH
    chosen = fastest if worth else Arithmetic.FLOAT32
    _LOGGER.info(
        "precision: %s (milliseconds a batch: %s)",
        chosen.value,
        ", ".join(f"{which.value} {1000 * took:.2f}" for which, took in seconds.items()),
    )
    return chosen


def check_precision(precision: str) -> None:
    """Refuse an unknown precision.

    Raises:
        CompositionError: It is unknown.
    """
    if precision not in get_args(Precision):
        raise CompositionError(
            f"`precision` must be one of {get_args(Precision)}, found {precision!r}"
        )


def is_float32(arithmetic: Arithmetic, size: int = 256) -> bool:
    """Whether matrix products in it are as accurate as float32, measured against float64."""
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, size, size, generator=generator)
    with arithmetic.network(one.device):
        product = (one @ other).double()
    exact: Tensor = one.double() @ other.double()
    error: Tensor = (product - exact).abs().max() / exact.abs().max()
    return error.item() <= _FLOAT32_ERROR


@contextmanager
def _through_onednn() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _computes_bfloat16(device: torch.device) -> bool:
    """Whether natively: elsewhere it is emulated, and slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = torch.cpu.get_capabilities()
    return device.type == "cpu" and bool(cpu.get("amx_bf16") or cpu.get("avx512_bf16"))


def _seconds(
    arithmetic: Arithmetic, network: nn.Module, features: Mapping[str, Tensor], *, train: bool
) -> float:
    """Median of a few runs after a warm-up; gradients and RNG state are left as they were."""
    device = next(iter(features.values())).device
    devices = [device] if device.type == "cuda" else []
    trained = [p for p in network.parameters() if p.requires_grad]
    took = []
    with torch.random.fork_rng(devices=devices):
        for _ in range(_ROUNDS + 1):
            _finish(device)
            start = time.perf_counter()
            with torch.set_grad_enabled(train), arithmetic.network(device):
                logits = network(features).logits
            if train:
                with arithmetic.backward():
                    torch.autograd.grad(logits.sum(), trained, allow_unused=True)
            _finish(device)
            took.append(time.perf_counter() - start)
    return statistics.median(took[1:])


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
