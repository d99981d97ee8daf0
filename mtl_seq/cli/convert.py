"""`mtl-seq convert`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mtl_seq.cli.console import note, print_json
from mtl_seq.cli.options import Json, Quiet, Seed
from mtl_seq.data import CsvFiles, Guess, Orphans, convert_csv, guess_schema, schema_file
from mtl_seq.errors import ArtifactError, DataError, SchemaError
from mtl_seq.schema import Schema

__all__ = ["convert"]

_SAMPLE = 200_000


def convert(
    log: Annotated[
        str, typer.Argument(help="CSV file, folder of .csv files, or pattern; .gz too.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of parquet files to write.")],
    schema: Annotated[
        Path | None, typer.Option(help="JSON file with the roles; without it they are guessed.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE=COLUMN", help="A label, in the funnel's order; repeatable."),
    ] = None,
    bag: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=SEPARATOR", help="What parts a bag's items; repeatable."),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="COLUMN=TYPE", help="int64, float64, string or bool."),
    ] = None,
    orphans: Annotated[
        Orphans,
        typer.Option(
            help="Rows that have a label without the one before it, as a conversion without a "
            "click: keep them, though `fit` will not; clear the later label; or drop the rows."
        ),
    ] = "keep",
    separator: Annotated[str, typer.Option(help="What stands between columns.")] = ",",
    yes: Annotated[bool, typer.Option("--yes", help="Take the guessed schema as it is.")] = False,
    seed: Seed = 0,  # noqa: ARG001  # every command takes it; nothing is drawn here
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write CSV as parquet, of any size, and beside it OUT.schema.json: what each column is.

    Without --schema the roles are guessed from the first rows, shown, and asked about. Say no to
    edit them in OUT.schema.json first, and come back with --schema. It warns of what `fit` refuses.

    Example: [bold]mtl-seq convert log.csv --out log/ --yes[/bold]
    """
    types = _pairs(type_, "--type")
    source = CsvFiles(log, separator=separator, types=types)
    guess, file = None, schema_file(out)
    if schema is None:
        guess = guess_schema(source.sample(_SAMPLE), _pairs(label, "--label") or None)
        roles = guess.schema
        if not json and not quiet:
            _print(guess)
        if file.exists() and Schema.from_json(file) != roles:
            raise ArtifactError(
                f"{file} says something else than what is guessed now, and would be lost: take it "
                f"as it is (`--schema {file}`), or remove it"
            )
        if not yes and not _confirmed(roles, file):
            note(f"nothing was converted: edit {file} and come back with --schema", quiet=False)
            return
        parted = guess.separators
    else:
        roles = Schema.from_json(schema)
        parted = guess_schema(source.sample(_SAMPLE), dict(roles.labels)).separators
    separators = {**parted, **_pairs(bag, "--bag")}

    over = "\r" if sys.stderr.isatty() and not quiet else ""

    def told(rows: int) -> None:
        if over:
            print(f"{over}{rows:,} rows", end="", file=sys.stderr)

    found = convert_csv(source, roles, out, separators=separators, orphans=orphans, told=told)
    for line in found.warnings:
        note(f"{over}warning: {line}", quiet=False)
    if json:
        leaks = {} if guess is None else guess.leaks
        content = {"out": str(out), "schema_file": str(file), **found._asdict()}
        content |= {"schema": roles.to_dict(), "leaks": leaks}
        print_json(content)
        return
    said = ", ".join(f"{count:,} of {name}" for name, count in found.labels.items())
    note(f"{over}{found.rows:,} rows in {found.files} files: {said}", quiet=quiet)
    for stage, count in found.orphans.items():
        done = f"{stage} was made 0 in" if orphans == "clear" else "dropped"
        parent = roles.funnel.parents()[stage]
        note(f"{stage} without {parent}: {done} {count:,} rows", quiet=quiet)
    note(f"written: {out}, and {file}", quiet=quiet)


def _confirmed(roles: Schema, file: Path) -> bool:
    """Whether the person at the terminal takes the guess; if not, it lies in a file."""
    asked = sys.stdin.isatty()
    if asked and typer.confirm("Take this schema?", default=True, err=True):
        return True
    roles.to_json(file)
    if not asked:
        raise SchemaError(
            "nothing was converted, since without a terminal nobody can be asked whether the guess "
            f"is right: take it with `--yes`, or edit {file} and come back with `--schema {file}`"
        )
    return False


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for text in texts or []:
        name, sign, value = text.partition("=")
        if not sign or not name or not value:
            raise DataError(f"`{option}` must read NAME=VALUE, found {text!r}")
        pairs[name] = value
    return pairs


def _print(guess: Guess) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("column", "role", "why"):
        table.add_column(name, overflow="fold")
    further = {guess.schema.group: "id, group", guess.schema.time: "time"}
    for column, (role, why) in guess.roles.items():
        style = "dim" if role == "left out" else "bold" if role == "label" else None
        table.add_row(escape(column), further.get(column, role), escape(why), style=style)
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    for column, what in guess.leaks.items():
        console.print(f"likely leak: {escape(column)} {what}", style="yellow", highlight=False)
    if len(guess.schema.labels) == 1:
        console.print("no conversion was found: say `--label click=.. --label conversion=..`")
