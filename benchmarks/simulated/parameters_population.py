"""Users, items, their attributes, and the rates asked for.

Panels of benchmarks.simulated.parameters.
"""

import numpy as np

from benchmarks.simulated.parameter_curves import draw, lines, logit, pair_logits
from mtl_seq.simulate import LogisticFunnel


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
    explained = []
    attributes = ["user_segment", "user_tier", "item_category", "item_brand"]
    for share in x:
        _, log, truth = draw(id_effects=share, interaction=0.0)
        columns = [np.eye(log[a].max() + 1)[log[a]] for a in attributes]
        design, z = np.concatenate(columns, axis=1), logit(truth.pctr)
        rest = z - design @ np.linalg.lstsq(design, z, rcond=None)[0]
        explained.append(1 - rest.var() / z.var())
    lines(axes, x, {"": explained}, "R2 of the click logit\non attributes", xlabel="id_effects")


def interaction(axes):
    x = np.linspace(0, 1, 6)
    alone = []
    for share in x:
        scenario = LogisticFunnel(users=300, items=200, interaction=share, user_zipf=0, item_zipf=0)
        z = pair_logits(scenario)
        rest = z - z.mean(0) - z.mean(1, keepdims=True) + z.mean()
        alone.append(rest.var() / z.var())
    lines(axes, x, {"": alone}, "share of the click logit\nin user x item", xlabel="interaction")


def tastes(axes):
    curves = {}
    for count in (1, 4, 16):
        scenario = LogisticFunnel(
            users=300, items=200, interaction=1.0, tastes=count, user_zipf=0, item_zipf=0
        )
        z = pair_logits(scenario)
        values = np.linalg.svd(z - z.mean(), compute_uv=False)[:20] ** 2
        curves[f"{count}"] = np.cumsum(values) / (z - z.mean()).var() / z.size
    lines(
        axes,
        range(1, 21),
        curves,
        "click logit's variance\nin so many factors",
        xlabel="factors of user x item",
    )


def users(axes):
    x = np.array([100, 1000, 10_000, 100_000])
    curves = {
        f"CTR {ctr:.0%}, CVR {cvr:.1%}": 1e6 * ctr * cvr / x
        for ctr, cvr in ((0.2, 0.2), (0.04, 0.02), (0.04, 0.006))
    }
    lines(axes, x, curves, "conversions a user\nin 1M impressions", xlabel="users")
    axes.set(xscale="log", yscale="log")


def attributes(axes):
    """Means over eight scenarios: effects of levels are drawn, and few levels differ by chance."""
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


PANELS = {
    "user_zipf, item_zipf": zipf,
    "id_effects": id_effects,
    "interaction": interaction,
    "tastes": tastes,
    "users": users,
    "user_attributes": attributes,
    "ctr, cvr, cvr_over": targets,
}
