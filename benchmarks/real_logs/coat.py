"""Compare debiased CVR models on Coat's self-selected ratings.

    python -m benchmarks.real_logs.coat RAW [--seeds 5]

A pair of user and item is the impression, being chosen for rating the click, a rating of 3 or
more the conversion. Models train for two epochs. A fifth of all pairs is held out, per seed and
the same for every model. Metrics are on the held-out ratings: as they are, and weighted by the
inverse of the propensities that come with the data, which stands for all pairs if those are
right. Where RAW holds test.ascii, the ratings of random items, the models are measured on these
too. See datasets/coat/CARD.md. A cell is a model under a seed. Draws docs/coat.png.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.lib.datasets import converted
from benchmarks.lib.metrics import Pair, area, cross_entropy, paired
from benchmarks.lib.results_store import read
from benchmarks.lib.study import Study, launch, parser_of
from mtl_seq import FunnelEstimator, Schema, models
from mtl_seq.functional import ips_auc, snips_log_loss
from mtl_seq.models import Builder
from mtl_seq.report.render.plot_bias import save

FIGURE = Path(__file__).parents[2] / "docs" / "coat.png"
EPOCHS = 2
HELD_OUT = 0.2
# Whether the loss takes the propensities that come with the data; else it takes pCTR.
MODELS: Mapping[str, tuple[Builder, bool]] = {
    "click_space": (models.click_space, False),
    "multitask": (models.multitask, False),
    "esmm": (models.esmm, False),
    "ips, given propensities": (models.ips, True),
    "ips, estimated propensities": (models.ips, False),
    "snips, given propensities": (models.snips, True),
    "dr_jl, given propensities": (models.dr_jl, True),
    "dr_jl, estimated propensities": (models.dr_jl, False),
    "mrdr, given propensities": (models.mrdr, True),
    "mrdr, estimated propensities": (models.mrdr, False),
}
CONSTANT, NAIVE = "constant", "click_space"
SHOWN = ["AUC, clicks", "log loss, clicks", "AUC, weighted", "log loss, weighted"]


class Cell(NamedTuple):
    """A model under a seed."""

    seed: int
    model: str


class Ratings(NamedTuple):
    """The log, and the ratings of random items where there are any."""

    schema: Schema
    log: pd.DataFrame
    random: pd.DataFrame | None


@cache
def ratings(raw: Path) -> Ratings:
    """Convert the original files."""
    with converted("coat", raw) as folder:
        test = folder / "test.parquet"
        return Ratings(
            Schema.from_json(folder / "schema.json"),
            pd.read_parquet(folder / "log.parquet"),
            pd.read_parquet(test) if test.exists() else None,
        )


def fit_and_measure(raw: Path, cell: Cell) -> dict[str, float]:
    """Fit on four fifths of the pairs; measure on the ratings among the rest."""
    schema, log, random = ratings(raw)
    held_out = np.random.default_rng([cell.seed, 1]).random(len(log)) < HELD_OUT
    train, test = log[~held_out], log[held_out]
    parts = {"test": test} if random is None else {"test": test, "random": random}
    if cell.model == CONSTANT:
        rate = train.loc[train["click"] == 1, "conversion"].mean()
        pcvr = {name: np.full(len(part), rate) for name, part in parts.items()}
    else:
        builder, given = MODELS[cell.model]
        roles = schema if given else replace(schema, propensity=None)
        estimator = FunnelEstimator(builder, roles, epochs=EPOCHS, seed=cell.seed).fit(train)
        pcvr = {name: estimator.predict(p)["pcvr"].to_numpy() for name, p in parts.items()}
    metrics = {**measure(pcvr["test"], test), "mean pCVR, all": float(pcvr["test"].mean())}
    if random is not None:
        label = random["conversion"].to_numpy(dtype=np.float64)
        metrics |= {
            "AUC, random": area(pcvr["random"], label),
            "log loss, random": cross_entropy(pcvr["random"], label),
            "relative bias, random": float(pcvr["random"].mean() / label.mean() - 1),
        }
    return metrics


def measure(pcvr: np.ndarray, test: pd.DataFrame) -> dict[str, float]:
    """Metrics on held-out ratings, and weighted by inverse propensities for all pairs."""
    click, conversion, propensity = (
        test[column].to_numpy(dtype=np.float64) for column in ("click", "conversion", "propensity")
    )
    rated = click == 1
    weight = click / propensity
    return {
        "AUC, clicks": area(pcvr[rated], conversion[rated]),
        "log loss, clicks": cross_entropy(pcvr[rated], conversion[rated]),
        "AUC, weighted": float(ips_auc(pcvr, conversion, click, propensity)),
        "log loss, weighted": float(snips_log_loss(pcvr, conversion, click, propensity)),
        "mean CVR, clicks": float(conversion[rated].mean()),
        "mean CVR, weighted": float((weight * conversion).sum() / weight.sum()),
    }


def means(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds by model."""
    names = [name for name in (CONSTANT, *MODELS) if name in set(frame["model"])]
    columns = [*SHOWN, "mean pCVR, all", *(name for name in frame if name.endswith(", random"))]
    return frame.groupby("model")[columns].mean().loc[names]


