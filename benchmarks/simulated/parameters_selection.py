"""Selection, overlap, and features hidden from a tower.

Panels of benchmarks.simulated.parameters.
"""

import numpy as np

from benchmarks.simulated.parameter_curves import (
    BLUE,
    CEILING,
    by_group,
    ceiling,
    draw,
    effective_share,
    lines,
)


def rho(axes):
    x = np.linspace(-1, 1, 9)
    truths = [draw(rho=value)[2] for value in x]
    curves = {
        "on clicks": [t.pctcvr.mean() / t.pctr.mean() for t in truths],
        "all impressions": [t.pcvr.mean() for t in truths],
    }
    lines(axes, x, curves, "true CVR", xlabel="rho")


def click_slope(axes):
    x = np.linspace(0, 4, 9)
    share = [effective_share(draw(click_slope=value)[2].pctr) for value in x]
    lines(
        axes,
        x,
        {"": share},
        "effective share of clicks\nunder weights 1/pCTR",
        xlabel="click_slope",
    )
    axes.set_yscale("log")


def conversion_slope(axes):
    x = np.linspace(0, 4, 9)
    spread = [np.quantile(draw(conversion_slope=v)[2].pcvr, [0.05, 0.5, 0.95]) for v in x]
    low, middle, high = np.array(spread).T
    axes.fill_between(x, low, high, color=BLUE, alpha=0.25, label="5% to 95%")
    axes.plot(x, middle, color=BLUE, label="median")
    axes.set(xlabel="conversion_slope", ylabel="true pCVR, all impressions")
    axes.legend(fontsize=7, frameon=False)


def curvature(axes):
    curves = {}
    for kappa in (-0.9, 0.0, 0.9):
        _, _, truth = draw(curvature=kappa)
        curves[f"{kappa:+.1f}"] = by_group(truth.pcvr, truth.pctr)
    lines(axes, range(1, 11), curves, "true pCVR", xlabel="decile of pCTR, all impressions")


def confounder(axes):
    x = np.linspace(0, 2, 6)
    curves = {
        "same sign": [ceiling(draw(confounder=g)[2]) for g in x],
        "opposite signs": [
            ceiling(draw(confounder_click=g, confounder_conversion=-g)[2]) for g in x
        ],
    }
    lines(
        axes,
        x,
        curves,
        CEILING,
        xlabel="size of both loadings",
    )
    axes.axhline(0, color="grey", lw=0.6)


def confounder_per(axes):
    x = np.linspace(0, 2, 6)
    curves = {"impression": [], "user, id in x": [], "user, id not used": []}
    for g in x:
        curves["impression"].append(ceiling(draw(confounder=g)[2]))
        truth = draw(confounder=g, confounder_per="user")[2]
        curves["user, id in x"].append(ceiling(truth))
        if g:
            names = ("pctr", "pcvr", "pctcvr")
            ctr, cvr, ctcvr = (truth.further[f"{name}_without_confounder"] for name in names)
            curves["user, id not used"].append((ctcvr / ctr).mean() / cvr.mean() - 1)
        else:
            curves["user, id not used"].append(0.0)
    lines(axes, x, curves, CEILING, xlabel="confounder")


def mnar(axes):
    x = np.linspace(-3, 3, 9)
    bias = [ceiling(draw(mnar=value)[2]) for value in x]
    lines(axes, x, {"": bias}, CEILING, xlabel="mnar")
    axes.axhline(0, color="grey", lw=0.6)


def hidden_from(axes):
    """The best a tower can learn from clicks that sees items only: means of q by item under p."""
    x = np.linspace(-0.8, 0.8, 7)
    blind = []
    for value in x:
        _, log, truth = draw(rho=value, interaction=0.0)
        sums = log.assign(p=truth.pctr, pq=truth.pctcvr).groupby("item_id")[["p", "pq"]]
        item = sums.transform("sum")
        blind.append((item["pq"] / item["p"]).mean() / truth.pcvr.mean() - 1)
    curves = {"sees all": np.zeros(len(x)), "user hidden from it": blind}
    lines(axes, x, curves, "bias of CVR learned on clicks\nall impressions", xlabel="rho")


PANELS = {
    "rho": rho,
    "click_slope": click_slope,
    "conversion_slope": conversion_slope,
    "curvature": curvature,
    "confounder": confounder,
    "confounder_per": confounder_per,
    "mnar": mnar,
    "hidden_from": hidden_from,
}
