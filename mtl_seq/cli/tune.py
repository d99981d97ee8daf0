"""`mtl-seq tune`."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from mtl_seq.cli.console import note, print_json
from mtl_seq.cli.options import BOTTOMS, Bottom, Json, Quiet, SchemaFile, Seed, builder
from mtl_seq.experiments.compare import BUILDERS
from mtl_seq.schema import Schema
from mtl_seq.tune.objective import OBJECTIVES, Estimate
from mtl_seq.tune.result import Tuned
from mtl_seq.tune.search import tune as search

__all__ = ["tune"]


def tune(
    log: Annotated[Path, typer.Argument(help="Parquet file, or folder of them, with labels.")],
    schema: SchemaFile,
    out: Annotated[Path, typer.Option(help="Folder of the study; an older one is gone on with.")],
    model: Annotated[str, typer.Option(help=f"One of {', '.join(BUILDERS)}.")] = "esmm",
    bottom: Annotated[
        Bottom | None, typer.Option(help="What the towers share; by default the model's own.")
    ] = None,
    trials: Annotated[
        int, typer.Option(help="Fits in all, those of earlier calls included.", min=1)
    ] = 20,
    estimate: Annotated[
        Estimate, typer.Option(help="How the log loss off the clicks is estimated.")
    ] = "dr",
    validation: Annotated[float, typer.Option(help="Share of the rows to measure on.")] = 0.2,
    epochs: Annotated[
        int | None, typer.Option(help="Passes at most; by default one, on small logs more.", min=1)
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Search hyper-parameters by the estimated log loss of pCVR over all impressions.

    Never by a figure on clicks alone, which would choose models that are right on clicks.

    Example: [bold]mtl-seq tune simulated/log.parquet --schema simulated/schema.json --out tuned/[/bold]
    """
    chosen = builder(model) if bottom is None else partial(builder(model), bottom=BOTTOMS[bottom])
    found = search(
        chosen,
        Schema.from_json(schema),
        log,
        out,
        trials=trials,
        estimate=estimate,
        validation=validation,
        epochs=epochs,
        seed=seed,
        callback=lambda line: note(line, quiet=quiet),
    )
    best = out / "best.json"
    command = f"mtl-seq fit {log} --schema {schema} --settings {best} --out model/"
    if json:
        print_json(
            {
                "objective": OBJECTIVES[estimate],
                "space": "all impressions of the held-out rows",
                "value": found.value,
                "default": found.default,
                "best": _best(found),
                "trials": len(found.trials),
                "command": command,
            }
        )
    elif not quiet:
        _print(found, command)


def _best(found: Tuned) -> dict[str, object]:
    """What the best trial tried; nothing where none beat the defaults."""
    if found.value >= found.default:
        return {}
    row = found.trials.loc[found.trials["value"].idxmin()]
    return {name: value for name, value in row.to_dict().items() if name != "value"}


def _print(found: Tuned, command: str) -> None:
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(
        f"\n{OBJECTIVES[found.estimate]}, on held-out rows, in nats", style="bold", highlight=False
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, side in (("", "left"), ("loss", "right"), ("settings", "left")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    table.add_row("defaults", f"{found.default:.5f}", "")
    said = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in _best(found).items()
    )
    table.add_row("best", f"{found.value:.5f}", said or "the defaults: no trial beat them")
    console.print(table)
    console.print(
        "The least of many trials looks better on the rows it was chosen on than it is.",
        style="dim",
        highlight=False,
    )
    console.print(command, highlight=False, soft_wrap=True)
