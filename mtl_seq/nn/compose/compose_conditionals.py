"""Compose logits of conditionals into the probabilities of a funnel."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mtl_seq.functional import logit_exclusive, logit_mixture, logit_product, promote
from mtl_seq.funnel import OTHER, Conditional, Funnel
from mtl_seq.records import FunnelPrediction

__all__ = ["compose_conditionals", "tower_rates"]

_LEAST = 1e-3


def compose_conditionals(
    funnel: Funnel, logits: Tensor, aux: Mapping[str, Tensor]
) -> FunnelPrediction:
    """Compose logits that are each a conditional of the funnel, in log space.

    The ``(B, C)`` logits have one column per conditional, in the funnel's order. Joints are sums of
    log-conditionals, so that no stage is ever more probable than its parent, and pCTCVR never more
    than pCVR, not even in the last bit.
    """
    logits = promote(logits)
    conditional_logits = _given_parent(funnel, logits)
    log_joint: dict[str, Tensor] = {}
    joint_logit: dict[str, Tensor] = {}
    for stage in funnel.stages:
        logit = conditional_logits[stage.name]
        if stage.after is None:
            log_joint[stage.name], joint_logit[stage.name] = logsigmoid(logit), logit
        else:
            log_joint[stage.name] = log_joint[stage.after] + logsigmoid(logit)
            joint_logit[stage.name] = logit_product(joint_logit[stage.after], logit)
    log_pcvr, pcvr_logit = _last_given_first(funnel, conditional_logits)
    promoted = {name: promote(logit) for name, logit in aux.items()}
    return FunnelPrediction(logits, log_joint, joint_logit, log_pcvr, pcvr_logit, promoted)


def tower_rates(funnel: Funnel, rates: Mapping[str, float]) -> dict[str, float]:
    """Rates, by name, to set the towers' biases to, so that `compose_conditionals` gives `rates`.

    For most towers that is the rate itself. Exclusive mediators are classes of one softmax against
    "none of them", so a tower's logit there is ``log(rate / rate of none)``.
    """
    starts = dict(rates)
    for stage in funnel.stages:
        if len(stage.via) > 1 and all(name in rates for name in stage.via):
            none = max(1 - sum(rates[name] for name in stage.via), _LEAST)
            starts.update({name: rates[name] / (rates[name] + none) for name in stage.via})
    return starts


def _given_parent(funnel: Funnel, logits: Tensor) -> dict[str, Tensor]:
    """The logit of every stage given its parent."""
    column = dict(zip(funnel.conditionals, logits.unbind(1), strict=True))
    conditional_logits: dict[str, Tensor] = {}
    for stage in funnel.stages:
        if not stage.via:
            conditional_logits[stage.name] = column[Conditional(stage.name, None)]
            continue
        if len(stage.via) == 1:
            mediator = conditional_logits[stage.via[0]]
            log_ways: tuple[Tensor, ...] = (logsigmoid(mediator), logsigmoid(-mediator))
        else:
            # Exclusive classes are one softmax, from which each mediator's logit follows.
            classes = torch.stack([conditional_logits[name] for name in stage.via], dim=1)
            conditional, log_classes = logit_exclusive(classes)
            conditional_logits.update(zip(stage.via, conditional.unbind(1), strict=True))
            log_ways = log_classes.unbind(1)
        reached = [column[Conditional(stage.name, way)] for way in (*stage.via, OTHER)]
        conditional_logits[stage.name] = logit_mixture(log_ways, reached)
    return conditional_logits


def _last_given_first(
    funnel: Funnel, conditional_logits: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Log pCVR and its logit, along the path from the first stage to the last."""
    parents = funnel.parents()
    path = [funnel.last]
    while path[-1] in parents and parents[path[-1]] != funnel.first:
        path.append(parents[path[-1]])
    logit = conditional_logits[path[-1]]
    log_probability = logsigmoid(logit)
    for name in reversed(path[:-1]):
        log_probability = log_probability + logsigmoid(conditional_logits[name])
        logit = logit_product(logit, conditional_logits[name])
    return log_probability, logit
