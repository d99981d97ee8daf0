"""Options that several commands share, and what their values mean."""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mtl_seq import nn
from mtl_seq.errors import CompositionError, DataError, SimulationError
from mtl_seq.experiments import ALL, BUILDERS
from mtl_seq.models import Builder
from mtl_seq.nn import BottomFactory
from mtl_seq.simulate import scenarios

__all__ = [
    *("BOTTOMS", "BUILDERS", "Bottom", "Column", "Json", "Quiet", "RowId", "Seed", "Set"),
    *("builder", "builders", "parameters", "prediction_columns", "prediction_files"),
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
    typer.Option(
        "--set", metavar="KNOB=VALUE", help="Set a parameter of the scenario; repeatable."
    ),
]
Scenario = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE.toml", help=f"Named scenario, or a file of your own: {SCENARIOS}."
    ),
]
SchemaFile = Annotated[
    Path, typer.Option("--schema", help="JSON file with the roles of the columns.")
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[MODEL.]QUANTITY=COLUMN",
        help="Where pctr, pcvr or pctcvr has another name; repeatable.",
    ),
]
RowId = Annotated[
    str | None,
    typer.Option(help="Column of log and predictions that names a row; default: the index."),
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


def parameters(assignments: list[str] | None) -> dict[str, Any]:
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


def prediction_files(assignments: list[str]) -> dict[str, Path]:
    """``["esmm=s.parquet"]`` as ``{"esmm": Path("s.parquet")}``.

    Raises:
        DataError: No such form, or two models of one name.
    """
    found: dict[str, Path] = {}
    for text in assignments:
        name, sign, file = text.partition("=")
        if not sign or not name or not file:
            raise DataError(f"predictions must read NAME=FILE, found {text!r}: esmm={text}")
        if name in found:
            raise DataError(f"models must have different names, found {name!r} twice")
        found[name] = Path(file)
    return found


def prediction_columns(
    assignments: list[str] | None, models: list[str]
) -> dict[str, dict[str, str]]:
    """``["pcvr=a", "lightgbm.pcvr=b"]`` by model and quantity; those of one model go first.

    Raises:
        DataError: No such form, or no such model.
    """
    found: dict[str, dict[str, str]] = {name: {} for name in models}
    for text in sorted(assignments or [], key=lambda one: "." in one.partition("=")[0]):
        at, sign, column = text.partition("=")
        model, dot, quantity = at.rpartition(".")
        if not sign or not column:
            raise DataError(f"`--column` must read [MODEL.]QUANTITY=COLUMN, found {text!r}")
        if dot and model not in models:
            raise DataError(f"`--column` must name models {models}, found {model!r}")
        for name in [model] if dot else models:
            found[name][quantity] = column
    return found
