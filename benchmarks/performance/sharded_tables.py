"""A table of 20M rows x 16 over two processes: time of a step, memory of a process, by the update.

    python benchmarks/performance/sharded_tables.py [--rows 20000000] [--batch 8192] [--steps 20] [--only UPDATE]

Three ways to train the same ESMM on the same batches, one after the other, each in fresh processes:

* ``touched``: `mtl_seq.fit.sharding`; ids travel to the keepers of their rows, and only rows that
  were looked up are updated.
* ``dense``: the same tables, but every row of a process's share is updated by AdamW in every step,
  as in one process.
* ``rowwise``: torch's own ``RowwiseParallel`` of an `nn.Embedding`, whose gradient is dense, too.

Ids are drawn evenly, the worst case for an update of touched rows. Medians over steps with the
extremes; the memory is each process's resident set after the steps, and at its peak, which is when
the whole table is cut. Writes benchmarks/results/large_tables.json, update by update.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard
from torch.distributed.tensor.parallel import RowwiseParallel, parallelize_module

from mtl_seq import models
from mtl_seq.experiments.compare import versions
from mtl_seq.fit.sharded.files import load_sharded, save_sharded
from mtl_seq.fit.sharded.tables import average_gradients, shard_tables, sharded, sharded_optimizers
from mtl_seq.records import FunnelLabels
from mtl_seq.schema import FeatureSpec

RESULT = Path(__file__).parent / "results" / "large_tables.json"
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


def peak():
    """Greatest resident memory of this process alone, GB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


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
        """Backwards from the losses' sum, and on."""
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
    measured["peak, GB"] = peak()
    everyone = [None] * PROCESSES
    dist.all_gather_object(everyone, measured)
    if rank == 0:
        found = {
            "step, seconds": {
                "median": float(np.median(seconds[WARM:])),
                "least": min(seconds[WARM:]),
                "most": max(seconds[WARM:]),
                "steps": given.steps,
            },
            "by process": everyone,
        }
        Path(folder, f"{update}.json").write_text(json.dumps(found), encoding="utf-8")
    dist.barrier()
    dist.destroy_process_group()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", choices=UPDATES, nargs="*", default=UPDATES)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    kept = json.loads(given.out.read_text(encoding="utf-8")) if given.out.is_file() else {}
    for update in given.only:
        with tempfile.TemporaryDirectory() as folder:
            mp.spawn(work, (given, update, folder), nprocs=PROCESSES)
            kept[update] = json.loads(Path(folder, f"{update}.json").read_text(encoding="utf-8"))
        kept[update]["rows"], kept[update]["batch"] = given.rows, given.batch
        print(update, json.dumps(kept[update], indent=1), flush=True)
        kept["command"] = "python benchmarks/performance/sharded_tables.py"
        kept["processes"], kept["size"], kept["cores"] = PROCESSES, SIZE, os.cpu_count()
        kept["versions"] = versions()
        given.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
