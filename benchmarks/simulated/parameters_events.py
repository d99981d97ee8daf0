"""Actions between click and conversion, delays and drift.

Panels of benchmarks.simulated.parameters.
"""

import numpy as np

from benchmarks.simulated.parameter_curves import (
    SEED,
    by_group,
    draw,
    lines,
    logit,
    pair_logits,
    rows,
)
from mtl_seq.simulate import Actions, Delay, Drift, LogisticFunnel


def lift(axes):
    x = np.linspace(-2, 4, 7)
    curves = {"with the cart": [], "without": [], "all": []}
    for value in x:
        truth = draw(actions=Actions(("cart",), (0.2,), (float(value),)), cvr=0.1)[2]
        cart, way = truth.further["cart"], truth.further["cart_then_conversion"]
        curves["with the cart"].append(way.mean() / cart.mean())
        curves["without"].append((truth.pctcvr - way).mean() / (truth.pctr - cart).mean())
        curves["all"].append(truth.pctcvr.mean() / truth.pctr.mean())
    lines(axes, x, curves, "CVR on clicks", xlabel="actions.lift")


def action_slope(axes):
    curves = {}
    for slope, correlation in ((0.5, 0.9), (2.0, 0.9), (2.0, -0.5)):
        actions = Actions(("cart",), (0.2,), (0.0,), slope=slope, rho=correlation)
        truth = draw(actions=actions)[2]
        curves[f"slope {slope:g}, rho {correlation:g}"] = by_group(
            truth.further["cart"] / truth.pctr, truth.pcvr
        )
    lines(axes, range(1, 11), curves, "P(cart | click)", xlabel="decile of pCVR, all impressions")


def delay_mean(axes):
    x = np.linspace(0, 8, 33)
    curves = {}
    for mean, window in ((1.0, 7.0), (4.0, 7.0), (4.0, 3.0)):
        truth = draw(days=1, delay=Delay(mean=mean, window=window))[2]
        days = np.sort(truth.hidden["delay"])
        curves[f"mean {mean:g}, window {window:g}"] = np.searchsorted(days, x) / rows()
    lines(axes, x, curves, "share of conversions known", xlabel="days since the click", marker="")


def delay_slope(axes):
    curves = {}
    for slope in (0.0, 1.0, -1.0):
        truth = draw(days=7, delay=Delay(mean=3.0, slope=slope))[2]
        known = by_group(truth.further["conversion_known"], truth.pcvr)
        curves[f"{slope:+g}"] = known / by_group(truth.pctcvr, truth.pcvr)
    lines(
        axes,
        range(1, 11),
        curves,
        "share of conversions known\nwhen 7 days end",
        xlabel="decile of pCVR, all impressions",
    )


def cutoff(axes):
    x = np.linspace(7, 14, 8)
    curves = {}
    for mean in (1.0, 4.0):
        curves[f"mean {mean:g}"] = []
        for day in x:
            truth = draw(days=7, delay=Delay(mean=mean, cutoff=float(day)))[2]
            known = truth.further["conversion_known"].mean() / truth.pctcvr.mean()
            curves[f"mean {mean:g}"].append(known)
    lines(axes, x, curves, "share of conversions known", xlabel="delay.cutoff, days; log of 7 days")


def drift_rates(axes):
    _, log, truth = draw(days=14, drift=Drift(click=0.05, conversion=-0.1))
    day = log["time"].to_numpy().astype(int)
    curves = {
        "pCTR": [truth.pctr[day == d].mean() for d in range(14)],
        "pCVR": [truth.pcvr[day == d].mean() for d in range(14)],
    }
    lines(
        axes, range(14), curves, "mean, all impressions", xlabel="day; click +0.05, conversion -0.1"
    )


def drift_turn(axes):
    few = {"users": 300, "items": 100, "user_zipf": 0.0, "item_zipf": 0.0}
    first = pair_logits(LogisticFunnel(**few, seed=SEED), "pcvr")
    curves = {}
    for turn in (0.0, 5.0, 15.0):
        _, log, truth = draw(**few, days=14, drift=Drift(turn=turn))
        now, then = logit(truth.pcvr), first[log["user_id"], log["item_id"]]
        day = log["time"].to_numpy().astype(int)
        found = [np.corrcoef(now[day == d], then[day == d])[0, 1] for d in range(14)]
        curves[f"{turn:g} degrees"] = found
    label = "correlation of the CVR\nlogit with day 0's"
    lines(axes, range(14), curves, label, xlabel="day; rho 0.4")


PANELS = {
    "actions.lift": lift,
    "actions.slope, .rho": action_slope,
    "delay.mean, .window": delay_mean,
    "delay.slope": delay_slope,
    "delay.cutoff": cutoff,
    "drift.click, .conversion": drift_rates,
    "drift.turn": drift_turn,
}
