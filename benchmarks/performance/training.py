"""How fast mtl_seq trains and predicts, beside other packages and the least time it can take.

    pip install -c constraints.txt -e '.[bench]'
    python benchmarks/performance/training.py [--rounds 4] [--threads 1 2] [--batch 4096] [--device cpu]

23 id fields (6 of 200,000 ids, 7 of 10,000, 10 of 100; Zipf), embedding size 16. MMoE has 8 experts
of 256 and 128 units, ESMM reads the embedding; towers of 64 and 32 units everywhere. ESMM on MMoE,
which no other package has, stands beside the same network in a plain loop with Adam(fused=True).

Everyone trains and predicts in this process, in turns within each round, so that what else the
machine does falls on all of them: end to end (own trainer, own loader, ids in memory) and as bare
steps on a batch that lies ready. With one thread seconds are the processor's, with more the wall's.
Peak memory and the time of an import are taken in processes of their own. The result is kept in
benchmarks/results/speed.json, with docs/speed.png; `--small` tries all of it within seconds and
keeps nothing.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from speed_cases import BFLOAT16, FLOAT32, OURS, TASKS, Case, Ours, contestants, floors
from speed_page import draw_chart, print_tables
from speed_parts import parts
from speed_peers import main as missing_peers
from speed_work import MODELS, SIZES, Floor, Work, draw, timed

from mtl_seq._files import atomic_path
from mtl_seq.experiments.compare import versions

RESULT = Path(__file__).parent / "results" / "speed.json"
CHART = Path(__file__).parents[1] / "docs" / "speed.png"
STEPS = 3
PASS = {"MMoE": 12, "ESMM": 36, "ESMM on MMoE": 12}
"""Batches of a pass end to end."""

IMPORTS = {
    "import torch, pandas, torchmetrics": "import torch, pandas, torchmetrics",
    "the same and import mtl_seq": "import torch, pandas, torchmetrics, mtl_seq",
}
Record = dict[str, Any]


def measure(
    model: str, work: Work, sizes: dict[str, int], given: argparse.Namespace
) -> list[Record]:
    """Every contestant at every task, in turns."""
    records = []
    cases: dict[str, Case | Floor] = dict(floors(model, work)) if given.device == "cpu" else {}
    cases |= {name: make() for name, make in contestants(model, work, sizes, given.device)}
    for threads in given.threads:
        torch.set_num_threads(threads)
        for task, method in TASKS.items():
            taking = {n: c for n, c in cases.items() if hasattr(c, method)}
            times: dict[str, list[tuple[float, float]]] = {name: [] for name in taking}
            for _ in range(given.rounds + 1):  # the first one does not count
                for name, case in taking.items():
                    gc.collect()
                    times[name].append(once(case, method, given.device))
            for name, found in times.items():
                records.append(record(model, threads, task, name, found[1:], work))
                print(records[-1], flush=True)
    return records


def where(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Seconds of each part of our training step, by model and precision; on one thread."""
    torch.set_num_threads(1)
    found = {}
    for model in given.models:
        work, sizes = laid_out(model, given.batch, given.small)
        for name in (FLOAT32, BFLOAT16):
            case = Ours(model, work, sizes, OURS[name], given.device)
            found[f"{model}, {name.removeprefix('mtl_seq, ')}"] = parts(case, 3 * given.rounds)
    return found


def once(case: Case | Floor, method: str, device: str) -> tuple[float, float]:
    """Seconds of one go; of bare steps, of one among several."""
    run = getattr(case, method)
    bare = method in ("step", "forward")

    def go() -> None:
        for _ in range(STEPS if bare else 1):
            run()
        if device == "cuda":
            torch.cuda.synchronize()

    processor, wall = timed(go)
    return (processor / STEPS, wall / STEPS) if bare else (processor, wall)


def record(
    model: str, threads: int, task: str, name: str, found: list[tuple[float, float]], work: Work
) -> Record:
    processor, wall = zip(*found, strict=True)
    used = processor if threads == 1 else wall
    quartiles = statistics.quantiles(used, n=4, method="inclusive")
    rows = work.batch if "bare" in task else work.rows
    return {
        "model": model,
        "threads": threads,
        "batch": work.batch,
        "task": task,
        "who": name,
        "seconds": round(statistics.median(used), 5),
        "quartiles": [round(quartiles[0], 5), round(quartiles[2], 5)],
        "wall": round(statistics.median(wall), 5),
        "rows": rows,
    }


