"""Simulated logs larger than memory: parquet shards, each drawn from its own seed."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import BrokenExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mtl_seq._files import UNFINISHED, check_folder, read_json, write_json
from mtl_seq.errors import ArtifactError, SimulationError
from mtl_seq.records import ROW_ID, TRUTH_PREFIX, FunnelTruth
from mtl_seq.simulate.common.protocol import Simulator
from mtl_seq.simulate.shard_files import (
    MOST_SHARDS,
    Plan,
    differences,
    probe,
    read_totals,
    sweep,
    write_shard,
)

__all__ = ["Shards", "read_shards", "write_shards"]

_KIND, _VERSION = "mtl_seq.simulation", 1
_KILLED = "a worker was killed; if the system ran out of memory, take fewer `workers`"


class Shards(NamedTuple):
    """A folder of shards after `write_shards`.

    Attributes:
        folder: The folder.
        rows: Impressions in all shards.
        made: Number of shards that this call wrote.
        kept: Number of shards that an earlier call had finished.
        totals: Sum over all impressions of each label column (``click``: how many clicks) and of
            each column of the truth (``true_pcvr``: expected conversions had all been clicked).
    """

    folder: Path
    rows: int
    made: int
    kept: int
    totals: dict[str, float]


def write_shards(
    simulator: Simulator,
    rows: int,
    folder: str | Path,
    *,
    seed: int,
    shard_rows: int = 1_000_000,
    workers: int | None = None,
    stream: int = 1,
    metadata: Mapping[str, Any] | None = None,
) -> Shards:
    """Write a simulated log of any size to a folder, shard by shard.

        folder/manifest.json            the scenario, the seed, and the size of the shards
        folder/schema.json              the roles of the log's columns
        folder/log/part-00000.parquet   the log, as a real system would have written it
        folder/truth/part-00000.parquet the truth of the same rows

    Both parts have the column ``row_id`` (int64, 0 to rows - 1), which joins them. The truth is in
    a separate folder, so that nothing that reads the log trains on it.

    Shard k is drawn from ``SeedSequence(seed, spawn_key=(stream, k))`` and nothing else: the rows
    depend on the seed, `rows` and `shard_rows`, but not on which worker writes which shard when.
    Memory holds one shard per worker. A shard is written to a temporary file and renamed: an
    interruption leaves whole shards, and the same call again writes those that are missing or
    incomplete. Until all are there, an empty file ``_unfinished`` in both folders marks it.

    Shards are independent draws. Where a simulator draws from a log without replacement, each shard
    by itself is without replacement.

    Args:
        simulator: The simulator; more than one worker needs one that can be pickled.
        rows: How many impressions, at least 1.
        folder: The folder; absent, empty, or with the same simulation, finished or not.
        seed: Seed of the draws, at least 0; the scenario's seed is separate.
        shard_rows: Impressions in a shard; the last may hold fewer.
        workers: Processes, by joblib; -1 for as many as there are cores. None leaves it to the
            ``joblib.parallel_config`` around the call, which may also name another backend, such
            as dask; without one it is 1.
        stream: Another number gives other rows of the same scenario and seed: 1 is meant for
            training, 2 for tests.
        metadata: Further entries of the manifest, ready for JSON; a later call must pass the same.

    Raises:
        SimulationError: `rows`, `shard_rows`, `seed` or `stream` outside its range.
        ArtifactError: The folder holds something else or another simulation (the message names the
            difference), or cannot be written to; finished shards stay.
    """
    plan = _plan(rows, folder, seed=seed, shard_rows=shard_rows, stream=stream)
    mark = probe(simulator, plan)
    settings = {
        "scenario": {
            "kind": type(simulator).__name__,
            "parameters": getattr(simulator, "parameters", None),
        },
        "metadata": dict(metadata or {}),
        "seed": seed,
        "stream": stream,
        "rows": rows,
        "shard_rows": shard_rows,
        "fingerprint": mark,
        "versions": {name: version(name) for name in ("mtl_seq", "numpy")},
    }
    totals: dict[int, dict[str, float]] = {}
    try:
        _open(plan, settings, simulator)
        totals |= _finished(plan, mark)
        absent = [shard for shard in range(plan.shards) if shard not in totals]
        if absent:
            totals |= _make(simulator, plan, absent, mark, workers)
        for name in ("log", "truth"):
            (plan.folder / name / UNFINISHED).unlink(missing_ok=True)
    except (OSError, BrokenExecutor) as error:
        why = f"{error}" if isinstance(error, OSError) else _KILLED
        raise ArtifactError(
            f"cannot finish {plan.folder}: {why}. {len(_finished(plan, mark))} of {plan.shards} "
            "shards are finished and stay; fix the cause and repeat the call to write the others"
        ) from error
    summed = {
        name: float(sum(totals[shard][name] for shard in range(plan.shards))) for name in totals[0]
    }
    return Shards(plan.folder, rows, len(absent), plan.shards - len(absent), summed)


def read_shards(
    folder: str | Path, *, batch_rows: int = 262_144
) -> Iterator[tuple[pd.DataFrame, FunnelTruth]]:
    """Read back what `write_shards` wrote, in batches.

    Args:
        folder: The folder of `write_shards`.
        batch_rows: Rows per batch, at most; memory holds no more.

    Yields:
        Rows of the log, in order and with their ``row_id``, and the truth of the same rows.

    Raises:
        ArtifactError: No such folder, an unfinished one, or log and truth that do not match.
    """
    import pyarrow.parquet as pq

    if batch_rows < 1:
        raise SimulationError(f"`batch_rows` must be at least 1, found {batch_rows}")
    stated = read_json(Path(folder) / "manifest.json", kind=_KIND, version=_VERSION)
    plan = Plan(Path(folder), *(stated[name] for name in Plan._fields[1:]))
    for shard in range(plan.shards):
        if read_totals(plan, shard, stated["fingerprint"]) is None:
            raise ArtifactError(
                f"shard {shard} of {plan.shards} in {folder} is missing or incomplete: repeat "
                "`write_shards` with the same settings, which writes only such shards"
            )
        with pq.ParquetFile(plan.log(shard)) as log, pq.ParquetFile(plan.truth(shard)) as truth:
            batches = (file.iter_batches(batch_rows, use_threads=False) for file in (log, truth))
            for rows, known in zip(*batches, strict=True):
                if not rows[ROW_ID].equals(known[ROW_ID]):
                    raise ArtifactError(
                        f"log and truth of shard {shard} in {folder} hold different rows: "
                        "remove both files and write them again"
                    )
                arrays = {
                    name.removeprefix(TRUTH_PREFIX): known[name].to_numpy(zero_copy_only=False)
                    for name in known.schema.names
                    if name != ROW_ID
                }
                yield rows.to_pandas(), FunnelTruth.of_arrays(arrays)


def _plan(rows: int, folder: str | Path, *, seed: int, shard_rows: int, stream: int) -> Plan:
    for name, value, least in (
        ("rows", rows, 1),
        ("shard_rows", shard_rows, 1),
        ("seed", seed, 0),
        ("stream", stream, 1),
    ):
        if type(value) is not int or value < least:
            raise SimulationError(f"`{name}` must be a whole number >= {least}, found {value!r}")
    plan = Plan(Path(folder).absolute(), rows, shard_rows, seed, stream)
    if plan.shards > MOST_SHARDS:
        raise SimulationError(
            f"`shard_rows` must give at most {MOST_SHARDS:,} shards, found {plan.shards:,}: it "
            f"must be at least {-(-rows // MOST_SHARDS):,}"
        )
    return plan


def _open(plan: Plan, settings: dict[str, Any], simulator: Simulator) -> None:
    """Create the folder, or check that it holds the same simulation."""
    manifest = plan.folder / "manifest.json"
    if manifest.exists():
        stated = read_json(manifest, kind=_KIND, version=_VERSION)
        different = differences(stated, json.loads(json.dumps(settings)))
        if different:
            raise ArtifactError(
                f"the folder {plan.folder} holds another simulation: {'; '.join(different)}. Name "
                "another folder, or pass the same settings"
            )
    else:
        check_folder(plan.folder, ())
        # First and atomically: it marks the folder as a simulation.
        write_json(manifest, settings, kind=_KIND, version=_VERSION)
    simulator.schema.to_json(plan.folder / "schema.json")


def _finished(plan: Plan, mark: str) -> dict[int, dict[str, float]]:
    """Totals of the finished shards."""
    totals = {shard: read_totals(plan, shard, mark) for shard in range(plan.shards)}
    return {shard: sums for shard, sums in totals.items() if sums is not None}


def _make(
    simulator: Simulator, plan: Plan, shards: list[int], mark: str, workers: int | None
) -> dict[int, dict[str, float]]:
    import joblib

    folders = [plan.folder / name for name in ("log", "truth")]
    for folder in folders:
        folder.mkdir(exist_ok=True)
        (folder / UNFINISHED).touch()
    sweep(plan)
    try:
        # With batches of one, a worker takes the next shard as soon as it is free.
        totals = joblib.Parallel(n_jobs=workers, batch_size=1)(
            joblib.delayed(write_shard)(simulator, plan, shard, mark) for shard in shards
        )
    finally:
        sweep(plan)
    return dict(zip(shards, totals, strict=True))
