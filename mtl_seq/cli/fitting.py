"""Options of a fit beyond the model: how its tasks are balanced, how its pCVR is calibrated."""

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from mtl_seq.errors import CompositionError
from mtl_seq.fit import DWA, BalanceFactory, GradNorm, JacobianDescent, Uncertainty
from mtl_seq.models import CalibrationConfig

__all__ = [
    *("BalanceName", "CalibrateMethod", "CalibrateWeighted", "Method"),
    *("balance_named", "calibrate_as"),
]

# A log that is passed once has one epoch, in which DWA by epochs would weigh nothing.
_DWA_STEPS = 100
_OWN: dict[str, BalanceFactory] = {
    "uncertainty": Uncertainty,
    "dwa": partial(DWA, steps=_DWA_STEPS),
    "gradnorm": GradNorm,
}
# What an aggregator has no default for, as its paper has it.
_SETTINGS = {"CAGrad": {"c": 0.4}}


class Method(StrEnum):
    """Methods of calibration by name."""

    SHIFT = "shift"
    PLATT = "platt"
    ISOTONIC = "isotonic"


CalibrateMethod = Annotated[
    Method | None,
    typer.Option("--calibrate", help="Calibrate pCVR on clicked validation rows after training."),
]
CalibrateWeighted = Annotated[
    bool | None,
    typer.Option(
        "--calibrate-weighted/--calibrate-plain",
        help="Whether those clicks count by inverse propensity; by default where a model debiases.",
    ),
]
BalanceName = Annotated[
    str | None,
    typer.Option(
        "--balance",
        metavar="NAME",
        help=f"Balance the losses: uncertainty, dwa (periods of {_DWA_STEPS} steps), gradnorm, or "
        "an aggregator of TorchJD such as PCGrad, CAGrad, GradVac, NashMTL, UPGrad.",
    ),
]


def calibrate_as(method: Method | None, weighted: bool | None) -> CalibrationConfig | None:
    """The calibration that was asked for; None for none.

    Raises:
        CompositionError: Weights for a calibration that was not asked for.
    """
    if method is None:
        if weighted is not None:
            raise CompositionError(
                "`--calibrate-weighted` and `--calibrate-plain` say how to calibrate, but "
                "`--calibrate` was not given: add `--calibrate shift`"
            )
        return None
    return CalibrationConfig(method.value, weighted)


def balance_named(name: str | None) -> BalanceFactory | None:
    """A balance by its name; None for none.

    Raises:
        CompositionError: No such balance, or one whose libraries are not installed.
    """
    if name is None or name in _OWN:
        return None if name is None else _OWN[name]
    factory = partial(JacobianDescent, aggregator=name, settings=_SETTINGS.get(name, {}))
    try:
        # Before anything is read or trained.
        factory(("one", "other"))
    except CompositionError as error:
        raise CompositionError(
            f"`--balance` must be one of {', '.join(_OWN)} or an aggregator: {error}"
        ) from error
    return factory
