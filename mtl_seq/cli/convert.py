"""`mtl-seq convert`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from mtl_seq.cli.console import console, note, plain_table, print_json
from mtl_seq.cli.options import Json, Quiet, Seed
from mtl_seq.data import CsvFiles, InferredSchema, Orphans, convert_csv, infer_schema, schema_file
from mtl_seq.errors import ArtifactError, DataError, SchemaError
from mtl_seq.schema import Schema

__all__ = ["convert"]

_SAMPLE = 200_000


def convert(
    log: Annotated[str, typer.Argument(help="CSV file, folder of .csv files, or glob; also .gz.")],
    out: Annotated[Path, typer.Option(help="Folder to write parquet files to.")],
    schema: Annotated[
        Path | None, typer.Option(help="JSON file of the schema; default: inferred from the data.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STAGE=COLUMN", help="Label of a stage, in the order of the funnel; repeatable."
        ),
    ] = None,
    bag: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=SEPARATOR", help="Separator of a bag's items; repeatable."),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type", metavar="COLUMN=TYPE", help="int64, float64, string or bool; repeatable."
        ),
    ] = None,
    orphans: Annotated[
        Orphans,
        typer.Option(
            help="Rows with a label but not its parent's, such as a conversion without a click: "
            "keep them (`fit` refuses them), clear the label, or drop the row."
        ),
    ] = "keep",
    separator: Annotated[str, typer.Option(help="Separator of columns.")] = ",",
    yes: Annotated[
        bool, typer.Option("--yes", help="Accept the inferred schema without asking.")
    ] = False,
    seed: Seed = 0,  # noqa: ARG001  # every command takes it; nothing is random here
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Convert CSV files of any size to parquet, with their schema in OUT.schema.json.

    Without --schema, the schema is inferred from the first rows and shown for confirmation. If you
    decline, it is written to OUT.schema.json: edit it and pass it with --schema. Values that `fit`
    refuses are reported as warnings.

    Example: [bold]mtl-seq convert log.csv --out log/ --yes[/bold]
    """
    types = _pairs(type_, "--type")
    source = CsvFiles(log, separator=separator, types=types)
    inferred, file = None, schema_file(out)
    if schema is None:
        inferred = infer_schema(source.sample(_SAMPLE), _pairs(label, "--label") or None)
        roles = inferred.schema
        if not json and not quiet:
            _print(inferred)
        if file.exists() and Schema.from_json(file) != roles:
            raise ArtifactError(
                f"{file} differs from the schema that is inferred now and would be overwritten: "
                f"use it, `--schema {file}`, or delete it"
            )
        if not yes and not _confirmed(roles, file):
            note(f"nothing was converted: edit {file} and pass it with --schema", quiet=False)
            return
        separators = inferred.separators
    else:
        roles = Schema.from_json(schema)
        separators = infer_schema(source.sample(_SAMPLE), dict(roles.labels)).separators
    separators = {**separators, **_pairs(bag, "--bag")}

    over = "\r" if sys.stderr.isatty() and not quiet else ""

    def callback(rows: int) -> None:
        if over:
            print(f"{over}{rows:,} rows", end="", file=sys.stderr)

    result = convert_csv(
        source, roles, out, separators=separators, orphans=orphans, callback=callback
    )
    for line in result.warnings:
        note(f"{over}warning: {line}", quiet=False)
    if json:
        leaks = {} if inferred is None else inferred.leaks
        content = {"out": str(out), "schema_file": str(file), **result._asdict()}
        content |= {"schema": roles.to_dict(), "leaks": leaks}
        print_json(content)
        return
    labels = ", ".join(f"{count:,} of {name}" for name, count in result.labels.items())
    note(f"{over}{result.rows:,} rows in {result.files} files: {labels}", quiet=quiet)
    for stage, count in result.orphans.items():
        done = f"{stage} set to 0 in" if orphans == "clear" else "dropped"
        parent = roles.funnel.parents()[stage]
        note(f"{stage} without {parent}: {done} {count:,} rows", quiet=quiet)
    note(f"written: {out}, and {file}", quiet=quiet)


def _confirmed(roles: Schema, file: Path) -> bool:
    """Whether the user accepts the inferred schema; if not, it is written to a file."""
    interactive = sys.stdin.isatty()
    if interactive and typer.confirm("Use this schema?", default=True, err=True):
        return True
    roles.to_json(file)
    if not interactive:
        raise SchemaError(
            "nothing was converted: without a terminal, the inferred schema cannot be confirmed; "
            f"accept it with `--yes`, or edit {file} and pass it, `--schema {file}`"
        )
    return False


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for text in texts or []:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise DataError(f"`{option}` must have the form NAME=VALUE, found {text!r}")
        pairs[name] = value
    return pairs


def _print(inferred: InferredSchema) -> None:
    table = plain_table()
    for name in ("column", "role", "why"):
        table.add_column(name, overflow="fold")
    further = {inferred.schema.group: "id, group", inferred.schema.time: "time"}
    for column, (role, why) in inferred.roles.items():
        style = "dim" if role == "left out" else "bold" if role == "label" else None
        table.add_row(escape(column), further.get(column, role), escape(why), style=style)
    output = console()
    output.print(table)
    for column, what in inferred.leaks.items():
        output.print(f"likely leak: {escape(column)} {what}", style="yellow", highlight=False)
    if len(inferred.schema.labels) == 1:
        output.print("no conversion label was found: pass `--label click=.. --label conversion=..`")
