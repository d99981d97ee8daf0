"""Measure how fast mtl_seq trains and predicts, beside other packages and a lower bound.

    pip install -c constraints.txt -e '.[bench]'
    python -m benchmarks.performance.training [--rounds 4] [--threads 1 2] [--device cpu]

23 id fields (6 of 200,000 ids, 7 of 10,000, 10 of 100; Zipf), embedding size 16. MMoE has 8 experts
of 256 and 128 units, ESMM takes the embedding; towers of 64 and 32 units everywhere. ESMM on MMoE,
which no other package has, stands beside the same network in a plain loop with Adam(fused=True).

All implementations train and predict in this process, alternating within each round, so that other
load on the machine affects all of them alike: end to end (their trainer and loader, ids in memory)
and as bare steps on a batch in memory. With one thread times are of the processor, with more of the
wall clock. Peak memory and the time of an import are measured in separate processes. Draws
docs/speed.png; `--small` tries all of it within seconds and keeps nothing.
"""

import argparse
import gc
import json
import statistics
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.lib.results_store import Result, path_of, read, write
from benchmarks.performance.timing import alone, peak_kb, timed
from benchmarks.performance.training_cases import (
    BFLOAT16,
    FLOAT32,
    OURS,
    TASKS,
    Case,
    Ours,
    bounds,
    implementations,
)
from benchmarks.performance.training_peers import missing
from benchmarks.performance.training_profile import parts
from benchmarks.performance.training_summary import draw_chart, print_tables
from benchmarks.performance.training_work import MODELS, SIZES, LowerBound, Work, draw
from mtl_seq.experiments.compare import versions

MODULE = "benchmarks.performance.training"
CHART = Path(__file__).parents[2] / "docs" / "speed.png"
STEPS = 3
BATCHES = {"MMoE": 12, "ESMM": 36, "ESMM on MMoE": 12}
"""Batches of an epoch end to end."""

IMPORTS = {
    "import torch, pandas, torchmetrics": "import torch, pandas, torchmetrics",
    "the same and import mtl_seq": "import torch, pandas, torchmetrics, mtl_seq",
}
Record = dict[str, Any]


def measure(
    model: str, work: Work, sizes: dict[str, int], given: argparse.Namespace
) -> list[Record]:
    """Time every implementation at every task, alternating."""
    records = []
    cases: dict[str, Case | LowerBound] = {}
    if given.device == "cpu":
        cases |= bounds(model, work)
    cases |= {name: build() for name, build in implementations(model, work, sizes, given.device)}
    for threads in given.threads:
        torch.set_num_threads(threads)
        for task, method in TASKS.items():
            taking = {n: c for n, c in cases.items() if hasattr(c, method)}
            times: dict[str, list[tuple[float, float]]] = {name: [] for name in taking}
            for _ in range(given.rounds + 1):  # the first one does not count
                for name, case in taking.items():
                    gc.collect()
                    times[name].append(once(case, method, given.device))
            for name, seconds in times.items():
                records.append(record(model, threads, task, name, seconds[1:], work))
                print(records[-1], flush=True)
    return records


