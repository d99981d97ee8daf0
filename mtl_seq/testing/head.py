"""What every head must keep."""

import torch

from mtl_seq.funnel import Funnel, Stage
from mtl_seq.nn import Head, HeadFactory
from mtl_seq.testing.base import close, perturbed, require, require_gradients

__all__ = ["FUNNELS", "check_head"]

FUNNELS = (
    Funnel.chain("click", "conversion"),
    Funnel.chain("click", "cart", "order", "payment"),
    Funnel((Stage("click"), Stage("cart", "click"), Stage("order", "click", ("cart",)))),
    Funnel(
        (
            Stage("click"),
            Stage("cart", "click"),
            Stage("wish", "click"),
            Stage("order", "click", ("cart", "wish")),
        )
    ),
)
"""Chains, a mediator, and exclusive mediators."""

_WIDTH, _ROWS, _OWN = 6, 9, 3


def check_head(head: HeadFactory, *, funnels: tuple[Funnel, ...] = FUNNELS) -> None:
    """Shapes, own features, starting rates, gradients and probabilities, on several funnels.

    Args:
        head: A head's class, or a partial of one.
        funnels: The funnels it must work on.

    Raises:
        ContractError: It breaks a promise.
    """
    for funnel in funnels:
        _check(head, funnel)


def _check(head: HeadFactory, funnel: Funnel) -> None:
    names = [conditional.name for conditional in funnel.conditionals]
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn((_ROWS, len(names), _WIDTH), generator=generator)
    own = {names[-1]: torch.randn((_ROWS, _OWN), generator=generator)}
    built = head(funnel, _WIDTH, {names[-1]: _OWN})
    require(isinstance(built, Head), f"{type(built).__name__} must derive from nn.Head")
    perturbed(built).eval()
    logits = built(hidden, own)
    shape = (_ROWS, len(names))
    require(tuple(logits.shape) == shape, f"logits {tuple(logits.shape)} must be {shape}")
    moved = built(hidden, {names[-1]: own[names[-1]] + 1}) - logits
    require(moved[:, -1].abs().max() > 0, f"own features must move the logit of {names[-1]!r}")
    other = hidden.clone()
    other[1:] += 1
    require(close(built(other, own)[:1], logits[:1], 1e-6), "a row must not depend on other rows")
    require_gradients(built, (built(hidden, own) ** 2).sum(), "head")
    built.start_at(dict.fromkeys(names, 0.01))
    rate = torch.sigmoid(built(torch.zeros_like(hidden), {}.fromkeys(own, own[names[-1]] * 0)))
    require(bool((rate < 0.5).all()), "`start_at` must move the logits to the rates")
    _check_probabilities(type(built), funnel, logits * 20)


def _check_probabilities(head: type[Head], funnel: Funnel, logits: torch.Tensor) -> None:
    found = head.compose(funnel, logits, {})
    require(found.stages == funnel.names, f"stages {found.stages} must be {funnel.names}")
    for name, log_joint in found.log_joint.items():
        require(bool(torch.isfinite(log_joint).all()), f"log-probability of {name!r} is not finite")
        require(bool((log_joint <= 0).all()), f"probability of {name!r} exceeds 1")
        agreed = close(torch.sigmoid(found.joint_logit[name]), log_joint.exp(), 1e-6)
        require(agreed, f"logit and log-probability of {name!r} must say the same")
    for child, parent in funnel.parents().items():
        below = found.log_joint[child] <= found.log_joint[parent]
        require(bool(below.all()), f"{child!r} must not be more probable than {parent!r}")
    agreed = close(torch.sigmoid(found.pcvr_logit), found.pcvr, 1e-6)
    require(agreed, "logit and log-probability of pCVR must say the same")
