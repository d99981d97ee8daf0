"""Exposure policies, positions, and what the context explains.

Panels of benchmarks.simulated.parameters.
"""

import numpy as np

from benchmarks.simulated.parameter_curves import STYLES, draw, lines, logit, rows
from mtl_seq.simulate import Context, Exposure


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
            shares.append(counts.iloc[:50].sum() / rows())
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
    explained = []
    for share in x:
        _, log, truth = draw(context=Context(features=3, share=float(share)))
        design = np.column_stack([np.ones(rows()), log[["context_0", "context_1", "context_2"]]])
        z = logit(truth.pctr)
        rest = z - design @ np.linalg.lstsq(design, z, rcond=None)[0]
        explained.append(1 - rest.var() / z.var())
    lines(axes, x, {"": explained}, "R2 of the click logit\non the context", xlabel="context.share")


def sines(axes):
    for (colour, stroke), count in zip(STYLES, (0, 1, 4), strict=False):
        scenario, log, truth = draw(context=Context(features=2, share=1.0, sines=count))
        w = scenario._scenario.outcomes.logit_model.directions.click
        t = log[["context_0", "context_1"]].to_numpy()[:3000] @ w
        order = np.argsort(t)
        values = logit(truth.pctr[:3000])[order]
        axes.plot(t[order], values, color=colour, ls=stroke, label=f"{count}")
    axes.set(xlabel="projection of the context", ylabel="click logit")
    axes.legend(fontsize=7, frameon=False)


PANELS = {
    "exposure.policy, .strength": policy,
    "exposure.candidates": candidates,
    "exposure.epsilon": epsilon,
    "exposure.position_effect": position_effect,
    "context.cosine": cosine,
    "context.share": context_share,
    "context.sines": sines,
}
