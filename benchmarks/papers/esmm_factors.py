"""Why MMoE can trail a shared bottom under ESMM's loss: one change at a time.

    python -m benchmarks.papers.esmm_factors [--seeds 8]

Scenario `dense`, 200,000 impressions, ESMM on raw ids (target encodings would carry much of what
the bottom has to learn). Two starting points: a learning rate of 1e-3, where MMoE trails, and the
default of 5e-3, where it does not. The metric is the AUC against the true CVR over all impressions,
MMoE minus a shared bottom of equal size under the same change, paired by seed (each seed is a
scenario, a draw and a fit). A cell is a change to a starting point.
"""

import sys
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd
import torch
from lightning import Callback

from benchmarks.lib.metrics import area
from benchmarks.lib.results_store import Result, read
from benchmarks.lib.study import Study, draw, launch, parser_of
from benchmarks.papers.esmm_bottoms import difference, equal_shared, text
from mtl_seq import FunnelEstimator, models, nn, simulate
from mtl_seq.data import Encoding
from mtl_seq.functional import binary_cross_entropy, logit_product
from mtl_seq.losses import EntireSpace, Objective
from mtl_seq.models import Builder, FunnelModel
from mtl_seq.schema import FeatureSpec

ROWS, TEST_ROWS = 200_000, 100_000


class Cell(NamedTuple):
    """A change to a starting point."""

    start: str
    change: str


class BottomRate(Callback):
    """Set another learning rate for some parameters of the bottom.

    Args:
        factor: Times the learning rate of the rest.
        only: Part of the parameters' names; all of the bottom by default.
    """

    def __init__(self, factor: float, only: str = "") -> None:
        self.factor, self.only = factor, only

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Move the parameters into a separate group."""
        bottom = pl_module.model.network.bottom
        moved = [p for name, p in bottom.named_parameters() if self.only in name]
        if not moved:
            return  # a shared bottom has no gates
        ids = {id(p) for p in moved}
        optimizer = trainer.optimizers[0]
        for group in optimizer.param_groups:
            group["params"] = [p for p in group["params"] if id(p) not in ids]
        scheduler = trainer.lr_scheduler_configs[0].scheduler
        base = scheduler.base_lrs[0] * self.factor
        optimizer.add_param_group({"params": moved, "weight_decay": 0.0, "lr": base})
        optimizer.param_groups[-1]["initial_lr"] = base
        scheduler.base_lrs.append(base)
        scheduler.lr_lambdas.append(scheduler.lr_lambdas[0])


class DetachedCTCVR(EntireSpace):
    """ESMM's CTCVR loss whose gradient stops before the click tower."""

    def forward(self, prediction: Any, labels: Any) -> torch.Tensor:
        """``(B,)`` terms."""
        joint = logit_product(prediction.pctr_logit.detach(), prediction.pcvr_logit)
        return binary_cross_entropy(joint, labels.conversion)


def same(model: FunnelModel) -> FunnelModel:
    """The model as it is."""
    return model


def cold(model: FunnelModel) -> FunnelModel:
    """Start the towers at one half instead of the log's rates."""
    object.__setattr__(model.network, "start_at", lambda rates: None)  # noqa: ARG005
    return model


def detached(model: FunnelModel) -> FunnelModel:
    """Detach the CTCVR term from the click tower."""
    losses = {"ctr": EntireSpace("click"), "ctcvr": DetachedCTCVR("conversion")}
    return FunnelModel(model.network, Objective(losses))


def scaled(model: FunnelModel, *, by: float, only: str) -> FunnelModel:
    """Scale the initial weights of part of the bottom."""
    with torch.no_grad():
        for name, parameter in model.network.bottom.named_parameters():
            if only in name and parameter.dim() == 2:
                parameter.mul_(by)
    return model


class Change(NamedTuple):
    """A difference to the starting point; `both`: whether it applies to a shared bottom too."""

    bottom: Any = nn.MMoE
    alter: Callable[[FunnelModel], FunnelModel] = same
    settings: Mapping[str, Any] = MappingProxyType({})
    rate: BottomRate | None = None
    both: bool = True


