"""Training of the MMoE paper's synthetic study: all networks on the same fresh rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.papers.mmoe_networks import STRUCTURES, Network, Stacked
from mtl_seq.simulate import MMoERegression

__all__ = ["COSINES", "EVERY", "FEATURES", "gate_distance", "start", "train"]

FEATURES = 100
COSINES = (0.0, 0.5, 0.9, 1.0)
BATCH, EVERY, TEST_ROWS, CHUNK = 64, 50, 2000, 25


class Rows:
    """Rows of every ``(p, seed)``, in this order; those of one seed share x and noise."""

    def __init__(self, seeds: Sequence[int], stream: int) -> None:
        self.scenarios = [[MMoERegression(cosine=p, seed=seed) for p in COSINES] for seed in seeds]
        self.rngs = [np.random.default_rng([seed, stream]) for seed in seeds]

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """Rows ``(P seeds, n, F)`` and labels ``(P seeds, 2, n)``."""
        xs, ys = [], []
        for scenarios, rng in zip(self.scenarios, self.rngs, strict=True):
            x, y = scenarios[0].sample(n, rng)
            noise = y - scenarios[0].mean(x)
            xs.append(x)
            ys.append([(scenario.mean(x) + noise).T for scenario in scenarios])
        every = torch.from_numpy(np.stack(xs, dtype=np.float32, casting="same_kind"))
        labels = torch.from_numpy(np.stack(ys, axis=1, dtype=np.float32, casting="same_kind"))
        return every.repeat(len(COSINES), 1, 1), labels.flatten(0, 1)


def start(name: str, width: int, seeds: Sequence[int]) -> Stacked:
    """A stack of one network per p and seed; those of one seed have equal initial weights."""
    networks = []
    for seed in seeds:
        torch.manual_seed(seed)
        networks.append(Network(STRUCTURES[name](FEATURES, width)))
    stacked, x = Stacked(networks), torch.randn(len(seeds), 32, FEATURES)
    with torch.no_grad():
        alone = torch.stack([net(row).T for net, row in zip(networks, x, strict=True)])
        torch.testing.assert_close(stacked(x), alone, rtol=1e-5, atol=1e-5)
        if name == "MMoE":
            alone = torch.stack(
                [net.bottom.gates(row) for net, row in zip(networks, x, strict=True)]
            )
            torch.testing.assert_close(stacked.shares(x), alone, rtol=1e-5, atol=1e-5)
    return Stacked(networks * len(COSINES))


def train(
    stacks: dict[Any, Stacked], rates: dict[Any, float], seeds: Sequence[int], steps: int
) -> dict[Any, np.ndarray]:
    """Train every stack on the same rows.

    Returns:
        Test losses of each stack, ``(steps / EVERY + 1, P, seeds)``: the squared error, mean of the
        two tasks.
    """
    adams = {
        key: torch.optim.Adam(stack.parameters(), lr=rates[key], fused=True)
        for key, stack in stacks.items()
    }
    x_test, y_test = Rows(seeds, 2).draw(TEST_ROWS)
    stream = Rows(seeds, 1)
    curves: dict[Any, list[np.ndarray]] = {key: [] for key in stacks}
    for step in range(steps + 1):
        if step % EVERY == 0:
            for key, stack in stacks.items():
                curves[key].append(held_out_loss(stack, x_test, y_test))
        if step == steps:
            break
        if step % CHUNK == 0:
            drawn = stream.draw(BATCH * CHUNK)
            xs, ys = drawn[0].split(BATCH, 1), drawn[1].split(BATCH, 2)
        x, y = xs[step % CHUNK].contiguous(), ys[step % CHUNK].contiguous()
        for key, stack in stacks.items():
            loss = (stack(x) - y).square().mean(2).sum()
            adams[key].zero_grad()
            loss.backward()
            adams[key].step()
    return {key: np.stack(curve) for key, curve in curves.items()}


@torch.no_grad()
def held_out_loss(stack: Stacked, x: Tensor, y: Tensor) -> np.ndarray:
    """Test loss ``(P, seeds)``, in blocks of rows that fit the cache."""
    blocks = [
        (stack(a) - b).square().sum((1, 2))
        for a, b in zip(x.split(250, 1), y.split(250, 2), strict=True)
    ]
    return (sum(blocks) / (2 * x.shape[1])).reshape(len(COSINES), -1).numpy()


@torch.no_grad()
def gate_distance(stack: Stacked, seeds: Sequence[int]) -> np.ndarray:
    """Mean Jensen-Shannon distance of the two towers' gates, ``(P, seeds)``, from 0 to 1."""
    x, _ = Rows(seeds, 2).draw(500)
    a, b = stack.shares(x).double().unbind(2)
    middle = (a + b) / 2
    divergence = sum((q * (q / middle).log2()).sum(2) for q in (a, b)) / 2
    return divergence.clamp_min(0).sqrt().mean(1).reshape(len(COSINES), -1).numpy()
