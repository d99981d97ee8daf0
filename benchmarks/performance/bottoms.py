"""Measure parameters and time of every bottom, as ratios to a shared bottom in the same process.

    python -m benchmarks.performance.bottoms [--rounds 15]

23 id fields (6 of 200,000 ids, 7 of 10,000, 10 of 100), embedding size 16, batches of 4,096 rows,
one thread. Bottoms alternate within each round, so that other load on the machine affects all of
them alike; values are medians over rounds of one forward and backward pass of ESMM's network and
loss, with quartiles.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from benchmarks.lib.results_store import Result, path_of, read, write
from benchmarks.performance.timing import ratios
from benchmarks.performance.training_work import SIZES
from mtl_seq import FeatureSpec, FunnelLabels, models, nn
from mtl_seq.experiments.compare import versions
from mtl_seq.models import FunnelModel

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
    """Draw features and labels of one batch."""
    generator = torch.Generator().manual_seed(0)
    features = {
        name: torch.randint(rows, (BATCH,), generator=generator) for name, rows in SIZES.items()
    }
    click = (torch.rand(BATCH, generator=generator) < 0.2).float()
    conversion = click * (torch.rand(BATCH, generator=generator) < 0.2)
    return features, FunnelLabels.of(click=click, conversion=conversion)


def step(model: FunnelModel, features: dict[str, torch.Tensor], labels: FunnelLabels) -> None:
    """One forward and backward pass."""
    model.zero_grad(set_to_none=True)
    model.objective.total(model(features), labels).backward()


def table(result: Result) -> pd.DataFrame:
    """Columns of the page."""
    frame = result.frame("bottom")
    columns = {
        "parameters of the bottom": frame["parameters of the bottom"].map("{:,}".format),
        "ms": frame["milliseconds"].round(1),
        "ratio": frame["ratio"].map("{:.2f}".format),
        "quartiles": frame["first quartile"].map("{:.2f}".format)
        + frame["third quartile"].map(" to {:.2f}".format),
    }
    return pd.DataFrame(columns).rename(index="`{}`".format)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=path_of("bottoms"))
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    spec = FeatureSpec(ids=SIZES, embedding=16)
    built = {name: models.esmm(spec, bottom=bottom, seed=0) for name, bottom in BOTTOMS.items()}
    steps = {name: partial(step, model, *batch()) for name, model in built.items()}
    times = ratios(steps, "SharedBottom", given.rounds)
    rows = [
        {
            "bottom": name,
            "parameters of the bottom": sum(p.numel() for p in model.network.bottom.parameters()),
            **times[name],
        }
        for name, model in built.items()
    ]
    command = f"python -m benchmarks.performance.bottoms --rounds {given.rounds}"
    write(given.out, {"command": command, "versions": versions(), "batch": BATCH}, rows)
    print(table(read(given.out)).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
