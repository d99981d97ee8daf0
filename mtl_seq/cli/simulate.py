"""`mtl-seq simulate`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mtl_seq._files import atomic_folder, check_folder
from mtl_seq.cli.console import note, print_json, print_summary
from mtl_seq.cli.options import Json, Quiet, Scenario, Seed, Set
from mtl_seq.cli.options import simulator as simulator_of
from mtl_seq.data import truth_to_frame, write_frame
from mtl_seq.report import SimulationSummary
from mtl_seq.schema import Schema
from mtl_seq.simulate import Simulator, read_shards, write_shards

__all__ = ["simulate"]

PICTURE = "describe.png"
FILES = (
    "log.parquet",
    "truth.parquet",
    "test_log.parquet",
    "test_truth.parquet",
    "schema.json",
    PICTURE,
)
_TRAIN, _TEST = 1, 2


def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    scenario: Scenario = "dense",
    rows: Annotated[int, typer.Option(help="Number of impressions.", min=1)] = 100_000,
    test_rows: Annotated[
        int, typer.Option(help="Further impressions of the scenario, for testing.", min=0)
    ] = 0,
    set_: Set = None,
    describe_: Annotated[
        bool, typer.Option("--describe", help=f"Summarise the simulated data; plot {PICTURE}.")
    ] = False,
    shard_rows: Annotated[
        int, typer.Option(help="Impressions per shard; fewer rows are written unsharded.", min=1)
    ] = 1_000_000,
    workers: Annotated[
        int, typer.Option(help="Processes that write shards; -1: one per core.")
    ] = 1,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Simulate a log with known truth: log.parquet, truth.parquet and schema.json.

    Test rows go to test_log.parquet and test_truth.parquet. More rows than a shard holds go to
    log/part-*.parquet and truth/part-*.parquet, test rows then to test/; the same command resumes
    an interrupted run.

    Example: [bold]mtl-seq simulate --scenario dense --set rho=0.8 --out simulated/[/bold]
    """
    if workers == 0 or workers < -1:
        raise typer.BadParameter("must be at least 1, or -1", param_hint="--workers")
    large = max(rows, test_rows) > shard_rows
    if not large:
        check_folder(out, FILES)
    simulator, _ = simulator_of(scenario, set_, seed)
    if large:
        write = partial(
            write_shards,
            simulator,
            seed=seed,
            shard_rows=shard_rows,
            workers=workers,
            metadata={"scenario": scenario},
        )
        totals = _write_shards(write, rows, test_rows, out, quiet=quiet)
        description = None
        if describe_:
            description = SimulationSummary.from_chunks(read_shards(out), simulator.schema)
            description.plot(out / PICTURE)
    else:
        totals, description = _write_files(
            simulator, (rows, test_rows), out, seed=seed, describe_=describe_
        )
    summary = {"out": str(out), "scenario": scenario, **_rates(simulator.schema, rows, totals)}
    if json:
        content = {} if description is None else {"description": description.to_dict()}
        print_json({**summary, **content})
        return
    if description is not None and not quiet:
        print_summary(description)
    note(
        f"{rows:,} impressions of {scenario!r} in {out}: CTR {summary['ctr']:.2%}, "
        f"{totals[simulator.schema.labels[simulator.schema.funnel.last]]:,.0f} conversions; the "
        f"true CVR over all impressions is {summary['true_cvr_on_all']:.2%}",
        quiet=quiet,
    )
    if description is not None:
        note(f"written: {out / PICTURE}", quiet=quiet)


def _write_files(
    simulator: Simulator, rows: tuple[int, int], out: Path, *, seed: int, describe_: bool
) -> tuple[dict[str, float], SimulationSummary | None]:
    """Simulate all rows at once and write one file each of log and truth; return the totals."""
    log, truth = simulator.sample(rows[0], np.random.default_rng([seed, _TRAIN]))
    summary = SimulationSummary.from_log(log, truth, simulator.schema) if describe_ else None
    with atomic_folder(out, own=FILES) as folder:
        write_frame(log, folder / "log.parquet")
        write_frame(truth_to_frame(truth), folder / "truth.parquet")
        if rows[1]:
            test, test_truth = simulator.sample(rows[1], np.random.default_rng([seed, _TEST]))
            write_frame(test, folder / "test_log.parquet")
            write_frame(truth_to_frame(test_truth), folder / "test_truth.parquet")
        simulator.schema.to_json(folder / "schema.json")
        if summary is not None:
            summary.plot(folder / PICTURE)
    totals = {name: float(log[name].sum()) for name in simulator.schema.labels.values()}
    return {**totals, "true_pcvr": float(truth.pcvr.sum())}, summary


def _write_shards(
    write: Callable[..., Any], rows: int, test_rows: int, out: Path, *, quiet: bool
) -> dict[str, float]:
    """Write shards of the training and the test rows; return the totals of the training rows."""
    written = {}
    for stream, count, folder in ((_TRAIN, rows, out), (_TEST, test_rows, out / "test")):
        if count:
            written[stream] = write(count, folder, stream=stream)
            made, kept = written[stream].made, written[stream].kept
            note(f"{folder}: {made} shards written, {kept} were finished before", quiet=quiet)
    totals: dict[str, float] = written[_TRAIN].totals
    return totals


def _rates(schema: Schema, rows: int, totals: dict[str, float]) -> dict[str, Any]:
    clicks = totals[schema.labels[schema.funnel.first]]
    conversions = totals[schema.labels[schema.funnel.last]]
    return {
        "impressions": rows,
        "ctr": clicks / rows,
        "cvr_on_clicks": conversions / clicks if clicks else None,
        "true_cvr_on_all": totals["true_pcvr"] / rows,
    }
