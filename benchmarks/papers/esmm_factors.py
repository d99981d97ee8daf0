"""Why MMoE can trail a shared bottom under ESMM's loss: one change at a time.

    python benchmarks/papers/esmm_factors.py [--seeds 8]

Scenario `dense`, 200,000 impressions, ESMM on raw ids (target encodings would carry much of what the
bottom has to learn). Two starting points: a learning rate of 1e-3, where MMoE trails, and the
default of 5e-3, where it does not. Figures are the AUC against the true CVR over all impressions,
MMoE minus a shared bottom of as many parameters under the same change, paired by seed (each seed a
scenario, a draw and a fit). The result is kept in benchmarks/results/esmm_factors.json; what stands
there is not measured again.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from esmm_bottoms import equal_shared
from lightning import Callback

from mtl_seq import FunnelEstimator, models, nn, simulate
from mtl_seq.data import Encoding
from mtl_seq.experiments.compare import versions
from mtl_seq.fit import CHECKPOINT_RULE
from mtl_seq.functional import auc, binary_cross_entropy, logit_product
from mtl_seq.losses import EntireSpace, Objective
from mtl_seq.models import Builder, FunnelModel
from mtl_seq.schema import FeatureSpec

RESULT = Path(__file__).parent / "results" / "esmm_factors.json"
ROWS, TEST_ROWS = 200_000, 100_000


class BottomRate(Callback):
    """Gives some parameters of the bottom a learning rate of their own.

    Args:
        factor: Times the learning rate of the rest.
        only: Part of the parameters' names; all of the bottom by default.
    """

    def __init__(self, factor: float, only: str = "") -> None:
        self.factor, self.only = factor, only

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Move the parameters into a group of their own."""
        bottom = pl_module.model.network.bottom
        own = [p for name, p in bottom.named_parameters() if self.only in name]
        if not own:
            return  # a shared bottom has no gates
        ids = {id(p) for p in own}
        optimizer = trainer.optimizers[0]
        for group in optimizer.param_groups:
            group["params"] = [p for p in group["params"] if id(p) not in ids]
        scheduler = trainer.lr_scheduler_configs[0].scheduler
        base = scheduler.base_lrs[0] * self.factor
        optimizer.add_param_group({"params": own, "weight_decay": 0.0, "lr": base})
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
    return model


def cold(model: FunnelModel) -> FunnelModel:
    """Towers that begin at one half instead of the log's rates."""
    object.__setattr__(model.network, "start_at", lambda rates: None)  # noqa: ARG005
    return model


def detached(model: FunnelModel) -> FunnelModel:
    """The CTCVR term no longer reaches the click tower."""
    losses = {"ctr": EntireSpace("click"), "ctcvr": DetachedCTCVR("conversion")}
    return FunnelModel(model.network, Objective(losses))


def scaled(model: FunnelModel, *, by: float, only: str) -> FunnelModel:
    """Initial weights of part of the bottom, larger or smaller."""
    with torch.no_grad():
        for name, parameter in model.network.bottom.named_parameters():
            if only in name and parameter.dim() == 2:
                parameter.mul_(by)
    return model


class Change(NamedTuple):
    """What differs from the starting point; `both` says whether it concerns a shared bottom too."""

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
    "two passes": Change(settings={"epochs": 2}),
    "four passes": Change(settings={"epochs": 4}),
    "batch 1024, three passes": Change(settings={"batch_size": 1024, "epochs": 3}),
}
STARTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "learning rate 1e-3": ({"lr": 1e-3}, tuple(CHANGES)),
    "defaults, raw ids": (
        {},
        (
            "none",
            "CTCVR detached from the click tower",
            "gates learn 5 times as fast",
            "two passes",
        ),
    ),
}


def measure(change: Change, bottom: Any, settings: dict[str, Any], seed: int) -> float:
    """Fit once; the AUC against the true CVR over all impressions."""
    scenario = simulate.scenario("dense", seed=seed)
    log, _ = scenario.sample(ROWS, np.random.default_rng([seed, 1]))
    test, truth = scenario.sample(TEST_ROWS, np.random.default_rng([seed, 2]))

    def build(spec: FeatureSpec, **given: Any) -> FunnelModel:
        return change.alter(models.esmm(spec, bottom=bottom, **given))

    builder: Builder = build
    trainer = {"callbacks": [change.rate]} if change.rate else {}
    given = {**settings, **change.settings}
    encoding = Encoding(target_encoding=None)
    estimator = FunnelEstimator(
        builder, scenario.schema, seed=seed, encoding=encoding, trainer=trainer, **given
    )
    pcvr = estimator.fit(log).predict(test)["pcvr"].to_numpy()
    return float(auc(pcvr, truth.pcvr))


def paired(
    change: Change, settings: dict[str, Any], seeds: range, plain: dict[str, Any] | None
) -> dict[str, Any]:
    """Both bottoms under a change; `plain` is the row of no change."""
    mixed = [measure(change, change.bottom, settings, seed) for seed in seeds]
    if change.both or plain is None:
        shared = [measure(change, equal_shared, settings, seed) for seed in seeds]
    else:
        shared = plain["shared by seed"]
    values = pd.DataFrame({"MMoE": mixed, "shared": shared})
    values["difference"] = values["MMoE"] - values["shared"]
    return {
        **{column: round(float(values[column].mean()), 5) for column in values},
        "standard error": round(float(values["difference"].sem()), 5),
        "shared by seed": [round(value, 6) for value in shared],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    result: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else {}
    result |= {
        "command": f"python benchmarks/papers/esmm_factors.py --seeds {given.seeds}",
        "versions": versions(),
        "checkpoint_rule": CHECKPOINT_RULE,
        "space": "all impressions",
    }
    for start, (settings, names) in STARTS.items():
        found = result.setdefault(start, {})
        for name in names:
            if name not in found:
                plain = found.get("none")
                found[name] = paired(CHANGES[name], settings, range(given.seeds), plain)
                given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            print(f"{start}; {name}: {found[name]}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