def gaps(frame: pd.DataFrame) -> dict[str, dict[str, Pair]]:
    """Differences to the naive model by metric and model, paired over the seeds."""
    values = frame.set_index(["model", "seed"]).sort_index()
    names = [name for name in MODELS if name != NAIVE and name in values.index]
    return {
        column: {name: paired(values[column], name, NAIVE) for name in names} for column in SHOWN
    }


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """Means as text."""
    return means(frame).map("{:.4f}".format).rename(index=code)


def gap_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Differences to the naive model as text."""
    columns = gaps(frame)
    return pd.DataFrame(columns).map(lambda pair: pair.text()).rename(index=code)


def rates(frame: pd.DataFrame) -> pd.DataFrame:
    """Observed CVR of the held-out ratings by seed, as they are and weighted."""
    columns = ["mean CVR, clicks", "mean CVR, weighted"]
    return frame.drop_duplicates("seed").set_index("seed")[columns].map("{:.4f}".format)


def code(name: str) -> str:
    """A model's name as code, its propensities as text."""
    model, comma, rest = name.partition(",")
    return name if name == CONSTANT else f"`{model}`{comma}{rest}"


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Draw differences to the naive model, on ratings as they are and weighted."""
    figure = Figure(figsize=(9, 3.6))
    axes = figure.subplots(1, 2, sharey=True)
    columns = gaps(frame)
    for panel, column in zip(axes, ("log loss, clicks", "log loss, weighted"), strict=True):
        for place, (gap, error, _) in enumerate(columns[column].values()):
            panel.plot([gap - 2 * error, gap + 2 * error], [place, place], color="#0072B2")
            panel.plot(gap, place, "o", color="#0072B2")
        panel.axvline(0, color="#5B5B5B", ls=":")
        panel.set_title(column, fontsize=10)
        panel.set_xlabel("minus that of click_space; left is better")
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(columns[column])), list(columns[column]))
    axes[0].invert_yaxis()
    figure.suptitle(
        "Coat, held-out chosen ratings: mean difference and two standard errors", y=1.04
    )
    save(figure, path)


def run(given: argparse.Namespace) -> None:
    """Fit every model under every seed."""
    study = Study(
        f"python -m benchmarks.real_logs.coat RAW --seeds {given.seeds}",
        Cell, partial(fit_and_measure, given.raw),
        {"random ratings": ratings(given.raw).random is not None}, given.out,
        metadata={
            "spaces": "clicks: held-out ratings; weighted: the same, for all pairs, if the "
            "propensities that come with the data are right; random: ratings of random items",
        },
        shown=SHOWN,
    )  # fmt: skip
    cells = [Cell(s, model) for s in range(given.seeds) for model in (CONSTANT, *MODELS)]
    study.run(cells, given.workers)


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__, "coat", seeds=5, raw=True)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    given = parser.parse_args(arguments)
    if given.raw and not given.table:
        run(given)
    frame = read(given.out).frame()
    print(table(frame).to_string())
    print(gap_table(frame).to_string())
    draw(frame, given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(launch(__spec__))
