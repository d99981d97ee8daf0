"""What the four families cost to serve: networks, parameters, latency.

    python benchmarks/performance/serving.py [--rounds 60]

Reweighting, pairwise ranking, multi-task learning and score fusion, beside two separate networks,
in the scenario `dense` with the estimator's default encodings. Nothing is trained: weights do not
change what a pass costs. Latency is the processor time of a pass on one thread, features in
memory and encoded, as a ratio to the same batch through the control on a shared bottom; all are
measured in turns in one process. Medians, with quartiles. The result is kept in
benchmarks/results/serving.json.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mtl_seq import Codec, models, simulate
from mtl_seq.data import Encoding
from mtl_seq.experiments.compare import versions
from mtl_seq.features import FeatureSpec
from mtl_seq.models import Builder
from mtl_seq.nn.layers.embedding import Embedding, TowerEmbeddings
from mtl_seq.records import FunnelPrediction

RESULT = Path(__file__).parent / "results" / "serving.json"
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
    """The networks that one score needs; several are fused as a weighted sum of logarithms."""

    def __init__(self, spec: FeatureSpec, builders: tuple[Builder, ...]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(build(spec, seed=0).network for build in builders)
        self.eval()

    def forward(self, features: Features) -> Tensor:
        """Features by name -> ``(B,)`` a score."""
        said: list[FunnelPrediction] = [network(features) for network in self.networks]
        scores = [sum(p.log_joint.values()) for p in said]
        return torch.stack(scores).sum(0)


def cost(served: Served) -> dict[str, int]:
    """Networks, and parameters in tables and elsewhere."""
    tables = [m for m in served.modules() if isinstance(m, Embedding | TowerEmbeddings)]
    embedded = sum(p.numel() for table in tables for p in table.parameters())
    every = sum(p.numel() for p in served.parameters())
    return {
        "networks": len(served.networks),
        "parameters in tables": embedded,
        "other parameters": every - embedded,
    }


def seconds(run: Callable[[], Tensor], passes: int) -> float:
    start = time.process_time()
    for _ in range(passes):
        run()
    return (time.process_time() - start) / passes


@torch.inference_mode()
def measure(
    families: Mapping[str, Served], features: Features, rows: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Ratios to the reference, round by round, on one batch."""
    batch = {name: x[:rows] for name, x in features.items()}
    passes = max(1, 2048 // rows // 8)
    for served in families.values():
        served(batch)
    taken: dict[str, list[float]] = {name: [] for name in families}
    for _ in range(rounds):
        for name, served in families.items():
            taken[name].append(seconds(lambda served=served: served(batch), passes))
    found = {}
    for name, times in taken.items():
        ratio = np.array(times) / np.array(taken[REFERENCE])
        low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
        found[name] = {
            "ratio": round(float(middle), 2),
            "first quartile": round(float(low), 2),
            "third quartile": round(float(high), 2),
            "milliseconds": round(1000 * float(np.median(times)), 3),
        }
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--out", type=Path, default=RESULT)
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
    result: dict[str, Any] = {
        "command": f"python benchmarks/performance/serving.py --rounds {given.rounds}",
        "versions": versions(),
        "threads": 1,
        "reference": REFERENCE,
        "cost": {name: cost(served) for name, served in families.items()},
        "latency by rows in a batch": latency,
    }
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name in families:
        ratios = ", ".join(f"{rows}: {latency[str(rows)][name]['ratio']}" for rows in BATCHES)
        print(f"{name}: {result['cost'][name]}; latency by rows, {ratios}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
