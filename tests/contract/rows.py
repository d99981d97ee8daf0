"""Every public part, in one table per kind. A new method adds one row here."""

import inspect
from functools import cache, partial

import numpy as np
from contract.scenarios import WithAction, positioned, relabelled, small

from mtl_seq import Funnel, losses, models, nn, simulate
from mtl_seq.testing import CHAINS

BOTTOMS = {
    "SharedBottom": nn.SharedBottom,
    "MMoE": nn.MMoE,
    "MMoE, two small experts": partial(nn.MMoE, experts=2, hidden=(8,)),
    "MMoE, gate dropout": partial(nn.MMoE, gate_dropout=0.3, temperature=0.5),
    "OMoE": nn.OMoE,
    "CGC": nn.CGC,
    "PLE": nn.PLE,
    "PLE, only own": partial(nn.PLE, own=2, shared=0, levels=3, hidden=(8,)),
    "PLE, only shared": partial(nn.PLE, own=0, shared=3, hidden=(8,)),
    "SingleTask": nn.SingleTask,
    "SingleTask of MMoE": partial(nn.SingleTask, bottom=nn.MMoE),
}
HEADS = {
    "ParallelHead": nn.ParallelHead,
    "ParallelHead, linear": partial(nn.ParallelHead, hidden=()),
    "DBMTL": nn.DBMTL,
    "DBMTL, without layers": partial(nn.DBMTL, hidden=(), relation=()),
    "DBMTL, detached": partial(nn.DBMTL, hidden=(16, 12), relation=(12, 8), detach_parents=True),
    "AITM": nn.AITM,
    "AITM, without layers": partial(nn.AITM, hidden=()),
    "AITM, deep": partial(nn.AITM, hidden=(9, 4)),
    "JointHead": nn.JointHead,
    "DependentHead": nn.DependentHead,
    "DependentHead, lambda(x)": partial(nn.DependentHead, hidden=(), dependence=(8,)),
    "GaussianHead": nn.GaussianHead,
    "DependentHead, fixed": partial(nn.DependentHead, log_odds_ratio=1.5, learned=False),
    "JointHead, linear": partial(nn.JointHead, hidden=()),
}
LOSSES = {
    "EntireSpace, CTR": losses.EntireSpace("click"),
    "EntireSpace, CTCVR": losses.EntireSpace("conversion"),
    "ClickSpace": losses.ClickSpace(),
    "IPS": losses.IPS(),
    "IPS, absolute floor": losses.IPS(losses.PropensityPolicy(floor=0.1)),
    "DirectMethod": losses.DirectMethod(),
    "DoublyRobust": losses.DoublyRobust(),
    "Imputation": losses.Imputation(),
    "IPS, self-normalised": losses.IPS(losses.PropensityPolicy(self_normalise=True)),
    "IPS, not detached": losses.IPS(losses.PropensityPolicy(detach=False)),
    "DoublyRobust, self-normalised": losses.DoublyRobust(
        losses.PropensityPolicy(self_normalise=True)
    ),
    "LabelImputation": losses.LabelImputation(),
    "MRDRImputation": losses.MRDRImputation(),
    "DRBiasImputation": losses.DRBiasImputation(),
    "DRMSEImputation": losses.DRMSEImputation(),
    "DCMT": losses.DCMT(),
    "DCMT, IPS form": losses.DCMT(losses.PropensityPolicy(), prior=1.0),
    "NISE": losses.NISE(),
    "ConversionPropensity": losses.ConversionPropensity(),
    "DDPO": losses.DDPO(),
    "DDPO, hard labels": losses.DDPO(losses.PropensityPolicy(), soft_labels=False),
    "ClickUnconverted": losses.ClickUnconverted(),
    "UnconvertedIPS": losses.UnconvertedIPS(),
    "SoftAlignment": losses.SoftAlignment(),
    "AMAN": losses.AMAN(rate=0.3),
    "AMAN, every impression": losses.AMAN(rate=1.0),
    "AMAN, corrected": losses.AMAN(rate=0.3, corrected=True),
    "Oversampling": losses.Oversampling(),
    "Oversampling, corrected": losses.Oversampling(corrected=True),
    "Unbias": losses.Unbias(),
    "RankNet": losses.RankNet(),
    "RankNet, other grades": losses.RankNet({"click": 1, "conversion": 5}),
    "LambdaRank": losses.LambdaRank(),
    "ReweightedClick": losses.ReweightedClick(),
    "ReweightedClick, corrected": losses.ReweightedClick(scale="corrected"),
    "PotentialOutcome": losses.PotentialOutcome(),
    "MonotonicityPenalty": losses.MonotonicityPenalty(),
    "DependentLikelihood": losses.DependentLikelihood(),
    "GaussianLikelihood": losses.GaussianLikelihood(),
    "DependentLikelihood, three stages": losses.DependentLikelihood(),
    "PathLoss": losses.PathLoss("action", funnel=models.CLICK_ACTION_PURCHASE),
}
MODELS = {
    "targeted": models.targeted,
    "click_space": models.click_space,
    "multitask": models.multitask,
    "esmm": models.esmm,
    "esmm_ns": models.esmm_ns,
    "mmoe": models.mmoe,
    "omoe": models.omoe,
    "ple": models.ple,
    "shared_bottom": models.shared_bottom,
    "single_task": models.single_task,
    "escm2_ips": models.escm2_ips,
    "escm2_dr": models.escm2_dr,
    "ips": models.ips,
    "snips": models.snips,
    "multi_ipw": models.multi_ipw,
    "multi_dr": models.multi_dr,
    "dr_jl": models.dr_jl,
    "sn_dr": models.sn_dr,
    "mrdr": models.mrdr,
    "dr_bias": models.dr_bias,
    "dr_mse": models.dr_mse,
    "dcmt": models.dcmt,
    "nise": models.nise,
    "ddpo": models.ddpo,
    "chorus_cvr": models.chorus_cvr,
    "aman": models.aman,
    "oversampling": models.oversampling,
    "unbias": models.unbias,
    "division": models.division,
    "pairwise_ranker": models.pairwise_ranker,
    "lambda_ranker": models.lambda_ranker,
    "reweighted": models.reweighted,
    "esmm_dependent": models.esmm_dependent,
    "esmm_gaussian": models.esmm_gaussian,
    "oracle": models.oracle,
    "esm2": models.esm2,
    "dbmtl": models.dbmtl,
    "aitm": models.aitm,
}
# Made when asked for: to build them takes longer than most tests.
SIMULATORS = {
    "LogisticFunnel": small,
    "LogisticFunnel, MNAR": partial(small, mnar=1.5),
    "LogisticFunnel, confounded": partial(small, confounder=1.0, mnar=-1.0),
    "LogisticFunnel, confounded by user": partial(
        small, confounder_click=1.5, confounder_conversion=-1.0, confounder_per="user"
    ),
    "LogisticFunnel, exclusive actions": partial(
        small, actions=simulate.Actions(("cart", "fav"), (0.2, 0.1), (2.0, 1.0))
    ),
    "LogisticFunnel, chain": partial(
        small, actions=simulate.Actions(("cart",), (0.4,), (0.0,), required=True)
    ),
    "LogisticFunnel, epsilon-greedy": partial(
        small, exposure=simulate.Exposure("epsilon_greedy", slots=4, candidates=9)
    ),
    "LogisticFunnel, everything": partial(
        small,
        cvr=0.1,
        cvr_over="impressions",
        curvature=0.5,
        mnar=0.7,
        confounder_click=0.5,
        confounder_conversion=-1.5,
        days=7,
        exposure=simulate.Exposure("top_k", slots=3, candidates=8, position_effect=0.5),
        context=simulate.Context(features=4, share=0.3, sines=2),
        actions=simulate.Actions(("cart", "fav"), (0.2, 0.1), (2.0, 1.0)),
        delay=simulate.Delay(mean=2.0, slope=0.5, cutoff=9.0),
        drift=simulate.Drift(click=0.1, conversion=-0.1, turn=10.0),
    ),
    "ProbitFunnel": simulate.ProbitFunnel,
    "ProbitFunnel, Heckman": partial(
        simulate.ProbitFunnel, error_correlation=-0.6, instrument=0.3, cvr_over="impressions"
    ),
    "SemiSynthetic": relabelled,
    "SemiSynthetic, MRDR": lambda: simulate.mrdr_recipe(
        np.random.default_rng(0).random((150, 140))
    ),
    **{name: partial(simulate.scenario, name) for name in simulate.scenarios()},
}

