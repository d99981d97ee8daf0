"""Measure a table of 20M rows x 16 over two processes: time of a step and memory, by the update.

    python -m benchmarks.performance.sharded_tables [--rows 20000000] [--steps 20] [--only UPDATE]

Three ways to train the same ESMM on the same batches, one after the other, each in new processes:

* ``touched``: `mtl_seq.fit.sharded`; ids travel to the processes that hold their rows, and only
  rows that were looked up are updated.
* ``dense``: the same tables, but AdamW updates every row of a process's share in every step, as in
  one process.
* ``rowwise``: torch's ``RowwiseParallel`` of an `nn.Embedding`, whose gradient is dense, too.

Ids are drawn uniformly, the worst case for an update of touched rows. Medians over steps with the
extremes; memory is each process's resident set after the steps, and at its peak, which is when the
whole table is sharded.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard
from torch.distributed.tensor.parallel import RowwiseParallel, parallelize_module

from benchmarks.lib.results_store import path_of
from benchmarks.performance.timing import machine, peak_kb, run_parts, spread
from mtl_seq import models
from mtl_seq.fit.sharded.files import load_sharded, save_sharded
from mtl_seq.fit.sharded.tables import average_gradients, shard_tables, sharded, sharded_optimizers
from mtl_seq.records import FunnelLabels
from mtl_seq.schema import FeatureSpec

UPDATES = ("touched", "dense", "rowwise")
PROCESSES, SIZE, WARM = 2, 16, 3


def batch(rows, size, rank, step):
    """One process's share of a batch."""
    draw = torch.Generator().manual_seed(1000 * step + rank)
    click = torch.rand(size, generator=draw) < 0.2
    conversion = click & (torch.rand(size, generator=draw) < 0.2)
    features = {
        "user_id": torch.randint(0, rows, (size,), generator=draw),
        "price": torch.randn(size, generator=draw),
    }
    return features, FunnelLabels.of(click=click, conversion=conversion)


def resident():
    """Resident memory of this process, GB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**30


class Trainer:
    """One way to train."""

    def __init__(self, update, model, mesh):
        self.update, self.model, self.mesh = update, model, mesh
        if update == "rowwise":
            tables = model.network.embedding.lookup.tables
            plan = RowwiseParallel(input_layouts=Shard(0), output_layouts=Shard(0))
            parallelize_module(tables, mesh, {str(SIZE): plan})
            self.tables = [tables[str(SIZE)].weight]
        else:
            shard_tables(model, mesh)
            self.tables = [table.weight for _, table in sharded(model)]
        if update == "touched":
            self.optimizers = sharded_optimizers(model, lr=1e-3)
            return
        kept = {id(weight) for weight in self.tables}
        self.rest = [p for p in model.parameters() if id(p) not in kept]
        self.optimizers = (
            torch.optim.AdamW(self.rest, lr=1e-3, fused=True),
            torch.optim.AdamW(self.tables, lr=1e-3, weight_decay=0.0, fused=True),
        )

    def step(self, loss):
        """Backward pass and update."""
        loss.backward()
        if self.update == "rowwise":
            for parameter in self.rest:
                dist.all_reduce(parameter.grad)
                parameter.grad /= PROCESSES
        else:
            average_gradients(self.model, self.mesh)
        if self.update == "dense":
            for weight in self.tables:
                weight.grad = weight.grad.to_dense()
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()


def work(rank, given, update, folder):
    """Train on one process; rank 0 writes the record."""
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(PROCESSES))
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/{update}", rank=rank, world_size=PROCESSES
    )
    mesh = init_device_mesh("cpu", (PROCESSES,))
    spec = FeatureSpec(ids={"user_id": given.rows}, dense=["price"], embedding=SIZE)
    model = models.esmm(spec, seed=0)
    trainer = Trainer(update, model, mesh)
    seconds = []
    for step in range(WARM + given.steps):
        features, labels = batch(given.rows, given.batch // PROCESSES, rank, step)
        dist.barrier()
        start = time.perf_counter()
        losses = model.objective(model(features), labels)
        trainer.step(torch.stack(list(losses.values())).sum())
        dist.barrier()
        seconds.append(time.perf_counter() - start)
    measured = {"memory, GB": resident()}
    if update == "touched":
        start = time.perf_counter()
        save_sharded(f"{folder}/saved", model, *trainer.optimizers)
        measured["seconds to save"] = time.perf_counter() - start
        start = time.perf_counter()
        load_sharded(f"{folder}/saved", model, *trainer.optimizers)
        measured["seconds to load"] = time.perf_counter() - start
    measured["peak, GB"] = peak_kb() / 2**20
    everyone = [None] * PROCESSES
    dist.all_gather_object(everyone, measured)
    if rank == 0:
        record = {
            "step, seconds": spread(seconds[WARM:]),
            "by process": everyone,
            "rows": given.rows,
            "batch": given.batch,
            "steps": given.steps,
        }
        Path(folder, f"{update}.json").write_text(json.dumps(record), encoding="utf-8")
    dist.barrier()
    dist.destroy_process_group()


def measure(given, update):
    """The record of an update."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(work, (given, update, folder), nprocs=PROCESSES)
        return json.loads(Path(folder, f"{update}.json").read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", choices=UPDATES, nargs="*", default=UPDATES)
    parser.add_argument("--out", type=Path, default=path_of("sharded_tables"))
    given = parser.parse_args(arguments)
    stated = {
        "command": f"python -m benchmarks.performance.sharded_tables --steps {given.steps}",
        "processes": PROCESSES,
        "size": SIZE,
        **machine(),
    }
    parts = {update: partial(measure, given, update) for update in given.only}
    run_parts(given.out, parts, lambda _: stated)
    return 0


if __name__ == "__main__":
    sys.exit(main())
