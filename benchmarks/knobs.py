"""What turning each knob of the simulator does, as pictures, and the rates of the named worlds.

    python benchmarks/knobs.py [--rows 200000] [--scenario-rows 1000000]

Draws docs/simulator/*.png and keeps benchmarks/results/scenarios.json; prints the table of
docs/simulator.md. Every panel turns one knob of a world of 2,000 users and 500 items and leaves the
others at their defaults (CTR 20%, CVR on clicks 20%, rho 0.4); curves are of the truth, not of
labels.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from mtl_seq import simulate
from mtl_seq.comparison import versions
from mtl_seq.simulate import Actions, Context, Delay, Drift, Exposure, LogisticFunnel

ROOT = Path(__file__).parents[1]
PICTURES, RESULT = ROOT / "docs" / "simulator", ROOT / "benchmarks" / "results" / "scenarios.json"
SEED = 0
ROWS = 200_000
# Okabe and Ito's colours; the strokes tell curves apart that lie on each other.
STYLES = [("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", ":"), ("#CC79A7", "-.")]
BLUE = STYLES[0][0]
CEILING = "bias of P(conv. | x, click)\nall impressions"


def draw(**knobs):
    """The world of all panels with some knobs turned, a log and its truth."""
    world = LogisticFunnel(**{"users": 2000, "items": 500, "seed": SEED, **knobs})
    return (world, *world.sample(ROWS, np.random.default_rng(SEED + 1)))


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


# Selection, overlap, and what is hidden


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


# Who and what there is


def zipf(axes):
    x = np.linspace(0, 1.6, 9)
    shares = {}
    for kind, size in (("user", 2000), ("item", 500)):
        shares[kind] = []
        for exponent in x:
            weight = np.arange(1, size + 1.0) ** -exponent
            shares[kind].append(weight[: size // 10].sum() / weight.sum())
    lines(axes, x, shares, "impressions of the\nmost popular tenth", xlabel="user_zipf, item_zipf")


def id_effects(axes):
    x = np.linspace(0, 1, 6)
    told = []
    attributes = ["user_segment", "user_tier", "item_category", "item_brand"]
    for share in x:
        _, log, truth = draw(id_effects=share, interaction=0.0)
        columns = [np.eye(log[a].max() + 1)[log[a]] for a in attributes]
        design, z = np.concatenate(columns, axis=1), logit(truth.pctr)
        rest = z - design @ np.linalg.lstsq(design, z, rcond=None)[0]
        told.append(1 - rest.var() / z.var())
    lines(axes, x, {"": told}, "R2 of the click logit\non attributes", xlabel="id_effects")


def interaction(axes):
    x = np.linspace(0, 1, 6)
    alone = []
    for share in x:
        world = LogisticFunnel(users=300, items=200, interaction=share, user_zipf=0, item_zipf=0)
        z = pair_logits(world)
        rest = z - z.mean(0) - z.mean(1, keepdims=True) + z.mean()
        alone.append(rest.var() / z.var())
    lines(axes, x, {"": alone}, "share of the click logit\nin user x item", xlabel="interaction")


def tastes(axes):
    curves = {}
    for count in (1, 4, 16):
        world = LogisticFunnel(
            users=300, items=200, interaction=1.0, tastes=count, user_zipf=0, item_zipf=0
        )
        z = pair_logits(world)
        values = np.linalg.svd(z - z.mean(), compute_uv=False)[:20] ** 2
        curves[f"{count}"] = np.cumsum(values) / (z - z.mean()).var() / z.size
    lines(
        axes,
        range(1, 21),
        curves,
        "click logit's variance\nin so many factors",
        xlabel="factors of user x item",
    )


def pair_logits(world, of="pctr"):
    """Logits of all pairs, from the truth of draws until each pair was in one."""
    total = np.full((world.users, world.items), np.nan)
    rng = np.random.default_rng(SEED)
    while np.isnan(total).any():
        log, truth = world.sample(400_000, rng)
        total[log["user_id"], log["item_id"]] = logit(getattr(truth, of))
    return total


def users(axes):
    x = np.array([100, 1000, 10_000, 100_000])
    curves = {
        f"CTR {ctr:.0%}, CVR {cvr:.1%}": 1e6 * ctr * cvr / x
        for ctr, cvr in ((0.2, 0.2), (0.04, 0.02), (0.04, 0.006))
    }
    lines(axes, x, curves, "conversions a user\nin 1M impressions", xlabel="users")
    axes.set(xscale="log", yscale="log")


def attributes(axes):
    """Means over eight worlds: the levels' own effects are drawn, and few levels differ by luck."""
    x = np.array([2, 4, 8, 16, 32, 64])
    spread = []
    for levels in x:
        found = []
        for seed in range(8):
            one = (int(levels),)
            _, log, truth = draw(user_attributes=one, item_attributes=(40,), seed=seed)
            z = log.assign(z=logit(truth.pctr)).groupby("user_segment")["z"].transform("mean")
            found.append(z.var())
        spread.append(np.sqrt(np.mean(found)))
    label = "spread of the click logit\nbetween segments"
    lines(axes, x, {"": spread}, label, xlabel="levels of the one user attribute")
    axes.set_xscale("log", base=2)