CHANGES = {
    "none": Change(),
    "towers start at one half": Change(alter=cold),
    "CTCVR detached from the click tower": Change(alter=detached),
    "gate temperature 4": Change(partial(nn.MMoE, temperature=4.0), both=False),
    "gate temperature 1/4": Change(partial(nn.MMoE, temperature=0.25), both=False),
    "gate dropout .1": Change(partial(nn.MMoE, gate_dropout=0.1), both=False),
    "gates start at 0": Change(alter=partial(scaled, by=0.0, only="gate"), both=False),
    "gates learn 5 times as fast": Change(rate=BottomRate(5.0, "gate"), both=False),
    "gates learn a fifth as fast": Change(rate=BottomRate(0.2, "gate"), both=False),
    "experts start twice as large": Change(alter=partial(scaled, by=2.0, only="experts.")),
    "bottom learns 5 times as fast": Change(rate=BottomRate(5.0)),
    "two epochs": Change(settings={"epochs": 2}),
    "four epochs": Change(settings={"epochs": 4}),
    "batch 1024, three epochs": Change(settings={"batch_size": 1024, "epochs": 3}),
}
STARTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "learning rate 1e-3": ({"lr": 1e-3}, tuple(CHANGES)),
    "defaults, raw ids": (
        {},
        (
            "none",
            "CTCVR detached from the click tower",
            "gates learn 5 times as fast",
            "two epochs",
        ),
    ),
}


def fit_one(start: str, name: str, scale: float, bottom: Any, seed: int) -> float:
    """Fit once; the AUC against the true CVR over all impressions."""
    change, simulator = CHANGES[name], simulate.scenario("dense", seed=seed)
    rows = draw(simulator, int(scale * ROWS), int(scale * TEST_ROWS), seed)

    def build(spec: FeatureSpec, **given: Any) -> FunnelModel:
        return change.alter(models.esmm(spec, bottom=bottom, **given))

    builder: Builder = build
    trainer = {"callbacks": [change.rate]} if change.rate else {}
    settings = {**STARTS[start][0], **change.settings}
    estimator = FunnelEstimator(
        builder, simulator.schema, seed=seed, encoding=Encoding(target_encoding=None),
        trainer=trainer, **settings,
    )  # fmt: skip
    return area(estimator.fit(rows.log).predict(rows.test)["pcvr"].to_numpy(), rows.test_truth.pcvr)


@lru_cache
def shared_areas(start: str, name: str, scale: float, seeds: int) -> pd.Series:
    """AUC of the shared bottom by seed."""
    return pd.Series([fit_one(start, name, scale, equal_shared, seed) for seed in range(seeds)])


def fit(seeds: int, scale: float, cell: Cell) -> dict[str, float]:
    """Both bottoms under a change; a change of the gates leaves the shared bottom as it is."""
    change = CHANGES[cell.change]
    mmoe = [fit_one(*cell, scale, change.bottom, seed) for seed in range(seeds)]
    shared = shared_areas(cell.start, cell.change if change.both else "none", scale, seeds)
    return difference(pd.Series(mmoe), shared)


def table(result: Result, start: str) -> pd.DataFrame:
    """A row per change."""
    records = {cell["change"]: cell for cell in result.where(start=start)}
    return pd.DataFrame({name: text(records[name]) for name in STARTS[start][1]}).T


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "esmm_factors", seeds=8)
    given = parser.parse_args(arguments)
    study = Study(
        f"python -m benchmarks.papers.esmm_factors --seeds {given.seeds}",
        Cell, partial(fit, given.seeds, given.scale),
        {"seeds": given.seeds, "scale": given.scale}, given.out,
        metadata={"spaces": "all impressions"}, shown=("difference", "standard error"),
    )  # fmt: skip
    if not given.table:
        cells = [Cell(start, name) for start, (_, names) in STARTS.items() for name in names]
        study.run(cells, given.workers)
    for start in STARTS:
        print(f"\n{start}\n{table(read(given.out), start).to_string()}")
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
