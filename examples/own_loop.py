"""A model of the package in a user-defined training loop.

    python examples/own_loop.py [--rows 50000]

The network returns logits and probabilities, the objective named losses; everything else, the
optimiser, the order of rows, when to stop, is the loop's.
"""

import argparse
import sys
from functools import partial

import numpy as np
import torch

from mtl_seq import Codec, models, nn, simulate
from mtl_seq.data import BatchLoader


def main(arguments: list[str] | None = None) -> int:
    """Train ESCM2-IPS on MMoE experts; print the losses, and the mean pCVR next to the truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    given = parser.parse_args(arguments)

    simulator = simulate.scenario("dense")
    rng = np.random.default_rng(0)
    log, _ = simulator.sample(given.rows, rng)
    test, truth = simulator.sample(20_000, rng)

    codec = Codec.fit(
        simulator.schema, log
    )  # ids to rows of embedding tables; any other encoder works too
    model = models.escm2_ips(codec.spec, bottom=partial(nn.MMoE, experts=4), seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    for step, batch in enumerate(BatchLoader(codec.encode(log), 256, generator=generator)):
        losses = model.objective(model(batch.features), batch.labels)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        if step % 50 == 0:
            print(step, {name: f"{loss.item():.4f}" for name, loss in losses.items()})

    model.eval()
    with torch.no_grad():
        prediction = model(codec.encode(test, labels=False).features)
    print(
        f"mean over all impressions: pCTR {float(prediction.pctr.mean()):.3f} "
        f"(true {truth.pctr.mean():.3f}), pCVR {float(prediction.pcvr.mean()):.3f} "
        f"(true {truth.pcvr.mean():.3f})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
