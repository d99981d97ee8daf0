"""`mtl-seq inspect`."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from mtl_seq.cli.console import console, note, plain_table, print_json
from mtl_seq.cli.options import Json, Quiet, Seed
from mtl_seq.data import read_frame
from mtl_seq.errors import SchemaError
from mtl_seq.fit import FunnelEstimator, expert_gates
from mtl_seq.report.expert_gates import gate_summary, gate_warnings, plot_gates

__all__ = ["inspect"]


def inspect(
    model: Annotated[Path, typer.Argument(help="Folder of a fitted model with experts.")],
    log: Annotated[
        Path, typer.Argument(help="Parquet file, or folder of them; labels are optional.")
    ],
    out: Annotated[Path | None, typer.Option(help="PNG file to write a heat map to.")] = None,
    by: Annotated[str | None, typer.Option(help="Column of the log to segment rows by.")] = None,
    seed: Seed = 0,  # noqa: ARG001  # every command takes it; nothing is random here
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Show how much each tower of a model uses each expert, and warn of dead experts.

    Example: [bold]mtl-seq inspect model/ simulated/log.parquet --out gates.png[/bold]
    """
    frame = read_frame(log)
    if by is not None and by not in frame.columns:
        raise SchemaError(f"`--by` must name a column of the log, found {by!r}")
    gates = expert_gates(FunnelEstimator.load(model), frame)
    summary = gate_summary(gates.towers, gates.share, None if by is None else frame[by])
    warnings = gate_warnings(summary)
    if out is not None:
        plot_gates(summary, out)
    if json:
        table = summary.reset_index().astype(object)
        rows = table.where(table.notna(), None).to_dict("records")
        print_json({"gates": rows, "warnings": warnings})
        return
    if not quiet:
        _print(summary)
    for line in warnings:
        note(f"warning: {line}", quiet=quiet)
    if out is not None:
        note(f"written: {out}", quiet=quiet)


def _print(summary: pd.DataFrame) -> None:
    heads = (str(name).replace("expert ", "expert\n") for name in summary.columns)
    table = plain_table("segment", "tower", numbers=heads)
    for (segment, tower), row in summary.iterrows():
        cells = [
            f"{int(value):,}" if name == "rows" else f"{value:.2f}" for name, value in row.items()
        ]
        table.add_row(str(segment), str(tower), *cells)
    console(120).print(table)
