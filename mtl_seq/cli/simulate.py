"""`mtl-seq simulate`."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from mtl_seq._files import atomic_folder, check_folder
from mtl_seq.cli.console import note, print_json
from mtl_seq.cli.options import Json, Quiet, Scenario, Seed, Set, knobs
from mtl_seq.data import truth_to_frame, write_frame
from mtl_seq.simulate import scenario as named

__all__ = ["simulate"]

FILES = (
    "log.parquet",
    "truth.parquet",
    "test_log.parquet",
    "test_truth.parquet",
    "schema.json",
)


def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    scenario: Scenario = "dense",
    rows: Annotated[int, typer.Option(help="Impressions.", min=1)] = 100_000,
    test_rows: Annotated[
        int, typer.Option(help="Further impressions of the same world, in test_*.parquet.", min=0)
    ] = 0,
    set_: Set = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Draw a log with known truth: log.parquet, truth.parquet, schema.json.

    Example: [bold]mtl-seq simulate --scenario dense --set rho=0.8 --out world/[/bold]
    """
    check_folder(out, FILES)
    world = named(scenario, seed=seed, **knobs(set_))
    log, truth = world.sample(rows, np.random.default_rng([seed, 1]))
    with atomic_folder(out, own=FILES) as folder:
        write_frame(log, folder / "log.parquet")
        write_frame(truth_to_frame(truth), folder / "truth.parquet")
        if test_rows:
            test, test_truth = world.sample(test_rows, np.random.default_rng([seed, 2]))
            write_frame(test, folder / "test_log.parquet")
            write_frame(truth_to_frame(test_truth), folder / "test_truth.parquet")
        world.schema.to_json(folder / "schema.json")
    clicked = log["click"] == 1
    summary = {
        "out": str(out),
        "scenario": scenario,
        "impressions": len(log),
        "ctr": float(clicked.mean()),
        "cvr_on_clicks": float(log.loc[clicked, "conversion"].mean()) if clicked.any() else None,
        "true_cvr_on_all": float(truth.pcvr.mean()),
    }
    if json:
        print_json(summary)
        return
    note(
        f"{len(log):,} impressions of {scenario!r} in {out}: CTR {summary['ctr']:.2%}, "
        f"{log['conversion'].sum():,} conversions; the true CVR over all impressions is "
        f"{summary['true_cvr_on_all']:.2%}",
        quiet=quiet,
    )
