"""Options that several commands share, and what their values mean."""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mtl_seq import nn
from mtl_seq.comparison import ALL, BUILDERS
from mtl_seq.errors import CompositionError, SimulationError
from mtl_seq.models import Builder
from mtl_seq.nn import BottomFactory
from mtl_seq.simulate import scenarios

__all__ = [
    "BOTTOMS",
    "BUILDERS",
    "Bottom",
    "Json",
    "Quiet",
    "Seed",
    "Set",
    "builder",
    "builders",
    "knobs",
]


class Bottom(StrEnum):
    """Bottoms by name."""

    MMOE = "mmoe"
    OMOE = "omoe"
    CGC = "cgc"
    PLE = "ple"
    SHARED = "shared"
    SINGLE = "single"


BOTTOMS: dict[Bottom, BottomFactory] = {
    Bottom.MMOE: nn.MMoE,
    Bottom.OMOE: nn.OMoE,
    Bottom.CGC: nn.CGC,
    Bottom.PLE: nn.PLE,
    Bottom.SHARED: nn.SharedBottom,
    Bottom.SINGLE: nn.SingleTask,
}

SCENARIOS = ", ".join(scenarios())

Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.", min=0)]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no table.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KNOB=VALUE", help="Set a knob of the scenario; repeatable."),
]
Scenario = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE.toml", help=f"Named world, or a file of your own: {SCENARIOS}."
    ),
]
SchemaFile = Annotated[
    Path, typer.Option("--schema", help="JSON file with the roles of the columns.")
]


def builder(name: str) -> Builder:
    """A named model.

    Raises:
        CompositionError: No such model.
    """
    if name not in BUILDERS:
        raise CompositionError(f"no model {name!r}: known are {', '.join(BUILDERS)}")
    return BUILDERS[name]


def builders(names: str) -> dict[str, Builder]:
    """Named models, separated by commas; ``all`` stands for every one of clicks and conversions.

    Raises:
        CompositionError: No such model.
    """
    if names.strip() == "all":
        return dict(ALL)
    return {name: builder(name) for name in map(str.strip, names.split(",")) if name}


def knobs(assignments: list[str] | None) -> dict[str, Any]:
    """``["rho=0.4"]`` as ``{"rho": 0.4}``; values are written as in TOML.

    Raises:
        SimulationError: No such form.
    """
    found: dict[str, Any] = {}
    for text in assignments or []:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise SimulationError(f"`--set` must read KNOB=VALUE, found {text!r}")
        try:
            found[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError as error:
            raise SimulationError(
                f"the value of `--set` must be written as in TOML, such as 0.5 or "
                f'{{ conversion = ["user_id"] }}, found {value!r} in {text!r}'
            ) from error
    return found
