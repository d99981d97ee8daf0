"""`mtl-seq tune`."""

from pathlib import Path
from typing import Annotated

import typer

from mtl_seq.cli.console import console, note, plain_table, print_json
from mtl_seq.cli.options import (
    DEFAULT_MODEL,
    BottomName,
    Epochs,
    Json,
    ModelName,
    Quiet,
    SchemaFile,
    Seed,
    builder,
)
from mtl_seq.schema import Schema
from mtl_seq.tune import Estimate, Tuned
from mtl_seq.tune import tune as search
from mtl_seq.tune.objective import OBJECTIVES
from mtl_seq.tune.result import values_text

__all__ = ["tune"]


def tune(
    log: Annotated[Path, typer.Argument(help="Parquet file, or folder of them, with labels.")],
    schema: SchemaFile,
    out: Annotated[Path, typer.Option(help="Folder of the study; an existing study is resumed.")],
    model: ModelName = DEFAULT_MODEL,
    bottom: BottomName = None,
    trials: Annotated[
        int, typer.Option(help="Number of trials, those of earlier calls included.", min=1)
    ] = 20,
    estimate: Annotated[
        Estimate, typer.Option(help="Estimator of the log loss over all impressions.")
    ] = "dr",
    validation: Annotated[float, typer.Option(help="Share of the rows to evaluate on.")] = 0.2,
    epochs: Epochs = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Tune hyper-parameters by the estimated log loss of pCVR over all impressions.

    Metrics on clicks alone are not used, since they prefer models that are right on clicks only.

    Example: [bold]mtl-seq tune log.parquet --schema schema.json --trials 40 --out tuned/[/bold]
    """
    tuned = search(
        builder(model, bottom),
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
                "value": tuned.value,
                "default": tuned.default,
                "best": _best(tuned),
                "trials": len(tuned.trials),
                "command": command,
            }
        )
    elif not quiet:
        _print(tuned, command)


def _best(tuned: Tuned) -> dict[str, object]:
    """The parameters of the best trial; empty if no trial beat the defaults."""
    if tuned.value >= tuned.default:
        return {}
    row = tuned.trials.loc[tuned.trials["value"].idxmin()]
    return {name: value for name, value in row.to_dict().items() if name != "value"}


def _print(tuned: Tuned, command: str) -> None:
    output = console()
    output.print(
        f"\n{OBJECTIVES[tuned.estimate]}, on held-out rows, in nats", style="bold", highlight=False
    )
    table = plain_table("", numbers=["loss"])
    table.add_column("settings")
    table.add_row("defaults", f"{tuned.default:.5f}", "")
    text = values_text(_best(tuned))
    table.add_row("best", f"{tuned.value:.5f}", text or "the defaults: no trial beat them")
    output.print(table)
    output.print(
        "On the rows it was chosen on, the best of many trials looks better than it is.",
        style="dim",
        highlight=False,
    )
    output.print(command, highlight=False, soft_wrap=True)