def profile(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Seconds of each part of our training step, by model and precision; on one thread."""
    torch.set_num_threads(1)
    seconds = {}
    for model in given.models:
        work, sizes = laid_out(model, given.batch, given.small)
        for name in (FLOAT32, BFLOAT16):
            case = Ours(model, work, sizes, OURS[name], given.device)
            seconds[f"{model}, {name.removeprefix('mtl_seq, ')}"] = parts(case, 3 * given.rounds)
    return seconds


def once(case: Case | LowerBound, method: str, device: str) -> tuple[float, float]:
    """Processor and wall seconds of one call; of bare steps, of one among several."""
    run = getattr(case, method)
    repeats = STEPS if method in ("step", "forward") else 1

    def repeat() -> None:
        for _ in range(repeats):
            run()
        if device == "cuda":
            torch.cuda.synchronize()

    processor, wall, _ = timed(repeat)
    return processor / repeats, wall / repeats


def record(
    model: str, threads: int, task: str, name: str, times: list[tuple[float, float]], work: Work
) -> Record:
    """Medians and quartiles of a task."""
    processor, wall = zip(*times, strict=True)
    used = processor if threads == 1 else wall
    quartiles = statistics.quantiles(used, n=4, method="inclusive")
    rows = work.batch if "bare" in task else work.rows
    return {
        "model": model,
        "threads": threads,
        "batch": work.batch,
        "task": task,
        "implementation": name,
        "seconds": round(statistics.median(used), 5),
        "quartiles": [round(quartiles[0], 5), round(quartiles[2], 5)],
        "wall": round(statistics.median(wall), 5),
        "rows": rows,
    }


def laid_out(
    model: str, batch: int, small: bool, steps: int | None = None
) -> tuple[Work, dict[str, int]]:
    """Rows, and the number of ids of each field."""
    sizes = {name: min(size, 50) for name, size in SIZES.items()} if small else SIZES
    steps = steps or (4 if small else BATCHES[model])
    return draw(steps * batch, batch, sizes), sizes


def memory(model: str, name: str, given: argparse.Namespace) -> float:
    """Peak megabytes of a process that trains one implementation on two batches."""
    small = ["--small"] if given.small else []
    return round(alone("-m", MODULE, "--peak", model, name, "--batch", given.batch, *small) / 1024)


def print_peak(model: str, name: str, given: argparse.Namespace) -> None:
    """Train one implementation on two batches and print the peak memory, in kB."""
    torch.set_num_threads(1)
    work, sizes = laid_out(model, given.batch, given.small, steps=2)
    dict(implementations(model, work, sizes, "cpu"))[name]().train()
    print(json.dumps(peak_kb()))


def memories(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Peak megabytes by model and implementation."""
    peaks: dict[str, dict[str, float]] = {}
    for model in given.models:
        work, sizes = laid_out(model, 1, small=True)
        names = [name for name, _ in implementations(model, work, sizes, given.device)]
        peaks[model] = {name: memory(model, name, given) for name in names}
    return peaks


def import_seconds(statement: str) -> float:
    """Processor seconds of an import, the least of three."""
    code = f"import time\n{statement}\nprint(time.process_time())"
    return round(min(alone("-c", code) for _ in range(3)), 3)


def processor() -> str:
    """Name and instruction sets of the processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = [x.split(":")[1].strip() for x in lines if x.startswith("model name")] or ["unknown"]
    able = torch.cpu.get_capabilities()
    return ", ".join(
        [names[0], *(k for k in ("avx512_f", "avx512_bf16", "amx_bf16") if able.get(k))]
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the arguments; without a GPU, `--device cuda` becomes a small run on the CPU."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--small", action="store_true", help="tiny, to try it; keeps nothing")
    parser.add_argument("--memory", action="store_true", help="only that, into the kept result")
    parser.add_argument("--table", action="store_true", help="only show and draw what is kept")
    parser.add_argument("--out", type=Path, help="by default the kept result; none for --small")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        print(
            "NOT RUN ON A GPU: there is none here. What follows is the same work, tiny, on a CPU."
        )
        given.device, given.small = "cpu", True
    if given.small:
        given.batch, given.rounds = 128, 2
    given.out = given.out or (None if given.small else path_of("training"))
    return given


def measured(given: argparse.Namespace) -> Result:
    """Time everything."""
    cells = []
    for model in given.models:
        cells += measure(model, *laid_out(model, given.batch, given.small), given)
        gc.collect()
    peers = ", ".join(f"{x} {version(x)}" for x in ("torch-rechub", "deepctr-torch", "lightning"))
    metadata = {
        "command": f"python -m {MODULE} --rounds {given.rounds} "
        f"--batch {given.batch} --threads {' '.join(map(str, given.threads))}",
        "versions": f"{versions()}; {peers}",
        "processor": processor() if given.device == "cpu" else torch.cuda.get_device_name(),
        "ours": {name: repr(how) for name, how in OURS.items()},
        "parts, seconds": profile(given),
        "memory, MB": memories(given),
        "import, seconds": {name: import_seconds(code) for name, code in IMPORTS.items()},
    }
    return Result(metadata, cells)


def main(arguments: list[str] | None = None) -> int:
    given = parse(arguments)
    if not given.table and missing():
        return 1
    warnings.simplefilter("ignore")
    if given.peak:
        print_peak(*given.peak, given)
        return 0
    if given.memory or given.table:
        result = read(given.out)
        if given.memory:
            result.metadata["memory, MB"] = memories(given)
    else:
        result = measured(given)
    print_tables(result)
    if given.out is not None:
        write(given.out, *result)
        kept = given.out == path_of("training")
        draw_chart(result, CHART if kept else given.out.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
