"""`mtl-seq compare`."""

from pathlib import Path
from typing import Annotated

import typer

from mtl_seq.cli.console import print_report
from mtl_seq.cli.options import (
    Json,
    Quiet,
    Scenario,
    Seed,
    Set,
    builders,
    parameters,
    with_parameters,
)
from mtl_seq.experiments import MODELS, compare_models
from mtl_seq.report.render.html import write_report
from mtl_seq.simulate import scenario as named

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
    changed = parameters(set_)
    simulator = named(scenario, **{"seed": seed, **changed})
    report = compare_models(
        simulator,
        builders(models),
        rows=rows,
        test_rows=test_rows,
        seed=seed,
        progress=not quiet,
        metadata={"scenario": with_parameters(scenario, changed)},
    )
    print_report(report, write_report(report, out), quiet=quiet, as_json=json)
