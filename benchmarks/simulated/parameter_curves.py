"""The scenario of every panel of benchmarks.simulated.parameters, and how its curves are drawn."""

import numpy as np
from matplotlib.axes import Axes

from mtl_seq.simulate import LogisticFunnel

SEED = 0
# Okabe and Ito's colours; strokes distinguish curves that coincide.
STYLES = [("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", ":"), ("#CC79A7", "-.")]
BLUE = STYLES[0][0]
CEILING = "bias of P(conv. | x, click)\nall impressions"
_ROWS = [200_000]


def rows() -> int:
    """Impressions of every draw."""
    return _ROWS[0]


def set_rows(many: int) -> None:
    """Of all draws from here on."""
    _ROWS[0] = many


def draw(**parameters):
    """The scenario of all panels with some parameters changed, a log and its truth."""
    scenario = LogisticFunnel(**{"users": 2000, "items": 500, "seed": SEED, **parameters})
    return (scenario, *scenario.sample(rows(), np.random.default_rng(SEED + 1)))


def logit(p):
    return np.log(p) - np.log1p(-p)


def effective_share(p):
    """Harmonic over arithmetic mean of the propensity: effective sample size over clicks."""
    return 1 / np.mean(1 / p) / np.mean(p)


def ceiling(truth):
    """Relative bias, over all impressions, of P(conversion | x, click)."""
    return truth.pcvr_clicked.mean() / truth.pcvr.mean() - 1


def by_group(values, group, bins=10):
    """Means by equally large groups of another variable."""
    order = np.array_split(np.argsort(group), bins)
    return np.array([values[rows].mean() for rows in order])


def lines(axes: Axes, x, curves, ylabel, *, xlabel, marker="o"):
    for (colour, stroke), (name, y) in zip(STYLES, curves.items(), strict=False):
        axes.plot(x, y, ls=stroke, marker=marker, ms=3, color=colour, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if len(curves) > 1:
        axes.legend(fontsize=7, frameon=False)


def pair_logits(scenario, of="pctr"):
    """Logits of all pairs, from the truth of draws until each pair was in one."""
    total = np.full((scenario.users, scenario.items), np.nan)
    rng = np.random.default_rng(SEED)
    while np.isnan(total).any():
        log, truth = scenario.sample(400_000, rng)
        total[log["user_id"], log["item_id"]] = logit(getattr(truth, of))
    return total
