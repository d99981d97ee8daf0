"""Options shared by several commands, and the meaning of their values."""

import tomllib
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mtl_seq import nn
from mtl_seq.errors import CompositionError, DataError, SimulationError
from mtl_seq.experiments import ALL, BUILDERS
from mtl_seq.fit.config import FitConfig, builder_name
from mtl_seq.models import Builder
from mtl_seq.nn import BottomFactory
from mtl_seq.simulate import Simulator, scenario, scenarios

__all__ = [
    *("BOTTOMS", "BUILDERS", "DEFAULT_MODEL", "Bottom", "BottomName", "Column", "Epochs", "Json"),
    *("ModelName", "Quiet", "RowId", "Scenario", "SchemaFile", "Seed", "Set"),
    *("builder", "builders", "predictions", "simulator"),
]


Bottom = Literal["mmoe", "omoe", "cgc", "ple", "shared", "single"]
BOTTOMS: dict[Bottom, BottomFactory] = {
    "mmoe": nn.MMoE,
    "omoe": nn.OMoE,
    "cgc": nn.CGC,
    "ple": nn.PLE,
    "shared": nn.SharedBottom,
    "single": nn.SingleTask,
}

DEFAULT_MODEL = builder_name(FitConfig.model)
SCENARIOS = ", ".join(scenarios())

ModelName = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"{', '.join(BUILDERS)}. Compare `targeted`, the default, with "
        "`multitask`, the control; see docs/choosing.md.",
    ),
]
BottomName = Annotated[
    Bottom | None,
    typer.Option(metavar="NAME", help=f"{', '.join(BOTTOMS)}; default: that of the model."),
]
Epochs = Annotated[
    int | None,
    typer.Option(help="Largest number of epochs; default: one, on small logs more.", min=1),
]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0)]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print no progress and no table.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PARAM=VALUE", help="Set a parameter of the scenario; repeatable."
    ),
]
Scenario = Annotated[
    str,
    typer.Option(metavar="NAME|FILE.toml", help=f"A TOML file, or one of {SCENARIOS}."),
]
SchemaFile = Annotated[
    Path, typer.Option("--schema", help="JSON file of the schema: the roles of the columns.")
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[MODEL.]QUANTITY=COLUMN",
        help="Name of the column of pctr, pcvr or pctcvr; repeatable.",
    ),
]
RowId = Annotated[
    str | None,
    typer.Option(help="Column of log and predictions that identifies a row; default: the index."),
]


def builder(name: str, bottom: Bottom | None = None) -> Builder:
    """The builder of a named model, with a bottom or with its own."""
    if name not in BUILDERS:
        raise CompositionError(f"`--model` must be one of {', '.join(BUILDERS)}, found {name!r}")
    build = BUILDERS[name]
    return build if bottom is None else partial(build, bottom=BOTTOMS[bottom])


def builders(names: str) -> dict[str, Builder]:
    """The builders of named models, separated by commas; ``all`` is `experiments.ALL`."""
    if names.strip() == "all":
        return dict(ALL)
    return {name: builder(name) for name in map(str.strip, names.split(",")) if name}


def simulator(name: str, assignments: list[str] | None, seed: int) -> tuple[Simulator, str]:
    """The simulator of a scenario, and its name with the parameters that were set."""
    changed = _parameters(assignments)
    text = ", ".join(f"{parameter}={value}" for parameter, value in changed.items())
    chosen = scenario(name, **{"seed": seed, **changed})
    return chosen, f"{name} with {text}" if text else name


def _parameters(assignments: list[str] | None) -> dict[str, Any]:
    """Parse ``["rho=0.4"]`` into ``{"rho": 0.4}``; values are TOML."""
    parsed: dict[str, Any] = {}
    for text in assignments or []:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise SimulationError(f"`--set` must have the form PARAM=VALUE, found {text!r}")
        try:
            parsed[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError as error:
            raise SimulationError(
                f"the value of `--set` must be TOML, such as 0.5 or "
                f'{{ conversion = ["user_id"] }}, found {value!r} in {text!r}'
            ) from error
    return parsed


def predictions(
    scores: list[str], columns: list[str] | None
) -> tuple[dict[str, Path], dict[str, dict[str, str]]]:
    """The files of predictions, and the names of their columns, by model.

    Parses ``["esmm=s.parquet"]`` and ``["pcvr=a", "lightgbm.pcvr=b"]``, in which a column of one
    model has precedence.
    """
    files: dict[str, Path] = {}
    for text in scores:
        name, sign, file = text.partition("=")
        if not sign or not name or not file:
            raise DataError(
                f"predictions must have the form NAME=FILE, found {text!r}: esmm={text}"
            )
        if name in files:
            raise DataError(f"models must have different names, found {name!r} twice")
        files[name] = Path(file)
    models = list(files)
    names: dict[str, dict[str, str]] = {name: {} for name in models}
    for text in sorted(columns or [], key=lambda one: "." in one.partition("=")[0]):
        at, sign, column = text.partition("=")
        model, dot, quantity = at.rpartition(".")
        if not sign or not column:
            raise DataError(
                f"`--column` must have the form [MODEL.]QUANTITY=COLUMN, found {text!r}"
            )
        if dot and model not in models:
            raise DataError(f"`--column` must name one of the models {models}, found {model!r}")
        for name in [model] if dot else models:
            names[name][quantity] = column
    return files, names
