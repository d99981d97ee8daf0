"""The synthetic study of the MMoE paper (Ma et al., KDD 2018, sections 3 and 5.1), repeated.

Shared bottom, OMoE, MMoE and separate networks with as many parameters as each other, on two
regression tasks whose weights have cosine p. Every step draws fresh rows, so that nothing can be
overfitted. All networks of a structure, one for each p and seed, are trained at once as one stack
of matrices: their losses add up and Adam works elementwise, so that none knows of another. The
learning rate of each structure is chosen on seeds of its own.

    python benchmarks/mmoe_study.py [--seeds 20] [--steps 3000]

The result is kept in benchmarks/results/mmoe_study.json, the figures in docs/mmoe_study_*.png.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.stats import t as student
from torch import Tensor, nn

from mtl_seq.comparison import versions
from mtl_seq.nn.bottoms import Bottom, MMoE, OMoE, SharedBottom, SingleTask
from mtl_seq.nn.mlp import Tower
from mtl_seq.report.plots import save
from mtl_seq.simulate import MMoERegression

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "mmoe_study.json"
COSINES = (0.0, 0.5, 0.9, 1.0)
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
TUNING_SEEDS = (1000, 1001, 1002)
FEATURES, EXPERTS, EXPERT_WIDTH, TOWER_WIDTH = 100, 8, 16, 8  # the paper's
BATCH, EVERY, TEST_ROWS, CHUNK = 64, 50, 2000, 25

# From the width of a layer; the MMoE of the paper's width sets the budget.
STRUCTURES: dict[str, Callable[[int], Bottom]] = {
    "separate": lambda width: SingleTask(
        FEATURES, 2, bottom=partial(SharedBottom, hidden=(width,))
    ),
    "shared bottom": lambda width: SharedBottom(FEATURES, 2, hidden=(width,)),
    "OMoE": lambda width: OMoE(FEATURES, 2, experts=EXPERTS, hidden=(width,)),
    "MMoE": lambda width: MMoE(FEATURES, 2, experts=EXPERTS, hidden=(width,)),
}


class Network(nn.Module):
    """A bottom of the package under two of its towers."""

    def __init__(self, bottom: Bottom) -> None:
        super().__init__()
        self.bottom = bottom
        self.towers = nn.ModuleList(Tower(bottom.out_features, (TOWER_WIDTH,)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, F) -> (B, 2)``."""
        per_tower = self.bottom.per_tower
        read = self.bottom(x.unsqueeze(1).expand(-1, 2, -1) if per_tower else x)
        return torch.stack([tower(read[:, k]) for k, tower in enumerate(self.towers)], dim=1)


class Stacked(nn.Module):
    """M networks of one structure, computed together; starts from copies of their weights.

    Shapes: M networks, B rows, F features, E experts (or bottoms), D of their outputs, G gates.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        self.width = networks[0].bottom.out_features
        gate = [getattr(n.bottom, "gate", None) for n in networks]
        self.shape = None if gate[0] is None else gate[0].shape
        self.gate = None if gate[0] is None else _stack([g.weight.T for g in gate])
        layers = [
            [m for name, m in n.bottom.named_modules() if name != "gate" and hasattr(m, "weight")]
            for n in networks
        ]
        self.weight = _stack([torch.cat([m.weight for m in row]).T for row in layers])
        self.bias = _stack([torch.cat([m.bias for m in row])[None] for row in layers])
        towers = [tower for n in networks for tower in n.towers]
        self.tower_weight = _stack([t.stack.layers[0].weight.T for t in towers])
        self.tower_bias = _stack([t.stack.layers[0].bias[None] for t in towers])
        self.out_weight = _stack([t.logit.weight.T for t in towers])
        self.out_bias = _stack([t.logit.bias[None] for t in towers])

    def shares(self, x: Tensor) -> Tensor:
        """``(M, B, F) -> (M, B, G, E)``: what each gate gives each expert."""
        return torch.softmax(torch.bmm(x, self.gate).unflatten(2, self.shape), dim=3)

    def forward(self, x: Tensor) -> Tensor:
        """``(M, B, F) -> (M, 2, B)``."""
        hidden = torch.relu(torch.baddbmm(self.bias, x, self.weight))
        read = hidden.unflatten(2, (-1, self.width))
        if self.gate is not None:
            read = (self.shares(x).unsqueeze(4) * read.unsqueeze(2)).sum(3)
        # A structure that has one representation for both towers is read twice.
        read = read.expand(-1, -1, 2, -1).transpose(1, 2).flatten(0, 1)
        read = torch.relu(torch.baddbmm(self.tower_bias, read, self.tower_weight))
        out = torch.baddbmm(self.out_bias, read, self.out_weight)
        return out.squeeze(2).unflatten(0, (-1, 2))


def _stack(weights: Sequence[Tensor]) -> nn.Parameter:
    return nn.Parameter(torch.stack([weight.detach() for weight in weights]).contiguous())


class Rows:
    """Rows of every world, ``(p, seed)`` in this order; worlds of one seed share x and noise."""

    def __init__(self, seeds: Sequence[int], stream: int) -> None:
        self.worlds = [[MMoERegression(cosine=p, seed=seed) for p in COSINES] for seed in seeds]
        self.rngs = [np.random.default_rng([seed, stream]) for seed in seeds]

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """Rows ``(P seeds, n, F)`` and labels ``(P seeds, 2, n)``."""
        xs, ys = [], []
        for worlds, rng in zip(self.worlds, self.rngs, strict=True):
            x, y = worlds[0].sample(n, rng)
            noise = y - worlds[0].mean(x)
            xs.append(x)
            ys.append([(world.mean(x) + noise).T for world in worlds])
        every = torch.from_numpy(np.stack(xs, dtype=np.float32, casting="same_kind"))
        labels = torch.from_numpy(np.stack(ys, axis=1, dtype=np.float32, casting="same_kind"))
        return every.repeat(len(COSINES), 1, 1), labels.flatten(0, 1)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def widths() -> dict[str, int]:
    """The width that brings each structure nearest to the parameters of the paper's MMoE."""
    budget = count(Network(STRUCTURES["MMoE"](EXPERT_WIDTH)))
    found = {}
    for name, build in STRUCTURES.items():
        gaps = {w: abs(count(Network(build(w))) - budget) for w in range(1, 200)}
        found[name] = min(gaps, key=gaps.__getitem__)
        assert gaps[found[name]] <= 0.01 * budget, name
    assert found["MMoE"] == EXPERT_WIDTH
    return found


