"""Options that several commands share, and what their values mean."""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mtl_seq import nn
from mtl_seq.comparison import MODELS
from mtl_seq.errors import CompositionError, SimulationError
from mtl_seq.models import Builder
from mtl_seq.nn import BottomFactory
from mtl_seq.simulate import scenarios

__all__ = ["BOTTOMS", "Bottom", "Json", "Quiet", "Seed", "Set", "builder", "knobs"]


class Bottom(StrEnum):
    """Bottoms by name."""

    MMOE = "mmoe"
    SHARED = "shared"
    SINGLE = "single"


BOTTOMS: dict[Bottom, BottomFactory] = {
    Bottom.MMOE: nn.MMoE,
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
Scenario = Annotated[str, typer.Option(help=f"Named world: {SCENARIOS}.")]
SchemaFile = Annotated[
    Path, typer.Option("--schema", help="JSON file with the roles of the columns.")
]


def builder(name: str) -> Builder:
    """A named model.

    Raises:
        CompositionError: No such model.
    """
    if name not in MODELS:
        raise CompositionError(f"no model {name!r}: known are {', '.join(MODELS)}")
    return MODELS[name]


def knobs(assignments: list[str] | None) -> dict[str, Any]:
    """``["rho=0.4"]`` as ``{"rho": 0.4}``; values are written as in TOML.

    Raises:
        SimulationError: No such form.
    """
    found: dict[str, Any] = {}
    for text in assignments or []:
        name, sign, value = text.partition("=")
        try:
            found[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError as error:
            raise SimulationError(f"`--set` must read KNOB=VALUE, found {text!r}") from error
        if not sign or not name.strip():
            raise SimulationError(f"`--set` must read KNOB=VALUE, found {text!r}")
    return found