def targets(axes):
    x = np.array([0.01, 0.03, 0.1, 0.3, 0.6])
    curves = {"ctr": [], "cvr, clicks": [], "cvr, impressions": []}
    for goal in x:
        curves["ctr"].append(draw(ctr=goal)[2].pctr.mean())
        truth = draw(cvr=goal)[2]
        curves["cvr, clicks"].append(truth.pctcvr.mean() / truth.pctr.mean())
        curves["cvr, impressions"].append(draw(cvr=goal, cvr_over="impressions")[2].pcvr.mean())
    lines(axes, x, curves, "rate in a draw", xlabel="asked for")
    axes.plot(x, x, color="grey", lw=0.6)
    axes.set(xscale="log", yscale="log")


# What else may happen


def policy(axes):
    curves = {}
    for name, exposure in {
        "uniform": Exposure(),
        "top_k, 1": Exposure("top_k", strength=1.0),
        "top_k, 3": Exposure("top_k", strength=3.0),
        "epsilon_greedy": Exposure("epsilon_greedy"),
    }.items():
        _, log, truth = draw(exposure=exposure)
        curves[name] = truth.pctr.reshape(-1, 10).mean(axis=0)
        assert log["position"].iloc[9] == 10
    lines(axes, range(1, 11), curves, "true pCTR", xlabel="position")


def candidates(axes):
    x = np.array([5, 10, 20, 50, 100])
    curves = {}
    for strength in (0.0, 1.0, 3.0):
        shares = []
        for many in x:
            exposure = Exposure("top_k", slots=5, candidates=int(many), strength=strength)
            counts = draw(exposure=exposure)[1]["item_id"].value_counts()
            shares.append(counts.iloc[:50].sum() / ROWS)
        curves[f"strength {strength:g}"] = shares
    label = "impressions of the\nmost shown tenth of items"
    lines(axes, x, curves, label, xlabel="candidates for 5 slots")
    axes.set_xscale("log")


def epsilon(axes):
    x = np.linspace(0, 1, 6)
    first = {"slot 1": [], "slot 10": []}
    for value in x:
        log = draw(exposure=Exposure("epsilon_greedy", epsilon=float(value)))[1]
        logged = log.groupby("position")["exposure_propensity"].mean()
        first["slot 1"].append(logged[1])
        first["slot 10"].append(logged[10])
    lines(axes, x, first, "mean exposure propensity", xlabel="epsilon, of 50 candidates")


def position_effect(axes):
    curves = {}
    for effect in (0.5, 1.0):
        _, _, truth = draw(exposure=Exposure(position_effect=effect))
        curves[f"pCTR, {effect}"] = truth.pctr.reshape(-1, 10).mean(axis=0)
    curves["pCVR, 1.0"] = truth.pcvr.reshape(-1, 10).mean(axis=0)
    lines(axes, range(1, 11), curves, "mean of the truth", xlabel="position")


def cosine(axes):
    x = np.linspace(-1, 1, 7)
    curves = {}
    for sines in (0, 3):
        found = []
        for value in x:
            context = Context(share=1.0, cosine=float(value), sines=sines)
            truth = draw(context=context)[2]
            found.append(np.corrcoef(logit(truth.pctr), logit(truth.pcvr))[0, 1])
        curves[f"{sines} sines"] = found
    lines(
        axes,
        x,
        curves,
        "correlation of the\nclick and CVR logits",
        xlabel="context.cosine, share 1",
    )


