"""Measure what the four families cost to serve: networks, parameters, latency.

    python -m benchmarks.performance.serving [--rounds 60]

Reweighting, pairwise ranking, multi-task learning and score fusion, beside two separate networks,
in the scenario `dense` with the estimator's default encodings. Nothing is trained: weights do not
change the cost of a forward pass. Latency is its processor time on one thread, features in memory
and encoded, as a ratio to the same batch through the control on a shared bottom; all alternate in
one process. Medians, with quartiles.
"""

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.lib.results_store import Result, path_of, read, write
from benchmarks.performance.timing import ratios
from mtl_seq import Codec, models, simulate
from mtl_seq.data import Encoding
from mtl_seq.experiments.compare import versions
from mtl_seq.features import FeatureSpec
from mtl_seq.models import Builder
from mtl_seq.nn import Embedding
from mtl_seq.nn.layers.embedding import TowerEmbeddings
from mtl_seq.records import FunnelPrediction

BATCHES = (1, 256, 4096)
REFERENCE = "multitask, shared bottom"
FAMILIES: Mapping[str, tuple[Builder, ...]] = {
    REFERENCE: (models.shared_bottom,),
    "multi-task: esmm on MMoE": (models.esmm,),
    "two networks: click_space on MMoE": (models.click_space,),
    "reweighting: reweighted": (models.reweighted,),
    "pairwise: lambda_ranker": (models.lambda_ranker,),
    "score fusion: esmm + lambda_ranker": (models.esmm, models.lambda_ranker),
}
Features = Mapping[str, Tensor]


class Served(nn.Module):
    """Networks of one score; several are fused as a weighted sum of logarithms."""

    def __init__(self, spec: FeatureSpec, builders: tuple[Builder, ...]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(build(spec, seed=0).network for build in builders)
        self.eval()

    def forward(self, features: Features) -> Tensor:
        """Scores ``(B,)`` of features by name."""
        predictions: list[FunnelPrediction] = [network(features) for network in self.networks]
        scores = [sum(p.log_joint.values()) for p in predictions]
        return torch.stack(scores).sum(0)


def cost(served: Served) -> dict[str, int]:
    """Number of networks, of parameters in tables and of others."""
    tables = [m for m in served.modules() if isinstance(m, Embedding | TowerEmbeddings)]
    embedded = sum(p.numel() for table in tables for p in table.parameters())
    every = sum(p.numel() for p in served.parameters())
    return {
        "networks": len(served.networks),
        "parameters in tables": embedded,
        "other parameters": every - embedded,
    }


@torch.inference_mode()
def measure(
    families: Mapping[str, Served], features: Features, rows: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Ratios to the reference on one batch."""
    batch = {name: x[:rows] for name, x in features.items()}
    calls = {name: partial(served, batch) for name, served in families.items()}
    return ratios(calls, REFERENCE, rounds, repeats=max(1, 2048 // rows // 8))


def table(result: Result) -> pd.DataFrame:
    """Columns of the page."""
    rows = {}
    for cell in result.cells:
        counts = (cell[name] for name in ("networks", "parameters in tables", "other parameters"))
        row = dict(zip(("models", "parameters in tables", "other parameters"), counts, strict=True))
        rows[cell["family"]] = {name: f"{value:,}" for name, value in row.items()}
        for size, latency in cell["latency"].items():
            low, high = latency["first quartile"], latency["third quartile"]
            quartiles = "" if cell["family"] == REFERENCE else f" [{low:.2f}, {high:.2f}]"
            title = f"{int(size):,} row{'' if size == '1' else 's'}"
            rows[cell["family"]][title] = f"{latency['ratio']:.2f}{quartiles}"
    return pd.DataFrame(rows).T


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--out", type=Path, default=path_of("serving"))
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    scenario = simulate.scenario("dense")
    log, _ = scenario.sample(50_000, np.random.default_rng(0))
    encoding = Encoding()
    codec = Codec.fit_with(encoding, scenario.schema, log)
    spec = encoding.applied(codec.spec)
    features = codec.encode(log.iloc[: max(BATCHES)], labels=False).features
    families = {name: Served(spec, builders) for name, builders in FAMILIES.items()}
    latency = {str(rows): measure(families, features, rows, given.rounds) for rows in BATCHES}
    cells = [
        {
            "family": name,
            **cost(served),
            "latency": {rows: by_family[name] for rows, by_family in latency.items()},
        }
        for name, served in families.items()
    ]
    metadata = {
        "command": f"python -m benchmarks.performance.serving --rounds {given.rounds}",
        "versions": versions(),
        "threads": 1,
        "reference": REFERENCE,
    }
    write(given.out, metadata, cells)
    print(table(read(given.out)).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
