"""Tables, goals and the chart of the training benchmark."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from benchmarks.lib.results_store import Result
from benchmarks.performance.training_cases import BFLOAT16, BOUND, DENSE, FLOAT32, HAND
from benchmarks.performance.training_peers import PEERS
from mtl_seq.report.render.plot_bias import save

END, STEP = "training, end to end", "training, bare steps"
PREDICT = "inference, end to end"
# Model, task, ours, beside what (None: the faster peer), and at least this ratio.
RATIOS = [
    ("ESMM", END, FLOAT32, None, 8.0),
    ("ESMM", END, BFLOAT16, None, 12.0),
    ("MMoE", END, FLOAT32, None, 2.5),
    ("MMoE", END, BFLOAT16, None, 4.0),
    ("ESMM", END, DENSE, None, 2.0),
    ("MMoE", END, DENSE, None, 1.15),
    ("MMoE", PREDICT, BFLOAT16, None, 2.5),
    ("ESMM", PREDICT, BFLOAT16, None, 2.0),
    ("MMoE", PREDICT, FLOAT32, None, 1.0),
    ("ESMM", PREDICT, FLOAT32, None, 1.0),
    ("ESMM on MMoE", END, FLOAT32, HAND, 1.5),
]
BOUND_SHARE, OVERHEAD, IMPORT = 0.85, 0.03, 0.5


class Goal(NamedTuple):
    """A goal, its target, and what was measured."""

    goal: str
    target: str
    found: float
    reached: bool


def goals(result: Result, threads: int) -> pd.DataFrame:
    """All goals at a number of threads."""
    frame = pd.DataFrame(result.where(threads=threads))
    seconds = frame.set_index(["model", "task", "implementation"])["seconds"]
    rows = [*_ratios(seconds), *_bounds(seconds), *_overheads(frame, seconds, result.metadata)]
    before, after = result.metadata["import, seconds"].values()
    name = "import mtl_seq beyond torch, pandas and torchmetrics, s"
    rows.append(Goal(name, f"<= {IMPORT}", round(after - before, 2), after - before <= IMPORT))
    return pd.DataFrame(rows)


def _ratios(seconds: pd.Series) -> Iterator[Goal]:
    for model, task, ours, beside, least in RATIOS:
        if (model, task, ours) in seconds.index:
            others = [beside] if beside else [p for p in PEERS if (model, task, p) in seconds.index]
            ratio = min(seconds[model, task, x] for x in others) / seconds[model, task, ours]
            name = f"{model}, {task}: {ours} over {beside or 'the faster peer'}"
            yield Goal(name, f">= {least}", round(ratio, 2), ratio >= least)


def _bounds(seconds: pd.Series) -> Iterator[Goal]:
    for model in seconds.index.unique("model"):
        for ours in (FLOAT32, BFLOAT16):
            bound = (model, STEP, f"{BOUND}, {ours.removeprefix('mtl_seq, ')}")
            if bound in seconds.index:
                share = seconds[bound] / seconds[model, STEP, ours]
                name = f"{model}: {BOUND} over a training step, {ours}"
                yield Goal(name, f">= {BOUND_SHARE}", round(share, 2), share >= BOUND_SHARE)


def _overheads(frame: pd.DataFrame, seconds: pd.Series, metadata: dict[str, Any]) -> Iterator[Goal]:
    """Cost of the trainer beyond bare steps, and peak memory."""
    for model, part in frame.groupby("model", sort=False):
        steps = -(-int(part["rows"].iloc[0]) // int(part["batch"].iloc[0]))
        for ours in (FLOAT32, BFLOAT16):
            over = float(seconds[model, END, ours] / (steps * seconds[model, STEP, ours]) - 1)
            name = f"{model}: trainer and loader over bare steps, {ours}"
            yield Goal(name, f"<= {OVERHEAD:.0%}", round(over, 3), over <= OVERHEAD)
        memory = metadata["memory, MB"].get(model, {})
        if peers := [memory[name] for name in PEERS if name in memory]:
            name = f"{model}: peak memory of {FLOAT32}, MB"
            ours, least = memory[FLOAT32], min(peers)
            yield Goal(name, f"<= {least}", ours, ours <= least)


def goal_table(result: Result, threads: int) -> pd.DataFrame:
    """Goals with their verdict as text."""
    frame = goals(result, threads).set_index("goal")
    return frame.assign(reached=frame["reached"].map({True: "yes", False: "**no**"}))


def milliseconds(result: Result, threads: int) -> dict[str, pd.DataFrame]:
    """Median milliseconds by implementation and task, a table per model."""
    frame = pd.DataFrame(result.where(threads=threads))
    frame["ms"] = (1000 * frame["seconds"]).round(1)
    tables = {}
    for model, part in frame.groupby("model", sort=False):
        table = part.pivot(index="implementation", columns="task", values="ms")
        order = [x for x in frame["implementation"].unique() if x in table.index]
        tables[str(model)] = table.loc[order, part["task"].unique()]
    return tables


def parts(result: Result) -> pd.DataFrame:
    """Milliseconds of the parts of a step."""
    frame = 1000 * pd.DataFrame(result.metadata["parts, seconds"])
    frame.loc["together"] = frame.sum()
    return frame.round(1)


def memory(result: Result) -> pd.DataFrame:
    """Peak memory by model and implementation."""
    return pd.DataFrame(result.metadata["memory, MB"]).T


def print_tables(result: Result) -> None:
    """Print all tables."""
    print(f"\n{result.metadata['processor']}; {result.metadata['command']}")
    for threads in dict.fromkeys(cell["threads"] for cell in result.cells):
        for model, table in milliseconds(result, threads).items():
            print(f"\n{model}, milliseconds, {threads} thread(s)\n{table.to_string()}")
        print(f"\n{goals(result, threads).to_string(index=False)}")
    print(f"\nmemory, MB\n{memory(result).to_string()}")


def draw_chart(result: Result, path: Path) -> None:
    """Draw rows per second of training end to end, one panel per model."""
    frame = pd.DataFrame(result.where(task=END))
    frame = frame[frame["threads"] == frame["threads"].min()]
    models = frame["model"].unique()
    figure = Figure(figsize=(4.2 * len(models), 3), layout="tight")
    axes = figure.subplots(1, len(models), squeeze=False)
    for axis, model in zip(axes[0], models, strict=True):
        part = frame[frame["model"] == model].iloc[::-1]
        rate = part["rows"] / part["seconds"] / 1000
        low = rate - part["rows"] / part["quartiles"].str[1] / 1000
        high = part["rows"] / part["quartiles"].str[0] / 1000 - rate
        names = part["implementation"]
        colors = ["tab:blue" if name.startswith("mtl_seq") else "tab:gray" for name in names]
        axis.barh(names, rate, xerr=[low.clip(0), high.clip(0)], color=colors)
        axis.set_title(model)
        axis.set_xlabel("thousand rows a second")
    figure.suptitle("Training end to end, one thread", fontsize=11)
    save(figure, path)
