"""`mtl-seq compare`."""

from pathlib import Path
from typing import Annotated

import typer

from mtl_seq.cli.console import print_report
from mtl_seq.cli.options import Json, Quiet, Scenario, Seed, Set, builders, simulator
from mtl_seq.experiments import MODELS, compare_models
from mtl_seq.report.render.html import write_report

__all__ = ["compare"]


def compare(
    out: Annotated[Path, typer.Option(help="Folder to write the report to.")],
    scenario: Scenario = "cvr_blind",
    models: Annotated[str, typer.Option(help="Models, separated by commas, or `all`.")] = ",".join(
        MODELS
    ),
    rows: Annotated[int, typer.Option(help="Impressions to train on.", min=1)] = 200_000,
    test_rows: Annotated[int, typer.Option(help="Impressions to evaluate on.", min=1)] = 50_000,
    set_: Set = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Simulate a log, fit several models and report the bias of each model's CVR.

    Example: [bold]mtl-seq compare --models multitask,esmm,escm2_dr --out report/[/bold]
    """
    chosen, name = simulator(scenario, set_, seed)
    report = compare_models(
        chosen,
        builders(models),
        rows=rows,
        test_rows=test_rows,
        seed=seed,
        progress=not quiet,
        metadata={"scenario": name},
    )
    print_report(report, write_report(report, out), quiet=quiet, as_json=json)