# Where a row is not checked on clicks and conversions, or not with conditional logits.
ON = {
    "AITM": {"funnels": CHAINS},
    "AITM, without layers": {"funnels": CHAINS},
    "AITM, deep": {"funnels": CHAINS},
    "JointHead": {"funnels": CHAINS},
    "JointHead, linear": {"funnels": CHAINS},
    "DependentHead": {"funnels": CHAINS},
    "DependentHead, lambda(x)": {"funnels": CHAINS},
    "DependentHead, fixed": {"funnels": CHAINS},
    "GaussianHead": {"funnels": CHAINS[:1]},
    "GaussianLikelihood": {"compose": nn.compose_gaussian, "logits_each": 3},
    "MonotonicityPenalty": {"compose": nn.compose_joints},
    "DependentLikelihood": {"compose": nn.compose_dependent, "logits_each": 3},
    "DependentLikelihood, three stages": {
        "funnel": Funnel.chain("click", "cart", "order"),
        "compose": nn.compose_dependent,
        "logits_each": 5,
    },
    "PathLoss": {"funnel": models.CLICK_ACTION_PURCHASE},
    "esm2": {"funnel": models.CLICK_ACTION_PURCHASE},
}
SCENARIOS = {"esm2": WithAction(users=60, items=40), "esmm_dependent": positioned()}


@cache
def simulator(name):
    """Build the simulator of a row, once."""
    return SIMULATORS[name]()


def exported(package, kind):
    """Public concrete classes of a kind in a package."""
    result = (getattr(package, name) for name in package.__all__)
    result = (c for c in result if inspect.isclass(c) and issubclass(c, kind))
    return {c for c in result if not inspect.isabstract(c)}