def start(name: str, width: int, seeds: Sequence[int]) -> Stacked:
    """A stack of one network per p and seed; those of one seed start alike at every p."""
    networks = []
    for seed in seeds:
        torch.manual_seed(seed)
        networks.append(Network(STRUCTURES[name](width)))
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
    """``(P, seeds)``; in pieces, which stay in the cache."""
    pieces = [
        (stack(a) - b).square().sum((1, 2))
        for a, b in zip(x.split(250, 1), y.split(250, 2), strict=True)
    ]
    return (sum(pieces) / (2 * x.shape[1])).reshape(len(COSINES), -1).numpy()


@torch.no_grad()
def gate_distance(stack: Stacked, seeds: Sequence[int]) -> np.ndarray:
    """``(P, seeds)`` mean Jensen-Shannon distance of the two towers' gates, 0 alike to 1 apart."""
    x, _ = Rows(seeds, 2).draw(500)
    a, b = stack.shares(x).double().unbind(2)
    middle = (a + b) / 2
    divergence = sum((q * (q / middle).log2()).sum(2) for q in (a, b)) / 2
    return divergence.clamp_min(0).sqrt().mean(1).reshape(len(COSINES), -1).numpy()


def tuned(sizes: dict[str, int], steps: int) -> dict[str, float]:
    """The learning rate of least mean test loss over all p, on the tuning seeds."""
    keys = [(name, rate) for name in STRUCTURES for rate in RATES]
    stacks = {key: start(key[0], sizes[key[0]], TUNING_SEEDS) for key in keys}
    curves = train(stacks, {key: key[1] for key in keys}, TUNING_SEEDS, steps)
    final = {key: float(np.nan_to_num(curve[-1], nan=1e9).mean()) for key, curve in curves.items()}
    return {name: min(RATES, key=lambda rate: final[name, rate]) for name in STRUCTURES}