def memory(model: str, name: str, given: argparse.Namespace) -> float:
    """Megabytes at most that a process holds which trains one contestant on two batches."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import torch, speed\n"
        "from speed_cases import contestants\n"
        f"torch.set_num_threads(1); work, sizes = speed.laid_out({model!r}, {given.batch}, "
        f"{given.small}, steps=2)\n"
        f"dict(contestants({model!r}, work, sizes, 'cpu'))[{name!r}]().train()\n"
        "print(speed.peak())"
    )
    return round(float(fresh(code).splitlines()[-1]))


def memories(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """By model and contestant."""
    return {
        model: {name: memory(model, name, given) for name in names(model, given.device)}
        for model in given.models
    }


def peak() -> float:
    """Megabytes this process held at most, of its own: `ru_maxrss` starts at its parent's."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def fresh(code: str) -> str:
    """What a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def import_seconds(statement: str) -> float:
    """Seconds of the processor: the least of three."""
    code = f"import time\n{statement}\nprint(time.process_time())"
    return round(min(float(fresh(code)) for _ in range(3)), 3)


def laid_out(
    model: str, batch: int, small: bool, steps: int | None = None
) -> tuple[Work, dict[str, int]]:
    """The rows, and the ids of each field."""
    sizes = {name: min(size, 50) for name, size in SIZES.items()} if small else SIZES
    taken = steps or (4 if small else PASS[model])
    return draw(taken * batch, batch, sizes), sizes


def names(model: str, device: str) -> list[str]:
    """Everyone who does a model's work; nothing is built."""
    work, sizes = laid_out(model, 1, small=True)
    return [name for name, _ in contestants(model, work, sizes, device)]


def processor() -> str:
    """What the machine calls it."""
    lines = Path("/proc/cpuinfo")
    if not lines.exists():
        return "unknown"
    named = [x for x in lines.read_text("utf-8").splitlines() if x.startswith("model name")]
    able = torch.cpu.get_capabilities()
    kinds = [k for k in ("avx512_f", "avx512_bf16", "amx_bf16") if able.get(k)]
    return ", ".join([named[0].split(":")[1].strip() if named else "unknown", *kinds])


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--small", action="store_true", help="tiny, to try it; keeps nothing")
    parser.add_argument("--memory", action="store_true", help="only that, into the kept result")
    parser.add_argument("--out", type=Path, help=f"by default {RESULT.name}; none for --small")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        print(
            "NOT RUN ON A GPU: there is none here. What follows is the same work, tiny, on a CPU."
        )
        given.device, given.small = "cpu", True
    if given.small:
        given.batch, given.rounds = 128, 2
    return given


def main(arguments: list[str] | None = None) -> int:
    given = parse(arguments)
    if missing_peers():
        return 1
    warnings.simplefilter("ignore")
    if given.memory:
        content = json.loads(RESULT.read_text("utf-8"))
        content["memory, MB"] = memories(given)
        return keep(content, RESULT)
    measured = []
    for model in given.models:
        measured += measure(model, *laid_out(model, given.batch, given.small), given)
        gc.collect()
    content = {
        "command": f"python benchmarks/performance/training.py --rounds {given.rounds} "
        f"--batch {given.batch} --threads {' '.join(map(str, given.threads))}",
        "versions": f"{versions()}; {peers()}",
        "processor": processor() if given.device == "cpu" else torch.cuda.get_device_name(),
        "ours": {name: repr(how) for name, how in OURS.items()},
        "measured": measured,
        "parts, seconds": where(given),
        "memory, MB": memories(given),
        "import, seconds": {name: import_seconds(code) for name, code in IMPORTS.items()},
    }
    return keep(content, given.out or (None if given.small else RESULT))


def keep(content: dict[str, Any], out: Path | None) -> int:
    """Show all of it; write it and draw it, where it is to be kept."""
    print_tables(content)
    if out is not None:
        with atomic_path(out) as path:
            path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        draw_chart(content, CHART if out == RESULT else out.with_suffix(".png"))
    return 0


def peers() -> str:
    """Versions of the packages beside ours."""
    return ", ".join(f"{x} {version(x)}" for x in ("torch-rechub", "deepctr-torch", "lightning"))


if __name__ == "__main__":
    sys.exit(main())
