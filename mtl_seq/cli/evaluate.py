"""`mtl-seq evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mtl_seq.cli.console import print_report
from mtl_seq.cli.options import Column, Json, Quiet, RowId, SchemaFile, Seed, predictions
from mtl_seq.data import read_frame, truth_of
from mtl_seq.errors import DataError
from mtl_seq.report import BiasReport
from mtl_seq.report.compute.selection import read_selection_test
from mtl_seq.report.render.html import write_report
from mtl_seq.schema import Schema

__all__ = ["evaluate"]


def evaluate(
    log: Annotated[Path, typer.Argument(help="Parquet file, or folder of them, with labels.")],
    scores: Annotated[
        list[str], typer.Argument(metavar="NAME=FILE...", help="Predictions of each model.")
    ],
    schema: SchemaFile,
    out: Annotated[Path, typer.Option(help="Folder to write the report to.")],
    truth: Annotated[
        Path | None, typer.Option(help="Parquet file of the truth that `simulate` wrote.")
    ] = None,
    column: Column = None,
    row_id: RowId = None,
    by: Annotated[
        list[str] | None, typer.Option(help="Column of the log to segment rows by; repeatable.")
    ] = None,
    random: Annotated[
        str | None,
        typer.Option(help="Column of the log that is 1 for randomised impressions."),
    ] = None,
    selection: Annotated[
        Path | None, typer.Option(help="JSON output of `test-confounding`, to include.")
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="Model to compare the others with; default: multitask.")
    ] = None,
    naive: Annotated[str, typer.Option(help="Model with 0% of the gap closed.")] = "click_space",
    oracle: Annotated[str, typer.Option(help="Model with 100% of the gap closed.")] = "oracle",
    checkpoint_rule: Annotated[
        str | None, typer.Option(help="How checkpoints were picked; default: read from the files.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="report.json of an earlier report to compare with.")
    ] = None,
    replicates: Annotated[
        int, typer.Option(help="Bootstrap resamples for the intervals.", min=2)
    ] = 200,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Report the bias of predicted CVR: against the truth, or as far as a log can show it.

    Example: [bold]mtl-seq evaluate log.parquet esmm=s.parquet --schema schema.json --out r/[/bold]
    """
    named, columns = predictions(scores, column)
    earlier = None if compare is None else BiasReport.from_json(compare)
    frame = read_frame(log)
    settings: dict[str, Any] = {
        "schema": Schema.from_json(schema),
        "columns": columns,
        "row_id": row_id,
        "by": by or (),
        "control": control,
        "checkpoint_rule": checkpoint_rule,
        "metadata": {"log": log.name},
        "replicates": replicates,
        "seed": seed,
    }
    if truth is None:
        test = None if selection is None else read_selection_test(selection)
        report = BiasReport.from_log(named, frame, random=random, selection=test, **settings)
    elif random is not None or selection is not None:
        option = "--selection" if random is None else "--random"
        raise DataError(f"`{option}` and `--truth` exclude each other: leave out one of the two")
    else:
        known = truth_of(frame, read_frame(truth))
        report = BiasReport.against_truth(
            named, frame, known, naive=naive, oracle=oracle, **settings
        )
    if earlier is not None:
        report = report.compared_to(earlier)
    print_report(report, write_report(report, out), quiet=quiet, as_json=json)
