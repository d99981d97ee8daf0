"""`mtl-seq study`."""

import math
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.table import Table

from mtl_seq.cli.console import console, note, plain_table, print_json
from mtl_seq.cli.options import Json, Quiet, Scenario, Seed, Set, simulator
from mtl_seq.errors import ArtifactError
from mtl_seq.experiments import study_estimators
from mtl_seq.report import EstimatorStudy
from mtl_seq.report.compute.inputs import versions

__all__ = ["study"]

study = typer.Typer(add_completion=False)


@study.callback()
def _group() -> None:
    """Study methods on simulated data, whose truth is known.

    Example: [bold]mtl-seq study estimators --scenario dense --out study/[/bold]
    """


@study.command()
def estimators(
    out: Annotated[Path, typer.Option(help="Folder to write estimators.json and .png to.")],
    scenario: Scenario = "dense",
    rows: Annotated[
        int, typer.Option(help="Impressions whose clicks are redrawn.", min=1)
    ] = 200_000,
    fit_rows: Annotated[
        int, typer.Option(help="Impressions to fit the propensity model to.", min=1)
    ] = 200_000,
    replicates: Annotated[int, typer.Option(help="Redraws of the clicks.", min=2)] = 200,
    floor: Annotated[
        list[float] | None,
        typer.Option(help="Floor of the clipped propensity; repeatable; default: 0.1."),
    ] = None,
    set_: Set = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Bias and variance of naive, IPS, SNIPS, direct and DR estimates over redrawn clicks.

    Example: [bold]mtl-seq study estimators --scenario dense --replicates 200 --out study/[/bold]
    """
    if out.exists() and not out.is_dir():
        raise ArtifactError(f"`--out` must be a folder, found the file {out}")
    chosen, name = simulator(scenario, set_, seed)
    result = study_estimators(
        chosen,
        rows=rows,
        fit_rows=fit_rows,
        replicates=replicates,
        floors=floor or [0.1],
        seed=seed,
        progress=not quiet,
        metadata={"scenario": name, "versions": versions()},
    )
    result.to_json(out / "estimators.json")
    result.plot(out / "estimators.png")
    if json:
        print_json(result.to_dict())
    elif not quiet:
        _print(result)
    note(f"written: {out / 'estimators.json'}, {out / 'estimators.png'}", quiet=quiet)


def _print(result: EstimatorStudy) -> None:
    metadata = result.metadata
    output = console()
    output.print()
    for estimand, rows in result.table.groupby("estimand", sort=False):
        truth = rows["truth"].iloc[0]
        output.print(
            f"{estimand} over all impressions: {truth:.4f}; values in percent of it",
            style="bold",
            highlight=False,
        )
        output.print(_table(rows))
    for reason in sorted(set(result.table["reason"].dropna())):
        output.print(f"n/a: {reason}", style="dim", highlight=False)
    output.print(
        f"{metadata['redraws']:,} redraws of {metadata['impressions']:,} impressions of "
        f"{metadata['scenario']!r}: CTR {metadata['CTR']:.1%}, CVR {metadata['CVR']:.1%}, on "
        f"clicks {metadata['CVR on clicks']:.1%}. Bias ± its Monte Carlo standard error.",
        style="dim",
        highlight=False,
    )


def _table(rows: pd.DataFrame) -> Table:
    numbers = ("bias", "bias by\nformula", "sd", "RMSE")
    table = plain_table("estimator", "propensity", "imputed CVR", numbers=numbers)
    last = ""
    for row in rows.itertuples():
        table.add_row(
            "" if row.estimator == last else row.estimator,
            row.propensity,
            row.imputation,
            f"{_share(row.bias, row.truth, '+')} ±{_share(row.mc_error, row.truth)}",
            _share(row.analytic_bias, row.truth, "+"),
            _share(row.sd, row.truth),
            _share(row.rmse, row.truth),
        )
        last = row.estimator
    return table


def _share(value: float, truth: float, sign: str = "") -> str:
    # Adding 0 turns a negative zero into a positive one.
    return "n/a" if math.isnan(value) else f"{round(100 * value / truth, 2) + 0.0:{sign}.2f}"
