"""The moment where positions are not drawn at random: enumerated, without sampling.

    python -m benchmarks.simulated.dependence_policy    # a second

Impressions have features x (twelve cells) and a quality u, 0 or 1, that moves both click and
conversion by `QUALITY` on their logits and is independent of x; position is one of three. Given x
and u, click and conversion are independent. Four cases: the model sees u or does not, and the
position is drawn at random or chosen by u.
"""

import sys

import numpy as np
import torch

from benchmarks.lib.results_store import write
from mtl_seq.dependence import dependence_moment
from mtl_seq.experiments.compare import versions
from mtl_seq.functional import potential_logit

CELLS, LEVELS, QUALITY, SEED = 12, 3, 1.0, 0
BY_QUALITY = np.array([[0.2, 0.3, 0.5], [0.5, 0.3, 0.2]])


def case(*, seen: bool, chosen: bool) -> dict[str, float | str | bool]:
    """One case: lambda, and the relative bias of the mean CVR with it and without."""
    rng = np.random.default_rng(SEED)
    a, b = rng.normal(-1.5, 0.7, CELLS), rng.normal(-1.0, 0.7, CELLS)
    position = -np.log(np.arange(1, LEVELS + 1))
    u = np.arange(2)
    click = 1 / (1 + np.exp(-(a[:, None, None] + QUALITY * u[:, None] + position)))
    cvr = np.repeat(1 / (1 + np.exp(-(b[:, None, None] + QUALITY * u[:, None]))), LEVELS, axis=2)
    level = BY_QUALITY if chosen else np.full((2, LEVELS), 1 / LEVELS)
    # (x, u, level): P(level, u | x), and of outcomes given them.
    mass = np.broadcast_to(level / 2, click.shape)
    if not seen:
        # Marginal over u, for a model that does not see it.
        total = mass.sum(1, keepdims=True)
        both = (mass * click * cvr).sum(1, keepdims=True) / total
        click = (mass * click).sum(1, keepdims=True) / total
        mass = total
    else:
        both = click * cvr
    rows, k = mass.shape[0] * mass.shape[1], LEVELS
    mass, click, both = (array.reshape(rows, k) for array in (mass, click, both))
    share = mass / mass.sum(1, keepdims=True)
    rate = (share * both).sum(1) / (share * click).sum(1)
    row, at = (grid.ravel() for grid in np.indices((rows, k)))
    outcomes = np.concatenate([(1 - click).ravel(), (click - both).ravel(), both.ravel()])
    found = dependence_moment(
        np.tile(click[row], (3, 1)),
        np.tile(rate[row], 3),
        np.tile(at, 3),
        np.repeat([0.0, 1.0, 1.0], rows * k),
        np.repeat([0.0, 0.0, 1.0], rows * k),
        np.tile(share[row], (3, 1)),
        weight=np.tile(mass.ravel(), 3) * outcomes,
    )
    arrays = (torch.from_numpy(np.ascontiguousarray(x)) for x in (click, share, rate))
    weight = mass.sum(1) / mass.sum()
    corrected = weight @ torch.sigmoid(potential_logit(*arrays, found.log_odds_ratio)).numpy()
    true = float((cvr.mean(axis=(1, 2))).mean())
    return {
        "model sees the quality": seen,
        "position": "chosen by quality" if chosen else "at random",
        "lambda": round(found.log_odds_ratio, 4),
        "relative bias without": round(float(weight @ rate) / true - 1, 5),
        "relative bias with": round(float(corrected) / true - 1, 5),
    }


def main() -> int:
    cases = [case(seen=seen, chosen=chosen) for seen in (True, False) for chosen in (False, True)]
    metadata = {
        "command": "python -m benchmarks.simulated.dependence_policy",
        "settings": {"cells": CELLS, "levels": LEVELS, "quality": QUALITY, "seed": SEED},
        "versions": versions(),
    }
    write("dependence_policy", metadata, cases)
    print(*cases, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
