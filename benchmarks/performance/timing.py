"""Time and memory of this process and of separate ones, and results by parts."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lib.results_store import path_of, read, write
from mtl_seq.experiments.compare import versions

__all__ = ["alone", "machine", "peak_kb", "ratios", "run_parts", "spread", "timed"]


def spread(values: Sequence[float], digits: int = 4) -> dict[str, float]:
    """Median, lowest and highest, to significant digits."""
    low, middle, high = (float(f"{np.quantile(values, q):.{digits}g}") for q in (0, 0.5, 1))
    return {"median": middle, "lowest": low, "highest": high}


def timed(run: Callable[[], Any]) -> tuple[float, float, Any]:
    """Processor seconds, wall seconds and the value of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    value = run()
    return time.process_time() - processor, time.perf_counter() - wall, value


def ratios(
    calls: Mapping[str, Callable[[], Any]], reference: str, rounds: int, repeats: int = 1
) -> dict[str, dict[str, float]]:
    """Processor time of calls as ratios to that of a reference, all alternating in each round.

    Returns:
        By name, the median and quartiles over rounds of the ratio, and the median milliseconds.
    """
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            for _repeat in range(repeats):
                call()
            seconds[name].append((time.process_time() - start) / repeats)
    found = {}
    for name, times in seconds.items():
        ratio = np.array(times) / np.array(seconds[reference])
        low, middle, high = (round(float(x), 3) for x in np.quantile(ratio, [0.25, 0.5, 0.75]))
        found[name] = {
            "ratio": middle, "first quartile": low, "third quartile": high,
            "milliseconds": round(1000 * float(np.median(times)), 3),
        }  # fmt: skip
    return found


def peak_kb() -> int:
    """Greatest resident memory of this process, in kB; `resource` counts its parent's too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0])


def alone(*arguments: object, **environment: str) -> Any:
    """Run Python in a separate process; the JSON of the last line that it prints."""
    command = [sys.executable, "-W", "ignore", *map(str, arguments)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **environment}
    )
    return json.loads(done.stdout.splitlines()[-1])


def machine(*packages: str) -> dict[str, Any]:
    """Cores, kind and versions of where a part was measured."""
    from importlib.metadata import version

    more = "".join(f", {name} {version(name)}" for name in packages)
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": f"{versions()}{more}",
    }


def run_parts(
    name: str | Path,
    parts: Mapping[str, Callable[[], Mapping[str, Any]]],
    stated: Callable[[str], Mapping[str, Any]],
) -> None:
    """Measure parts of a result, each kept at once in place of an earlier measurement.

    Args:
        name: Name or path of the result; parts that are not measured keep their records.
        parts: How each part is measured, by name.
        stated: What else the record of a part states, such as its command.
    """
    metadata, cells = read(name) if path_of(name).exists() else ({}, [])
    records = {cell["part"]: cell for cell in cells}
    for part, measure in parts.items():
        records[part] = {"part": part, **measure(), **stated(part)}
        print(json.dumps(records[part], indent=1), flush=True)
        write(name, metadata, records.values())
