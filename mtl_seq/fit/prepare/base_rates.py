"""Base rates of a funnel's conditionals in a log."""

import torch
from torch import Tensor

from mtl_seq.funnel import OTHER, Funnel

__all__ = ["base_rates", "quantity_rates"]

_LIKE_CONVERSION = ("imputation", "conversion_propensity")
_UNLIKE_CONVERSION = ("counterfactual", "unconverted")


def base_rates(funnel: Funnel, stages: Tensor, counts: Tensor | None = None) -> dict[str, float]:
    """Rates of the conditionals, for `FunnelNetwork.start_at`.

    Half a row is added to positives and to negatives, so that none is 0 or 1.

    Args:
        funnel: The stages.
        stages: ``(N, K)`` labels.
        counts: ``(N,)`` number of rows with these labels; None for one each.

    Returns:
        Rates by name of the conditional, and of the extra towers that predict the last stage given
        the first, or its absence.
    """
    mass = torch.ones(len(stages), dtype=torch.float64) if counts is None else counts.double()
    happened = dict(zip(funnel.names, stages.bool().unbind(1), strict=True))
    rates = {}
    for conditional in funnel.conditionals:
        stage = next(stage for stage in funnel.stages if stage.name == conditional.stage)
        condition = torch.ones(len(stages), dtype=torch.bool)
        if stage.after is not None:
            condition = condition & happened[stage.after]
        if conditional.given == OTHER:
            for mediator in stage.via:
                condition = condition & ~happened[mediator]
        elif conditional.given is not None:
            condition = condition & happened[conditional.given]
        rates[conditional.name] = _rate(happened[stage.name], condition, mass)
    converted = _rate(happened[funnel.last], happened[funnel.first], mass)
    rates |= dict.fromkeys(_LIKE_CONVERSION, converted)
    return rates | dict.fromkeys(_UNLIKE_CONVERSION, 1 - converted)


def quantity_rates(
    funnel: Funnel, stages: Tensor, counts: Tensor | None = None
) -> dict[str, float]:
    """Rates of clicks, of conversions given a click, and of both, with half a row added likewise.

    Returns:
        By ``pctr``, ``pcvr`` and ``pctcvr``.
    """
    mass = torch.ones(len(stages), dtype=torch.float64) if counts is None else counts.double()
    happened = dict(zip(funnel.names, stages.bool().unbind(1), strict=True))
    click, last = happened[funnel.first], happened[funnel.last]
    every = torch.ones_like(click)
    return {
        "pctr": _rate(click, every, mass),
        "pcvr": _rate(last, click, mass),
        "pctcvr": _rate(last, every, mass),
    }


def _rate(happened: Tensor, condition: Tensor, mass: Tensor) -> float:
    return (float(mass[happened & condition].sum()) + 0.5) / (float(mass[condition].sum()) + 1)
