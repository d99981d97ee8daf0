"""How often each conditional of a funnel happens in a log."""

import torch
from torch import Tensor

from mtl_seq.funnel import OTHER, Funnel

__all__ = ["base_rates", "quantity_rates"]

_LIKE_CONVERSION = ("imputation", "conversion_propensity")
_UNLIKE_CONVERSION = ("counterfactual", "unconverted")


def base_rates(funnel: Funnel, stages: Tensor, counts: Tensor | None = None) -> dict[str, float]:
    """Rates of the conditionals, for `FunnelNetwork.start_at`.

    Each is shrunk by half a row either way, so that none is 0 or 1.

    Args:
        funnel: The stages.
        stages: ``(N, K)`` labels.
        counts: ``(N,)`` how many rows have these labels; None for one each.

    Returns:
        By name of the conditional; and of the extra towers that stand for the last stage given the
        first, or for its absence.
    """
    mass = torch.ones(len(stages), dtype=torch.float64) if counts is None else counts.double()
    happened = dict(zip(funnel.names, stages.bool().unbind(1), strict=True))
    rates = {}
    for conditional in funnel.conditionals:
        stage = next(stage for stage in funnel.stages if stage.name == conditional.stage)
        given = torch.ones(len(stages), dtype=torch.bool)
        if stage.after is not None:
            given = given & happened[stage.after]
        if conditional.given == OTHER:
            for mediator in stage.via:
                given = given & ~happened[mediator]
        elif conditional.given is not None:
            given = given & happened[conditional.given]
        rates[conditional.name] = _rate(happened[stage.name], given, mass)
    converted = _rate(happened[funnel.last], happened[funnel.first], mass)
    rates |= dict.fromkeys(_LIKE_CONVERSION, converted)
    return rates | dict.fromkeys(_UNLIKE_CONVERSION, 1 - converted)


def quantity_rates(
    funnel: Funnel, stages: Tensor, counts: Tensor | None = None
) -> dict[str, float]:
    """How often there is a click, a conversion given one, and both; shrunk likewise.

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


def _rate(happened: Tensor, given: Tensor, mass: Tensor) -> float:
    return (float(mass[happened & given].sum()) + 0.5) / (float(mass[given].sum()) + 1)
