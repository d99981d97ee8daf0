"""`mtl-seq evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mtl_seq.cli.console import print_report
from mtl_seq.cli.options import Json, Quiet, SchemaFile, Seed
from mtl_seq.data import read_frame, truth_from_frame
from mtl_seq.errors import DataError
from mtl_seq.report import BiasReport
from mtl_seq.report.html import write_report
from mtl_seq.schema import Schema

__all__ = ["evaluate"]


def evaluate(
    log: Annotated[Path, typer.Argument(help="Parquet file of impressions with labels.")],
    scores: Annotated[
        list[str], typer.Argument(metavar="NAME=FILE...", help="Predictions by name of the model.")
    ],
    schema: SchemaFile,
    out: Annotated[Path, typer.Option(help="Folder to write the report to.")],
    truth: Annotated[
        Path | None, typer.Option(help="truth.parquet of `simulate`, where there is one.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[MODEL.]QUANTITY=COLUMN",
            help="Where pctr, pcvr or pctcvr has another name; repeatable.",
        ),
    ] = None,
    row_id: Annotated[
        str | None,
        typer.Option(help="Column of log and predictions that names a row; default: the index."),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(help="A column of the log to part rows by; repeatable.")
    ] = None,
    random: Annotated[
        str | None,
        typer.Option(help="Column of the log that is 1 where the impression was shown at random."),
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="Model to hold the others against; default: multitask.")
    ] = None,
    naive: Annotated[str, typer.Option(help="Model at the far end of the gap.")] = "click_space",
    oracle: Annotated[str, typer.Option(help="Model at its near end.")] = "oracle",
    checkpoint_rule: Annotated[
        str | None, typer.Option(help="How checkpoints were picked; printed in the report.")
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
    named = [_named(text) for text in scores]
    if len(dict(named)) < len(named):
        raise DataError(f"models must have different names, found {', '.join(scores)}")
    roles = Schema.from_json(schema)
    older = None if compare is None else BiasReport.from_json(compare)
    frame = read_frame(log)
    settings: dict[str, Any] = {
        "schema": roles,
        "columns": _columns(column or [], dict(named)),
        "row_id": row_id,
        "by": by or (),
        "control": control,
        "checkpoint_rule": checkpoint_rule,
        "facts": {"log": log.name},
        "replicates": replicates,
        "seed": seed,
    }
    if truth is None:
        report = BiasReport.from_log(dict(named), frame, random=random, **settings)
    elif random is not None:
        raise DataError("`--random` is for a log without a truth: leave out one of the two")
    else:
        known = truth_from_frame(read_frame(truth))
        report = BiasReport.against_truth(
            dict(named), frame, known, naive=naive, oracle=oracle, **settings
        )
    if older is not None:
        report = report.compared_to(older)
    print_report(report, write_report(report, out), quiet=quiet, as_json=json)


def _named(text: str) -> tuple[str, str]:
    name, sign, file = text.partition("=")
    if not sign or not name or not file:
        raise DataError(f"predictions must read NAME=FILE, found {text!r}: esmm={text}")
    return name, file


def _columns(given: list[str], models: dict[str, str]) -> dict[str, dict[str, str]]:
    """``["pcvr=a", "lightgbm.pcvr=b"]`` by model and quantity; those of one model go first."""
    found: dict[str, dict[str, str]] = {name: {} for name in models}
    for text in sorted(given, key=lambda one: "." in one.partition("=")[0]):
        at, sign, column = text.partition("=")
        model, dot, quantity = at.rpartition(".")
        if not sign or not column:
            raise DataError(f"`--column` must read [MODEL.]QUANTITY=COLUMN, found {text!r}")
        if dot and model not in models:
            raise DataError(f"`--column` must name models {list(models)}, found {model!r}")
        for name in [model] if dot else models:
            found[name][quantity] = column
    return found
