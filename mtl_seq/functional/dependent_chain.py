"""Chain of stages with a log odds ratio between each stage and the next potential stage.

Stage k has a potential outcome R_k: whether it happens if the stage before it does. With s the
sigmoid, b_k the logit of stage k and lambda_k the log odds ratio of the edge from k to k + 1,

    R_K ~ s(b_K),        R_k | R_(k+1) ~ s(b_k + lambda_k R_(k+1)),        k < K,

and stage k is observed where R_1, ..., R_k are all 1. For two stages with levels of a click-only
feature see `latent_dependence`.

Shapes: B rows, K stages.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mtl_seq.functional.chain import logit_mixture, logit_product, promote

__all__ = ["DependentChain", "dependent_chain"]


class DependentChain(NamedTuple):
    """Log-probabilities of a chain of dependent stages, ``(B,)`` each.

    Attributes:
        log_reach: log P(stages 1 to k all happen), k = 1 .. K.
        log_leave: log P(stages 1 to k happen and k + 1 does not), k = 0 .. K - 1.
        reach_logit: Logits of `log_reach`.
        log_last: log P(stages 2 to K all happen if stage 1 does), over all impressions.
        last_logit: Its logit.
    """

    log_reach: tuple[Tensor, ...]
    log_leave: tuple[Tensor, ...]
    reach_logit: tuple[Tensor, ...]
    log_last: Tensor
    last_logit: Tensor


def dependent_chain(logits: Tensor) -> DependentChain:
    """Compose the logits of a chain and the log odds ratios of its edges, in log space.

    At lambda = 0 the stages are independent given the features; no case needs a branch.

    Args:
        logits: ``(B, 2 K - 1)``: b_1 .. b_K, then lambda_1 .. lambda_(K-1); K at least 2.

    Returns:
        The log-probabilities, in at least float32. No gradient overflows and none is killed.
    """
    columns = promote(logits).unbind(1)
    stages = (len(columns) + 1) // 2
    base, log_odds_ratio = columns[:stages], columns[stages:]
    raised = [b + one for b, one in zip(base, log_odds_ratio, strict=False)]
    # Of R_k alone, whatever follows: log P(R_k = 1), log P(R_k = 0) and the logit.
    happens, fails, marginal = logsigmoid(base[-1]), logsigmoid(-base[-1]), base[-1]
    log_happens, log_fails, marginals = [happens], [fails], [marginal]
    for b, up in zip(base[-2::-1], raised[::-1], strict=True):
        marginal = logit_mixture((happens, fails), (up, b))
        # At most 1 by its logit, and at least its part, also after rounding.
        happens = torch.maximum(logsigmoid(marginal), happens + logsigmoid(up))
        fails = logsigmoid(-marginal)
        log_happens.insert(0, happens)
        log_fails.insert(0, fails)
        marginals.insert(0, marginal)
    reach = tuple(_before(raised[:k], log_happens[k]) for k in range(stages))
    leave = [log_fails[0]]
    leave += [
        _before(raised[: k - 1], logsigmoid(base[k - 1]) + log_fails[k]) for k in range(1, stages)
    ]
    logit = tuple(_product(raised[:k], marginals[k]) for k in range(stages))
    return DependentChain(
        reach,
        tuple(leave),
        logit,
        _before(raised[1:], log_happens[-1]),
        _product(raised[1:], marginals[-1]),
    )


def _before(raised: list[Tensor], log_probability: Tensor) -> Tensor:
    """Joined by the stages before, the nearest first: so none exceeds its parent in rounding."""
    for up in reversed(raised):
        log_probability = log_probability + logsigmoid(up)
    return log_probability


def _product(raised: list[Tensor], logit: Tensor) -> Tensor:
    for up in reversed(raised):
        logit = logit_product(logit, up)
    return logit
