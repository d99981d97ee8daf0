"""Shards: the same rows whoever makes them and however often one is interrupted."""

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mtl_seq import simulate
from mtl_seq.data import read_frame, truth_from_frame, truth_of
from mtl_seq.errors import ArtifactError, MtlSeqError, SimulationError
from mtl_seq.records import FunnelTruth
from mtl_seq.simulate import read_shards, write_shards
from mtl_seq.simulate import shards as module

ROWS, SHARD, SEED = 5500, 1000, 3


@pytest.fixture(scope="module")
def simulator():
    return simulate.scenario("clean")


@pytest.fixture(scope="module")
def whole(simulator, tmp_path_factory):
    """An unbroken run."""
    folder = tmp_path_factory.mktemp("shards") / "whole"
    return write(simulator, folder)


def write(simulator, folder, **settings):
    return write_shards(simulator, ROWS, folder, **{"seed": SEED, "shard_rows": SHARD, **settings})


def contents(folder):
    """Every file below, by its path and to the byte, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


PARTS = [f"{name}/part-0000{shard}.parquet" for name in ("log", "truth") for shard in range(6)]


def test_the_layout_is_what_the_docstring_says(whole):
    assert sorted(contents(whole.folder)) == sorted([*PARTS, "manifest.json", "schema.json"])
    assert whole[1:4] == (ROWS, 6, 0)
    sizes = [pq.read_metadata(whole.folder / part).num_rows for part in PARTS]
    assert sizes == [*[1000] * 5, 500] * 2
    stated = json.loads((whole.folder / "manifest.json").read_text())
    assert (stated["seed"], stated["rows"], stated["shard_rows"]) == (SEED, ROWS, SHARD)
    assert stated["scenario"]["parameters"]["users"] == 200


def test_each_shard_is_drawn_from_its_own_seed_and_nothing_else(simulator, whole):
    for shard, size in enumerate([*[1000] * 5, 500]):
        rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(1, shard)))
        log, truth = simulator.sample(size, rng)
        result = pd.read_parquet(whole.folder / f"log/part-0000{shard}.parquet")
        known = pd.read_parquet(whole.folder / f"truth/part-0000{shard}.parquet")
        rows = np.arange(1000 * shard, 1000 * shard + size)
        for frame in (result, known):
            assert frame["row_id"].dtype == np.int64
            np.testing.assert_array_equal(frame["row_id"], rows)
        pd.testing.assert_frame_equal(result.drop(columns="row_id"), log)
        for name, array in truth.arrays().items():
            np.testing.assert_array_equal(known[f"true_{name}"], array)
        assert len(known.columns) == 1 + len(truth.arrays())


def test_no_two_shards_streams_or_seeds_share_rows(simulator, whole, tmp_path):
    first = pd.read_parquet(whole.folder / "log/part-00000.parquet").drop(columns="row_id")
    others = [pd.read_parquet(whole.folder / f"log/part-0000{shard}.parquet") for shard in (1, 2)]
    for name, settings in {"stream": {"stream": 2}, "seed": {"seed": SEED + 1}}.items():
        write(simulator, tmp_path / name, **settings)
        others.append(pd.read_parquet(tmp_path / name / "log/part-00000.parquet"))
    for other in others:
        # Whole rows agree by chance where users and items do, one pair in some thousands.
        same = (other.drop(columns="row_id").to_numpy() == first.to_numpy()).all(axis=1)
        assert same.mean() < 0.02


def test_a_long_seed_meets_no_stream_of_a_short_one():
    plans = [module.Plan(Path(), 10, 5, 3 + (1 << 32), 1), module.Plan(Path(), 10, 5, 3, 1)]
    draws = [plan.rng(shard).integers(1 << 60) for plan in plans for shard in (0, 1)]
    assert len(set(draws)) == 4


class Witnessed:
    """A scenario that leaves a file for each process it is drawn in, and waits for all of them."""

    def __init__(self, simulator, folder, workers):
        self.simulator, self.folder, self.workers = simulator, folder, workers
        self.schema, self.parameters, self.main = (
            simulator.schema,
            simulator.parameters,
            os.getpid(),
        )

    def sample(self, n, rng):
        if os.getpid() != self.main or self.workers == 1:
            (self.folder / str(os.getpid())).touch()
            deadline = time.monotonic() + 120
            while len(list(self.folder.iterdir())) < self.workers and time.monotonic() < deadline:
                time.sleep(0.01)
        return self.simulator.sample(n, rng)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_loky_workers_makes_the_same_rows_to_the_bit(whole, workers, tmp_path):
    witnesses = tmp_path / "witnesses"
    witnesses.mkdir()
    simulator = Witnessed(simulate.scenario("clean"), witnesses, workers)
    made = write(simulator, tmp_path / "w", workers=workers)
    assert len(list(witnesses.iterdir())) == workers
    result, expected = contents(tmp_path / "w"), contents(whole.folder)
    # The manifest names the kind of the scenario, which here is the witnessed one.
    assert result.pop("manifest.json") != expected.pop("manifest.json")
    assert result == expected
    assert made.totals == whole.totals


def test_another_backend_of_joblib_makes_the_same_bytes(simulator, whole, tmp_path):
    joblib = pytest.importorskip("joblib")
    with joblib.parallel_config(backend="threading", n_jobs=2):
        write(simulator, tmp_path / "w")
    assert contents(tmp_path / "w") == contents(whole.folder)


def test_totals_are_the_sums_of_the_columns(whole):
    log, truth = (read_frame(whole.folder / name) for name in ("log", "truth"))
    assert len(log) == ROWS
    for name, total in whole.totals.items():
        column = (log if name in log else truth)[name]
        assert total == pytest.approx(column.sum(), rel=1e-12)
    assert set(whole.totals) == {"click", "conversion", *truth.columns} - {"row_id"}


def test_a_finished_folder_is_left_as_it_is(simulator, whole):
    before = {part: os.stat(whole.folder / part) for part in PARTS}
    again = write(simulator, whole.folder)
    assert (again.made, again.kept) == (0, 6)
    assert again.totals == whole.totals
    assert {part: os.stat(whole.folder / part).st_ino for part in PARTS} == {
        part: stat.st_ino for part, stat in before.items()
    }


def test_an_end_between_the_last_shard_and_its_notice_is_mended(simulator, whole, tmp_path):
    write(simulator, tmp_path)
    for name in ("log", "truth"):
        (tmp_path / name / "_unfinished").touch()
    assert write(simulator, tmp_path).made == 0
    assert contents(tmp_path) == contents(whole.folder)


def torn(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def headless(path):
    path.write_bytes(path.read_bytes()[:-8])


def another(path):
    """A whole file, of other rows."""
    path.write_bytes(path.with_name("part-00001.parquet").read_bytes())


@pytest.mark.parametrize("part", ["log/part-00003.parquet", "truth/part-00003.parquet"])
@pytest.mark.parametrize(
    "spoil", [torn, headless, another, Path.unlink, lambda p: p.write_bytes(b"")]
)
def test_a_torn_shard_is_made_again_and_others_are_kept(simulator, whole, tmp_path, part, spoil):
    folder = tmp_path / "w"
    write(simulator, folder)
    kept = {name: os.stat(folder / name).st_ino for name in PARTS if "00003" not in name}
    spoil(folder / part)
    with pytest.raises(ArtifactError, match="shard 3 of 6"):
        list(read_shards(folder))
    again = write(simulator, folder)
    assert (again.made, again.kept) == (1, 5)
    assert again.totals == whole.totals
    assert contents(folder) == contents(whole.folder)
    assert {name: os.stat(folder / name).st_ino for name in kept} == kept


WRITE = f"""
import os, signal, sys, time
import pyarrow.parquet as pq
from mtl_seq import simulate
folder, kill, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
plain = pq.write_table
def half(table, where, **settings):
    "Die in the middle of a file."
    plain(table, where, **settings)
    if kill in str(where.parent.name) and b" 1 2 " in table.schema.metadata[b"mtl_seq.shard"]:
        with open(where, "r+b") as stream:
            stream.truncate(where.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
pq.write_table = half if kill != "-" else plain
simulate.write_shards(
    simulate.scenario("clean"), {ROWS}, folder, seed={SEED}, shard_rows={SHARD}, workers=workers
)
"""


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, str(folder), *arguments],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("part", ["log", "truth"])
def test_kill_9_in_the_middle_of_a_file_costs_one_shard(simulator, whole, tmp_path, part):
    folder = tmp_path / "w"
    running = start(folder, part, "1")
    running.communicate(timeout=120)
    assert running.returncode == -signal.SIGKILL
    left = contents(folder)
    assert [name for name in left if "/.part-00002-" in name], "a half-written file is left aside"
    assert "log/part-00001.parquet" in left
    assert "log/part-00002.parquet" not in left
    assert ("truth/part-00002.parquet" in left) == (part == "log")
    with pytest.raises(ArtifactError, match="unfinished, so it lacks rows"):
        read_frame(folder / "log")
    again = write(simulator, folder)
    assert (again.made, again.kept) == (4, 2)
    assert contents(folder) == contents(whole.folder)


def test_kill_9_of_a_whole_group_of_workers_at_any_moment(simulator, whole, tmp_path):
    folder = tmp_path / "w"
    running = start(folder, "-", "2")
    deadline = time.monotonic() + 120
    while not list(folder.glob("log/part-*")) and time.monotonic() < deadline:
        time.sleep(0.001)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=60)
    again = write(simulator, folder)
    assert again.kept >= 1
    assert again.made + again.kept == 6
    assert contents(folder) == contents(whole.folder)


def test_a_killed_worker_is_one_error_and_earlier_shards_stay(simulator, whole, tmp_path):
    folder = tmp_path / "w"
    message = r"a worker was killed.*fewer `workers`.*of 6 shards are finished"
    with pytest.raises(ArtifactError, match=message):
        write(Dying(simulator, tmp_path / "died"), folder, workers=2)
    again = write(Dying(simulator, tmp_path / "died"), folder, workers=2)
    assert again.made + again.kept == 6
    assert (
        contents(folder)["log/part-00004.parquet"]
        == (contents(whole.folder)["log/part-00004.parquet"])
    )


class Dying:
    """A scenario whose third shard kills its process once, as a system short of memory would."""

    def __init__(self, simulator, witness):
        self.simulator, self.witness = simulator, witness
        self.schema, self.parameters = simulator.schema, simulator.parameters

    def sample(self, n, rng):
        first = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(1, 2)))
        if rng.bit_generator.state == first.bit_generator.state and not self.witness.exists():
            self.witness.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.simulator.sample(n, rng)


def test_a_full_disk_keeps_earlier_shards(simulator, whole, tmp_path, monkeypatch):
    plain = pq.write_table

    def full(table, where, **settings):
        if b" 1 3 " in table.schema.metadata[b"mtl_seq.shard"]:
            Path(where).write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(table, where, **settings)

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(ArtifactError, match=r"No space left on device. 3 of 6 shards are finished"):
        write(simulator, tmp_path)
    monkeypatch.undo()
    assert not [name for name in contents(tmp_path) if "/." in name]
    assert write(simulator, tmp_path).kept == 3
    assert contents(tmp_path) == contents(whole.folder)


LIMITED = """
import resource, signal, sys
from mtl_seq import simulate
from mtl_seq.errors import ArtifactError
scenario = simulate.scenario("clean")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    simulate.write_shards(scenario, 5500, sys.argv[1], seed=3, shard_rows=1000, workers=1)
except ArtifactError as error:
    print(error)
"""


def test_what_the_system_refuses_to_write_is_no_shard(simulator, whole, tmp_path):
    """The system itself breaks the write off, as it does on a full disk."""
    folder = tmp_path / "w"
    write(simulator, folder)
    (folder / "truth/part-00004.parquet").unlink()
    message = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder)], capture_output=True, text=True, check=True
    ).stdout
    assert "File too large" in message
    assert "5 of 6 shards are finished and stay" in message
    assert not (folder / "truth/part-00004.parquet").exists()
    assert not [name for name in contents(folder) if "/." in name]
    assert write(simulator, folder).made == 1
    assert contents(folder) == contents(whole.folder)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 4}, "seed is 3 there and 4 here"),
        ({"stream": 2}, "stream is 1 there and 2 here"),
        ({"shard_rows": 1100}, "shard_rows is 1000 there and 1100 here"),
        ({"metadata": {"scenario": "mine"}}, 'metadata.scenario is absent there and "mine" here'),
        (
            {"simulator": simulate.scenario("clean", rho=0.5)},
            "parameters.rho is 0.8 there and 0.5 here",
        ),
        ({"rows": 5501}, "rows is 5500 there and 5501 here"),
    ],
)
def test_another_simulation_is_refused_with_what_differs(simulator, whole, changed, message):
    before = contents(whole.folder)
    settings = {"simulator": simulator, "rows": ROWS, "seed": SEED, "shard_rows": SHARD, **changed}
    with pytest.raises(ArtifactError, match="holds another simulation") as raised:
        write_shards(folder=whole.folder, **settings)
    assert message in str(raised.value)
    assert "; " not in str(raised.value).partition(": ")[2], "one difference, one reason"
    assert contents(whole.folder) == before


class Unnamed:
    """A scenario that says nothing of its parameters."""

    def __init__(self, simulator):
        self.sample, self.schema = simulator.sample, simulator.schema


def test_a_simulator_without_parameters_is_identified_by_its_draws(simulator, tmp_path):
    write(Unnamed(simulator), tmp_path)
    assert write(Unnamed(simulator), tmp_path).made == 0
    with pytest.raises(ArtifactError, match="draws other rows than the one written there"):
        write(Unnamed(simulate.scenario("clean", rho=0.79)), tmp_path)


def test_what_is_not_ours_is_not_written_into(simulator, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match=r"holds thesis.txt"):
        write(simulator, tmp_path)
    assert list(contents(tmp_path)) == ["thesis.txt"]
    with pytest.raises(ArtifactError, match="must be a folder, found a file"):
        write(simulator, tmp_path / "thesis.txt")


def test_a_place_that_cannot_be_written_to_is_an_error(simulator, tmp_path):
    write(simulator, tmp_path / "w")
    for path in (tmp_path / "w" / "log").iterdir():
        path.unlink()
    (tmp_path / "w" / "log").rmdir()
    (tmp_path / "w" / "log").write_text("a file where a folder should be")
    with pytest.raises(ArtifactError, match=r"cannot finish .*0 of 6 shards are finished"):
        write(simulator, tmp_path / "w")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rows": 0}, "`rows` must be a whole number >= 1, found 0"),
        ({"rows": 1e6}, "`rows` must be a whole number >= 1, found 1000000.0"),
        ({"shard_rows": 0}, "`shard_rows` must be"),
        ({"seed": -1}, "`seed` must be a whole number >= 0, found -1"),
        ({"stream": 0}, "`stream` must be"),
        ({"rows": 1_000_001, "shard_rows": 10}, "it must be at least 11"),
    ],
)
def test_settings_out_of_range_are_refused(simulator, tmp_path, settings, message):
    with pytest.raises(SimulationError, match=message):
        write_shards(
            simulator, folder=tmp_path, **{"rows": 10, "seed": 0, "shard_rows": 10, **settings}
        )
    assert contents(tmp_path) == {}


class WithRowId(Unnamed):
    """A scenario whose log has the column that shards add."""

    def sample(self, n, rng):
        log, truth = self.simulator.sample(n, rng)
        return log.assign(row_id=0), truth

    def __init__(self, simulator):
        self.simulator, self.schema = simulator, simulator.schema


def test_a_log_that_has_a_row_id_is_refused(simulator, tmp_path):
    with pytest.raises(SimulationError, match="no column 'row_id'"):
        write(WithRowId(simulator), tmp_path)


@pytest.mark.parametrize("batch_rows", [333, 1000, 10**9])
def test_what_was_written_streams_back_in_order(whole, batch_rows):
    log, truth = (read_frame(whole.folder / name) for name in ("log", "truth"))
    chunks = list(read_shards(whole.folder, batch_rows=batch_rows))
    assert max(len(rows) for rows, _ in chunks) == min(batch_rows, 1000)
    result = pd.concat([rows for rows, _ in chunks], ignore_index=True)
    pd.testing.assert_frame_equal(result, log)
    for name, array in truth_from_frame(truth).arrays().items():
        parts = [known.arrays()[name] for _, known in chunks]
        np.testing.assert_array_equal(np.concatenate(parts), array)


def test_a_truth_of_other_rows_is_refused(simulator, whole, tmp_path):
    write(simulator, tmp_path)
    path = tmp_path / "truth/part-00001.parquet"
    table = pq.read_table(path)
    moved = table.set_column(0, "row_id", [np.arange(1, 1001)])
    pq.write_table(moved, path)
    with pytest.raises(ArtifactError, match="hold different rows"):
        list(read_shards(tmp_path))


def test_a_folder_that_is_no_simulation_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"no file .*manifest\.json"):
        list(read_shards(tmp_path))
    with pytest.raises(MtlSeqError, match="`batch_rows`"):
        list(read_shards(tmp_path, batch_rows=0))


def test_a_truth_is_joined_to_some_rows_of_its_log(whole):
    log, truth = (read_frame(whole.folder / name) for name in ("log", "truth"))
    some = log.iloc[[4000, 17, 5499]]
    result = truth_of(some, truth)
    assert isinstance(result, FunnelTruth)
    np.testing.assert_array_equal(result.pcvr, truth["true_pcvr"].iloc[[4000, 17, 5499]])
    np.testing.assert_array_equal(
        result.potential * some["click"].to_numpy(), some["conversion"].to_numpy()
    )


def test_memory_does_not_grow_with_the_rows():
    """1.4M more rows would be 190 MB; at most a quarter of that may stay, which the heap keeps."""
    code = """
import resource, sys, tempfile
from mtl_seq import simulate
scenario = simulate.scenario("clean")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with tempfile.TemporaryDirectory() as folder:
    simulate.write_shards(scenario, int(sys.argv[1]), folder, seed=0, shard_rows=100_000, workers=1)
    for rows, truth in simulate.read_shards(folder): pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    few, many = (
        int(
            subprocess.run(
                [sys.executable, "-c", code, str(rows)], capture_output=True, text=True, check=True
            ).stdout
        )
        for rows in (200_000, 1_600_000)
    )
    assert many - few < 0.25 * 1_400_000 * 17 * 8 / 1024


def test_scenarios_can_be_sent_to_workers(simulator):
    again = pickle.loads(pickle.dumps(simulator))
    log, _ = again.sample(100, np.random.default_rng(0))
    pd.testing.assert_frame_equal(log, simulator.sample(100, np.random.default_rng(0))[0])
