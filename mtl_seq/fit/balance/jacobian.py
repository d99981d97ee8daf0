"""Gradients of tasks combined by an aggregator: PCGrad, CAGrad, GradVac, Nash-MTL, UPGrad, ..."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.fit.balance.base import Balance
from mtl_seq.fit.balance.parts import Parts

__all__ = ["JacobianDescent"]

_INSTALL = "install the extra, `pip install 'mtl_seq[balance]'`"


class JacobianDescent(Balance):
    """An aggregator combines the tasks' gradients of shared parameters; towers take their sum.

    The gradients of the K losses by the shared parameters are the rows of a ``(K, P)`` matrix; see
    `parts_of` for what is shared. Every task costs a backward pass, and a dense row as long as all
    embedding tables. It works in one process only: gradients are not reduced over several.

    Args:
        losses: Names of the objective's losses.
        aggregator: Name of an aggregator of TorchJD, such as ``"UPGrad"`` (Quinton and Rey, 2024),
            ``"PCGrad"`` (NeurIPS 2020), ``"CAGrad"`` (NeurIPS 2021), ``"GradVac"`` (ICLR 2021) or
            ``"NashMTL"`` (ICML 2022); or any function from ``(K, P)`` to ``(P,)``, which
            needs no extra.
        settings: Arguments of a named aggregator, such as ``{"c": 0.4}`` for CAGrad; the number of
            tasks is filled in where it takes one.
        tasks: By task, the losses whose sum is its loss.

    Raises:
        CompositionError: An aggregator that does not exist, cannot be built from its settings, or
            whose libraries are not installed.
    """

    def __init__(
        self,
        losses: Sequence[str],
        *,
        aggregator: str | Callable[[Tensor], Tensor] = "UPGrad",
        settings: Mapping[str, Any] | None = None,
        tasks: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(losses, tasks=tasks)
        count = len(self.tasks)
        if isinstance(aggregator, str):
            # Some notice only when called that a library is missing, and keep state of the call.
            _try_out(_named(aggregator, settings or {}, count), aggregator, count)
            aggregator = _named(aggregator, settings or {}, count)
        elif settings:
            raise CompositionError(
                "`settings` belong to an aggregator that is named, found a function: use "
                "`functools.partial`"
            )
        self.aggregator = aggregator

    def backward(self, losses: Tensor, parts: Parts) -> None:
        """See `Balance.backward`.

        Raises:
            CompositionError: A network whose towers share nothing, or an aggregator that gives
                anything but one number per parameter.
        """
        shared, unshared = list(parts.shared), list(parts.unshared)
        if not shared:
            raise CompositionError(
                "an aggregator combines gradients of shared parameters, but the towers of this "
                "network share none: leave `balance` out"
            )
        rows, sums = [], [torch.zeros_like(p) for p in unshared]
        reached = [False] * len(unshared)
        for loss in losses:
            gradients = torch.autograd.grad(
                loss, [*shared, *unshared], retain_graph=True, allow_unused=True
            )
            pairs = zip(gradients[: len(shared)], shared, strict=True)
            rows.append(
                torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])
            )
            for index, gradient in enumerate(gradients[len(shared) :]):
                if gradient is not None:
                    sums[index] += gradient
                    reached[index] = True
        combined = self._combined(torch.stack(rows))
        sizes = [p.numel() for p in shared]
        for parameter, gradient in zip(shared, torch.split(combined, sizes), strict=True):
            _add(parameter, gradient.view_as(parameter))
        for parameter, gradient, used in zip(unshared, sums, reached, strict=True):
            if used:
                _add(parameter, gradient)

    def _combined(self, rows: Tensor) -> Tensor:
        """``(K, P)`` gradients to ``(P,)``, also where some task has none, as without clicks."""
        nonzero = rows.abs().amax(1) > 0
        if not bool(nonzero.any()):
            return torch.zeros_like(rows[0])
        combined = self.aggregator(rows)
        if combined.shape != rows[0].shape:
            raise CompositionError(
                f"`aggregator` must give one number per parameter, {tuple(rows[0].shape)}, found "
                f"{tuple(combined.shape)}"
            )
        if bool(nonzero.all()) or bool(combined.any()):
            return combined
        # An aggregator that wants progress in every task gives 0: combine the other tasks.
        share = float(nonzero.sum()) / len(rows)
        return share * self.aggregator(rows[nonzero])


def _named(name: str, settings: Mapping[str, Any], count: int) -> Callable[[Tensor], Tensor]:
    try:
        from torchjd import aggregation
    except ImportError as error:
        raise CompositionError(
            f"`aggregator` {name!r} needs TorchJD, which is not installed: {_INSTALL}"
        ) from error
    kind = getattr(aggregation, name, None)
    if not (inspect.isclass(kind) and issubclass(kind, aggregation.Aggregator)):
        raise CompositionError(
            f"`aggregator` must name an aggregator of TorchJD, such as 'UPGrad', 'PCGrad', "
            f"'CAGrad', 'GradVac' or 'NashMTL', found {name!r}"
        )
    filled = dict(settings)
    if "n_tasks" in inspect.signature(kind).parameters:
        filled.setdefault("n_tasks", count)
    try:
        built: Callable[[Tensor], Tensor] = kind(**filled)
    except ImportError as error:
        raise CompositionError(f"`aggregator` {name!r}: {error}: {_INSTALL}") from error
    except (TypeError, ValueError) as error:
        raise CompositionError(
            f"`settings` {dict(settings)} do not fit the aggregator {name!r}: {error}"
        ) from error
    return built


def _try_out(aggregator: Callable[[Tensor], Tensor], name: str, count: int) -> None:
    try:
        aggregator(torch.eye(count))
    except ImportError as error:
        raise CompositionError(f"`aggregator` {name!r}: {error}: {_INSTALL}") from error


def _add(parameter: torch.nn.Parameter, gradient: Tensor) -> None:
    gradient = gradient.to(parameter.dtype)
    parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad + gradient
