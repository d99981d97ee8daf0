"""GradNorm (Chen et al., ICML 2018)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtl_seq.errors import CompositionError
from mtl_seq.fit.balance.base import Balance
from mtl_seq.fit.balance.parts import Parts

__all__ = ["GradNorm"]

_LEAST = 1e-3


class GradNorm(Balance):
    """Weights under which tasks have gradients of equal norm, larger where training lags.

    With W the shared parameters whose gradients are compared, ``G_k = w_k |grad_W L_k|`` and
    ``r_k = (L_k / L_k(0)) / mean_j (L_j / L_j(0))``, the weights take a step down
    ``sum_k |G_k - c_k|`` with the target ``c_k = mean_j G_j * r_k^alpha`` held constant, and are
    then scaled to add up to K. The paper takes the last shared layer; here W is the whole bottom
    (its experts and gates), or the embedding where each tower has a separate bottom.

    The first batch's losses are ``L_k(0)``. A task whose loss was 0 there, for want of a click, has
    r = 1 until it has one. Weights stay above 0.001.

    Args:
        losses: Names of the objective's losses.
        alpha: How strongly a task that lags is favoured; the paper has 1.5, and 0.12 for tasks that
            are alike.
        lr: Learning rate of the weights' Adam.
        tasks: By task, the losses whose sum is its loss.

    Raises:
        CompositionError: A negative alpha, or a rate that is not positive.
    """

    initial: Tensor

    def __init__(
        self,
        losses: Sequence[str],
        *,
        alpha: float = 1.5,
        lr: float = 0.025,
        tasks: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(losses, tasks=tasks)
        if not alpha >= 0 or not lr > 0:
            raise CompositionError(
                f"`alpha` must be at least 0 and `lr` above 0, found {alpha} and {lr}"
            )
        self.alpha = alpha
        self.weight = nn.Parameter(torch.ones(len(self.tasks)))
        self.register_buffer("initial", torch.zeros(len(self.tasks)))
        self._adam = torch.optim.Adam([self.weight], lr=lr)

    def backward(self, losses: Tensor, parts: Parts) -> None:
        """See `Balance.backward`.

        Raises:
            CompositionError: A network whose towers share nothing.
        """
        shared = list(parts.bottom or parts.embedding)
        if not shared:
            raise CompositionError(
                "GradNorm balances gradients of shared parameters, but the towers of this network "
                "share none: leave `balance` out"
            )
        norms = torch.stack([_norm(loss, shared) for loss in losses])
        (losses * self.weight.detach()).sum().backward()  # type: ignore[no-untyped-call]
        self._step(losses.detach(), norms)

    def weights(self) -> Tensor:
        """``(K,)`` weights, which add up to K."""
        return self.weight.detach().clone()

    def get_extra_state(self) -> dict[str, Any]:
        """For a checkpoint: the state of the weights' Adam."""
        return self._adam.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Read what `get_extra_state` gave."""
        self._adam.load_state_dict(state)

    def _step(self, losses: Tensor, norms: Tensor) -> None:
        self.initial = torch.where(self.initial > 0, self.initial, losses)
        left = torch.where(self.initial > 0, losses / self.initial, torch.ones_like(losses))
        rate = left / left.mean() if bool(left.mean() > 0) else torch.ones_like(left)
        pull = self.weight * norms
        target = (pull.mean() * rate**self.alpha).detach()
        self._adam.zero_grad()
        (pull - target).abs().sum().backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        with torch.no_grad():
            self.weight.clamp_(min=_LEAST)
            self.weight.mul_(len(self.weight) / self.weight.sum())


def _norm(loss: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    squares = [torch.square(g).sum() for g in gradients if g is not None]
    return torch.stack(squares).sum().sqrt() if squares else torch.zeros_like(loss)
