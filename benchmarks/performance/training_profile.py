"""Time of a training step, part by part."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.performance.training_cases import Ours
from mtl_seq.data import BatchLoader
from mtl_seq.fit.optim import table_gradients

PARTS = (
    "gather the batch",
    "embedding",
    "bottom",
    "towers",
    "losses",
    "backward",
    "optimiser, tables",
    "optimiser, the rest",
)


def parts(case: Ours, rounds: int) -> dict[str, float]:
    """Median processor seconds by part, over steps of one thread.

    Args:
        case: Trained implementation.
        rounds: Number of steps, after two that do not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in PARTS}
    generator = torch.Generator().manual_seed(0)
    loader = BatchLoader(case.rows, case.work.batch, generator=generator)
    with table_gradients(case.model, case.optimizer_factory):
        for _ in range(rounds + 2):
            step(case, loader, seconds)
    return {name: round(statistics.median(took[2:]), 6) for name, took in seconds.items()}


def step(case: Ours, loader: BatchLoader, seconds: dict[str, list[float]]) -> None:
    """One step, each part timed."""

    def timed(part: str, run: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = run()
        seconds[part].append(time.process_time() - start)
        return result

    network, optimizer = case.model.network, case.optimizer
    order = torch.randperm(case.work.rows)[: case.work.batch]
    features, labels = timed("gather the batch", lambda: loader.take(order))
    with case.arithmetic.network(case.device):
        shared, per_tower = timed("embedding", lambda: network.embedding(features))
        if case.precision == "bfloat16":
            shared = shared.bfloat16()
        rows = timed("bottom", lambda: network.bottom.rows(shared))
        prediction = timed(
            "towers",
            lambda: type(network.head).compose(
                network.funnel, network.head.read(rows, per_tower), {}
            ),
        )
    loss = timed("losses", lambda: case.model.objective.total(prediction, labels))
    optimizer.zero_grad()
    with case.arithmetic.backward():
        timed("backward", loss.backward)
    groups = optimizer.param_groups
    for part, row_wise in (("optimiser, tables", True), ("optimiser, the rest", False)):
        optimizer.param_groups = [g for g in groups if g["row_wise"] is row_wise]
        timed(part, optimizer.step)
    optimizer.param_groups = groups
