"""The table and the chart of benchmarks/performance/training.py."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

END = "training, end to end"
STEP = "training, bare steps"
PREDICT = "inference, end to end"
PEERS = ("torch-rechub", "deepctr-torch")
HAND = "by hand, Adam(fused=True)"
FLOAT32, BFLOAT16 = "mtl_seq, float32", "mtl_seq, bfloat16"
DENSE = "mtl_seq, dense Adam, float32"
Content = Mapping[str, Any]
# What is asked: (model, task, ours, beside whom, at least this ratio); None is the faster peer.
GOALS = [
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
FLOOR_SHARE, LIGHTNING, IMPORT = 0.85, 0.03, 0.5


def seconds(content: Content, threads: int) -> pd.Series:
    """Median seconds by model, task and contestant."""
    frame = pd.DataFrame(content["measured"])
    frame = frame[frame["threads"] == threads]
    return frame.set_index(["model", "task", "who"])["seconds"]


def goals(content: Content, threads: int) -> list[dict[str, Any]]:
    """Every goal, what was found, and whether it was reached."""
    took, rows = seconds(content, threads), []

    def add(goal: str, target: str, found: float, reached: bool) -> None:
        rows.append({"goal": goal, "target": target, "found": found, "reached": reached})

    for model, task, ours, beside, least in GOALS:
        if (model, task, ours) not in took.index:
            continue
        others = [beside] if beside else [p for p in PEERS if (model, task, p) in took.index]
        ratio = min(took[model, task, other] for other in others) / took[model, task, ours]
        than = beside or "the faster peer"
        add(f"{model}, {task}: {ours} over {than}", f">= {least}", round(ratio, 2), ratio >= least)
    for model in took.index.get_level_values(0).unique():
        for name in (FLOAT32, BFLOAT16):
            floor = f"floor, {name.removeprefix('mtl_seq, ')}"
            if (model, STEP, floor) in took.index:
                share = took[model, STEP, floor] / took[model, STEP, name]
                add(
                    f"{model}: floor over a training step, {name}",
                    f">= {FLOOR_SHARE}",
                    round(share, 2),
                    share >= FLOOR_SHARE,
                )
    return rows + others_of(content, took, threads)


def others_of(content: Content, took: pd.Series, threads: int) -> list[dict[str, Any]]:
    """What Lightning, memory and an import cost."""
    rows = []
    frame = pd.DataFrame(content["measured"])
    for model in took.index.get_level_values(0).unique():
        there = frame[(frame["model"] == model) & (frame["threads"] == threads)]
        passed, batch = (there[c].iloc[0] for c in ("rows", "batch"))
        steps = -(-int(passed) // int(batch))
        for name in (FLOAT32, BFLOAT16):
            over = took[model, END, name] / (steps * took[model, STEP, name]) - 1
            rows.append(
                {
                    "goal": f"{model}: trainer and loader over bare steps, {name}",
                    "target": f"<= {LIGHTNING:.0%}",
                    "found": round(float(over), 3),
                    "reached": bool(over <= LIGHTNING),
                }
            )
        held = content["memory, MB"].get(model, {})
        lean = [held[p] for p in PEERS if p in held]
        if lean:
            rows.append(
                {
                    "goal": f"{model}: peak memory of {FLOAT32}, MB",
                    "target": f"<= {min(lean)}",
                    "found": held[FLOAT32],
                    "reached": held[FLOAT32] <= min(lean),
                }
            )
    before, after = content["import, seconds"].values()
    rows.append(
        {
            "goal": "import mtl_seq beyond torch, pandas and torchmetrics, s",
            "target": f"<= {IMPORT}",
            "found": round(after - before, 2),
            "reached": after - before <= IMPORT,
        }
    )
    return rows


def wide(content: Content, threads: int) -> pd.DataFrame:
    """Milliseconds by contestant; a column for each task of each model."""
    frame = pd.DataFrame(content["measured"])
    frame = frame[frame["threads"] == threads]
    frame = frame.assign(ms=1000 * frame["seconds"])
    order = list(dict.fromkeys(frame["who"]))
    columns = list(dict.fromkeys(zip(frame["model"], frame["task"], strict=True)))
    table = frame.pivot_table(index="who", columns=["model", "task"], values="ms")
    return table.loc[order, columns].round(1)


def print_tables(content: Content) -> None:
    """For the eye."""
    print(f"\n{content['processor']}; {content['command']}")
    for threads in dict.fromkeys(row["threads"] for row in content["measured"]):
        print(f"\nmilliseconds, {threads} thread(s)")
        for model, part in wide(content, threads).T.groupby(level=0, sort=False):
            print(f"\n{model}")
            print(part.droplevel(0).T.dropna(how="all").to_string())
        print(f"\n{threads} thread(s)")
        print(pd.DataFrame(goals(content, threads)).to_string(index=False))
    print("\nmemory, MB")
    print(pd.DataFrame(content["memory, MB"]).to_string())


def draw_chart(content: Content, path: Path) -> None:
    """Rows a second of training end to end, one panel a model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    frame = pd.DataFrame(content["measured"])
    frame = frame[(frame["threads"] == frame["threads"].min()) & (frame["task"] == END)]
    models = list(dict.fromkeys(frame["model"]))
    figure, axes = pyplot.subplots(1, len(models), figsize=(4.2 * len(models), 3), squeeze=False)
    for axis, model in zip(axes[0], models, strict=True):
        part = frame[frame["model"] == model].iloc[::-1]
        rate = part["rows"] / part["seconds"] / 1000
        low = rate - part["rows"] / part["quartiles"].str[1] / 1000
        high = part["rows"] / part["quartiles"].str[0] / 1000 - rate
        colors = ["tab:blue" if w.startswith("mtl_seq") else "tab:gray" for w in part["who"]]
        axis.barh(part["who"], rate, xerr=[low.clip(0), high.clip(0)], color=colors)
        axis.set_title(model)
        axis.set_xlabel("thousand rows a second")
    figure.suptitle("Training end to end, one thread", fontsize=11)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
