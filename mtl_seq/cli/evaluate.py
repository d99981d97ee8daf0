"""`mtl-seq evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mtl_seq.cli.console import print_report
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
        list[str], typer.Argument(metavar="NAME=FILE...", help="Predictions by name of the model.")
    ],
    schema: SchemaFile,
    out: Annotated[Path, typer.Option(help="Folder to write the report to.")],
    truth: Annotated[
        Path | None, typer.Option(help="The truth that `simulate` wrote, where there is one.")
    ] = None,
    column: Column = None,
    row_id: RowId = None,
    by: Annotated[
        list[str] | None, typer.Option(help="A column of the log to part rows by; repeatable.")
    ] = None,
    random: Annotated[
        str | None,
        typer.Option(help="Column of the log that is 1 where the impression was shown at random."),
    ] = None,
    selection: Annotated[
        Path | None, typer.Option(help="What `test-selection --json` printed, to be reported too.")
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="Model to hold the others against; default: multitask.")
    ] = None,
    naive: Annotated[str, typer.Option(help="Model at the far end of the gap.")] = "click_space",
    oracle: Annotated[str, typer.Option(help="Model at its near end.")] = "oracle",
    checkpoint_rule: Annotated[
        str | None, typer.Option(help="How checkpoints were picked; else what the predictions say.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="report.json of an earlier report: show what changed.")
    ] = None,
    replicates: Annotated[int, typer.Option(help="Resamples for the intervals.", min=2)] = 200,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Report the bias of predicted CVR: against the truth, or what a log alone can show.

    Example: [bold]mtl-seq evaluate log.parquet esmm=s.parquet --schema schema.json --out r/[/bold]
    """
    named = prediction_files(scores)
    roles = Schema.from_json(schema)
    older = None if compare is None else BiasReport.from_json(compare)
    frame = read_frame(log)
    settings: dict[str, Any] = {
        "schema": roles,
        "columns": prediction_columns(column, list(named)),
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
        raise DataError(f"`{option}` is for a log without a truth: leave out one of the two")
    else:
        known = truth_of(frame, read_frame(truth))
        report = BiasReport.against_truth(
            named, frame, known, naive=naive, oracle=oracle, **settings
        )
    if older is not None:
        report = report.compared_to(older)
    print_report(report, write_report(report, out), quiet=quiet, as_json=json)
