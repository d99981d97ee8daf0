"""`mtl-seq sensitivity`."""

import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from mtl_seq.cli.console import note, print_json
from mtl_seq.cli.options import (
    Column,
    Json,
    Quiet,
    RowId,
    SchemaFile,
    Seed,
    prediction_columns,
    prediction_files,
)
from mtl_seq.data import read_frame
from mtl_seq.errors import DataError
from mtl_seq.records import Scores
from mtl_seq.report.compute.log import read_labels
from mtl_seq.report.compute.predictions import check_scores
from mtl_seq.report.compute.sensitivity import Sensitivity
from mtl_seq.report.compute.sensitivity import sensitivity as curve_of
from mtl_seq.schema import Schema

__all__ = ["sensitivity"]


def sensitivity(
    log: Annotated[Path, typer.Argument(help="Parquet file of impressions with labels.")],
    scores: Annotated[
        list[str], typer.Argument(metavar="NAME=FILE...", help="Predictions by name of the model.")
    ],
    schema: SchemaFile,
    base: Annotated[
        str | None,
        typer.Option(help="Model whose pCTR and pCTCVR make the curve; by default the first."),
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="Model to hold the others against; by default the first.")
    ] = None,
    bias: Annotated[
        float, typer.Option(help="Relative bias to tolerate, in (0, 1).", show_default=True)
    ] = 0.1,
    column: Column = None,
    row_id: RowId = None,
    out: Annotated[Path | None, typer.Option(help="PNG file of the curve to draw.")] = None,
    seed: Seed = 0,  # noqa: ARG001  # every command takes it; nothing is drawn here
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """What the mean CVR over all impressions would be if something hidden moved clicks too.

    Example: [bold]mtl-seq sensitivity log.parquet esmm=s.parquet --schema schema.json[/bold]
    """
    if not 0 < bias < 1:
        raise DataError(f"`--bias` must lie in (0, 1), found {bias}")
    frame = read_frame(log)
    click, conversion = read_labels(Schema.from_json(schema), frame)
    files = prediction_files(scores)
    first = next(iter(files))
    chosen = {"base": base or first, "control": control or first}
    for option, name in chosen.items():
        if name not in files:
            raise DataError(f"`--{option}` must be one of {', '.join(files)}, found {name!r}")
    columns = prediction_columns(column, list(files))
    predictions = check_scores(files, frame, columns=columns, row_id=row_id)
    known = predictions[chosen["base"]]
    found = curve_of(chosen["base"], known, predictions, chosen["control"], tolerated=bias)
    if found.reason is not None:
        raise DataError(found.reason)
    if out is not None:
        _draw(found, out)
    seen = _identified(known, float(click.mean()), float(conversion.mean()))
    if json:
        print_json(_content(found, seen, bias))
    elif not quiet:
        _print(found, seen, bias)
    if out is not None:
        note(f"written: {out}", quiet=quiet)


def _draw(found: Sensitivity, out: Path) -> None:
    from mtl_seq.report.render.plot_bias import save
    from mtl_seq.report.render.plot_sensitivity import curve_figure

    save(curve_figure(found), out)


def _identified(known: Scores, ctr: float, ctcvr: float) -> dict[str, float]:
    """What the log shows, beside what the curve was computed from."""
    return {
        "ctr": ctr,
        "mean_pctr": float(known.pctr.mean()),
        "ctcvr": ctcvr,
        "mean_pctcvr": float(known.pctcvr.mean()),
    }


def _content(found: Sensitivity, seen: dict[str, float], bias: float) -> dict[str, Any]:
    table = found.models.astype(object)
    return {
        "space": "all",
        "base": found.base,
        "control": found.control,
        "tolerated_bias": bias,
        "identified": seen,
        "psi": found.psi.tolist(),
        "mean_cvr": found.mean.tolist(),
        "ranges": {f"{gamma:g}": list(ends) for gamma, ends in found.ranges.items()},
        "worst_case": list(found.worst),
        "models": table.where(table.notna(), None).to_dict("records"),
    }


def _print(found: Sensitivity, seen: dict[str, float], bias: float) -> None:
    console = Console(width=None if sys.stdout.isatty() else 100)
    lines = [
        "",
        "psi is the odds ratio of click and potential conversion given the features: 1 where "
        "nothing hidden moves both, above 1 where clicks pick out those who would convert. No log "
        "can tell it.",
        "",
        f"Mean CVR over all impressions, from pCTR and pCTCVR of {found.base} (mean pCTR "
        f"{seen['mean_pctr']:.2%}, observed CTR {seen['ctr']:.2%}; mean pCTCVR "
        f"{seen['mean_pctcvr']:.3%}, observed CTCVR {seen['ctcvr']:.3%}):",
    ]
    for line in lines:
        console.print(line, highlight=False)
    console.print(_ranges(found))
    console.print(_models(found, bias))


def _ranges(found: Sensitivity) -> Table:
    table = Table("assumed", "from", "to", box=box.SIMPLE_HEAD, pad_edge=False)
    for gamma, (low, high) in found.ranges.items():
        table.add_row(f"psi within 1/{gamma:g} and {gamma:g}", f"{low:.2%}", f"{high:.2%}")
    low, high = found.worst
    table.add_row("nothing (worst case)", f"{low:.2%}", f"{high:.2%}")
    return table


def _models(found: Sensitivity, bias: float) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for name in (
        "mean\npCVR",
        "right at\npsi",
        f"off by at most {bias:.0%}\nfor psi",
        f"as far off as\n{found.control} at psi",
    ):
        table.add_column(name, justify="right")
    for row in found.models.itertuples():
        tie = "" if row.model == found.control else _shown(row.psi_tie)
        span = f"{_shown(row.psi_low)} to {_shown(row.psi_high)}"
        table.add_row(row.model, f"{row.mean_pcvr:.2%}", _shown(row.psi_unbiased), span, tie)
    return table


def _shown(psi: float) -> str:
    return "none" if math.isnan(psi) else f"{psi:.3g}"
