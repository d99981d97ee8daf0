"""The contract of heads."""

import torch
from torch import Tensor

from mtl_seq.funnel import Funnel, Stage
from mtl_seq.models import CLICK_CONVERSION
from mtl_seq.nn import Head, HeadFactory
from mtl_seq.testing.base import (
    accepts,
    close,
    perturbed,
    require,
    require_dtypes,
    require_finite,
    require_gradients,
)

__all__ = ["CHAINS", "FUNNELS", "check_head"]

CHAINS = (
    CLICK_CONVERSION,
    Funnel.chain("click", "cart", "order", "payment"),
)
"""Chains, for heads that support no other funnel."""

FUNNELS = (
    *CHAINS,
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

_WIDTH, _ROWS, _OWN = 6, 32, 3


def check_head(head: HeadFactory, *, funnels: tuple[Funnel, ...] = FUNNELS) -> None:
    """Check a head: shapes, own features, rates, gradients, dtypes and probabilities.

    Args:
        head: A head's class, or a partial of one.
        funnels: The funnels it must support; `CHAINS` for a head that supports chains only.
    """
    # Heads draw their weights from the global generator; unseeded, a narrow layer of dead ReLUs
    # would sometimes be mistaken for a disconnected one.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for funnel in funnels:
            _check(head, funnel)


def _check(head: HeadFactory, funnel: Funnel) -> None:
    names = [conditional.name for conditional in funnel.conditionals]
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn((_ROWS, len(names), _WIDTH), generator=generator)
    own = {name: torch.randn((_ROWS, _OWN), generator=generator) for name in names}
    built = head(funnel, _WIDTH, dict.fromkeys(names, _OWN))
    require(isinstance(built, Head), f"{type(built).__name__} must derive from nn.Head")
    perturbed(built).eval()
    logits = built(hidden, own)
    edges = 0 if built.independent else len(funnel.stages) - 1
    shape = (_ROWS, len(names) + edges)
    require(tuple(logits.shape) == shape, f"logits {tuple(logits.shape)} must be {shape}")
    _check_own(head, funnel, built, hidden, own)
    _check_rows(built, hidden, own, logits)
    require_dtypes(built, (hidden, own), logits, 1e-4)
    require_gradients(built, (built(hidden, own) ** 2).sum(), "head")
    built.start_at(dict.fromkeys(names, 0.01))
    nothing = {name: torch.zeros_like(column) for name, column in own.items()}
    rate = torch.sigmoid(built(torch.zeros_like(hidden), nothing)[:, : len(names)])
    require(bool((rate < 0.5).all()), "`start_at` must move the logits to the rates")
    _check_probabilities(type(built), funnel, logits.detach() * 20)


def _check_own(
    head: HeadFactory, funnel: Funnel, built: Head, hidden: Tensor, own: dict[str, Tensor]
) -> None:
    logits = built(hidden, own)
    for index, name in enumerate(own):
        moved = built(hidden, {**own, name: own[name] + 1})
        changed = (moved != logits).any(0).tolist()
        require(changed[index], f"own features must move the logit of {name!r}")
        # What is hidden from another stage must not reach it through this one.
        require(sum(changed) == 1, f"own features of {name!r} must move no other logit, to the bit")
    without = perturbed(head(funnel, _WIDTH, {})).eval()
    with accepts("towers without own features"):
        result = without(hidden, {})
    require(result.shape == logits.shape, "towers without own features must give the same shape")


def _check_rows(built: Head, hidden: Tensor, own: dict[str, Tensor], logits: Tensor) -> None:
    for rows in (0, 1):
        with accepts(f"a batch of {rows} rows"):
            few = built(hidden[:rows], {name: column[:rows] for name, column in own.items()})
        # A product of another size is summed in another order.
        require(close(few, logits[:rows], 1e-5), f"a batch of {rows} rows must give their logits")
    other = hidden.clone()
    other[1:] += 1
    require(close(built(other, own)[:1], logits[:1], 1e-6), "a row must not depend on other rows")
    order = torch.randperm(_ROWS, generator=torch.Generator().manual_seed(3))
    moved = built(hidden[order], {name: column[order] for name, column in own.items()})
    require(close(moved, logits[order], 1e-5), "permuted rows must give permuted logits")


def _check_probabilities(head: type[Head], funnel: Funnel, logits: Tensor) -> None:
    prediction = head.compose(funnel, logits, {})
    require(prediction.stages == funnel.names, f"stages {prediction.stages} must be {funnel.names}")
    for name, log_joint in prediction.log_joint.items():
        require_finite(log_joint, f"log-probability of {name!r}")
        require(bool((log_joint <= 0).all()), f"probability of {name!r} exceeds 1")
        agreed = close(torch.sigmoid(prediction.joint_logit[name]), log_joint.exp(), 1e-6)
        require(agreed, f"logit and log-probability of {name!r} must agree")
    require_finite(prediction.log_pcvr, "log pCVR")
    require_finite(prediction.pcvr_logit, "the logit of pCVR")
    require(bool((prediction.pctcvr <= prediction.pcvr).all()), "pCTCVR must not exceed pCVR")
    agreed = close(torch.sigmoid(prediction.pcvr_logit), prediction.pcvr, 1e-6)
    require(agreed, "logit and log-probability of pCVR must agree")
    if not head.conditional:
        return
    for child, parent in funnel.parents().items():
        below = prediction.log_joint[child] <= prediction.log_joint[parent]
        require(bool(below.all()), f"{child!r} must not be more probable than {parent!r}")
    for stage in funnel.stages:
        if stage.via:
            ways = torch.stack([prediction.log_joint[name] for name in stage.via]).exp().sum(0)
            assert stage.after is not None
            whole = prediction.log_joint[stage.after].exp()
            within = bool((ways <= whole + 1e-6).all())
            require(within, f"{stage.via} must not be more probable together than {stage.after!r}")
