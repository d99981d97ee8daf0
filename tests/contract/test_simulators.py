"""Every simulator keeps its contract, and can be written in shards."""

import numpy as np
import pandas as pd
import pytest
from contract import rows
from contract.rows import exported

from mtl_seq import simulate
from mtl_seq.report import SimulationSummary
from mtl_seq.simulate import read_shards, write_shards
from mtl_seq.testing import ContractError, check_simulator


@pytest.mark.parametrize("name", rows.SIMULATORS)
def test_simulators(name):
    check_simulator(rows.simulator(name))


@pytest.mark.parametrize("name", rows.SIMULATORS)
def test_every_simulator_can_be_written_in_shards_and_described(name, tmp_path):
    simulator = rows.simulator(name)
    write_shards(simulator, 500, tmp_path, seed=0, shard_rows=300)
    (first, truth), (second, _) = read_shards(tmp_path)
    log, known = simulator.sample(
        300, np.random.default_rng(np.random.SeedSequence(0, spawn_key=(1, 0)))
    )
    pd.testing.assert_frame_equal(first.drop(columns="row_id"), log)
    assert second["row_id"].tolist() == list(range(300, 500))
    for column, array in known.arrays().items():
        np.testing.assert_array_equal(truth.arrays()[column], array)
    table = SimulationSummary.from_chunks(read_shards(tmp_path), simulator.schema).table
    stages = simulator.schema.labels
    for stage, column in stages.items():
        drawn = first[column].sum() + second[column].sum()
        assert table.loc[f"{stage}s", "drawn"] == drawn
        assert not np.isnan(table.loc[f"{stage}s", "expected"])
    assert write_shards(simulator, 500, tmp_path, seed=0, shard_rows=300).kept == 2


def test_every_public_simulator_has_a_row():
    assert set(simulate.scenarios()) <= set(rows.SIMULATORS)
    simulators = {
        c for c in exported(simulate, object) if hasattr(c, "sample") and hasattr(c, "schema")
    }
    assert simulators - {simulate.Simulator} == {type(rows.simulator(n)) for n in rows.SIMULATORS}


class WrongTruth(simulate.LogisticFunnel):
    def sample(self, n, rng):
        log, truth = super().sample(n, rng)
        return log, truth._replace(pcvr=np.clip(truth.pcvr * 1.2, 0, 1))


def test_the_check_detects_a_wrong_truth():
    with pytest.raises(ContractError):
        check_simulator(WrongTruth(users=300, items=100))
