"""`mtl-seq test-selection`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mtl_seq.cli.console import print_json
from mtl_seq.cli.options import Json, Quiet, SchemaFile, Seed
from mtl_seq.fit import selection_test
from mtl_seq.models import DependenceConfig
from mtl_seq.report.compute.serialise import to_json
from mtl_seq.report.render.selection_text import selection_test_lines
from mtl_seq.schema import Schema

__all__ = ["selection"]


class Share(StrEnum):
    """Where P(level | x) comes from."""

    ESTIMATED = "estimated"
    UNIFORM = "uniform"


def selection(
    log: Annotated[Path, typer.Argument(help="Parquet file, or folder of them, with labels.")],
    schema: SchemaFile,
    level_share: Annotated[
        Share,
        typer.Option(
            help="P(level of the click-only features | x): estimated from the log, or uniform, "
            "which is to be declared of a randomised experiment only."
        ),
    ] = Share.ESTIMATED,
    level_column: Annotated[
        list[str] | None,
        typer.Option(help="Column of the log with that probability of a level; one per level."),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="A feature that may have chosen the level; repeatable; default: all."),
    ] = None,
    folds: Annotated[int, typer.Option(help="Folds of the cross-fitting.", min=2)] = 2,
    epochs: Annotated[
        int | None, typer.Option(help="Passes at most; by default one, on small logs more.", min=1)
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Test whether something hidden moves both click and conversion.

    The schema must name features that move clicks only, such as a position at random.

    Example: [bold]mtl-seq test-selection log.parquet --schema schema.json[/bold]
    """
    how = DependenceConfig(
        folds=folds,
        level_share=tuple(level_column) if level_column else level_share.value,
        policy=policy or None,
    )
    roles = Schema.from_json(schema)
    found = selection_test(log, roles, dependence=how, seed=seed, epochs=epochs)
    if json:
        print_json(to_json(found))
    elif not quiet:
        for line in _lines(selection_test_lines(found), found.verdict):
            print(line)


def _lines(said: list[str], verdict: str) -> list[str]:
    advice = {
        "identified": "`mtl-seq fit --model esmm_dependent` corrects pCVR by it.",
        "weak": "Too uncertain for a correction to be relied on: a longer log or a stronger "
        "click-only feature would tell; `mtl-seq sensitivity` says what is open.",
        "not identified": "The log cannot tell; `mtl-seq sensitivity` says what is open.",
    }
    return [f"{verdict.upper()}. {said[0]}", *said[1:], advice[verdict]]
