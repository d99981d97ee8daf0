"""One shard: draw it, write its two files, and check that they are complete."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mtl_seq._files import atomic_path
from mtl_seq.errors import SimulationError
from mtl_seq.records import ROW_ID, TRUTH_PREFIX
from mtl_seq.simulate.common.protocol import Simulator

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "MOST_SHARDS",
    "Plan",
    "differences",
    "probe",
    "read_totals",
    "sweep",
    "write_shard",
]

MOST_SHARDS = 100_000
"""The most that file names of five digits keep in order."""

_MARK, _TOTALS = b"mtl_seq.shard", b"mtl_seq.totals"
_ROW_GROUP = 262_144
_PROBE_ROWS = 1000


class Plan(NamedTuple):
    """The plan of a sharded simulation.

    Attributes:
        folder: The folder of all shards.
        rows: Impressions in total.
        shard_rows: Impressions in each shard but the last.
        seed: Seed of the draws.
        stream: Which of the seed's streams.
    """

    folder: Path
    rows: int
    shard_rows: int
    seed: int
    stream: int

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.rows // self.shard_rows)

    def size(self, shard: int) -> int:
        """Impressions in a shard."""
        return min(self.shard_rows, self.rows - shard * self.shard_rows)

    def rng(self, shard: int) -> np.random.Generator:
        """The random generator of a shard."""
        # A spawn key, unlike a longer list of seeds, collides with none for seeds of any length.
        return np.random.default_rng(
            np.random.SeedSequence(self.seed, spawn_key=(self.stream, shard))
        )

    def log(self, shard: int) -> Path:
        """Path of a shard's log."""
        return self.folder / "log" / f"part-{shard:05d}.parquet"

    def truth(self, shard: int) -> Path:
        """Path of a shard's truth."""
        return self.folder / "truth" / f"part-{shard:05d}.parquet"

    def mark(self, shard: int, fingerprint: str) -> bytes:
        """The mark in the metadata of a shard's files."""
        return f"{fingerprint} {self.seed} {self.stream} {shard} {self.size(shard)}".encode()


def write_shard(simulator: Simulator, plan: Plan, shard: int, fingerprint: str) -> dict[str, float]:
    """Draw a shard and write its truth, then its log.

    Returns:
        Sums over its rows, by column: of the labels and of the truth.
    """
    import pyarrow as pa

    rows = plan.size(shard)
    log, truth = simulator.sample(rows, plan.rng(shard))
    if ROW_ID in log.columns:
        raise SimulationError(f"a simulator's log must have no column {ROW_ID!r}: shards add it")
    row_id = shard * plan.shard_rows + np.arange(rows, dtype=np.int64)
    known = {TRUTH_PREFIX + name: array for name, array in truth.arrays().items()}
    totals = {name: float(log[name].sum()) for name in simulator.schema.labels.values()}
    totals |= {name: float(array.sum()) for name, array in known.items()}
    metadata = {_MARK: plan.mark(shard, fingerprint), _TOTALS: json.dumps(totals).encode()}
    truth_table = pa.table({ROW_ID: row_id, **known})
    log_table = pa.Table.from_pandas(log, preserve_index=False, nthreads=1)
    log_table = log_table.add_column(0, ROW_ID, pa.array(row_id))
    # A log's columns hold few distinct values; probabilities hardly repeat, and compressing them
    # costs more time than the bytes are worth (docs/simulate_at_scale.md).
    whole = [name for name, array in known.items() if not (array[:999] % 1).any()]
    _write(truth_table, plan.truth(shard), metadata, dictionary=whole, compression="none")
    _write(log_table, plan.log(shard), metadata, dictionary=[*log.columns], compression="snappy")
    return totals


def _write(
    table: "pa.Table",
    path: Path,
    metadata: Mapping[bytes, bytes],
    *,
    dictionary: Sequence[str],
    compression: str,
) -> None:
    import pyarrow.parquet as pq

    with atomic_path(path) as aside:
        pq.write_table(
            table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata}),
            aside,
            row_group_size=_ROW_GROUP,
            use_dictionary=[*dictionary],
            column_encoding={ROW_ID: "DELTA_BINARY_PACKED"},
            compression=compression,
        )


def read_totals(plan: Plan, shard: int, fingerprint: str) -> dict[str, float] | None:
    """The sums that `write_shard` returned; None where a file is missing, incomplete or foreign."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    totals: dict[str, float] = {}
    for path in (plan.log(shard), plan.truth(shard)):
        try:
            footer = pq.read_metadata(path)
        except (OSError, pa.ArrowInvalid):
            return None
        metadata = footer.metadata or {}
        if metadata.get(_MARK) != plan.mark(shard, fingerprint) or footer.num_rows != plan.size(
            shard
        ):
            return None
        totals = json.loads(metadata[_TOTALS])
    return totals


def sweep(plan: Plan) -> None:
    """Remove temporary files that a killed process left beside the shards."""
    for name in ("log", "truth"):
        for path in (plan.folder / name).glob(".part-*.parquet"):
            path.unlink(missing_ok=True)


def probe(simulator: Simulator, plan: Plan) -> str:
    """Fingerprint a simulator: a hash of some rows that it draws and of their truth."""
    log, truth = simulator.sample(min(_PROBE_ROWS, plan.size(0)), plan._replace(stream=0).rng(0))
    digest = hashlib.sha256()
    for name, values in (*log.items(), *truth.arrays().items()):
        array = np.asarray(values)
        digest.update(f"{name} {array.dtype} ".encode())
        exact = array.dtype.kind in "biufM"
        digest.update(array.tobytes() if exact else repr(array.tolist()).encode())
    return digest.hexdigest()[:32]


def differences(stated: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """How two settings differ, in words; the fingerprint only where nothing else does.

    >>> differences({"parameters": {"rho": 0.4}}, {"parameters": {"rho": 0.8}})
    ['parameters.rho is 0.4 there and 0.8 here']
    """
    there, here = dict(_flat(stated)), dict(_flat(asked))
    names = [name for name in {**there, **here} if name not in ("format", "fingerprint")]
    different = [
        f"{name} is {_shown(there, name)} there and {_shown(here, name)} here"
        for name in names
        if not name.startswith("versions.") and _shown(there, name) != _shown(here, name)
    ]
    if different or there.get("fingerprint") == here.get("fingerprint"):
        return different
    return [
        "the settings are the same, but this scenario draws other rows than the one written there "
        f"with {json.dumps(stated.get('versions'))}; here are {json.dumps(asked.get('versions'))}"
    ]


def _flat(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _shown(settings: Mapping[str, Any], name: str) -> str:
    return json.dumps(settings[name]) if name in settings else "absent"
