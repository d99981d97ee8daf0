"""Parameters and time of every bottom, as ratios to a shared bottom in the same process.

    python benchmarks/performance/bottoms.py [--rounds 15]

23 id fields (6 of 200,000 ids, 7 of 10,000, 10 of 100), embedding size 16, batches of 4,096 rows,
one thread. Bottoms take turns within each round, so that what else the machine does falls on all
of them; figures are medians over rounds of one forward and backward pass of ESMM's network and
loss, with quartiles. Writes benchmarks/results/bottoms.json and docs/bottoms.md.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from mtl_seq import FeatureSpec, FunnelLabels, models, nn
from mtl_seq.experiments.compare import versions
from mtl_seq.models import FunnelModel

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "bottoms.json"
PAGE = ROOT / "docs" / "bottoms.md"
SIZES = {f"f{i}": rows for i, rows in enumerate([200_000] * 6 + [10_000] * 7 + [100] * 10)}
BATCH = 4096
BOTTOMS = {
    "SharedBottom": nn.SharedBottom,
    "SingleTask": nn.SingleTask,
    "OMoE": nn.OMoE,
    "MMoE": nn.MMoE,
    "CGC": nn.CGC,
    "PLE": nn.PLE,
}


def batch() -> tuple[dict[str, torch.Tensor], FunnelLabels]:
    generator = torch.Generator().manual_seed(0)
    features = {
        name: torch.randint(rows, (BATCH,), generator=generator) for name, rows in SIZES.items()
    }
    click = (torch.rand(BATCH, generator=generator) < 0.2).float()
    conversion = click * (torch.rand(BATCH, generator=generator) < 0.2)
    return features, FunnelLabels.of(click=click, conversion=conversion)


def step(model: FunnelModel, features: dict[str, torch.Tensor], labels: FunnelLabels) -> float:
    """Seconds of one forward and backward pass."""
    model.zero_grad(set_to_none=True)
    start = time.perf_counter()
    model.objective.total(model(features), labels).backward()
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    spec = FeatureSpec(ids=SIZES, embedding=16)
    built = {name: models.esmm(spec, bottom=bottom, seed=0) for name, bottom in BOTTOMS.items()}
    features, labels = batch()
    for model in built.values():
        step(model, features, labels)
    seconds = {name: [] for name in built}
    for _ in range(given.rounds):
        for name, model in built.items():
            seconds[name].append(step(model, features, labels))
    plain = np.array(seconds["SharedBottom"])
    rows = []
    for name, model in built.items():
        ratio = np.array(seconds[name]) / plain
        low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
        rows.append(
            {
                "bottom": name,
                "parameters of the bottom": sum(
                    p.numel() for p in model.network.bottom.parameters()
                ),
                "milliseconds": round(1000 * float(np.median(seconds[name])), 1),
                "ratio": round(float(middle), 3),
                "quartiles": [round(float(low), 3), round(float(high), 3)],
            }
        )
        print(rows[-1])
    command = f"python benchmarks/performance/bottoms.py --rounds {given.rounds}"
    content = {"command": command, "versions": versions(), "batch": BATCH, "rows": rows}
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(command, rows), encoding="utf-8")
    return 0


def page(command: str, rows: list[dict[str, object]]) -> str:
    """The table as a page."""
    lines = [
        "# What a bottom costs",
        "",
        f"`{command}`: one forward and backward pass of ESMM, 23 id fields of embedding size 16,",
        f"batches of {BATCH:,} rows, one thread; default sizes. Ratios are to `SharedBottom` in",
        "the same process, medians over rounds with quartiles; no optimiser updates the tables.",
        "",
        "| bottom | parameters of the bottom | ms | ratio | quartiles |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = row["quartiles"]  # type: ignore[misc]
        lines.append(
            f"| `{row['bottom']}` | {row['parameters of the bottom']:,} | {row['milliseconds']} | "
            f"{row['ratio']:.2f} | {low:.2f} to {high:.2f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
