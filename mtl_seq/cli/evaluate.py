"""`mtl-seq evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from mtl_seq.cli.console import print_report
from mtl_seq.cli.options import Json, Quiet, SchemaFile, Seed
from mtl_seq.comparison import versions
from mtl_seq.data import read_frame, truth_of
from mtl_seq.errors import DataError
from mtl_seq.report import BiasReport
from mtl_seq.report.html import write_report
from mtl_seq.schema import Schema

__all__ = ["evaluate"]


def evaluate(
    log: Annotated[Path, typer.Argument(help="Parquet file, or folder of them, with labels.")],
    scores: Annotated[
        list[str], typer.Argument(metavar="NAME=FILE...", help="Predictions by name of the model.")
    ],
    schema: SchemaFile,
    out: Annotated[Path, typer.Option(help="Folder to write the report to.")],
    truth: Annotated[
        Path | None, typer.Option(help="The truth that `simulate` wrote, where there is one.")
    ] = None,
    replicates: Annotated[int, typer.Option(help="Resamples for the intervals.", min=2)] = 200,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Report the bias of predicted CVR: against the truth, or what a log alone can show.

    Example: [bold]mtl-seq evaluate log.parquet esmm=s.parquet --schema schema.json --out r/[/bold]
    """
    roles = Schema.from_json(schema)
    frame = read_frame(log)
    named = {name: read_frame(file) for name, file in map(_named, scores)}
    if len(named) < len(scores):
        raise DataError(f"models must have different names, found {', '.join(scores)}")
    facts = {"log": log.name, "versions": versions()}
    report = (
        BiasReport.from_log(
            named, frame, schema=roles, facts=facts, replicates=replicates, seed=seed
        )
        if truth is None
        else BiasReport.against_truth(
            named,
            frame,
            truth_of(frame, read_frame(truth)),
            schema=roles,
            facts=facts,
            replicates=replicates,
            seed=seed,
        )
    )
    print_report(report, write_report(report, out), quiet=quiet, as_json=json)


def _named(text: str) -> tuple[str, str]:
    name, sign, file = text.partition("=")
    if not sign or not name or not file:
        raise DataError(f"predictions must read NAME=FILE, found {text!r}: esmm={text}")
    return name, file
