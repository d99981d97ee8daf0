"""`mtl-seq simulate`."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mtl_seq._files import atomic_folder, check_folder
from mtl_seq.cli.console import note, print_json, print_summary
from mtl_seq.cli.options import Json, Quiet, Scenario, Seed, Set, parameters
from mtl_seq.data import truth_to_frame, write_frame
from mtl_seq.report import SimulationSummary
from mtl_seq.simulate import Simulator, read_shards, write_shards
from mtl_seq.simulate import scenario as named

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
    rows: Annotated[int, typer.Option(help="Impressions.", min=1)] = 100_000,
    test_rows: Annotated[
        int,
        typer.Option(help="Further impressions of the same scenario, in test_*.parquet.", min=0),
    ] = 0,
    set_: Set = None,
    describe_: Annotated[
        bool, typer.Option("--describe", help=f"Look at the scenario: a table, and {PICTURE}.")
    ] = False,
    shard_rows: Annotated[
        int, typer.Option(help="Impressions a shard; of more rows, a folder of shards.", min=1)
    ] = 1_000_000,
    workers: Annotated[int, typer.Option(help="Processes for shards; -1: one a core.")] = 1,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Draw a log with known truth: log.parquet, truth.parquet, schema.json.

    More rows than a shard holds go to log/part-*.parquet and truth/part-*.parquet, test rows to
    test/; an interrupted run goes on where it stopped when it is given once more.

    Example: [bold]mtl-seq simulate --scenario dense --set rho=0.8 --out simulated/[/bold]
    """
    if workers == 0 or workers < -1:
        raise typer.BadParameter("must be at least 1, or -1", param_hint="--workers")
    large = max(rows, test_rows) > shard_rows
    if not large:
        check_folder(out, FILES)
    simulator = named(scenario, **{"seed": seed, **parameters(set_)})
    if large:
        totals, look = _shards(
            simulator,
            (rows, test_rows),
            out,
            seed=seed,
            shard_rows=shard_rows,
            workers=workers,
            scenario=scenario,
            describe_=describe_,
            quiet=quiet,
        )
    else:
        totals, look = _files(simulator, (rows, test_rows), out, seed=seed, describe_=describe_)
    _say(simulator, rows, totals, out, scenario, look, quiet=quiet, json=json)


def _files(
    simulator: Simulator, rows: tuple[int, int], out: Path, *, seed: int, describe_: bool
) -> tuple[dict[str, float], SimulationSummary | None]:
    """All rows at once, in one file each."""
    log, truth = simulator.sample(rows[0], np.random.default_rng([seed, _TRAIN]))
    look = SimulationSummary.from_log(log, truth, simulator.schema) if describe_ else None
    with atomic_folder(out, own=FILES) as folder:
        write_frame(log, folder / "log.parquet")
        write_frame(truth_to_frame(truth), folder / "truth.parquet")
        if rows[1]:
            test, test_truth = simulator.sample(rows[1], np.random.default_rng([seed, _TEST]))
            write_frame(test, folder / "test_log.parquet")
            write_frame(truth_to_frame(test_truth), folder / "test_truth.parquet")
        simulator.schema.to_json(folder / "schema.json")
        if look is not None:
            look.plot(folder / PICTURE)
    totals = {name: float(log[name].sum()) for name in simulator.schema.labels.values()}
    return {**totals, "true_pcvr": float(truth.pcvr.sum())}, look


def _shards(
    simulator: Simulator,
    rows: tuple[int, int],
    out: Path,
    *,
    seed: int,
    shard_rows: int,
    workers: int,
    scenario: str,
    describe_: bool,
    quiet: bool,
) -> tuple[dict[str, float], SimulationSummary | None]:
    """A shard at a time, in folders."""
    found = {}
    for stream, count, folder in ((_TRAIN, rows[0], out), (_TEST, rows[1], out / "test")):
        if count == 0:
            continue
        found[stream] = write_shards(
            simulator,
            count,
            folder,
            seed=seed,
            shard_rows=shard_rows,
            workers=workers,
            stream=stream,
            metadata={"scenario": scenario},
        )
        made, kept = found[stream].made, found[stream].kept
        note(f"{folder}: {made} shards written, {kept} were finished before", quiet=quiet)
    look = SimulationSummary.from_chunks(read_shards(out), simulator.schema) if describe_ else None
    if look is not None:
        look.plot(out / PICTURE)
    return found[_TRAIN].totals, look


def _say(
    simulator: Simulator,
    rows: int,
    totals: dict[str, float],
    out: Path,
    scenario: str,
    look: SimulationSummary | None,
    *,
    quiet: bool,
    json: bool,
) -> None:
    schema = simulator.schema
    clicks = totals[schema.labels[schema.funnel.first]]
    conversions = totals[schema.labels[schema.funnel.last]]
    summary: dict[str, Any] = {
        "out": str(out),
        "scenario": scenario,
        "impressions": rows,
        "ctr": clicks / rows,
        "cvr_on_clicks": conversions / clicks if clicks else None,
        "true_cvr_on_all": totals["true_pcvr"] / rows,
    }
    if json:
        print_json(summary if look is None else {**summary, "description": look.to_dict()})
        return
    if look is not None and not quiet:
        print_summary(look)
    note(
        f"{rows:,} impressions of {scenario!r} in {out}: CTR {summary['ctr']:.2%}, "
        f"{conversions:,.0f} conversions; the true CVR over all impressions is "
        f"{summary['true_cvr_on_all']:.2%}",
        quiet=quiet,
    )
    if look is not None:
        note(f"written: {out / PICTURE}", quiet=quiet)
