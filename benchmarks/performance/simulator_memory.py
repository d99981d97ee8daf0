"""Peak memory of a simulation and its workers together."""

import argparse
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.performance.simulator_tools import folder_for, size_of

__all__ = ["peak"]

WRITE_ALONE = """
import sys
from mtl_seq import simulate
simulate.write_shards(
    simulate.scenario("dense"), int(sys.argv[1]), sys.argv[2], seed=0, workers=int(sys.argv[3])
)
"""


def peak(given: argparse.Namespace) -> dict[str, Any]:
    """Time, size and peak memory of a run in a separate process."""
    with folder_for(given) as folder:
        start = time.perf_counter()
        arguments = [str(given.rows), str(folder / "w"), str(given.workers)]
        running = subprocess.Popen([sys.executable, "-c", WRITE_ALONE, *arguments])
        highest = watch(running)
        seconds = time.perf_counter() - start
        if running.returncode:
            raise SystemExit("the run of `peak` failed")
        size = size_of(folder / "w")
    return {
        "rows": given.rows,
        "workers": given.workers,
        "seconds": round(seconds, 1),
        "rows/s": float(f"{given.rows / seconds:.4g}"),
        "gigabytes": {name: round(count / 1e9, 2) for name, count in size.items()},
        "peak PSS, MB": round(highest["Pss"] / 1e3),
        "peak RSS, MB": round(highest["Rss"] / 1e3),
    }


def watch(running: "subprocess.Popen[bytes]") -> dict[str, float]:
    """Highest memory, in kB, of a process and its descendants, until it ends."""
    highest = {"Pss": 0.0, "Rss": 0.0}

    def sample() -> None:
        while running.poll() is None:
            total = {"Pss": 0.0, "Rss": 0.0}
            for pid in family(running.pid):
                try:
                    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                except OSError:
                    continue
                for line in lines:
                    name, _, rest = line.partition(":")
                    if name in total:
                        total[name] += float(rest.split()[0])
            for name, value in total.items():
                highest[name] = max(highest[name], value)
            time.sleep(0.25)

    watching = threading.Thread(target=sample)
    watching.start()
    running.wait()
    watching.join()
    return highest


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    pids, new = [pid], [pid]
    while new:
        new = [child for one in new for child in children.get(one, [])]
        pids += new
    return pids
