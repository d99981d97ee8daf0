"""`mtl-seq sensitivity`."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from mtl_seq.cli.console import console, note, plain_table, print_json
from mtl_seq.cli.options import Column, Json, Quiet, RowId, SchemaFile, Seed, predictions
from mtl_seq.data import read_frame
from mtl_seq.errors import DataError
from mtl_seq.report.compute.inputs import read_labels
from mtl_seq.report.compute.predictions import check_scores
from mtl_seq.report.compute.sensitivity import Sensitivity
from mtl_seq.report.compute.sensitivity import sensitivity as curve_of
from mtl_seq.schema import Schema

__all__ = ["sensitivity"]


def sensitivity(
    log: Annotated[Path, typer.Argument(help="Parquet file, or folder of them, with labels.")],
    scores: Annotated[
        list[str], typer.Argument(metavar="NAME=FILE...", help="Predictions of each model.")
    ],
    schema: SchemaFile,
    base: Annotated[
        str | None,
        typer.Option(help="Model whose pCTR and pCTCVR give the curve; default: the first."),
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="Model to compare the others with; default: the first.")
    ] = None,
    bias: Annotated[
        float, typer.Option(help="Tolerated relative bias, in (0, 1).", show_default=True)
    ] = 0.1,
    column: Column = None,
    row_id: RowId = None,
    out: Annotated[Path | None, typer.Option(help="PNG file to write the curve to.")] = None,
    seed: Seed = 0,  # noqa: ARG001  # every command takes it; nothing is random here
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Sensitivity of the mean CVR over all impressions to hidden confounding.

    Example: [bold]mtl-seq sensitivity log.parquet esmm=s.parquet --schema schema.json[/bold]
    """
    if not 0 < bias < 1:
        raise DataError(f"`--bias` must lie in (0, 1), found {bias}")
    frame = read_frame(log)
    click, conversion = read_labels(Schema.from_json(schema), frame)
    files, columns = predictions(scores, column)
    first = next(iter(files))
    chosen = {"base": base or first, "control": control or first}
    for option, name in chosen.items():
        if name not in files:
            raise DataError(f"`--{option}` must be one of {', '.join(files)}, found {name!r}")
    checked = check_scores(files, frame, columns=columns, row_id=row_id)
    scored = checked[chosen["base"]]
    curve = curve_of(chosen["base"], scored, checked, chosen["control"], tolerated=bias)
    if curve.reason is not None:
        raise DataError(curve.reason)
    if out is not None:
        _plot(curve, out)
    identified = {
        "ctr": float(click.mean()),
        "mean_pctr": float(scored.pctr.mean()),
        "ctcvr": float(conversion.mean()),
        "mean_pctcvr": float(scored.pctcvr.mean()),
    }
    if json:
        print_json(_content(curve, identified, bias))
    elif not quiet:
        _print(curve, identified, bias)
    if out is not None:
        note(f"written: {out}", quiet=quiet)


def _plot(curve: Sensitivity, out: Path) -> None:
    from mtl_seq.report.render.plot_bias import save
    from mtl_seq.report.render.plot_curves import sensitivity_figure

    title = f"Mean CVR over all impressions, from pCTR and pCTCVR of {curve.base}"
    save(sensitivity_figure(curve, title=title), out)


def _content(curve: Sensitivity, identified: dict[str, float], bias: float) -> dict[str, Any]:
    table = curve.models.astype(object)
    return {
        "space": "all",
        "base": curve.base,
        "control": curve.control,
        "tolerated_bias": bias,
        "identified": identified,
        "psi": curve.psi.tolist(),
        "mean_cvr": curve.mean.tolist(),
        "ranges": {f"{gamma:g}": list(ends) for gamma, ends in curve.ranges.items()},
        "worst_case": list(curve.worst),
        "models": table.where(table.notna(), None).to_dict("records"),
    }


def _print(curve: Sensitivity, identified: dict[str, float], bias: float) -> None:
    output = console()
    lines = [
        "",
        "psi is the odds ratio of click and potential conversion given the features: 1 without "
        "hidden confounding, above 1 if clicked impressions are likelier to convert than others "
        "with the same features. A log does not identify it.",
        "",
        f"Mean CVR over all impressions, from pCTR and pCTCVR of {curve.base} (mean pCTR "
        f"{identified['mean_pctr']:.2%}, observed CTR {identified['ctr']:.2%}; mean pCTCVR "
        f"{identified['mean_pctcvr']:.3%}, observed CTCVR {identified['ctcvr']:.3%}):",
    ]
    for line in lines:
        output.print(line, highlight=False)
    output.print(_ranges(curve))
    output.print(_models(curve, bias))


def _ranges(curve: Sensitivity) -> Table:
    table = plain_table()
    for name in ("assumed", "from", "to"):
        table.add_column(name)
    for gamma, (low, high) in curve.ranges.items():
        table.add_row(f"psi within 1/{gamma:g} and {gamma:g}", f"{low:.2%}", f"{high:.2%}")
    low, high = curve.worst
    table.add_row("nothing (worst case)", f"{low:.2%}", f"{high:.2%}")
    return table


def _models(curve: Sensitivity, bias: float) -> Table:
    table = plain_table("model")
    for name in (
        "mean\npCVR",
        "unbiased at\npsi",
        f"bias at most {bias:.0%}\nfor psi",
        f"bias equals\n{curve.control} at psi",
    ):
        table.add_column(name, justify="right")
    for row in curve.models.itertuples():
        tie = "" if row.model == curve.control else _shown(row.psi_tie)
        span = f"{_shown(row.psi_low)} to {_shown(row.psi_high)}"
        table.add_row(row.model, f"{row.mean_pcvr:.2%}", _shown(row.psi_unbiased), span, tie)
    return table


def _shown(psi: float) -> str:
    return "none" if math.isnan(psi) else f"{psi:.3g}"