def context_share(axes):
    x = np.linspace(0, 1, 6)
    told = []
    for share in x:
        _, log, truth = draw(context=Context(features=3, share=float(share)))
        design = np.column_stack([np.ones(ROWS), log[["context_0", "context_1", "context_2"]]])
        z = logit(truth.pctr)
        rest = z - design @ np.linalg.lstsq(design, z, rcond=None)[0]
        told.append(1 - rest.var() / z.var())
    lines(axes, x, {"": told}, "R2 of the click logit\non the context", xlabel="context.share")


def sines(axes):
    for (colour, stroke), count in zip(STYLES, (0, 1, 4), strict=False):
        world, log, truth = draw(context=Context(features=2, share=1.0, sines=count))
        w = world._world.happening.law.directions.click
        t = log[["context_0", "context_1"]].to_numpy()[:3000] @ w
        order = np.argsort(t)
        values = logit(truth.pctr[:3000])[order]
        axes.plot(t[order], values, color=colour, ls=stroke, label=f"{count}")
    axes.set(xlabel="projection of the context", ylabel="click logit")
    axes.legend(fontsize=7, frameon=False)


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
        curves[f"mean {mean:g}, window {window:g}"] = np.searchsorted(days, x) / ROWS
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


GRIDS: dict[str, dict[str, Callable[[Axes], None]]] = {
    "selection": {
        "rho": rho,
        "click_slope": click_slope,
        "conversion_slope": conversion_slope,
        "curvature": curvature,
        "confounder": confounder,
        "confounder_per": confounder_per,
        "mnar": mnar,
        "hidden_from": hidden_from,
    },
    "population": {
        "user_zipf, item_zipf": zipf,
        "id_effects": id_effects,
        "interaction": interaction,
        "tastes": tastes,
        "users": users,
        "user_attributes": attributes,
        "ctr, cvr, cvr_over": targets,
    },
    "exposure_and_context": {
        "exposure.policy, .strength": policy,
        "exposure.candidates": candidates,
        "exposure.epsilon": epsilon,
        "exposure.position_effect": position_effect,
        "context.cosine": cosine,
        "context.share": context_share,
        "context.sines": sines,
    },
    "actions_delay_drift": {
        "actions.lift": lift,
        "actions.slope, .rho": action_slope,
        "delay.mean, .window": delay_mean,
        "delay.slope": delay_slope,
        "delay.cutoff": cutoff,
        "drift.click, .conversion": drift_rates,
        "drift.turn": drift_turn,
    },
}


def picture(name: str, panels: dict[str, Callable[[Axes], None]]) -> None:
    figure, grid = plt.subplots(2, 4, figsize=(13, 5.6), layout="constrained")
    for axes, (title, panel) in zip(grid.flat, panels.items(), strict=False):
        panel(axes)
        axes.set_title(title, fontsize=10, loc="left", family="monospace")
        axes.tick_params(labelsize=7)
        axes.xaxis.label.set_size(8)
        axes.yaxis.label.set_size(8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    PICTURES.mkdir(exist_ok=True)
    figure.savefig(PICTURES / f"{name}.png", dpi=80)
    plt.close(figure)


def rates(name: str, rows: int) -> dict[str, float | int | str]:
    """What a named world's truth comes to in a draw."""
    world = simulate.scenario(name)
    log, truth = world.sample(rows, np.random.default_rng(SEED + 1))
    clicked = truth.pctcvr.mean() / truth.pctr.mean()
    return {
        "CTR": round(float(truth.pctr.mean()), 4),
        "CVR on clicks": round(float(clicked), 4),
        "CVR over all impressions": round(float(truth.pcvr.mean()), 4),
        "clicks over all": round(float(clicked / truth.pcvr.mean()), 2),
        "effective share of clicks": round(float(effective_share(truth.pctr)), 3),
        "bias of the ceiling": round(float(ceiling(truth)), 3) + 0.0,
        "users in the draw": log["user_id"].nunique(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--scenario-rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=[*GRIDS, "scenarios"], help="draw one of them")
    given = parser.parse_args()
    globals()["ROWS"] = given.rows
    for name, panels in GRIDS.items():
        if given.only in (None, name):
            picture(name, panels)
    if given.only not in (None, "scenarios"):
        return
    found = {name: rates(name, given.scenario_rows) for name in simulate.scenarios()}
    result = {
        "command": f"python benchmarks/knobs.py --scenario-rows {given.scenario_rows}",
        "versions": versions(),
        "seed": SEED,
        "scenarios": found,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, row in found.items():
        shown = [f"{value:g}" for value in list(row.values())[:6]]
        print(f"| `{name}` | {simulate.scenarios()[name]} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
