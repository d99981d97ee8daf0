"""Logs larger than memory: parquet shards, each drawn from its own seed."""

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
    """What stands in a folder after `write_shards`.

    Attributes:
        folder: Where.
        rows: Impressions in all shards.
        made: How many shards this call wrote.
        kept: How many an earlier call had finished.
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
    """Draw a log of any size into a folder, in shards that are made one by one.

        folder/manifest.json            what is drawn, from which seed, in shards of which size
        folder/schema.json              the roles of the log's columns
        folder/log/part-00000.parquet   the log, as a real system would have written it
        folder/truth/part-00000.parquet the truth of the same rows

    Both parts have the column ``row_id`` (int64, 0 to rows - 1), which joins them. The truth has a
    folder of its own, so that nothing that reads the log trains on it.

    Shard k is drawn from ``SeedSequence(seed, spawn_key=(stream, k))`` and nothing else: the rows
    depend on the seed, `rows` and `shard_rows`, but not on who makes which shard when. Memory holds
    one shard a worker. A shard is written aside and renamed: what an interruption leaves are
    whole shards, and the same call once more makes those that are absent or torn. Until all are
    there, an empty file ``_unfinished`` in both folders says so.

    Shards are independent draws. Of a scenario that draws from a log without replacement, each shard
    by itself is without replacement.

    Args:
        simulator: The simulator; more than one worker needs one that can be pickled.
        rows: How many impressions, at least 1.
        folder: Where. It must be absent, empty, or hold the same simulation, finished or not.
        seed: Seed of the draws, at least 0; the scenario has its own.
        shard_rows: Impressions in a shard; the last may hold fewer.
        workers: Processes, by joblib; -1 for as many as there are cores. None leaves it to the
            ``joblib.parallel_config`` around the call, which may also name another backend, such
            as dask; without one it is 1.
        stream: Another number gives other rows of the same scenario and seed: 1 is meant for
            training, 2 for tests.
        metadata: What else the manifest is to say, ready for JSON; a later call must say the same.

    Returns:
        What stands there now.

    Raises:
        SimulationError: `rows`, `shard_rows`, `seed` or `stream` outside its range.
        ArtifactError: The folder holds something else or another simulation (it says what
            differs), or cannot be written to; finished shards stay.
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
            "shards are finished and stay; once that is mended, the same call makes the others"
        ) from error
    summed = {
        name: float(sum(totals[shard][name] for shard in range(plan.shards))) for name in totals[0]
    }
    return Shards(plan.folder, rows, len(absent), plan.shards - len(absent), summed)


def read_shards(
    folder: str | Path, *, batch_rows: int = 262_144
) -> Iterator[tuple[pd.DataFrame, FunnelTruth]]:
    """Read back what `write_shards` wrote, some rows at a time.

    Args:
        folder: What was given there.
        batch_rows: Rows at a time, at most; memory holds no more.

    Yields:
        Rows of the log, in order and with their ``row_id``, and the truth of the same rows.

    Raises:
        ArtifactError: No such folder, one that is unfinished, or log and truth that do not match.
    """
    import pyarrow.parquet as pq

    if batch_rows < 1:
        raise SimulationError(f"`batch_rows` must be at least 1, found {batch_rows}")
    stated = read_json(Path(folder) / "manifest.json", kind=_KIND, version=_VERSION)
    plan = Plan(Path(folder), *(stated[name] for name in Plan._fields[1:]))
    for shard in range(plan.shards):
        if read_totals(plan, shard, stated["fingerprint"]) is None:
            raise ArtifactError(
                f"shard {shard} of {plan.shards} in {folder} is absent or torn: write them once "
                "more with the same settings, and only such shards are made"
            )
        with pq.ParquetFile(plan.log(shard)) as log, pq.ParquetFile(plan.truth(shard)) as truth:
            batches = (file.iter_batches(batch_rows, use_threads=False) for file in (log, truth))
            for rows, known in zip(*batches, strict=True):
                if not rows[ROW_ID].equals(known[ROW_ID]):
                    raise ArtifactError(
                        f"log and truth of shard {shard} in {folder} are of different rows: "
                        "remove both files and write them once more"
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
    """Make the folder, or see that it holds this very simulation."""
    manifest = plan.folder / "manifest.json"
    if manifest.exists():
        stated = read_json(manifest, kind=_KIND, version=_VERSION)
        said = differences(stated, json.loads(json.dumps(settings)))
        if said:
            raise ArtifactError(
                f"the folder {plan.folder} holds another simulation: {'; '.join(said)}. Name "
                "another folder, or give the same settings"
            )
    else:
        check_folder(plan.folder, ())
        # First, and whole: from here on the folder is known as ours.
        write_json(manifest, settings, kind=_KIND, version=_VERSION)
    simulator.schema.to_json(plan.folder / "schema.json")


def _finished(plan: Plan, mark: str) -> dict[int, dict[str, float]]:
    """Sums of the shards that are there and whole."""
    found = ((shard, read_totals(plan, shard, mark)) for shard in range(plan.shards))
    return {shard: totals for shard, totals in found if totals is not None}


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
        # More than one worker takes the next shard as soon as it is free; a batch would wait.
        made = joblib.Parallel(n_jobs=workers, batch_size=1)(
            joblib.delayed(write_shard)(simulator, plan, shard, mark) for shard in shards
        )
    finally:
        sweep(plan)
    return dict(zip(shards, made, strict=True))