def interval(difference: np.ndarray) -> list[float]:
    """Mean of paired differences with its 95% t interval."""
    n = len(difference)
    half = float(student.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    mean = float(difference.mean())
    return [round(value, 4) for value in (mean, mean - half, mean + half)]


def steps_to(curve: np.ndarray, target: float) -> np.ndarray:
    """``(seeds,)`` first step at which the test loss is at most `target`; NaN where never."""
    reached = curve <= target
    first = reached.argmax(0) * float(EVERY)
    return np.where(reached.any(0), first, np.nan)


def summary(curves: dict[str, np.ndarray], distance: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """One row per p and structure."""
    rows = []
    for index, p in enumerate(COSINES):
        # What the shared bottom reaches at the end, in the median seed.
        target = float(np.median(curves["shared bottom"][-1, index]))
        for name, curve in curves.items():
            final = curve[-1, index]
            needed = steps_to(curve[:, index], target)
            row = {
                "cosine": p,
                "structure": name,
                "mean": round(float(final.mean()), 4),
                "standard deviation": round(float(final.std(ddof=1)), 4),
                "90th percentile": round(float(np.quantile(final, 0.9)), 4),
                "worst": round(float(final.max()), 4),
                "minus shared bottom, 95% interval": interval(
                    final - curves["shared bottom"][-1, index]
                ),
                "seeds that reach the shared bottom's median": int(np.isfinite(needed).sum()),
                "median steps to it": None
                if np.isnan(needed).mean() > 0.5
                else float(np.nanmedian(np.where(np.isnan(needed), np.inf, needed))),
            }
            if name == "MMoE":
                for when, values in distance.items():
                    row[f"gate distance, {when}"] = round(float(values[index].mean()), 4)
                row["gate distance, end, standard deviation"] = round(
                    float(distance["end"][index].std(ddof=1)), 4
                )
            rows.append(row)
    return rows


def draw(curves: dict[str, np.ndarray], distance: dict[str, np.ndarray], folder: Path) -> None:
    """The three figures."""
    colours = dict(zip(curves, ("#5B5B5B", "#E69F00", "#56B4E9", "#0072B2"), strict=True))
    figure = Figure(figsize=(9, 3.6))
    axes = figure.subplots(1, len(COSINES), sharey=True)
    for index, (panel, p) in enumerate(zip(axes, COSINES, strict=True)):
        data = [curve[-1, index] for curve in curves.values()]
        boxes = panel.boxplot(data, whis=(0, 100), widths=0.6, patch_artist=True)
        for patch, name in zip(boxes["boxes"], curves, strict=True):
            patch.set(facecolor=colours[name], alpha=0.6)
        for line in boxes["medians"]:
            line.set_color("#222222")
        panel.set_xticks(range(1, len(curves) + 1), list(curves), rotation=40, ha="right")
        panel.set_title(f"p = {p:g}", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("final test loss\n(squared error, mean of two tasks)")
    figure.suptitle("Final loss over seeds: quartiles, whiskers to best and worst", fontsize=11)
    save(figure, folder / "mmoe_study_loss.png")
    figure = Figure(figsize=(9, 3.2))
    axes = figure.subplots(1, len(COSINES), sharey=True)
    steps = np.arange(len(next(iter(curves.values())))) * EVERY
    for index, (panel, p) in enumerate(zip(axes, COSINES, strict=True)):
        for name, curve in curves.items():
            panel.plot(steps, np.median(curve[:, index], 1), color=colours[name], label=name)
        panel.set_title(f"p = {p:g}", fontsize=10)
        panel.set_yscale("log")
        panel.set_xlabel("steps")
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("median test loss (log scale)")
    axes[-1].legend(frameon=False, fontsize=8)
    figure.suptitle("Test loss on the way", fontsize=11)
    save(figure, folder / "mmoe_study_convergence.png")
    figure = Figure(figsize=(5, 3.4))
    panel = figure.subplots()
    boxes = panel.boxplot(list(distance["end"]), whis=(0, 100), widths=0.5, patch_artist=True)
    for patch in boxes["boxes"]:
        patch.set(facecolor=colours["MMoE"], alpha=0.6)
    panel.axhline(float(distance["start"].mean()), color="#222222", ls=":", label="at the start")
    panel.set_xticks(range(1, len(COSINES) + 1), [f"{p:g}" for p in COSINES])
    panel.set_xlabel("cosine of the tasks' weights, p")
    panel.set_ylabel("distance of the two gates\n(Jensen-Shannon, 0 alike to 1 apart)")
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    save(figure, folder / "mmoe_study_gates.png")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--tuning-steps", type=int, default=1000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.perf_counter()
    sizes, seeds = widths(), range(given.seeds)
    parameters = {name: count(Network(STRUCTURES[name](sizes[name]))) for name in STRUCTURES}
    print("parameters:", parameters, "widths:", sizes, flush=True)
    rates = tuned(sizes, given.tuning_steps)
    print("learning rates:", rates, f"{time.perf_counter() - begin:.0f} s", flush=True)
    stacks = {name: start(name, sizes[name], seeds) for name in STRUCTURES}
    distance = {"start": gate_distance(stacks["MMoE"], seeds)}
    curves = train(stacks, rates, seeds, given.steps)
    distance["end"] = gate_distance(stacks["MMoE"], seeds)
    rows = summary(curves, distance)
    print(pd.DataFrame(rows).to_string())
    draw(curves, distance, ROOT / "docs")
    result = {
        "command": f"python benchmarks/mmoe_study.py --seeds {given.seeds} --steps {given.steps} "
        f"--tuning-steps {given.tuning_steps}",
        "versions": versions(),
        "parameters": parameters,
        "widths": sizes,
        "learning rates": rates,
        "seconds": round(time.perf_counter() - begin),
        "rows": rows,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
