"""`mtl-seq test-confounding`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mtl_seq.cli.console import print_json
from mtl_seq.cli.options import Epochs, Json, Quiet, SchemaFile, Seed
from mtl_seq.fit import selection_test
from mtl_seq.models import DependenceConfig
from mtl_seq.report.compute.serialise import to_json
from mtl_seq.report.render.headline import selection_test_lines
from mtl_seq.schema import Schema

__all__ = ["confounding"]


def confounding(
    log: Annotated[Path, typer.Argument(help="Parquet file, or folder of them, with labels.")],
    schema: SchemaFile,
    level_share: Annotated[
        Literal["estimated", "uniform"],
        typer.Option(
            help="P(level of the click-only features | x): estimated from the log, or uniform, "
            "only for a randomised experiment."
        ),
    ] = "estimated",
    level_column: Annotated[
        list[str] | None,
        typer.Option(help="Column with the logged probability of a level; repeat per level."),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="Feature that the level may depend on; repeatable; default: all."),
    ] = None,
    folds: Annotated[int, typer.Option(help="Folds of cross-fitting.", min=2)] = 2,
    epochs: Epochs = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Test for hidden confounding of click and conversion.

    The schema must declare click-only features, such as a randomised position.

    Example: [bold]mtl-seq test-confounding log.parquet --schema schema.json[/bold]
    """
    config = DependenceConfig(
        folds=folds,
        level_share=tuple(level_column) if level_column else level_share,
        policy=policy or None,
    )
    result = selection_test(
        log, Schema.from_json(schema), dependence=config, seed=seed, epochs=epochs
    )
    if json:
        print_json(to_json(result))
    elif not quiet:
        first, *lines = selection_test_lines(result)
        for line in (f"{result.verdict.upper()}. {first}", *lines, _advice(result.verdict)):
            print(line)


def _advice(verdict: str) -> str:
    return {
        "identified": "`mtl-seq fit --model esmm_dependent` corrects pCVR accordingly.",
        "weak": "The estimate is too uncertain for a correction: use a longer log or a stronger "
        "click-only feature, or bound the bias with `mtl-seq sensitivity`.",
        "not identified": "This log does not identify it: bound the bias with "
        "`mtl-seq sensitivity`.",
    }[verdict]
